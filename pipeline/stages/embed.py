"""Cut the crops that a tracker asks for out of the frame, and embed them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ...reid import SHIPPED_WEIGHTS, Appearance, Embedder
from ...reid.wording import did_you_mean
from ..config.stages import AppearanceConfig
from ..errors import WeightsError
from ..pictures.thumbnail import thumbnail
from ..stopwatch import Stopwatch
from ..types import Frame, Image

BUNDLED = {
    "accurate": SHIPPED_WEIGHTS,
    "permissive": SHIPPED_WEIGHTS.with_name("permissive.onnx"),
    "fast": SHIPPED_WEIGHTS.with_name("fast.onnx"),
    "dpmpp": SHIPPED_WEIGHTS.with_name("appearance.onnx"),
}

RESEARCH_ONLY = "for research only, as data that it was trained on (Market-1501, CUHK03) are"
TERMS = {
    "accurate": f"{RESEARCH_ONLY}; permissive has no such data",
    "permissive": "trained on no data that is for research only",
    "fast": RESEARCH_ONLY,
    "dpmpp": RESEARCH_ONLY,
}


class CropEmbedder(Protocol):
    """The part of an appearance model that this stage uses."""

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        ...

    @property
    def arithmetic(self) -> str:
        """What it computes with on this machine, such as "int8 and float32"; empty before it ran."""
        ...

    def embed(self, crops: list[Image]) -> Appearance:
        """Embed N crops, uint8 (h, w, 3) BGR each, as N rows of D dimensions."""
        ...


def open_embedder(config: AppearanceConfig, threads: int) -> Embedder:
    """Load the appearance model that the config names.

    Raises:
        WeightsError: the weights are missing, damaged, or not an appearance model.
    """
    weights = BUNDLED.get(config.weights, Path(config.weights))
    try:
        return Embedder(weights, threads, config.precision)
    except WeightsError as error:
        raise WeightsError(f"appearance.weights: {error}{did_you_mean(config.weights, BUNDLED)}") from error


@dataclass(frozen=True, slots=True)
class EmbeddedCrop:
    """One crop's thumbnail, uint8 (h, w, 3) BGR, not a view of the frame, and its appearance of one row."""

    image: Image
    appearance: Appearance


@dataclass(slots=True)
class SettlingFrame:
    """What is kept of a frame until the ids of its boxes are settled: its place, its size, and its embedded crops.

    Attributes:
        index, seconds: as of `Frame`.
        height, width: pixels.
        crops: by row of the frame's boxes.
    """

    index: int
    seconds: float
    height: int
    width: int
    crops: dict[int, EmbeddedCrop]


class FrameCrops(SettlingFrame):
    """The embedded crops of one frame: made on demand, then kept without the frame.

    Args:
        frame: the frame; only `embed` needs it.
        xyxy: float32 (N, 4) pixels, its boxes.
        embedder: embeds all crops that are asked for at once.
        clock: measures the stage "embed".
    """

    def __init__(self, frame: Frame, xyxy: NDArray[np.float32], embedder: CropEmbedder, clock: Stopwatch) -> None:
        height, width = frame.image.shape[:2]
        super().__init__(frame.index, frame.seconds, height, width, {})
        self._cut: Callable[[int], Image] | None = lambda row: cut(frame.image, xyxy[row])
        self._embedder, self._clock = embedder, clock

    def embed(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Embed the boxes in rows (K,): embeddings and masks, float32 (K, D); before `release` only."""
        assert self._cut is not None
        images = [self._cut(row) for row in rows.tolist()]
        with self._clock.stage("embed"):
            appearance = self._embedder.embed(images)
        for place, (row, image) in enumerate(zip(rows.tolist(), images, strict=True)):
            self.crops[row] = EmbeddedCrop(thumbnail(image), appearance[place : place + 1])
        return appearance.embedding, appearance.mask

    def release(self) -> None:
        """Let go of the frame, so that many frames can be held back."""
        self._cut = None


def cut(image: Image, xyxy: NDArray[np.float32]) -> Image:
    """A box of an image, float32 (4,) pixels, copied so that the image need not be kept."""
    height, width = image.shape[:2]
    left, top = np.floor(xyxy[:2].clip(0, [width - 1, height - 1])).astype(int)
    right, bottom = np.ceil(xyxy[2:]).astype(int)
    return image[top : max(bottom, top + 1), left : max(right, left + 1)].copy()
