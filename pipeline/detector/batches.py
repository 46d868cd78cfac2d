"""Batches of images for training a detector: tiled, flipped, scaled, shifted, tinted, with people partly covered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ...reid.disk.files import read_image
from ..errors import ConfigError

Image = NDArray[np.uint8]
Boxes = NDArray[np.float32]

PAD_GREY = 114
JPEG_QUALITY = 92
COVERED_PEOPLE = 0.2  # share of people of whom a part is covered by a piece of the picture where nobody is
MOST_COVERED = 0.55  # people of whom more is covered are no labels
MOST_ROWS = 4  # of a grid of upright pictures
_ATTEMPTS = 8  # draws of a piece where nobody is


def batches(
    paths: Sequence[Path], epochs: int, batch: int, hw: tuple[int, int], rng: np.random.Generator
) -> Iterator[tuple[torch.Tensor, dict[str, torch.Tensor]]]:
    """Shuffled batches for ultralytics' loss: float32 (N, 3, H, W) RGB in [0, 1], and flat lists of boxes.

    An upright picture, as photos of one person are, becomes a grid of several, so that people have all the sizes that
    they have before a camera, and real surroundings (mosaic augmentation: Bochkovskiy et al., "YOLOv4", 2020).
    """
    upright = [path for path in paths if _is_upright(path)]
    is_upright = set(upright)

    def draw() -> tuple[Image, Boxes]:
        return _labelled(upright[int(rng.integers(len(upright)))])

    for _ in range(epochs):
        order = rng.permutation(len(paths))
        for start in range(0, len(paths) - batch + 1, batch):
            chosen = [paths[row] for row in order[start : start + batch]]
            samples = [
                _augmented(_grid(draw, hw, rng) if path in is_upright else _labelled(path), hw, rng)
                for path in chosen
            ]
            stacked = np.stack([image[..., ::-1] for image, _ in samples]).transpose(0, 3, 1, 2)  # RGB
            boxes = np.concatenate([boxes for _, boxes in samples])  # (M, 4)
            owner = np.repeat(np.arange(len(samples)), [len(boxes) for _, boxes in samples])  # (M,)
            yield (
                torch.from_numpy(np.ascontiguousarray(stacked)).float() / 255,
                {
                    "bboxes": torch.from_numpy(boxes),
                    "cls": torch.zeros(len(boxes), 1),
                    "batch_idx": torch.from_numpy(owner).float(),
                },
            )


def unlabelled_batches(
    footage: Sequence[Path], every: int, steps: int, batch: int, hw: tuple[int, int], rng: np.random.Generator
) -> Iterator[NDArray[np.float32]]:
    """Batches of frames without labels, float32 (N, 3, H, W) RGB in [0, 1], augmented as those of `batches`.

    Args:
        footage: videos, and folders of .jpg.
        every: every N-th frame of each is used.
        steps: number of batches.
        batch: N.
        hw: height and width.
        rng: source of randomness.

    Raises:
        ConfigError: there are no frames.
    """
    # As JPEG: thousands of frames would not fit into memory as they are.
    stored = [cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1] for path in footage
              for _, image in frames(path, every)]
    if not stored:
        raise ConfigError("--footage: holds no frames: give videos, or folders of .jpg")

    def picture(row: int) -> tuple[Image, Boxes]:
        return np.asarray(cv2.imdecode(stored[row], cv2.IMREAD_COLOR), np.uint8), np.zeros((0, 4), np.float32)

    def draw() -> tuple[Image, Boxes]:
        return picture(int(rng.integers(len(stored))))

    order = np.concatenate([rng.permutation(len(stored)) for _ in range(-(-steps * batch // len(stored)))])
    for step in range(steps):
        images = []
        for row in order[step * batch : (step + 1) * batch].tolist():
            image, nobody = picture(row)
            upright = image.shape[0] > image.shape[1]
            images.append(_augmented(_grid(draw, hw, rng) if upright else (image, nobody), hw, rng)[0])
        pixels = np.stack([image[..., ::-1] for image in images]).transpose(0, 3, 1, 2)
        yield np.divide(pixels, 255, dtype=np.float32)


def _is_upright(path: Path) -> bool:
    height, width = read_image(path).shape[:2]
    return bool(height > width)


def _labelled(path: Path) -> tuple[Image, Boxes]:
    """An image and its boxes (M, 4) in pixels."""
    image = read_image(path)
    text = path.parents[1].joinpath("labels", f"{path.stem}.txt").read_text().split()
    boxes = np.array(text, np.float32).reshape(-1, 5)[:, 1:]  # (M, 4), centre and size in [0, 1]
    xyxy = np.concatenate([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], axis=1)
    return image, xyxy * np.array([*image.shape[1::-1]] * 2, np.float32)


def _grid(
    draw: Callable[[], tuple[Image, Boxes]], hw: tuple[int, int], rng: np.random.Generator
) -> tuple[Image, Boxes]:
    """A picture of height and width `hw`, filled by one to `MOST_ROWS` rows of pictures, and its boxes (M, 4)."""
    canvas, found = np.full((*hw, 3), PAD_GREY, np.uint8), [np.zeros((0, 4), np.float32)]
    rows = rng.integers(1, MOST_ROWS + 1)
    for top in np.arange(rows) * (hw[0] // rows):
        left = 0
        while left < hw[1]:
            image, xyxy = draw()
            scale = hw[0] // rows / image.shape[0]
            tile = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            tile = tile[: hw[0] - top, : hw[1] - left]
            canvas[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
            kept = (xyxy * scale).clip(0, np.array([*tile.shape[1::-1]] * 2))
            kept = kept[
                _area(kept) > 0.5 * _area(xyxy * scale)
            ]  # of a person at the right edge, at least half is shown
            found.append(kept + np.array([left, top] * 2, np.float32))
            left += tile.shape[1]
    return canvas, np.concatenate(found)


def _augmented(labelled: tuple[Image, Boxes], hw: tuple[int, int], rng: np.random.Generator) -> tuple[Image, Boxes]:
    """One image and its boxes (M, 4) as centre and size in [0, 1]: randomly flipped, scaled, shifted and tinted."""
    image, xyxy = labelled
    height, width = image.shape[:2]
    image, xyxy = cover_people(image, xyxy, rng)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        xyxy[:, [0, 2]] = width - xyxy[:, [2, 0]]
    scale = min(hw[0] / height, hw[1] / width) * (1.0 if rng.random() < 0.4 else rng.uniform(0.6, 1.6))
    free = np.array([hw[1], hw[0]]) - scale * np.array([width, height])
    shift = free * rng.random(2) if rng.random() < 0.5 else free / 2
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    image = cv2.warpAffine(
        np.ascontiguousarray(image), matrix, hw[::-1], flags=cv2.INTER_AREA, borderValue=(PAD_GREY,) * 3
    )
    full = xyxy * scale + np.tile(shift, 2)
    clipped = full.clip(0, np.array([hw[1], hw[0]] * 2))
    sizes = [(box[:, 2:] - box[:, :2]).prod(1) for box in (clipped, full)]
    clipped = clipped[sizes[0] > np.maximum(0.2 * sizes[1], 16)]  # boxes mostly outside the image are dropped
    gain, tint = rng.uniform(0.6, 1.4), rng.uniform(0.9, 1.1, 3)
    image = (image * (gain * tint)).clip(0, 255).astype(np.uint8)
    centre_size = np.concatenate([(clipped[:, :2] + clipped[:, 2:]) / 2, clipped[:, 2:] - clipped[:, :2]], axis=1)
    return image, (centre_size / np.array([hw[1], hw[0]] * 2)).astype(np.float32)


def cover_people(image: Image, xyxy: Boxes, rng: np.random.Generator) -> tuple[Image, Boxes]:
    """Cover a part of some people, as shelves and counters do; their boxes stay those of the whole person [ours].

    Args:
        image: uint8 (H, W, 3) BGR; not changed.
        xyxy: float32 (N, 4), boxes of people in pixels.
        rng: source of randomness.

    Returns:
        The image, and the boxes of which at most `MOST_COVERED` was covered here, (M, 4).
    """
    image = image.copy()
    covered = np.zeros(len(xyxy), np.float32)
    for row in np.flatnonzero(rng.random(len(xyxy)) < COVERED_PEOPLE):
        cover = _cover(xyxy[row], rng).clip(0, [image.shape[1], image.shape[0]] * 2).astype(int)
        piece = _empty_piece(image, xyxy, cover[2:] - cover[:2], rng)
        if piece is not None:
            x1, y1, x2, y2 = cover
            image[y1:y2, x1:x2] = piece
            covered += _shared_area(xyxy, cover[None].astype(np.float32)) / _area(xyxy).clip(1)
    return image, xyxy[covered <= MOST_COVERED]


def _cover(box: Boxes, rng: np.random.Generator) -> Boxes:
    """A rectangle (4,) over the lower part, a side or the middle of a box, and often beyond its sides."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    beyond = width * rng.uniform(0, 0.6, 2)
    kind = rng.random()
    if kind < 0.5:
        return np.array([x1 - beyond[0], y2 - rng.uniform(0.2, 0.6) * height, x2 + beyond[1], y2 + 0.05 * height])
    if kind < 0.85:
        hidden = rng.uniform(0.2, 0.55) * width
        sides = (x1 - beyond[0], x1 + hidden) if rng.random() < 0.5 else (x2 - hidden, x2 + beyond[1])
        return np.array([sides[0], y1 - 0.05 * height, sides[1], y2 + 0.05 * height])
    top = y1 + rng.uniform(0.2, 0.5) * height
    return np.array([x1 - beyond[0], top, x2 + beyond[1], top + rng.uniform(0.15, 0.4) * height])


