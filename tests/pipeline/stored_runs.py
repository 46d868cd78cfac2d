"""Small runs to store, and helpers to read a database."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import numpy as np

from reidpipe.pipeline.storage.queries import tracklet_rows
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport, Crop, Link, Observations, Tracklet
from reidpipe.reid import Appearance, Embedder

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


DOOR_1, DOOR_2, HALL_1, HALL_2 = ("door", 1), ("door", 2), ("hall", 1), ("hall", 2)


def people_run(path: Path, config: str = "{}") -> None:
    """Four tracklets of two people: door 1 and hall 2 look like one person, door 2 and hall 1 like another.

    The links have it otherwise: identity 1 is door 1 and hall 1, 2 is door 2, and 3 is hall 2. The door sees two people
    at once, the hall one after the other. The pictures are noise, so that each is found in the bytes of a file.
    """
    with Store.open(path, create=True) as store, store.start_run(config, [camera("door"), camera("hall")]) as run:
        seen = {DOOR_1: (0, 0), DOOR_2: (0, 1), HALL_1: (30, 1), HALL_2: (60, 0)}
        for (name, track), (first, _) in sorted(seen.items(), key=lambda item: item[1][0]):
            if (name, track) != DOOR_2:
                tracks = [1, 2] if name == "door" else [track]
                for second in range(first, first + 10):
                    shift = 31 * track + 17.3 * np.arange(len(tracks))[:, None]
                    xyxy = np.tile(np.array([310, 220, 350, 320], np.float32), (len(tracks), 1)) + second / 7 + shift
                    ones = np.ones(len(tracks), np.float32)
                    run.add_observations(Observations(
                        name, second, float(second), np.array(tracks), xyxy.astype(np.float32), ones / 2, ones))
        for (name, track), (first, person) in seen.items():
            random = np.random.default_rng(10 * track + len(name) + ord(name[0]))
            pictures = [Crop(first + n, float(first + n), 0.5 + n / 10, random.integers(0, 255, (64, 32, 3), np.uint8))
                        for n in range(2)]
            rows_of = appearance(1, person).embedding + random.normal(0, 0.02, (3, DIMS)).astype(np.float32)
            rows_of /= np.linalg.norm(rows_of, axis=1, keepdims=True)
            own = Appearance(rows_of, np.full((3, DIMS), 0.5, np.float32))
            run.add_tracklet(Tracklet(name, track, float(first), first + 9.0, 10, own[:1], pictures, own[1:]))
        run.add_links([
            Link("door", 1, 1, None, None, None), Link("door", 2, 2, None, None, None),
            Link("hall", 1, 1, 0.6, 0.5, 20.0), Link("hall", 2, 3, None, None, None)])


def identities(store: Store) -> dict[tuple[str, int], int | None]:
    """The identity of each tracklet of the newest run."""
    return {(row.camera, row.track): row.identity for row in tracklet_rows(store)}


COLOURS = {DOOR_1: (30, 30, 220), HALL_2: (40, 30, 210), DOOR_2: (210, 40, 40), HALL_1: (200, 40, 30)}  # BGR


def coloured_run(path: Path, weights: Path) -> None:
    """The tracklets of `people_run` as an appearance model sees them: door 1 and hall 2 are red, the others blue."""
    embedder = Embedder(weights)
    config = json.dumps({"appearance": {"weights": str(weights)}})
    with Store.open(path, create=True) as store, store.start_run(config, [camera("door"), camera("hall")]) as run:
        for (name, track), first in {DOOR_1: 0, DOOR_2: 0, HALL_1: 30, HALL_2: 60}.items():
            picture = np.full((64, 32, 3), COLOURS[name, track], np.uint8)
            own = embedder.embed([picture])
            run.add_observations(Observations(
                name, 100 * track + first, float(first), np.array([track]), np.array([[10, 20, 50, 120]], np.float32),
                np.full(1, 0.5, np.float32), np.ones(1, np.float32)))
            run.add_tracklet(Tracklet(
                name, track, float(first), first + 9.0, 10, own, [Crop(first, float(first), 0.5, picture)], own))
        run.add_links([
            Link("door", 1, 1, None, None, None), Link("door", 2, 2, None, None, None),
            Link("hall", 1, 2, 0.6, 0.5, 20.0), Link("hall", 2, 3, None, None, None)])
