"""Where identity is lost: in detection, in tracklets or in linking; and how well tracklets were linked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .metrics import hota_score, identity_score
from .scene import Ints, Scene, newest_track_only, once_a_frame

PURE = 0.8  # below it, a tracklet clearly holds two people
MAX_ROUNDS = 50  # the fractional programme settles after a few


@dataclass(frozen=True, slots=True)
class Stage:
    """Scores with everything after a stage perfect, over all cameras, in [0, 1]; None where the denominator is 0.

    Attributes:
        stage: "detection": every box has its person's identity; "tracklets": every tracklet has the identity of the
            person whom it shows most; "linking": the identities as they are.
        idf1, idp, idr, assa: of the identities.
        lost: IDF1 that this stage loses; for detection, compared with 1.
    """

    stage: str
    idf1: float | None
    idp: float | None
    idr: float | None
    assa: float | None
    lost: float | None


@dataclass(frozen=True, slots=True)
class MixedTracklet:
    """A tracklet of low purity: how many of its scored boxes show each person."""

    camera: str
    track: int
    purity: float
    boxes: int
    people: dict[str, int]


@dataclass(frozen=True, slots=True)
class TrackletScore:
    """Purity of tracklets: the share of a tracklet's boxes that show its main person; others show somebody or nobody.

    Attributes:
        tracklets: number of tracklets that show anybody.
        purity: mean over them, in [0, 1]; None without any.
        below: how many have a purity below 0.8.
        nobody: number of other tracklets, which never match a person.
        mixed: those below 0.8, the least pure first.
    """

    tracklets: int
    purity: float | None
    below: int
    nobody: int
    mixed: list[MixedTracklet]


@dataclass(frozen=True, slots=True)
class LinkScore:
    """How well tracklets were linked; each tracklet counts as the person whom it shows most.

    Links are counted as in the MUC score (Vilain et al., 1995): to join n tracklets takes n - 1 links.

    Attributes:
        links: between tracklets of an identity.
        false: of these, those that join different people: what must be cut.
        needed: links that would join all tracklets of every person.
        missed: of these, those that are absent: what must be joined.
        without_identity: tracklets that show somebody but have no identity; they are in no other count.
        purity: share of the boxes with an identity that show the main person of that identity, in [0, 1].
        completeness: share of the boxes with an identity that belong to the main identity of their person, in [0, 1].
    """

    links: int
    false: int
    needed: int
    missed: int
    without_identity: int
    purity: float | None
    completeness: float | None


def decompose(scene: Scene, shown: Ints) -> list[Stage]:
    """Scores after detection, tracklets and linking.

    Args:
        scene: all cameras.
        shown: whom each box shows, int64 (P,), -1 for nobody; see Scene.matched_people.
    """
    linked = once_a_frame(scene, scene.identities)
    perfect = _perfect_links(scene, shown)
    if (identity_score(scene, perfect).idf1 or 0.0) < (identity_score(scene, linked).idf1 or 0.0):
        perfect = linked  # possible where many tracklets show one person at once
    stages: list[Stage] = []
    for name, ids in (("detection", shown + 1), ("tracklets", perfect), ("linking", linked)):
        score = identity_score(scene, ids)
        before = stages[-1].idf1 if stages else 1.0
        lost = None if before is None or score.idf1 is None else before - score.idf1
        stages.append(Stage(name, score.idf1, score.idp, score.idr, hota_score(scene, ids).assa, lost))
    return stages


def _perfect_links(scene: Scene, shown: Ints) -> Ints:
    """Ids that link tracklets to the people whom they show most, int64 (P,).

    A tracklet that would lower IDF1 gets no identity. Which these are depends on the best IDF1, which is found by
    fractional programming (Dinkelbach, 1967): a tracklet is kept if 2 matches > IDF1 boxes.
    """
    counts = _count_people(scene.tracks, shown, len(scene.track_keys))
    people, matches = counts.argmax(1), counts.max(1)  # (tracks,)
    boxes = np.bincount(scene.tracks, minlength=len(counts))
    idf1 = 0.0
    kept = matches > 0
    for _ in range(MAX_ROUNDS):
        better = 2 * matches[kept].sum() / max(len(scene.people) + boxes[kept].sum(), 1)
        if better <= idf1:
            break
        idf1, kept = better, 2 * matches > better * boxes
    return once_a_frame(scene, newest_track_only(scene, np.where(kept, people + 1, 0)[scene.tracks]))


def main_people(scene: Scene, shown: Ints) -> Ints:
    """Whom each track shows most, int64 (tracks,); -1 for nobody."""
    counts = _count_people(scene.tracks, shown, len(scene.track_keys))
    return np.where(counts.max(1) > 0, counts.argmax(1), -1)


def tracklet_score(scene: Scene, shown: Ints, names: Mapping[int, str]) -> TrackletScore:
    """Purity of tracklets, given whom each box shows (see decompose) and the names of people."""
    counts = _count_people(scene.tracks, shown, len(scene.track_keys))
    boxes = np.bincount(scene.tracks, minlength=len(counts))
    scored = np.flatnonzero(boxes)
    showing = scored[counts[scored].any(1)]
    purity = counts[showing].max(1, initial=0) / boxes[showing]
    below = showing[purity < PURE][np.argsort(purity[purity < PURE], kind="stable")]
    mixed = []
    for row in below.tolist():
        camera, track = scene.track_keys[row]
        people = {names[person]: int(counts[row, person]) for person in np.flatnonzero(counts[row]).tolist()}
        mixed.append(MixedTracklet(
            camera, track, float(counts[row].max() / boxes[row]), int(boxes[row]), people))
    mean = float(purity.mean()) if len(purity) else None
    return TrackletScore(len(showing), mean, len(below), len(scored) - len(showing), mixed)


def link_score(scene: Scene, shown: Ints, identities: Ints) -> LinkScore:
    """How well tracklets were linked.

    Args:
        scene: all cameras.
        shown: whom each box shows, int64 (P,), -1 for nobody.
        identities: of each box, int64 (P,), 0 for none; boxes of one tracklet may differ, then the first one counts.
    """
    counts = _count_people(scene.tracks, shown, len(scene.track_keys))
    rows, first = np.unique(scene.tracks, return_index=True)
    identity = np.zeros(len(counts), np.int64)
    identity[rows] = identities[first]
    showing = counts.max(1) > 0
    linked = showing & (identity != 0)
    together = np.unique(np.column_stack([identity, counts.argmax(1)])[linked], axis=0)  # (identity, person)
    groups, people = (len(np.unique(together[:, column])) for column in (0, 1))
    tracklets = int(linked.sum())
    named = (shown >= 0) & (identities != 0)
    _, rows = np.unique(identities[named], return_inverse=True)
    table = _count_people(rows, shown[named], int(rows.max(initial=-1)) + 1)  # (identities, people)
    boxes = int(table.sum())
    return LinkScore(
        links=tracklets - groups, false=len(together) - groups, needed=tracklets - people,
        missed=len(together) - people, without_identity=int((showing & ~linked).sum()),
        purity=float(table.max(1).sum() / boxes) if boxes else None,
        completeness=float(table.max(0).sum() / boxes) if boxes else None)


def _count_people(rows: Ints, shown: Ints, length: int) -> Ints:
    """How many of each row's boxes show each person, int64 (length, people); boxes that show nobody do not count."""
    showing = shown >= 0
    counts = np.zeros((length, max(int(shown.max(initial=0)) + 1, 1)), np.int64)
    np.add.at(counts, (rows[showing], shown[showing]), 1)
    return counts
