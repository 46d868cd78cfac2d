"""Cut the sample store's people out of its videos by the ground truth, as a re-identification test set."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np

LEAST_VISIBLE = 0.3  # as in evaluation, which ignores people who are less visible
SMALLEST_PX = 48  # height of a box that is worth cutting out
APART_FRAMES = 10  # two crops of one person in one camera are at least so far apart
MOST_PER_CAMERA = 8  # crops of one person, evenly spaced over all that would do
QUERY_EVERY = 4  # of these the first and every fourth are queries, the others gallery

Box = list[int]  # x1, y1, x2, y2 in pixels
Wanted = dict[int, list[tuple[int, int, Box]]]  # frame: (identity, number among this person's crops, xyxy)


def cut_people(videos: Path, out: Path, whole: bool = False) -> Iterator[Path]:
    """Write out/query and out/bounding_box_test from videos/*.mp4 and videos/truth; yields each new file.

    Cameras are numbered in the order of truth/cameras.json.  Boxes are those of the body as far as it is in the
    picture, as a detector gives.  What is visible is a share of that: of somebody at the border it can be only hair.

    Args:
        videos: folder of the store.
        out: folder to write to.
        whole: leave out whom the border of the picture cuts off.
    """
    folders = [out / "query", out / "bounding_box_test"]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    cameras = json.loads((videos / "truth" / "cameras.json").read_text(encoding="utf-8"))
    for camid, (name, camera) in enumerate(cameras.items(), start=1):
        wanted = _wanted(videos / "truth" / f"{name}.csv", (camera["width"], camera["height"]) if whole else None)
        with av.open(str(videos / f"{name}.mp4")) as file:
            for index, frame in enumerate(file.decode(video=0)):
                people = wanted.get(index)
                if not people:
                    continue
                picture = frame.to_ndarray(format="bgr24")
                for identity, number, (x1, y1, x2, y2) in people:
                    path = folders[number % QUERY_EVERY != 0] / f"{identity:04d}_c{camid}s1_{index:06d}_00.png"
                    cv2.imwrite(str(path), picture[y1:y2, x1:x2])
                    yield path


def _wanted(truth: Path, within: tuple[int, int] | None) -> Wanted:
    """Which boxes of one camera are cut out, by frame; `within`: only those inside a picture of that size."""
    seen: dict[int, list[tuple[int, Box]]] = defaultdict(list)
    with truth.open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            box = [int(row[side]) for side in ("x1", "y1", "x2", "y2")]
            frame, of_person = int(row["frame"]), seen[int(row["identity"])]
            apart = not of_person or frame - of_person[-1][0] >= APART_FRAMES
            tall = box[3] - box[1] >= SMALLEST_PX
            if apart and tall and float(row["visible"]) >= LEAST_VISIBLE and (within is None or _inside(box, within)):
                of_person.append((frame, box))
    wanted: Wanted = defaultdict(list)
    for identity, boxes in seen.items():
        chosen = np.linspace(0, len(boxes) - 1, min(len(boxes), MOST_PER_CAMERA)).round().astype(int)
        for number, index in enumerate(chosen.tolist()):
            frame, box = boxes[index]
            wanted[frame].append((identity, number, box))
    return wanted


def _inside(box: Box, size: tuple[int, int]) -> bool:
    """Whether a box touches no border of a picture of this width and height."""
    return min(box[:2]) > 0 and box[2] < size[0] and box[3] < size[1]
