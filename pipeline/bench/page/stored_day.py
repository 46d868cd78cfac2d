"""A database of a long synthetic day, for the benchmark of the review page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ....reid.disk.files import make_folder, replacing
from ...errors import StoreError
from ...search.query import CROP_ASPECT
from ...storage.packing import decode_crop
from ...storage.queries import crop_images
from ...storage.store import CameraRow, Store
from ...types import CameraReport, Crop, Link, Observations, Tracklet
from ..synthetic_day import SyntheticDay, measure_run

BATCH_SECONDS = 60.0
BOX_SECONDS = 1.0  # between stored boxes of a tracklet
FIRST_SECONDS = 1_772_442_000.0  # UTC epoch


@dataclass(frozen=True, slots=True)
class PageDay:
    """The stored day: how many tracklets of how many people in how many hours."""

    tracklets: int
    people: int
    hours: float
    seed: int


class _Span(NamedTuple):
    """A tracklet and its frames."""

    camera: str
    track: int
    first_frame: int
    last_frame: int


def store_day(path: Path, database: str, truth: Path, run: int | None, day: PageDay) -> int:
    """Make a database of a synthetic day whose people look, vary and walk as those of a stored run.

    Returns:
        The number of tracklets.

    Raises:
        ConfigError: the ground truth cannot be read, or shows too few people.
        StoreError: there is no such run.
        OutputError: the new database cannot be written.
    """
    make_folder(path.parent)  # a bad path fails before the work, not after it
    with Store.open(database) as store:
        measured = measure_run(store, truth, run)
    synthetic = SyntheticDay(measured, day.tracklets, day.people, day.hours, 3600.0, day.seed)
    cameras = [CameraRow(name, f"{name}.mp4", 960, 540, 12.5, FIRST_SECONDS) for name in synthetic.cameras]
    rng = np.random.default_rng(day.seed)
    picture = np.asarray(cv2.GaussianBlur(rng.integers(0, 255, (128, 56, 3), np.uint8), (0, 0), 5), np.uint8)
    seen: set[int] = set()
    weights = {"appearance": {"weights": "accurate"}}
    with (
        replacing(path) as unfinished,  # a part of a day would be taken for the whole one by the next benchmark
        Store.open(unfinished, create=True) as store,
        store.start_run(json.dumps(weights), cameras) as writer,
    ):
        spans = [_Span(one.camera, one.track_id, _frame(one.first_seconds), _frame(one.last_seconds))
                 for batch in synthetic.batches(BATCH_SECONDS) for one in batch]
        for name in synthetic.cameras:
            for observations in _boxes(name, [one for one in spans if one.camera == name]):
                writer.add_observations(observations)
        done = 0
        for batch in synthetic.batches(BATCH_SECONDS):
            people = synthetic.person[done:done + len(batch)].tolist()
            done += len(batch)
            links = []
            for one, person in zip(batch, people, strict=True):
                crop = Crop(
                    _frame(one.first_seconds), FIRST_SECONDS + one.first_seconds, float(rng.random()), picture)
                writer.add_tracklet(Tracklet(
                    one.camera, one.track_id, FIRST_SECONDS + one.first_seconds, FIRST_SECONDS + one.last_seconds,
                    one.observations, one.appearance, [crop], one.appearance))
                known = person in seen
                links.append(Link(
                    one.camera, one.track_id, person + 1, 0.7 if known else None, 0.5 if known else None,
                    1.0 if known else None, probability=float(rng.beta(8, 1)) if known else None))
                seen.add(person)
            writer.add_links(links)
        for name in synthetic.cameras:
            writer.report(CameraReport(name, decoded=1, analysed=1))
    return done


def photo_of(database: str, run: int | None) -> bytes:
    """The best stored crop of a standing person of a run as a JPEG file, for the search by photo.

    Raises:
        StoreError: there is no such run, or it has no such crop.
    """
    with Store.open(database) as store:
        crops = ((one.quality, decode_crop(one.image)) for one in crop_images(store, run))
        best = max(
            (one for one in crops if one[1].shape[0] >= CROP_ASPECT * one[1].shape[1]), key=lambda one: one[0],
            default=None)
    if best is None:
        raise StoreError(f"{database}: the run has no picture of somebody who stands: it may have been pruned")
    return cv2.imencode(".jpg", best[1])[1].tobytes()


def _frame(seconds: float) -> int:
    return round(seconds / BOX_SECONDS)


def _boxes(camera: str, spans: list[_Span]) -> Iterator[Observations]:
    """The boxes of a camera's tracklets, by frame."""
    by_frame: dict[int, list[int]] = {}
    for one in spans:
        for frame in range(one.first_frame, one.last_frame + 1):
            by_frame.setdefault(frame, []).append(one.track)
    for frame, tracks in sorted(by_frame.items()):
        count = len(tracks)
        left = (np.array(tracks) * 97 + frame * 3) % 880  # (N,)
        xyxy = np.stack([left, np.full(count, 200), left + 60, np.full(count, 380)], 1).astype(np.float32)
        ones = np.ones(count, np.float32)
        yield Observations(camera, frame, FIRST_SECONDS + frame * BOX_SECONDS, np.array(tracks), xyxy, ones * 0.9, ones)
