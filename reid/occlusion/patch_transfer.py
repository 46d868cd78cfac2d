"""What would the anchor look like in the donor's place?  Saliency-guided patch transfer, in pixels and tokens [SPT].

x_i ← roll_t(x_i) ⊙ M_j + x_j ⊙ (1 - M_j): the donor's scene and obstacles stay, the anchor is seen only where the
donor's person was.  The label stays the anchor's, and the donor's is handed on so that the losses can ignore it.
"""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .pairing import NO_DONOR, Pairing, Regions

EDGE_STEEPNESS = 4.0  # the grid is up-sampled linearly; a seam is then 1/4 of a cell wide and its corners are round


class Transferred(NamedTuple):
    """A batch after patch transfer.

    Attributes:
        images: uint8 (N, H, W, 3) BGR.
        donors: int64 (N,), whose scene it is, as a pid; NO_DONOR (-1) where the crop is as it was.
        cover: bool (N, 16, 8), which cells show the donor's scene instead of the anchor's crop.
    """

    images: NDArray[np.uint8]
    donors: NDArray[np.int64]
    cover: NDArray[np.bool_]


class TransferredTokens(NamedTuple):
    """A batch of tokens after patch transfer: float (N, P, C), int64 (N,), bool (N, 16, 8), as in `Transferred`."""

    tokens: Tensor
    donors: Tensor
    cover: Tensor


def transfer_pixels(
    images: NDArray[np.uint8], regions: Regions, pids: NDArray[np.int64], pairing: Pairing
) -> Transferred:
    """Patch transfer between the crops of one batch, for any backbone [SPT]; soft seams are ours.

    Args:
        images: uint8 (N, H, W, 3) BGR.
        regions: M, bool (N, 16, 8), where each crop's person is.
        pids: int64 (N,), who is in which crop.
        pairing: from `pairing.pair` over the same regions.
    """
    composed = images.copy()
    for anchor in np.flatnonzero(pairing.donors != NO_DONOR):
        donor = pairing.donors[anchor]
        composed[anchor], _ = transfer_crop(images[anchor], images[donor], regions[donor], int(pairing.shifts[anchor]))
    return Transferred(composed, donor_pids(pids, pairing), transfer_cover(regions, pairing))


def transfer_crop(
    anchor: NDArray[np.uint8], donor: NDArray[np.uint8], region: NDArray[np.bool_], shift: int
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Patch transfer of one crop.

    Args:
        anchor: uint8 (H, W, 3), who is to be seen.
        donor: uint8 (H, W, 3), in whose scene.
        region: M_j, bool (h, w), where the donor's person is.
        shift: t, by how many of the w cells the anchor is rolled to the right before.

    Returns:
        The composed crop, uint8 (H, W, 3), and what of it is the donor's, float32 (H, W) in [0, 1].
    """
    height, width = anchor.shape[:2]
    rolled = np.roll(anchor, round(shift * width / region.shape[1]), axis=1)
    cover = 1 - upsampled(region, height, width)  # (H, W)
    return np.asarray(cv2.blendLinear(rolled, donor, 1 - cover, cover), np.uint8), cover


def upsampled(region: NDArray[np.bool_], height: int, width: int) -> NDArray[np.float32]:
    """bool (h, w) → float32 (height, width) in [0, 1]: 1 and 0 at the cells' centres, and between them a soft seam."""
    smooth = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(((smooth - 0.5) * EDGE_STEEPNESS + 0.5).clip(0, 1), np.float32)


def transfer_tokens(tokens: Tensor, regions: Regions, pids: NDArray[np.int64], pairing: Pairing) -> TransferredTokens:
    """Patch transfer between the tokens of one batch, for backbones with `tokens` and `from_tokens` [SPT].

    Args:
        tokens: float (N, P, C), the P = h · w patches row by row, without class token.
        regions: M, bool (N, h, w).
        pids: int64 (N,).
        pairing: from `pairing.pair` over the same regions.
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
    """1 - M_j, bool (N, h, w): which cells of each composed crop show the donor's scene; none without a donor."""
    replaced = ~regions[pairing.donors] & (pairing.donors != NO_DONOR)[:, None, None]  # (N, h, w)
    return np.asarray(replaced, np.bool_)


def donor_pids(pids: NDArray[np.int64], pairing: Pairing) -> NDArray[np.int64]:
    """Whose scene each crop is in, int64 (N,); NO_DONOR (-1) for its own: what class-ignoring wants to know."""
    return np.where(pairing.donors == NO_DONOR, NO_DONOR, pids[pairing.donors]).astype(np.int64)


def _flat(cells: NDArray[np.integer] | NDArray[np.bool_], device: torch.device) -> Tensor:
    """(N, h, w) → (N, h · w, 1) on the tokens' device."""
    return torch.from_numpy(cells.reshape(len(cells), cells.shape[1] * cells.shape[2], 1)).to(device)
