"""Which crops of a batch are hidden, and by what?  Occlusion-aware pairing over all sources of occlusion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..data.dataset import CropSet
from ..recipe import OcclusionSection
from .cutouts import Cutout, hide_behind_cutout
from .pairing import NO_DONOR, Pairing, Regions, pair
from .patch_transfer import transfer_crop
from .synthetic import NOBODY, Occlusion, erase, occlude

SOURCES = ("pasted", "transferred", "cutouts", "erased")  # keys of the section: how often each is drawn
WHOLE = ""  # in place of a source
DRAWN_DONORS = 4  # crops to take pieces from, drawn for one occlusion; it needs two at most


@dataclass(frozen=True, eq=False)
class Occluders:
    """All that can hide a crop.

    Attributes:
        section: how often, and by which source.
        cutouts: things to put in front; at least one where that source is used.
        regions: where each training crop's person is, bool (crops, 16, 8); None where no patches are transferred.
    """

    section: OcclusionSection
    cutouts: Sequence[Cutout] = ()
    regions: Regions | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """What shall happen to the N crops of a batch.

    Attributes:
        sources: N names of SOURCES, or WHOLE.
        pairing: whose scene each crop is put into; nobody's but where the source is "transferred".
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

    Of every person's K crops the first stays whole, the last is always occluded, and each in between is with the
    section's probability.  A crop to be transferred for which no donor fits is pasted over instead.

    Args:
        rows: intp (N,), rows of the training set, grouped by person.
        pids: int64 (N,), who they are.
        crops_per_identity: K.
        occluders: what hides; None leaves all whole.
        rng: where all chance comes from.
    """
    nobody = Pairing(np.full(len(rows), NO_DONOR, np.intp), np.zeros(len(rows), np.intp))
    if occluders is None:
        return Plan([WHOLE] * len(rows), nobody)
    places = np.arange(len(rows)) % crops_per_identity  # (N,)
    sources = [_source(int(place), crops_per_identity, occluders.section, rng) for place in places]
    if occluders.regions is None or "transferred" not in sources:
        return Plan(sources, nobody)
    found = pair(occluders.regions[rows], pids, rng)
    wanted = np.array([source == "transferred" for source in sources])  # (N,)
    pairing = Pairing(np.where(wanted, found.donors, NO_DONOR), np.where(wanted, found.shifts, 0))
    fits = pairing.donors != NO_DONOR  # (N,)
    sources = ["pasted" if wish and not fit else one for one, wish, fit in zip(sources, wanted, fits, strict=True)]
    return Plan(sources, pairing)


def hide_crop(
    position: int,
    rows: NDArray[np.intp],
    plan: Plan,
    crops: CropSet,
    occluders: Occluders | None,
    rng: np.random.Generator,
) -> Occlusion:
    """Do what the plan says to one crop's pixels; transfer in token space happens in the network, not here.

    Returns:
        Image and cover as of any occlusion; the donor as a row of `crops`.
    """
    image, source = crops.images[rows[position]], plan.sources[position]
    whole = Occlusion(image, np.zeros(image.shape[:2], np.float32), NOBODY)
    if source == WHOLE or occluders is None:
        return whole
    if source == "transferred":
        if occluders.section.transfer_space == "tokens" or occluders.regions is None:
            return whole
        donor = rows[plan.pairing.donors[position]]
        shift = int(plan.pairing.shifts[position])
        return Occlusion(*transfer_crop(image, crops.images[donor], occluders.regions[donor], shift), int(donor))
    if source == "cutouts":
        return hide_behind_cutout(image, occluders.cutouts, rng)
    if source == "erased":
        noisy = erase(image, rng)
        return Occlusion(noisy, (noisy != image).any(2).astype(np.float32), NOBODY)
    if not occluders.section.batch_donors:
        return occlude(image, crops.images, rng)
    others = _in_front(position, rows, crops, rng)
    hidden = occlude(image, crops.images[others], rng)
    return hidden if hidden.donor == NOBODY else hidden._replace(donor=int(others[hidden.donor]))


def _in_front(position: int, rows: NDArray[np.intp], crops: CropSet, rng: np.random.Generator) -> NDArray[np.intp]:
    """A few crops of other people of the batch: from the same folder, as a rendered stranger would give himself away.

    Returns:
        intp (n,), rows of the set; n ≥ 1, of any crops where the batch has no others.
    """
    row = rows[position]
    others = rows[crops.pids[rows] != crops.pids[row]]
    if crops.sources is not None:
        others = others[crops.sources[others] == crops.sources[row]]
    return rng.choice(others if len(others) else len(crops), DRAWN_DONORS)


def _source(place: int, crops_per_identity: int, section: OcclusionSection, rng: np.random.Generator) -> str:
    if place == 0:
        return WHOLE
    if place == crops_per_identity - 1 or rng.random() < section.probability:
        odds = np.array([getattr(section, source) for source in SOURCES])
        return SOURCES[rng.choice(len(SOURCES), p=odds / odds.sum())]
    return "erased" if rng.random() < section.erasing_probability else WHOLE
