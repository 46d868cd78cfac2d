"""Why two tracklets are, or are not, one person: the similarity and its parts, and the two crops that decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, Embedder, concatenate, masked_similarity, shared_mask_share
from ..config.linking import LinkingConfig
from ..corrections.identities import identity_tracklets
from ..errors import CorrectionError
from ..linking.evidence.calibration import probability
from ..linking.evidence.constraints import compatible, gap_seconds, separate_views
from ..linking.evidence.motion import motion_evidence
from ..linking.evidence.spans import Spans, spans_of
from ..relinking.relink import shown_linking
from ..storage.packing import decode_crop
from ..storage.queries import CropImage, TrackletSummary, stored_appearances, tracklet_crops, tracklet_rows
from ..storage.runs import run_number
from ..storage.store import Store
from ..storage.tracklets import stored_tracklets
from ..types import Image, TrackKey, Tracklet

End = TrackKey | int  # a tracklet, or an identity by its number


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the log-odds that two tracklets are one person.

    Attributes:
        weight: key of `linking.calibration` that it comes from.
        what: in a few words.
        log_odds: what it adds.
    """

    weight: str
    what: str
    log_odds: float


@dataclass(frozen=True, slots=True)
class LinkEvidence:
    """Why two tracklets are, or are not, one person.

    Attributes:
        one, other: the tracklets as they are linked, the earlier one first.
        similarity: masked similarity of the two tracklets, in [-1, 1], by the run's `linking.mode`.
        plain_similarity: cosine of the two without masks.
        shared_mask: share of the mask that is reliable in both.
        gap_seconds: from the end of one to the beginning of the other; negative if both were seen at once.
        possible: whether time and place allow them to be one person.
        parts: of the log-odds; levels of people seen at once, which a run takes into account, too, are not among them.
        probability: that the two are one person, by these parts; 0 if it is not possible.
    """

    one: TrackletSummary
    other: TrackletSummary
    similarity: float
    plain_similarity: float
    shared_mask: float
    gap_seconds: float
    possible: bool
    parts: list[Part]
    probability: float


@dataclass(frozen=True, slots=True)
class DecidingCrop:
    """A stored crop of one of the tracklets: its image, and the model's evidence map, float32 (16, 8) in [0, 1]."""

    stored: CropImage
    image: Image
    evidence: NDArray[np.float32]


def explain_link(store: Store, run: int | None, one: End, other: End) -> LinkEvidence:
    """Compare two tracklets, or the two most similar tracklets of identities.

    Args:
        store: the database.
        run: the run's number; the newest by default.
        one, other: a tracklet, or the number of an identity. The same identity twice, or a tracklet and its own
            identity, stand for the most similar two different tracklets.

    Raises:
        StoreError: there is no such run.
        CorrectionError: no such tracklet or identity, or nothing to compare it with, or it was pruned.
    """
    number = run_number(store, run)
    appearances = {(row.camera, row.track): row.appearance for row in stored_appearances(store, number)}
    config = shown_linking(store, number)
    sides = [_side(store, number, end, appearances) for end in (one, other)]
    query, gallery = (concatenate([appearances[key] for key in keys]) for keys in sides)
    similarity = masked_similarity(query, gallery, config.mode).astype(np.float64)  # (N, M)
    same = np.array([[left == right for right in sides[1]] for left in sides[0]])
    if same.all():
        raise CorrectionError(f"{_named(one)} and {_named(other)} are one tracklet: give two, or two identities")
    similarity[same] = -np.inf
    row, column = np.unravel_index(similarity.argmax(), similarity.shape)
    keys = sides[0][int(row)], sides[1][int(column)]
    summaries = {(tracklet.camera, tracklet.track): tracklet for tracklet in tracklet_rows(store, number)}
    first, second = sorted((summaries[key] for key in keys), key=lambda tracklet: tracklet.first_seconds)
    own, others = appearances[first[:2]], appearances[second[:2]]
    return _evidence(store, number, config, (first, second), own, others)


