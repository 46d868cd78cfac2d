"""Saliency-guided patch transfer between training crops, in pixel and token space [SPT].

x_i ← roll_t(x_i) ⊙ M_j + x_j ⊙ (1 - M_j): the donor's scene and obstacles stay, the anchor is seen only where the
donor's person was.  The label stays the anchor's; the donor's is returned so that the losses can ignore it.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .pairing import NO_DONOR, Pairing, Regions

EDGE_STEEPNESS = 4.0  # after linear upsampling of the grid: seams are 1/4 of a cell wide, corners are round


class TransferredTokens(NamedTuple):
    """A batch of tokens after patch transfer.

    Attributes:
        tokens: float (N, P, C).
        donors: int64 (N,), the pid of the donor; NO_DONOR (-1) where the crop is unchanged.
        cover: bool (N, h, w), cells that show the donor's scene instead of the anchor's crop.
    """

    tokens: Tensor
    donors: Tensor
    cover: Tensor


def transfer_crop(
    anchor: NDArray[np.uint8], donor: NDArray[np.uint8], region: NDArray[np.bool_], shift: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Transfer one anchor into one donor's scene, in pixel space, for any backbone [SPT]; soft seams are ours.

    Args:
        anchor: uint8 (H, W, 3), the person to show.
        donor: uint8 (H, W, 3), the scene to show them in.
        region: M_j, bool (h, w), where the donor's person is.
        shift: t, number of cells by which the anchor is rolled to the right first.

    Returns:
        The composed crop, uint8 (H, W, 3), and its share of the donor's scene, float32 (H, W) in [0, 1].
    """
    height, width = anchor.shape[:2]
    rolled = np.roll(anchor, round(shift * width / region.shape[1]), axis=1)
    cover = 1 - upsampled(region, height, width)  # (H, W)
    return np.asarray(cv2.blendLinear(rolled, donor, 1 - cover, cover), np.uint8), cover


def upsampled(region: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float32]:
    """bool (h, w) → float32 (height, width) in [0, 1]: 1 and 0 at the cells' centres, a soft seam between them."""
    smooth = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(((smooth - 0.5) * EDGE_STEEPNESS + 0.5).clip(0, 1), np.float32)


def transfer_tokens(tokens: Tensor, regions: Regions, pids: NDArray[np.int64], pairing: Pairing) -> TransferredTokens:
    """Transfer patches between the tokens of one batch, for backbones with `tokens` and `from_tokens` [SPT].

    Args:
        tokens: float (N, P, C), the P = h · w patches in row-major order, without the class token.
        regions: M, bool (N, h, w), where each person is in the images that the tokens come from.
        pids: int64 (N,).
        pairing: from `pairing.pair` over the same regions.

    Raises:
        ValueError: the tokens do not fit the regions.
    """
    count, height, width = regions.shape
    if tokens.shape[:2] != (count, height * width):
        raise ValueError(f"tokens: expected ({count}, {height * width}, C), got {tuple(tokens.shape)}")
    device = tokens.device
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    source = rows * width + (columns - pairing.shifts[:, None, None]) % width  # (N, h, w)
    rolled = tokens.gather(1, _flat(source, device).expand(-1, -1, tokens.shape[2]))  # (N, P, C)
    own = np.where(pairing.donors == NO_DONOR, np.arange(count), pairing.donors)  # (N,), without a donor: itself
    scene = tokens[torch.from_numpy(own).to(device)]  # (N, P, C)
    cover = transfer_cover(regions, pairing)  # (N, h, w)
    composed = torch.where(_flat(cover, device), scene, rolled)  # (N, P, C); shift 0 and no cover: as it was
    donors = torch.from_numpy(donor_pids(pids, pairing)).to(device)
    return TransferredTokens(composed, donors, torch.from_numpy(cover).to(device))


def transfer_cover(regions: Regions, pairing: Pairing) -> NDArray[np.bool_]:
    """1 - M_j, bool (N, h, w): cells of each composed crop that show the donor's scene; none without a donor."""
    replaced = ~regions[pairing.donors] & (pairing.donors != NO_DONOR)[:, None, None]  # (N, h, w)
    return np.asarray(replaced, np.bool_)


def donor_pids(pids: NDArray[np.int64], pairing: Pairing) -> NDArray[np.int64]:
    """The identity whose scene each crop is in, int64 (N,); NO_DONOR (-1) for its own.  Class-ignoring needs it."""
    return np.where(pairing.donors == NO_DONOR, NO_DONOR, pids[pairing.donors]).astype(np.int64)


def _flat(cells: NDArray[np.integer] | NDArray[np.bool_], device: torch.device) -> Tensor:
    """(N, h, w) → (N, h · w, 1) on the tokens' device."""
    return torch.from_numpy(cells.reshape(len(cells), cells.shape[1] * cells.shape[2], 1)).to(device)
