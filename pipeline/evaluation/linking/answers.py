"""Persons' answers about the model's links: stated probabilities whose truth is known, and what follows for others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from sqlalchemy import func, select

from ...config.linking import CalibrationConfig
from ...errors import ConfigError
from ...linking.evidence.calibration import log_odds
from ...storage.runs import run_number
from ...storage.schema import Identity, LinkRow, LinkSet, TrackletRow
from ...storage.store import Store
from ...storage.writing.corrected import corrections_in_force

LEAST_ANSWERS = 10  # of each kind, to fit to
SCALE_DEVIATION, SHIFT_DEVIATION = 0.5, 1.0  # of the prior around "the calibration is right"
NEAREST_CERTAINTY = 1e-6  # stated probabilities are kept as far from 0 and 1


@dataclass(frozen=True, slots=True)
class Answers:
    """N links of the model that persons confirmed or refused.

    Attributes:
        odds: float64 (N,), the stated log-odds.
        right: bool (N,), whether a person confirmed the link.
    """

    odds: NDArray[np.float64]
    right: NDArray[np.bool_]

    def brier(self, scale: float = 1.0, shift: float = 0.0) -> float:
        """Mean squared difference between the probability, with other log-odds, and 1 for right, 0 for wrong."""
        return float(((1 / (1 + np.exp(-(scale * self.odds + shift))) - self.right) ** 2).mean())


@dataclass(frozen=True, slots=True)
class _StatedLink:
    """A model's link: its identity (a row id), the tracklet's first second, and the stated probability, if any."""

    identity: int
    first_seconds: float
    probability: float | None


def read_answers(store: Store, run: int | None) -> Answers:
    """The answers in force about the links that results show.

    A link is confirmed by a decision that tracklets of one identity, as the model has it, are one person: of these, the
    least sure link is meant. It is refused by a decision that tracklets of one identity are two people: the link is
    meant that brought the later one. Merges of different identities say nothing about a stated probability.

    Raises:
        StoreError: there is no such run.
    """
    number = run_number(store, run)
    with store.reading() as connection:
        corrections = corrections_in_force(connection, number)
        last = (
            select(func.max(LinkRow.id)).join(Identity).join(LinkSet)
            .where(LinkSet.run_id == number, LinkSet.selected == 1, LinkRow.by == "model")
            .group_by(LinkRow.tracklet_id))
        links = {
            row[0]: _StatedLink(row[1], row[2], row[3]) for row in connection.execute(
                select(LinkRow.tracklet_id, LinkRow.identity_id, TrackletRow.first_seconds, LinkRow.probability)
                .join(TrackletRow, TrackletRow.id == LinkRow.tracklet_id).where(LinkRow.id.in_(last)))}
    meant: dict[int, bool] = {}  # by tracklet; the newest answer counts
    for one in corrections:
        sides = [[id_ for id_ in side.tolist() if id_ in links] for side in (one.one, one.other)]
        tracklet = None
        if one.kind == "merge":
            tracklet = _confirmed(sides[0], links)
        elif one.kind in ("split", "different"):
            tracklet = _refused(sides[0], sides[1], links)
        if tracklet is not None:
            meant.setdefault(tracklet, one.kind == "merge")
    stated = np.array([links[one].probability for one in meant], np.float64)  # (N,)
    stated = stated.clip(NEAREST_CERTAINTY, 1 - NEAREST_CERTAINTY)
    return Answers(np.array([log_odds(one) for one in stated.tolist()]), np.array(list(meant.values()), np.bool_))


def adjusted(answers: Answers, calibration: CalibrationConfig) -> tuple[CalibrationConfig, float, float]:
    """A calibration whose log-odds are those of another one, scaled and shifted so that they fit answers.

    This is Platt scaling (Platt, 1999) with a normal prior around no change, so that few answers change little. How
    much appearance counts against places stays as it is.

    Returns:
        The calibration, and the scale and the shift of log-odds.

    Raises:
        ConfigError: there are too few answers of a kind.
    """
    right, wrong = int(answers.right.sum()), int((~answers.right).sum())
    if min(right, wrong) < LEAST_ANSWERS:
        raise ConfigError(
            f"--fit: {right} links are confirmed by persons and {wrong} refused; {LEAST_ANSWERS} of each are needed: "
            f"answer {max(0, LEAST_ANSWERS - right)} and {max(0, LEAST_ANSWERS - wrong)} more on the review page, or "
            "give --truth")
    sign = np.where(answers.right, -1.0, 1.0)  # (N,)

    def loss(weights: NDArray[np.float64]) -> float:
        scale, shift = weights
        wrongly = np.logaddexp(0, sign * (scale * answers.odds + shift)).sum()
        return float(wrongly + ((scale - 1) / SCALE_DEVIATION) ** 2 / 2 + (shift / SHIFT_DEVIATION) ** 2 / 2)

    scale, shift = minimize(loss, np.array([1.0, 0.0]), bounds=[(0.0, None), (None, None)]).x.tolist()
    return (
        CalibrationConfig(
            similarity=scale * calibration.similarity, motion=scale * calibration.motion,
            bias=scale * calibration.bias + shift, level=calibration.level),
        scale, shift)


def _confirmed(same: list[int], links: dict[int, _StatedLink]) -> int | None:
    """The least sure link of tracklets that are one person, if the model has them as one identity."""
    if len({links[one].identity for one in same}) != 1:
        return None
    stated = [(probability, one) for one in same if (probability := links[one].probability) is not None]
    return min(stated)[1] if stated else None


def _refused(one: list[int], other: list[int], links: dict[int, _StatedLink]) -> int | None:
    """The link that brought the later of two people into one identity, as the model has it."""
    both = {links[id_].identity for id_ in one} & {links[id_].identity for id_ in other}
    if len(both) != 1:
        return None
    (identity,) = both
    first = [
        min((id_ for id_ in side if links[id_].identity == identity), key=lambda id_: (links[id_].first_seconds, id_))
        for side in (one, other)]
    later = max(first, key=lambda id_: (links[id_].first_seconds, id_))
    return later if links[later].probability is not None else None