def _empty_piece(image: Image, xyxy: Boxes, size: NDArray[np.int64], rng: np.random.Generator) -> Image | None:
    """A copy of a piece of the image of that width and height that touches no box; None if none is found."""
    room = np.array([image.shape[1], image.shape[0]]) - size
    if (size < 2).any() or (room < 1).any():
        return None
    for _ in range(_ATTEMPTS):
        x, y = rng.integers(0, room)
        piece = np.array([[x, y, x + size[0], y + size[1]]], np.float32)
        if not _shared_area(xyxy, piece).any():
            return image[y : y + size[1], x : x + size[0]].copy()
    return None


def _area(xyxy: Boxes) -> Boxes:
    return np.asarray((xyxy[:, 2:] - xyxy[:, :2]).prod(1), np.float32)  # (N,)


def _shared_area(xyxy: Boxes, other: Boxes) -> Boxes:
    """Area that boxes (N, 4) share with another (1, 4), (N,)."""
    top_left, bottom_right = np.maximum(xyxy[:, :2], other[:, :2]), np.minimum(xyxy[:, 2:], other[:, 2:])
    return np.asarray((bottom_right - top_left).clip(0).prod(1), np.float32)


def frames(path: Path, every: int) -> Iterator[tuple[int, Image]]:
    """Every N-th frame of a video or picture of a folder, uint8 (H, W, 3) BGR, with its number.

    Raises:
        ConfigError: the video cannot be decoded.
    """
    if path.is_dir():
        for index, picture in enumerate(sorted(path.glob("*.jpg"))):
            if index % every == 0:
                yield index, read_image(picture)
        return
    try:
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index % every == 0:
                    yield index, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
    except (av.FFmpegError, IndexError) as error:  # IndexError: it holds no video
        raise ConfigError(f"{path}: is damaged or no video: give another one, or a folder of .jpg") from error
