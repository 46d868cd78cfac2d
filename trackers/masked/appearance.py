"""What tracks look like: their embedded crops, and how similar two sets of them are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KEPT_VIEWS = 16  # of a track; older ones are forgotten, because light and pose change
SMALLEST = np.float32(1e-6)  # added to masks: views with nothing in common are not similar, instead of 0/0


@dataclass(slots=True)
class Views:
    """The embedded crops of one track, in time order."""

    seconds: list[float] = field(default_factory=list)
    embedding: list[Floats] = field(default_factory=list)  # (D,) each, unit length
    mask: list[Floats] = field(default_factory=list)  # (D,) each, in [0, 1]

    def __len__(self) -> int:
        return len(self.seconds)

    def add(self, seconds: float, embedding: Floats, mask: Floats) -> None:
        """Add the newest view; the oldest of too many is dropped."""
        self.seconds.append(seconds)
        self.embedding.append(embedding)
        self.mask.append(mask)
        if len(self) > KEPT_VIEWS:
            del self.seconds[0], self.embedding[0], self.mask[0]

    def before(self, seconds: float) -> Views:
        """The views that are older."""
        return self._part(0, int(np.searchsorted(self.seconds, seconds)))

    def since(self, seconds: float) -> Views:
        """The views that are not older."""
        return self._part(int(np.searchsorted(self.seconds, seconds)), len(self))

    def __add__(self, newer: Views) -> Views:
        return Views(
            self.seconds + newer.seconds, self.embedding + newer.embedding, self.mask + newer.mask)

    def _part(self, start: int, end: int) -> Views:
        return Views(self.seconds[start:end], self.embedding[start:end], self.mask[start:end])


def view_similarity(first: Views, second: Views, masked: bool) -> float:
    """How similar the person in the first views is to the person in the second, in [-1, 1]; each needs a view.

    The mean over the first views of the similarity to the nearest second one, because people turn. Masked: the cosine
    weighted by both masks, as reid's `joint` mode, so that an occluded person is compared by what both sides show.
    Plain: the cosine.
    """
    one, other = np.stack(first.embedding), np.stack(second.embedding)  # (V, D), (W, D)
    if not masked:
        return float((one @ other.T).max(1).mean())
    of_one, of_other = np.stack(first.mask) + SMALLEST, np.stack(second.mask) + SMALLEST
    dot = (of_one * one) @ (of_other * other).T  # (V, W)
    energy = ((of_one * one**2) @ of_other.T) * (of_one @ (of_other * other**2).T)
    return float((dot / np.sqrt(np.maximum(energy, SMALLEST**2))).max(1).mean())
