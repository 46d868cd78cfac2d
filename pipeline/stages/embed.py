"""Embed crops of all cameras in batches, in a worker thread."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ...reid import SHIPPED_WEIGHTS, Appearance, Embedder, concatenate
from ...reid.wording import did_you_mean
from ..config.schema import AppearanceConfig
from ..errors import WeightsError
from ..stopwatch import Stopwatch
from ..types import Crop, Image, TrackKey

BUNDLED = {"accurate": SHIPPED_WEIGHTS, "dpmpp": SHIPPED_WEIGHTS.with_name("appearance.onnx")}
BATCHES_IN_FLIGHT = 4  # bounds the crops that wait in memory if the network is the bottleneck


class CropEmbedder(Protocol):
    """The part of an appearance model that this stage uses."""

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        ...

    def embed(self, crops: list[Image]) -> Appearance:
        """Embed N crops, uint8 (h, w, 3) BGR each, as N rows of D dimensions."""
        ...


def open_embedder(config: AppearanceConfig, threads: int) -> CropEmbedder:
    """Load the appearance model that the config names.

    Raises:
        WeightsError: the weights are missing, damaged, or not an appearance model.
    """
    weights = BUNDLED.get(config.weights, Path(config.weights))
    try:
        return Embedder(weights, threads)
    except WeightsError as error:
        raise WeightsError(f"appearance.weights: {error}{did_you_mean(config.weights, BUNDLED)}") from error


@dataclass(frozen=True, slots=True)
class EmbeddedCrops:
    """The embedded crops of one finished track.

    Attributes:
        key: the track.
        crops: T crops, in time order; none if no view of the person was good enough.
        appearance: T rows.
    """

    key: TrackKey
    crops: list[Crop]
    appearance: Appearance


class EmbedStage:
    """Embeds crops of all cameras in full batches; results are read in order, so that timing cannot change them."""

    def __init__(self, embedder: CropEmbedder, config: AppearanceConfig, clock: Stopwatch) -> None:
        self._embedder, self._clock = embedder, clock
        self._batch_size, self._max_crops = config.batch, config.crops_per_tracklet
        self._waiting: list[tuple[TrackKey, Crop]] = []
        self._in_flight: deque[tuple[list[tuple[TrackKey, Crop]], Future[Appearance]]] = deque()
        self._embedded: dict[TrackKey, list[tuple[Crop, Appearance]]] = {}  # one row per crop
        self._closed: list[TrackKey] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="embed")

    def add(self, key: TrackKey, crop: Crop) -> None:
        """Queue one crop of a track; blocks only while too many batches are in flight."""
        self._waiting.append((key, crop))
        if len(self._waiting) >= self._batch_size:
            self._send()

    def close(self, key: TrackKey) -> None:
        """Mark a track as finished: no further crop of it will be added."""
        self._closed.append(key)

    def finished(self, flush: bool = False) -> list[EmbeddedCrops]:
        """Take the closed tracks whose crops are all embedded, in the order in which they were closed.

        Args:
            flush: also embed crops that do not fill a batch, so that every closed track is returned.
        """
        if not self._closed:
            return []  # called after every frame, and most frames end no track
        if flush and self._waiting:
            self._send()
        while self._in_flight and (flush or len(self._in_flight) >= BATCHES_IN_FLIGHT):
            self._receive()
        busy = {key for batch, _ in self._in_flight for key, _ in batch} | {key for key, _ in self._waiting}
        ready = [key for key in self._closed if key not in busy]
        self._closed = [key for key in self._closed if key in busy]
        return [self._take(key) for key in ready]

    def shut_down(self) -> None:
        """End the worker thread; waiting crops are discarded."""
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _take(self, key: TrackKey) -> EmbeddedCrops:
        embedded = self._embedded.pop(key, [])
        rows = [Appearance.empty(self._embedder.dimensions), *(row for _, row in embedded)]
        return EmbeddedCrops(key, [crop for crop, _ in embedded], concatenate(rows))

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
            embedded = self._embedded.setdefault(key, [])
            embedded.append((crop, appearance[row : row + 1]))
            if len(embedded) > self._max_crops:
                del embedded[int(np.argmin([kept.quality for kept, _ in embedded]))]