def deciding_crops(store: Store, run: int, found: LinkEvidence, embedder: Embedder) -> list[DecidingCrop]:
    """The stored crops of two tracklets that are most similar to each other, one of each, with their evidence maps.

    As on the review page, similarity is that of the stored appearances, by the run's `linking.mode`: crops are stored
    smaller than the model saw them. Only where appearances were pruned, the pictures are embedded again.

    Args:
        store: the database.
        run: the run's number.
        found: the tracklets.
        embedder: the run's model.

    Raises:
        StoreError: a stored crop is damaged.
        CorrectionError: no crop of one of them is stored.
        WeightsError: the model has no evidence maps.
    """
    sides = [tracklet_crops(store, run, side[:2]) for side in (found.one, found.other)]
    for side, crops in zip((found.one, found.other), sides, strict=True):
        if not crops:
            raise CorrectionError(f"{store.name}: no picture of {_named(side[:2])} is stored: it was pruned")
    query, gallery = (_appearance_of(crops, embedder) for crops in sides)
    similarity = masked_similarity(query, gallery, shown_linking(store, run).mode)  # (N, M)
    best = np.unravel_index(similarity.argmax(), similarity.shape)
    chosen = [crops[int(place)][0] for crops, place in zip(sides, best, strict=True)]
    images = [decode_crop(crop.image) for crop in chosen]
    return [DecidingCrop(*one) for one in zip(chosen, images, embedder.evidence(images), strict=True)]


def _appearance_of(crops: list[tuple[CropImage, Appearance | None]], embedder: Embedder) -> Appearance:
    """One row per crop, (N, D): as it is stored if all are, or else of the stored pictures."""
    stored = [appearance for _, appearance in crops if appearance is not None]
    if len(stored) == len(crops):
        return concatenate(stored)
    return embedder.embed([decode_crop(crop.image) for crop, _ in crops])


def _evidence(
    store: Store,
    run: int,
    config: LinkingConfig,
    tracklets: tuple[TrackletSummary, TrackletSummary],
    own: Appearance,
    others: Appearance,
) -> LinkEvidence:
    spans = _spans(store, run, tracklets)
    similarity = float(masked_similarity(own, others, config.mode)[0, 0])
    motion = float(motion_evidence(spans[:1], spans[1:])[0, 0])
    weights = config.calibration
    parts = [
        Part("similarity", "appearance: similarity", weights.similarity * similarity),
        Part("motion", "places on the floor, and time", weights.motion * motion),
        Part("bias", "how rarely two tracklets are one person", weights.bias)]
    separate = separate_views(sorted({one.camera for one in tracklets}), config.overlaps)
    possible = bool(compatible(spans[:1], spans[1:], config.max_speed, separate)[0, 0])
    return LinkEvidence(
        *tracklets, similarity, float(masked_similarity(own, others, "plain")[0, 0]),
        float(shared_mask_share(own, others)[0, 0]), float(gap_seconds(spans[:1], spans[1:])[0, 0]),
        possible, parts, probability(sum(part.log_odds for part in parts)) if possible else 0.0)


def _spans(store: Store, run: int, tracklets: tuple[TrackletSummary, TrackletSummary]) -> Spans:
    keys = [tracklet[:2] for tracklet in tracklets]
    wanted: dict[TrackKey, Tracklet] = {one.key: one for one in stored_tracklets(store, run, keys)}
    both = [_required(store, wanted, key) for key in keys]
    cameras = sorted({one.camera for one in both})
    return spans_of(both, {camera: place for place, camera in enumerate(cameras)})


def _required(store: Store, tracklets: dict[TrackKey, Tracklet], key: TrackKey) -> Tracklet:
    if key not in tracklets:
        raise CorrectionError(f"{store.name}: the boxes of {_named(key)} are not stored any more: they were pruned")
    return tracklets[key]


def _side(store: Store, run: int, end: End, appearances: dict[TrackKey, Appearance]) -> list[TrackKey]:
    """The tracklets with an appearance that an end stands for."""
    if isinstance(end, int):
        keys = [one.key for one in identity_tracklets(store, run, end)]
    else:
        keys = [(one.camera, one.track) for one in tracklet_rows(store, run) if (one.camera, one.track) == end]
        if not keys:
            raise CorrectionError(f"{store.name}: run {run} has no {_named(end)}")
    with_appearance = [key for key in keys if key in appearances]
    if not with_appearance:
        raise CorrectionError(f"{store.name}: no appearance of {_named(end)} is stored: no crop was good enough, or it "
                              "was pruned")
    return with_appearance


def _named(end: End) -> str:
    return f"identity {end}" if isinstance(end, int) else f"track {end[1]} of {end[0]}"
