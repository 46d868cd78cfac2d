"""A database of two cameras with real footage: coloured figures walk through it, and one of their links is wrong."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from reidpipe.pipeline.output.video.writer import VideoWriter
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import CameraReport, Crop, Link, Observations, Tracklet
from reidpipe.reid import Appearance
from reidpipe.trackers import Detections

FPS, SECONDS, WIDTH, HEIGHT, START = 10, 6, 320, 240, 1_772_442_000.0
RED, BLUE = (40, 40, 220), (210, 60, 40)  # BGR
FLOOR = [[0.02, 0.0, 0.0], [0.0, -0.02, 6.0], [0.0, 0.0, 1.0]]
# camera, track, colour, first and last frame, left edge at the first frame
WALKS = [("door", 1, RED, 0, 24, 20), ("door", 2, BLUE, 0, 24, 200), ("hall", 1, RED, 30, 54, 30),
         ("hall", 2, BLUE, 30, 54, 220)]


def box_of(walk, frame: int) -> list[float]:
    left = walk[5] + 2 * (frame - walk[3])
    return [left, 80, left + 40, 200]


def draw(name: str, frame: int) -> np.ndarray:
    image = np.full((HEIGHT, WIDTH, 3), 200 if name == "door" else 160, np.uint8)
    for walk in WALKS:
        if walk[0] == name and walk[3] <= frame <= walk[4]:
            x1, y1, x2, y2 = (round(side) for side in box_of(walk, frame))
            image[y1:y2, x1:x2] = walk[2]
    return image


class ColourEmbedder:
    """The mean colour of a crop as its embedding, in the place of an appearance model, which sees half of everybody."""

    def embed(self, crops) -> Appearance:
        means = np.array([crop.reshape(-1, 3).mean(0) - 128 for crop in crops], np.float32).reshape(-1, 3)
        embedding = np.concatenate([means, np.full((len(means), 5), 5, np.float32)], 1)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        return Appearance(embedding, np.ones_like(embedding))

    def evidence(self, crops) -> np.ndarray:
        return np.full((len(crops), 16, 8), 0.5, np.float32)


class WholePicture:
    """A detector that finds one person, who fills every picture."""

    def detect(self, images):
        return [Detections(np.array([[0, 0, image.shape[1], image.shape[0]]], np.float32), confidence=np.ones(
            1, np.float32)) for image in images]


def write_video(path: Path, name: str, codec: str = "h264") -> None:
    if codec == "h264":
        with VideoWriter(path, (WIDTH, HEIGHT), Fraction(FPS), path) as writer:
            for frame in range(FPS * SECONDS):
                writer.write(draw(name, frame), frame / FPS)
        return
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (WIDTH, HEIGHT))
    for frame in range(FPS * SECONDS):
        writer.write(draw(name, frame))
    writer.release()


def small_store(folder: Path, footage: dict[str, str] | None = None) -> Path:
    """Red is identity 1 at the door, but is linked to identity 2, blue, at the hall; blue at the hall is identity 3."""
    sources = {name: str(folder / f"{name}.mp4") for name in ("door", "hall")} | (footage or {})
    for name, source in sources.items():
        if source == str(folder / f"{name}.mp4"):
            write_video(Path(source), name)
    cameras = {name: {"source": source, "start_time": "2026-03-02T09:00:00Z"} for name, source in sources.items()}
    config = {"cameras": cameras, "appearance": {"weights": "accurate"}}
    path, embedder = folder / "store.db", ColourEmbedder()
    rows = [CameraRow(name, source, WIDTH, HEIGHT, FPS, START, FLOOR) for name, source in sources.items()]
    with Store.open(path, create=True) as store, store.start_run(json.dumps(config), rows) as run:
        for name in sources:
            for frame in range(FPS * SECONDS):
                own = [walk for walk in WALKS if walk[0] == name and walk[3] <= frame <= walk[4]]
                ones = np.ones(len(own), np.float32)
                run.add_observations(Observations(
                    name, frame, START + frame / FPS, np.array([walk[1] for walk in own], np.int64),
                    np.array([box_of(walk, frame) for walk in own], np.float32).reshape(-1, 4), ones * 0.9, ones))
        for walk in WALKS:
            name, track, _, first, last, _ = walk
            x1, y1, x2, y2 = (round(side) for side in box_of(walk, first + 2))
            crop = np.ascontiguousarray(draw(name, first + 2)[y1:y2, x1:x2])
            seconds = START + (first + 2) / FPS
            run.add_tracklet(Tracklet(
                name, track, START + first / FPS, START + last / FPS, last - first + 1, embedder.embed([crop]),
                [Crop(first + 2, seconds, 0.9, crop)], embedder.embed([crop])))
        run.add_links([
            Link("door", 1, 1, None, None, None), Link("door", 2, 2, None, None, None),
            Link("hall", 1, 2, 0.4, 0.9, 1.0, probability=0.6), Link("hall", 2, 3, None, None, None)])
        for name in sources:
            run.report(CameraReport(name, decoded=FPS * SECONDS, analysed=FPS * SECONDS))
    return path
