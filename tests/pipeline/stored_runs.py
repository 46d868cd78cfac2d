"""Small runs to store, and helpers to read a database."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import numpy as np

from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport, Crop, Link, Observations, Tracklet
from reidpipe.reid import Appearance

DIMS = 8
LINK = Link("door", 1, 1, None, None, None)


def camera(name: str = "door") -> CameraRow:
    return CameraRow(name, f"{name}.mp4", 640, 480, 10.0, 1000.0)


def boxes(frame: int, tracks: list[int], name: str = "door") -> Observations:
    count = len(tracks)
    xyxy = np.tile(np.array([10, 20, 50, 120], np.float32), (count, 1)) + frame
    return Observations(name, frame, 1000 + frame / 10, np.array(tracks, np.int64), xyxy,
                        np.full(count, 0.5, np.float32), np.ones(count, np.float32))


def appearance(rows: int, seed: int = 0) -> Appearance:
    embedding = np.random.default_rng(seed).normal(size=(rows, DIMS)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    return Appearance(embedding, np.full((rows, DIMS), 0.5, np.float32))


def tracklet(track: int = 1, crops: int = 6, frames: int = 10, name: str = "door") -> Tracklet:
    pictures = [Crop(n, 1000 + n / 10, n / 10, np.full((40, 20, 3), 10 * n, np.uint8)) for n in range(crops)]
    return Tracklet(name, track, 1000.0, 1000 + (frames - 1) / 10, frames, appearance(min(crops, 1)), pictures,
                    appearance(crops))


def rows(path: Path, query: str) -> list[tuple]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def until(path: Path, query: str, expected: list[tuple], seconds: float = 5.0) -> float:
    """Wait until a query gives the expected rows; returns the seconds."""
    began = time.monotonic()
    while rows(path, query) != expected:
        assert time.monotonic() - began < seconds, rows(path, query)
        time.sleep(0.02)
    return time.monotonic() - began


def small_run(path: Path) -> None:
    with Store.open(path, create=True) as store, store.start_run("{}", [camera("door"), camera("hall")]) as run:
        for frame in range(10):
            run.add_observations(boxes(frame, [1, 2] if frame < 5 else [1]))
            run.add_observations(boxes(frame, [1] if frame > 2 else [], "hall"))
        run.add_tracklet(tracklet(2, frames=5))
        run.add_tracklet(tracklet(1))
        run.add_tracklet(tracklet(1, frames=7, crops=0, name="hall"))
        run.add_links([LINK, Link("hall", 1, 1, 0.75, 0.5, 0.3), Link("door", 2, 2, None, None, None)])
        run.report(CameraReport("door", decoded=10, analysed=10))
        run.report(CameraReport("hall", decoded=9, analysed=10, damaged=1, status="partial", error="cut off"))
