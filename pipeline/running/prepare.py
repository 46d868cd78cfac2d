"""Everything that a run does before its first frame, and that a check does too: open footage, models and database."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from ..config.floor_plan import read_floor_plan
from ..config.schema import Config
from ..credentials import remember_secrets
from ..errors import ConfigError, ReidpipeError, SourceError, StoreError, WeightsError
from ..memory import give_back_freed_heap, give_back_freed_pictures
from ..sources.background import in_background
from ..sources.opening import Source, open_sources
from ..stages.detection.detect import Detector, open_detector
from ..stages.embed import CropEmbedder, open_embedder
from ..storage.store import verify_database
from ..types import CameraReport, FloorPlan
from .inputs import check_database_path

GREY = 114  # of the empty pictures on which networks are tried


@dataclass(slots=True)
class Prepared:
    """What could be opened of a config, and everything that stands against a run.

    Attributes:
        sources: the cameras that could be opened.
        failed: failed reports of the others.
        detector, embedder: None if the model cannot be loaded.
        plan: picture of the floor; None without one.
        errors: one for each problem that ends a run: no camera at all, a model, the database, the floor's picture.
    """

    sources: dict[str, Source] = field(default_factory=dict)
    failed: dict[str, CameraReport] = field(default_factory=dict)
    detector: Detector | None = None
    embedder: CropEmbedder | None = None
    plan: FloorPlan | None = None
    errors: list[ReidpipeError] = field(default_factory=list)

    def ready(self) -> tuple[dict[str, Source], dict[str, CameraReport], Detector, CropEmbedder]:
        """Sources, failed reports, detector and embedder of a run that can start.

        Raises:
            SourceError, WeightsError, StoreError, ConfigError: the first problem.
        """
        for error in self.errors:
            raise error
        assert self.detector is not None
        assert self.embedder is not None
        return self.sources, self.failed, self.detector, self.embedder


def prepare(config: Config, trust_weights: bool) -> Prepared:
    """Open all that a run needs, as far as possible; nothing is written, and no database is made.

    Both networks are tried on an empty picture: some damage shows only when they run. Everything is done at the same
    time, because a run begins when the last of it is done.

    Args:
        config: validated, with resolved paths.
        trust_weights: whether weights of formats that can run programs may be loaded, such as ultralytics' .pt.
    """
    remember_secrets(config.model_dump())
    give_back_freed_pictures()
    threads, found = network_threads(config), Prepared()
    opening = in_background(partial(_open_each, config), "open cameras")
    loading = in_background(partial(_tried_embedder, config, threads), "load appearance model")
    checking = in_background(partial(_check_database, config), "check database")
    reading = in_background(partial(read_floor_plan, config.floor_plan), "read floor plan")
    try:
        detector = open_detector(config.detector, threads, trust_weights)
    except WeightsError as error:
        found.errors.append(error)
        detector = None
    found.sources, found.failed = opening.result()
    if not found.sources:
        found.errors.insert(0, _no_source(found.failed))
    try:
        for source in list(found.sources.values())[:1]:  # its frames' size, for which the network is compiled anyway
            if detector is not None:
                try_detector(detector, source.height, source.width)
        found.detector = detector
    except WeightsError as error:
        found.errors.append(error)
    try:
        found.embedder = loading.result()
    except WeightsError as error:
        found.errors.append(error)
    give_back_freed_heap()
    try:
        checking.result()
    except StoreError as error:
        found.errors.append(error if str(error).startswith("database: ") else StoreError(f"database: {error}"))
    try:
        found.plan = reading.result()
    except ConfigError as error:
        found.errors.append(error)
    return found


def _tried_embedder(config: Config, threads: int) -> CropEmbedder:
    embedder = open_embedder(config.appearance, max(1, threads // 2))  # it works beside the detector
    try_embedder(embedder)
    return embedder


def _check_database(config: Config) -> None:
    verify_database(config.database)
    check_database_path(config)


def open_cameras(config: Config) -> tuple[dict[str, Source], dict[str, CameraReport]]:
    """Open every camera; returns those that opened, and failed reports of the others.

    Raises:
        SourceError: no camera could be opened.
    """
    sources, failed = _open_each(config)
    if not sources:
        raise _no_source(failed)
    return sources, failed


def try_detector(detector: Detector, height: int, width: int) -> None:
    """Run a detector once, on an empty picture; raises WeightsError as it does."""
    detector.detect([np.full((height, width, 3), GREY, np.uint8)])


def try_embedder(embedder: CropEmbedder) -> None:
    """Run an appearance model once, on an empty crop.

    Raises:
        WeightsError: it cannot be run.
    """
    try:
        embedder.embed([np.full((256, 128, 3), GREY, np.uint8)])
    except WeightsError as error:
        raise WeightsError(f"appearance.weights: {error}") from error


def network_threads(config: Config) -> int:
    """Threads of each network: as configured, but more than the machine's cores would only take memory."""
    cores = os.cpu_count() or 1
    return min(config.threads or cores, cores)


def _open_each(config: Config) -> tuple[dict[str, Source], dict[str, CameraReport]]:
    sources, errors = open_sources(config.cameras, config.sources)
    return sources, {name: CameraReport(name, status="failed", error=str(error)) for name, error in errors.items()}


def _no_source(failed: dict[str, CameraReport]) -> SourceError:
    return SourceError("; ".join(report.error for report in failed.values()))
