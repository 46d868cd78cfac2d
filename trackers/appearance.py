"""What tracks look like: their embedded crops, and how similar two sets of them are."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KEPT_VIEWS = 16  # of a track; older ones are forgotten, because light and pose change
SMALLEST = np.float32(1e-6)


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
    """Similarity of the mean appearances of two tracks, in [-1, 1]; each needs a view.

    Masked: the cosine weighted by both masks, as reid's `joint` mode, so that an occluded person is compared by what
    both sides show. Plain: the cosine.
    """
    (one, of_one), (other, of_other) = _mean(first, masked), _mean(second, masked)
    weight = of_one * of_other if masked else np.ones_like(one)
    shared = float((weight * one * one).sum() * (weight * other * other).sum())
    return float((weight * one * other).sum() / max(shared, 1e-20) ** 0.5)


def _mean(views: Views, masked: bool) -> tuple[Floats, Floats]:
    """Mask-weighted mean of the embeddings (D,), and of the masks weighted by themselves (D,)."""
    embedding, mask = np.stack(views.embedding), np.stack(views.mask) + SMALLEST  # (V, D)
    if not masked:
        return embedding.mean(0), mask.mean(0)
    total = mask.sum(0)
    return (mask * embedding).sum(0) / total, (mask * mask).sum(0) / total
