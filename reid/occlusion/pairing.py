"""Who may stand in for whom?  Donors whose person covers the anchor's outline: occlusion IoU over all shifts [SPT]."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Regions = NDArray[np.bool_]  # (N, 16, 8), M: where each crop's person is
NO_DONOR = -1
BEST_SHARE = 0.1  # of an anchor's candidates, which of them are drawn from [SPT]
LEAST_OVERLAP = 0.7  # below this too little of the anchor would be left to tell who it is [SPT]


class Pairing(NamedTuple):
    """Who is put into whose scene.

    Attributes:
        donors: intp (N,), row of the crop whose scene takes over; NO_DONOR (-1) where nobody fits.
        shifts: intp (N,), by how many cells the anchor is rolled to the right before; 0 without a donor.
    """

    donors: NDArray[np.intp]
    shifts: NDArray[np.intp]


def occlusion_overlap(regions: Regions) -> NDArray[np.float32]:
    """OIoU(i, j, t) = |roll_t(M_i) ∩ M_j| / |M_j| for every anchor i, donor j and horizontal shift t [SPT].

    roll_t moves to the right by t cells and lets what leaves come in again at the left, as np.roll does.

    Args:
        regions: bool (N, H, W); N = 0 works.

    Returns:
        float32 (N, N, W) in [0, 1]; 0 throughout for a donor whose region is empty.
    """
    if regions.dtype != np.bool_ or regions.ndim != 3:
        raise ValueError(f"regions: expected bool (N, H, W), got {regions.dtype} {regions.shape}")
    count, height, width = regions.shape
    cells = np.arange(width)
    sources = (cells[None, :] - cells[:, None]) % width  # (W, W), which column comes to x under shift t
    rolled = regions[:, :, sources].swapaxes(1, 2)  # (N, W, H, W)
    flat = rolled.reshape(count * width, height * width).astype(np.float32)  # (N * W, P)
    person = regions.reshape(count, height * width).astype(np.float32)  # (N, P)
    shared = (flat @ person.T).reshape(count, width, count)  # (N, W, N)
    size = person.sum(1)  # (N,)
    return np.asarray((shared / size.clip(1)).swapaxes(1, 2), np.float32)  # (N, N, W)


def choose_donors(overlap: NDArray[np.float32], pids: NDArray[np.int64], rng: np.random.Generator) -> Pairing:
    """Draw each anchor's donor and shift among its best candidates.

    A candidate is a crop of somebody else at one shift; j ≠ i [SPT], and another identity [ours]: class-ignoring
    takes the donor's identity out of the loss, which must not be the anchor's own.  Drawn from, evenly, are the best
    10 % of them that reach an overlap of 0.7; where none does, the anchor stays as it is.

    Args:
        overlap: OIoU, float32 (N, N, T).
        pids: int64 (N,), who is in which crop.
        rng: where all chance comes from.
    """
    count, _, shifts = overlap.shape
    if not count:
        return Pairing(np.zeros(0, np.intp), np.zeros(0, np.intp))
    foreign = np.repeat(pids[:, None] != pids[None, :], shifts, axis=1)  # (N, N * T)
    score = np.where(foreign, overlap.reshape(count, count * shifts), -1.0)  # (N, N * T)
    places = np.ceil(BEST_SHARE * foreign.sum(1)).astype(np.intp)  # (N,), how many are best
    order = np.argsort(-(score + rng.uniform(0, 1e-6, score.shape)), axis=1)  # ties in any order
    ranked = np.take_along_axis(score, order, axis=1)  # (N, N * T), falling
    fitting = np.minimum((ranked >= LEAST_OVERLAP).sum(1), places)  # (N,)
    drawn = np.minimum((rng.random(count) * fitting).astype(np.intp), np.maximum(fitting - 1, 0))  # (N,)
    chosen = order[np.arange(count), drawn]  # (N,)
    found = fitting > 0  # (N,)
    return Pairing(np.where(found, chosen // shifts, NO_DONOR), np.where(found, chosen % shifts, 0))


def pair(regions: Regions, pids: NDArray[np.int64], rng: np.random.Generator) -> Pairing:
    """Occlusion-aware sample pairing within one batch: `choose_donors` by `occlusion_overlap`."""
    return choose_donors(occlusion_overlap(regions), pids, rng)
