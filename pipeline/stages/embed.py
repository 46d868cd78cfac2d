"""Crops of all cameras are embedded in batches, off the main thread, and come back to their tracks."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from ...reid import SHIPPED_WEIGHTS, Appearance, Embedder, concatenate, merge_tracklet
from ..config.schema import AppearanceConfig
from ..errors import WeightsError
from ..stopwatch import Stopwatch
from ..types import Crop, Image, Tracklet
from .tracklet_builder import OpenTrack

BUNDLED = "dpmpp"
BATCHES_IN_FLIGHT = 4  # bounds the crops that wait in memory when the network is the slow part


class Embeds(Protocol):
    """What this stage needs of an appearance model."""

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        ...

    def embed(self, crops: list[Image]) -> Appearance:
        """N crops, uint8 (h, w, 3) BGR each → Appearance (N, D)."""
        ...


def open_embedder(config: AppearanceConfig, threads: int) -> Embeds:
    """Load the appearance model that the config names.

    Raises:
        WeightsError: the weights are missing, damaged, or of another kind.
    """
    weights = SHIPPED_WEIGHTS if config.weights == BUNDLED else Path(config.weights)
    try:
        return Embedder(weights, threads)
    except WeightsError as error:
        raise WeightsError(f"appearance.weights: {error}") from error


@dataclass(slots=True)
class _Gathered:
    """What is known of one track's looks so far."""

    crops: list[Crop] = field(default_factory=list)
    rows: list[Appearance] = field(default_factory=list)  # one row each, parallel to crops


class EmbedStage:
    """Collects crops to full batches; results are read in order, so the outcome does not depend on timing."""

    def __init__(self, embedder: Embeds, config: AppearanceConfig, clock: Stopwatch) -> None:
        self._embedder, self._clock = embedder, clock
        self._batch, self._most = config.batch, config.crops_per_tracklet
        self._waiting: list[tuple[tuple[str, int], Crop]] = []
        self._in_flight: deque[tuple[list[tuple[tuple[str, int], Crop]], Future[Appearance]]] = deque()
        self._gathered: dict[tuple[str, int], _Gathered] = {}
        self._closing: list[OpenTrack] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embed")

    def add(self, track: OpenTrack, crop: Crop) -> None:
        """Queue one crop; blocks only while too many batches are under way."""
        self._waiting.append(((track.camera, track.track_id), crop))
        if len(self._waiting) >= self._batch:
            self._send()

    def close(self, track: OpenTrack) -> None:
        """Say that a track is over; it comes out of `tracklets` once its crops are embedded."""
        self._closing.append(track)

    def tracklets(self, flush: bool = False) -> list[Tracklet]:
        """Tracklets whose embeddings are complete, in the order in which they were closed.

        Args:
            flush: also embed what does not fill a batch, so that every closed track comes out.
        """
        if not self._closing:
            return []  # asked after every frame, and most frames end no track
        if flush and self._waiting:
            self._send()
        while self._in_flight and (flush or len(self._in_flight) >= BATCHES_IN_FLIGHT):
            self._receive()
        busy = {key for batch, _ in self._in_flight for key, _ in batch} | {key for key, _ in self._waiting}
        ready = [track for track in self._closing if (track.camera, track.track_id) not in busy]
        self._closing = [track for track in self._closing if (track.camera, track.track_id) in busy]
        return [self._finish(track) for track in ready]

    def shut_down(self) -> None:
        """Let the worker end; waiting crops are dropped."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _send(self) -> None:
        batch, self._waiting = self._waiting, []
        if len(self._in_flight) >= BATCHES_IN_FLIGHT:
            self._receive()
        future = self._worker.submit(self._embed, [crop.image for _, crop in batch])
        self._in_flight.append((batch, future))

    def _embed(self, crops: list[Image]) -> Appearance:
        with self._clock.stage("embed"):
            return self._embedder.embed(crops)

    def _receive(self) -> None:
        batch, future = self._in_flight.popleft()
        appearance = future.result()
        for row, (key, crop) in enumerate(batch):
            gathered = self._gathered.setdefault(key, _Gathered())
            gathered.crops.append(crop)
            gathered.rows.append(appearance[row : row + 1])
            if len(gathered.crops) > self._most:
                worst = int(np.argmin([one.quality for one in gathered.crops]))
                del gathered.crops[worst], gathered.rows[worst]

    def _finish(self, track: OpenTrack) -> Tracklet:
        gathered = self._gathered.pop((track.camera, track.track_id), _Gathered())
        rows = concatenate([Appearance.empty(self._embedder.dimensions), *gathered.rows])  # (T, D)
        path = np.asarray(track.path, np.float64).reshape(-1, 3) - [track.first_seconds, 0, 0]
        return Tracklet(
            camera=track.camera,
            track_id=track.track_id,
            first_seconds=track.first_seconds,
            last_seconds=track.last_seconds,
            observations=track.observations,
            appearance=merge_tracklet(rows) if len(rows) else rows,
            crops=gathered.crops,
            crop_appearance=rows,
            path=path.astype(np.float32),
        )
