"""Occlusion-aware sample pairing: choose donors by occlusion IoU over all horizontal shifts [SPT]."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Regions = NDArray[np.bool_]  # (N, 16, 8), M: where each crop's person is
NO_DONOR = -1
BEST_SHARE = 0.1  # share of an anchor's candidates from which its donor is drawn [SPT]
LEAST_OVERLAP = 0.7  # below this too little of the anchor stays visible to identify them [SPT]


class Pairing(NamedTuple):
    """The donor and the shift of each anchor.

    Attributes:
        donors: intp (N,), row of the crop whose scene is used; NO_DONOR (-1) where none fits.
        shifts: intp (N,), number of cells by which the anchor is rolled to the right first; 0 without a donor.
    """

    donors: NDArray[np.intp]
    shifts: NDArray[np.intp]


def occlusion_overlap(regions: Regions) -> NDArray[np.float32]:
    """OIoU(i, j, t) = |roll_t(M_i) ∩ M_j| / |M_j| for every anchor i, donor j and horizontal shift t [SPT].

    roll_t moves to the right by t cells and wraps around, as np.roll.

    Args:
        regions: bool (N, H, W); N = 0 works.

    Returns:
        float32 (N, N, W) in [0, 1]; 0 for donors whose region is empty.

    Raises:
        ValueError: the regions are not bool or not three-dimensional.
    """
    if regions.dtype != np.bool_ or regions.ndim != 3:
        raise ValueError(f"regions: expected bool (N, H, W), got {regions.dtype} {regions.shape}")
    count, height, width = regions.shape
    cells = np.arange(width)
    sources = (cells[None, :] - cells[:, None]) % width  # (W, W), the column that shift t moves to x
    rolled = regions[:, :, sources].swapaxes(1, 2)  # (N, W, H, W)
    flat = rolled.reshape(count * width, height * width).astype(np.float32)  # (N * W, P)
    person = regions.reshape(count, height * width).astype(np.float32)  # (N, P)
    shared = (flat @ person.T).reshape(count, width, count)  # (N, W, N)
    size = person.sum(1)  # (N,)
    return np.asarray((shared / size.clip(1)).swapaxes(1, 2), np.float32)  # (N, N, W)


def choose_donors(overlap: NDArray[np.float32], pids: NDArray[np.int64], rng: np.random.Generator) -> Pairing:
    """Draw each anchor's donor and shift among its best candidates.

    A candidate is another crop at one shift; j ≠ i [SPT], and of another identity [ours]: class-ignoring removes the
    donor's identity from the loss, so it must not be the anchor's own.  The draw is uniform over the best 10 % of the
    candidates, as far as their overlap reaches 0.7; without any, the anchor gets no donor.

    Args:
        overlap: OIoU, float32 (N, N, T).
        pids: int64 (N,), the identity of each crop.
        rng: source of all randomness.
    """
    count, _, shifts = overlap.shape
    if not count:
        return Pairing(np.zeros(0, np.intp), np.zeros(0, np.intp))
    foreign = np.repeat(pids[:, None] != pids[None, :], shifts, axis=1)  # (N, N * T)
    score = np.where(foreign, overlap.reshape(count, count * shifts), -1.0)  # (N, N * T)
    places = np.ceil(BEST_SHARE * foreign.sum(1)).astype(np.intp)  # (N,), size of the best 10 %
    order = np.argsort(-(score + rng.uniform(0, 1e-6, score.shape)), axis=1)  # ties in random order
    ranked = np.take_along_axis(score, order, axis=1)  # (N, N * T), descending
    fitting = np.minimum((ranked >= LEAST_OVERLAP).sum(1), places)  # (N,)
    drawn = np.minimum((rng.random(count) * fitting).astype(np.intp), np.maximum(fitting - 1, 0))  # (N,)
    chosen = order[np.arange(count), drawn]  # (N,)
    found = fitting > 0  # (N,)
    return Pairing(np.where(found, chosen // shifts, NO_DONOR), np.where(found, chosen % shifts, 0))


def pair(regions: Regions, pids: NDArray[np.int64], rng: np.random.Generator) -> Pairing:
    """Occlusion-aware sample pairing within one batch: `choose_donors` by `occlusion_overlap`."""
    return choose_donors(occlusion_overlap(regions), pids, rng)
