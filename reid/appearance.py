"""The appearance of people: a unit-length embedding, and a mask that says how reliable each of its dims is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

UNIT_TOLERANCE = 1e-3  # float32 sums over a few thousand dims, and float16 graphs, stay well inside
NO_EVIDENCE = 1e-6  # added to masks when rows are merged: dims masked out in all of them become their mean, not 0/0


@dataclass(frozen=True, eq=False)
class Appearance:
    """Appearances of N crops (or N tracklets), validated at construction; N = 0 is allowed.

    Attributes:
        embedding: float32 (N, D), every row of unit length.
        mask: float32 (N, D) in [0, 1]; 1 where a dim is reliable, 0 where it is not, for example because of occlusion.

    Raises:
        ValueError: an array has another dtype or shape, a row is not of unit length, or a mask lies outside of [0, 1].
    """

    embedding: NDArray[np.float32]
    mask: NDArray[np.float32]

    def __post_init__(self) -> None:
        _check_matrix("embedding", self.embedding)
        _check_matrix("mask", self.mask)
        if self.mask.shape != self.embedding.shape:
            raise ValueError(f"mask: expected {self.embedding.shape} like embedding, got {self.mask.shape}")
        lengths = np.linalg.norm(self.embedding, axis=1)  # (N,)
        if not np.all(np.abs(lengths - 1) <= UNIT_TOLERANCE):  # also false for NaN
            worst = lengths[np.argmax(np.abs(lengths - 1))]
            raise ValueError(f"embedding: expected rows of length 1, got a row of length {worst:.4g}")
        if not np.all((self.mask >= 0) & (self.mask <= 1)):
            raise ValueError(f"mask: expected values in [0, 1], got {self.mask.min():.4g} to {self.mask.max():.4g}")

    @classmethod
    def empty(cls, dimensions: int) -> Self:
        """No appearances: embedding and mask of shape (0, dimensions)."""
        return cls(np.empty((0, dimensions), np.float32), np.empty((0, dimensions), np.float32))

    @property
    def dimensions(self) -> int:
        """D, the length of one embedding."""
        return int(self.embedding.shape[1])

    def __len__(self) -> int:
        return len(self.embedding)

    def __getitem__(self, rows: slice | Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> "Appearance":
        """Select rows by slice, list, index array or boolean array; an integer is refused: the result is always 2-d."""
        if isinstance(rows, int | np.integer):
            raise TypeError(f"rows: expected a slice or an array, got the integer {rows}; write [{rows}:{rows + 1}]")
        index = rows if isinstance(rows, slice) else _index_array(rows)
        return Appearance(self.embedding[index], self.mask[index])


def concatenate(appearances: Sequence[Appearance]) -> Appearance:
    """Stack appearances row-wise: (N1, D), (N2, D), … → (N1 + N2 + …, D).

    Raises:
        ValueError: no appearances are given, or they differ in D.
    """
    if not appearances:
        raise ValueError("appearances: expected at least one, got none; use Appearance.empty(dimensions)")
    widths = sorted({one.dimensions for one in appearances})
    if len(widths) > 1:
        raise ValueError(f"appearances: expected one number of dimensions, got {widths}")
    return Appearance(
        np.concatenate([one.embedding for one in appearances]),
        np.concatenate([one.mask for one in appearances]),
    )


def merge_tracklet(appearance: Appearance) -> Appearance:
    """Merge all crops of one tracklet into one row, so that parts occluded in one frame are filled in by others [ours].

    The embedding is the mask-weighted mean, e = normalize(Σ m_t⊙e_t / Σ m_t).  The mask is m = Σ m_t² / Σ m_t: each
    frame's mask, weighted by that frame's share in e.  A dim that is reliable in a few frames and occluded in the rest
    thus stays reliable (a plain mean would dilute it), and repeating frames changes nothing (a maximum would grow with
    the length of the tracklet, until every long tracklet seemed reliable everywhere).

    Args:
        appearance: (T, D), one row per crop, T ≥ 1.

    Returns:
        Appearance of one row, (1, D).

    Raises:
        ValueError: T = 0.
    """
    if len(appearance) == 0:
        raise ValueError("appearance: expected at least one row to merge, got 0")
    weight = appearance.mask + np.float32(NO_EVIDENCE)  # (T, D)
    total = weight.sum(0, keepdims=True)  # (1, D)
    mean = (weight * appearance.embedding).sum(0, keepdims=True) / total  # (1, D)
    length = np.linalg.norm(mean)
    embedding = mean / length if length > NO_EVIDENCE else appearance.embedding[:1]  # opposite rows cancel each other
    mask = (weight * appearance.mask).sum(0, keepdims=True) / total  # (1, D)
    return Appearance(embedding.astype(np.float32), mask.clip(0, 1).astype(np.float32))


def _index_array(rows: Sequence[int] | NDArray[np.integer] | NDArray[np.bool_]) -> NDArray[np.integer | np.bool_]:
    array = np.asarray(rows)
    if array.size == 0:
        return np.zeros(array.shape if array.dtype == bool else 0, bool if array.dtype == bool else np.intp)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise TypeError(f"rows: expected a 1-d array of integers or booleans, got {array.ndim}-d {array.dtype}")
    return array


def _check_matrix(name: str, array: NDArray[np.float32]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != np.float32:
        raise ValueError(f"{name}: expected float32, got {getattr(array, 'dtype', type(array).__name__)}")
    if array.ndim != 2:
        raise ValueError(f"{name}: expected shape (N, D), got {array.shape}")
