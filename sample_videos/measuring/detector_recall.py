"""Measure the recall of an off-the-shelf detector, YOLOv8n, on rendered frames against their ground truth."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import supervision as sv
from numpy.typing import NDArray

from reidpipe import offline  # noqa: F401 - switches off ultralytics' analytics

Boxes = NDArray[np.float64]
Image = NDArray[np.uint8]
Detector = Callable[[Image], Boxes]
LEAST_VISIBLE, OVERLAP = 0.5, 0.5


def yolo(weights: Path, confidence: float, size: int) -> Detector:
    """A function that returns an ultralytics model's boxes of people, xyxy float64 (N, 4), in a BGR image."""
    from ultralytics import YOLO

    model = YOLO(str(weights))

    def detect(image: Image) -> Boxes:
        result = model.predict(image, conf=confidence, imgsz=size, classes=[0], verbose=False)[0]
        return np.asarray(result.boxes.xyxy.cpu().numpy(), float).reshape(-1, 4)

    return detect


def read_truth(path: Path) -> dict[int, list[dict[str, float]]]:
    """Rows of a ground truth CSV by frame."""
    rows: dict[int, list[dict[str, float]]] = defaultdict(list)
    with path.open() as file:
        for row in csv.DictReader(file):
            rows[int(row["frame"])].append({key: float(value) for key, value in row.items()})
    return rows


def count_found(rows: list[dict[str, float]], boxes: Boxes) -> tuple[int, int]:
    """How many people at least half visible have a box of their own, and how many such people there are."""
    people = [r for r in rows if r["visible"] >= LEAST_VISIBLE]
    free = list(range(len(boxes)))
    hits = 0
    for person in people:
        both = np.array(
            [[person[k] for k in ("x1", "y1", "x2", "y2")], [person[f"visible_{k}"] for k in ("x1", "y1", "x2", "y2")]]
        )
        match = sv.box_iou_batch(both, boxes[free]).max(0) if free else np.zeros(0)
        if len(match) and match.max() >= OVERLAP:
            hits += 1
            free.pop(int(match.argmax()))
    return hits, len(people)


def video_frames(path: Path, every: int) -> Iterator[tuple[int, Image]]:
    """Every n-th frame of a video: index, BGR image."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index % every == 0:
                yield index, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)


def recall_of_video(folder: Path, name: str, detect: Detector, every: int) -> tuple[int, int, int]:
    """People found, people at least half visible, boxes that match nobody, over every n-th frame of folder/NAME.mp4."""
    rows = read_truth(folder / "truth" / f"{name}.csv")
    hits = total = strays = 0
    for index, image in video_frames(folder / f"{name}.mp4", every):
        boxes = detect(image)
        good, people = count_found(rows[index], boxes)
        hits, total = hits + good, total + people
        strays += _strays(rows[index], boxes)
    return hits, total, strays


def recall_of_scenes(folder: Path, detect: Detector) -> tuple[int, int, int]:
    """The same over a folder that `scenes` wrote."""
    hits = total = strays = 0
    for path in sorted((folder / "images").glob("*.jpg")):
        rows = [row for rows in read_truth(folder / "truth" / f"{path.stem}.csv").values() for row in rows]
        image = np.asarray(cv2.imread(str(path)), np.uint8)
        boxes = detect(image)
        good, people = count_found(rows, boxes)
        hits, total, strays = hits + good, total + people, strays + _strays(rows, boxes)
    return hits, total, strays


def _strays(rows: list[dict[str, float]], boxes: Boxes) -> int:
    """Number of boxes whose IoU with everybody, however occluded, is below 0.3."""
    people = np.array(
        [
            [r[k] for k in keys]
            for r in rows
            for keys in (("x1", "y1", "x2", "y2"), ("visible_x1", "visible_y1", "visible_x2", "visible_y2"))
        ],
        float,
    ).reshape(-1, 4)
    if not len(boxes):
        return 0
    return int((sv.box_iou_batch(boxes, people).max(1, initial=0.0) < 0.3).sum())
