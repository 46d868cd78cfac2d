"""Decide which crops of a training batch are occluded, and by which source, and occlude them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import CropSet
from ..recipe.crops import OcclusionSection
from .cutouts import Cutout, occlude_with_cutout
from .pairing import NO_DONOR, Pairing, Regions, pair
from .patch_transfer import transfer_crop
from .synthetic import NOBODY, Occlusion, erase, occlude

SOURCES = ("pasted", "transferred", "cutouts", "erased")  # keys of the section: how often each is drawn
CLEAN = ""  # in place of a source: not occluded
DRAWN_DONORS = 4  # crops offered to one occlusion, which uses two at most


@dataclass(frozen=True, eq=False)
class Occluders:
    """Every source of occlusion of a training run.

    Attributes:
        section: how often crops are occluded, and by which source.
        cutouts: objects to paste; at least one where that source is used.
        regions: where each training crop's person is, bool (crops, 16, 8); None where no patches are transferred.
    """

    section: OcclusionSection
    cutouts: Sequence[Cutout] = ()
    regions: Regions | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """How each of the N crops of a batch is occluded.

    Attributes:
        sources: N names of SOURCES, or CLEAN.
        pairing: the donor of each crop whose source is "transferred"; NO_DONOR for all others.
    """

    sources: list[str]
    pairing: Pairing


def plan_batch(
    rows: NDArray[np.intp],
    pids: NDArray[np.int64],
    crops_per_identity: int,
    occluders: Occluders | None,
    rng: np.random.Generator,
) -> Plan:
    """Occlusion-aware pairing [summary: a heavily occluded member per identity pair; form ours].

    Of the K crops of each identity the first stays clean, the last is always occluded, and each in between with the
    section's probability.  Donors in token space are chosen later, by the augmented regions: see `pair_transferred`.

    Args:
        rows: intp (N,), rows of the training set, grouped by identity.
        pids: int64 (N,), their identities.
        crops_per_identity: K.
        occluders: all sources of occlusion; None leaves every crop clean.
        rng: source of all randomness.
    """
    nobody = Pairing(np.full(len(rows), NO_DONOR, np.intp), np.zeros(len(rows), np.intp))
    if occluders is None:
        return Plan([CLEAN] * len(rows), nobody)
    places = np.arange(len(rows)) % crops_per_identity  # (N,)
    sources = [_source(int(place), crops_per_identity, occluders.section, rng) for place in places]
    plan = Plan(sources, nobody)
    if occluders.regions is None or occluders.section.transfer_space == "tokens":
        return plan
    return pair_transferred(plan, occluders.regions[rows], pids, rng)


def pair_transferred(plan: Plan, regions: Regions, pids: NDArray[np.int64], rng: np.random.Generator) -> Plan:
    """Choose donors for the crops to be transferred; those that fit no donor are pasted over instead.

    Args:
        plan: whose sources are drawn.
        regions: bool (N, 16, 8), where each person is in the images between which patches will be transferred: clean
            crops in pixel space, augmented crops in token space.
        pids: int64 (N,), their identities.
        rng: source of all randomness.
    """
    if "transferred" not in plan.sources:
        return plan
    found = pair(regions, pids, rng)
    wanted = np.array([source == "transferred" for source in plan.sources])  # (N,)
    pairing = Pairing(np.where(wanted, found.donors, NO_DONOR), np.where(wanted, found.shifts, 0))
    unpaired = wanted & (pairing.donors == NO_DONOR)  # (N,)
    sources = ["pasted" if paste else one for one, paste in zip(plan.sources, unpaired, strict=True)]
    return Plan(sources, pairing)


def occlude_crop(
    position: int,
    rows: NDArray[np.intp],
    plan: Plan,
    crops: CropSet,
    occluders: Occluders | None,
    rng: np.random.Generator,
) -> Occlusion:
    """Occlude one crop's pixels as planned; transfer in token space happens in the network, not here.

    Returns:
        Image and cover as of any occlusion; the donor as a row of `crops`.
    """
    image, source = crops.images[rows[position]], plan.sources[position]
    clean = Occlusion(image, np.zeros(image.shape[:2], np.float32), NOBODY)
    if source == CLEAN or occluders is None:
        return clean
    if source == "transferred":
        if occluders.section.transfer_space == "tokens" or occluders.regions is None:
            return clean
        donor = rows[plan.pairing.donors[position]]
        shift = int(plan.pairing.shifts[position])
        return Occlusion(*transfer_crop(image, crops.images[donor], occluders.regions[donor], shift), int(donor))
    if source == "cutouts":
        return occlude_with_cutout(image, occluders.cutouts, rng)
    if source == "erased":
        noisy = erase(image, rng)
        return Occlusion(noisy, (noisy != image).any(2).astype(np.float32), NOBODY)
    if not occluders.section.batch_donors:
        return occlude(image, crops.images, rng)
    others = _pasted_crops(position, rows, crops, rng)
    occluded = occlude(image, crops.images[others], rng)
    return occluded if occluded.donor == NOBODY else occluded._replace(donor=int(others[occluded.donor]))


def _pasted_crops(position: int, rows: NDArray[np.intp], crops: CropSet, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw crops of other identities of the batch, from the same folder: the domain must not reveal what is pasted.

    Returns:
        intp (DRAWN_DONORS,), rows of the set; of any crops where the batch has no other identity.
    """
    row = rows[position]
    others = rows[crops.pids[rows] != crops.pids[row]]
    if crops.sources is not None:
        others = others[crops.sources[others] == crops.sources[row]]
    return rng.choice(others if len(others) else len(crops), DRAWN_DONORS)


def _source(place: int, crops_per_identity: int, section: OcclusionSection, rng: np.random.Generator) -> str:
    if place == 0:
        return CLEAN
    if place == crops_per_identity - 1 or rng.random() < section.probability:
        odds = np.array([getattr(section, source) for source in SOURCES])
        return SOURCES[rng.choice(len(SOURCES), p=odds / odds.sum())]
    return "erased" if rng.random() < section.erasing_probability else CLEAN
