"""Learn how long people take from one camera to another, and use it as evidence.

Where people go next, and when, is counted for each ordered pair of cameras from links that are sure; beside it, where
and when anybody else appears. The ratio of the two is evidence, as of Javed et al., "Modeling inter-camera space-time
and appearance relationships for tracking across non-overlapping views", CVIU 2008 [histograms and prior ours].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...config.linking import LONGEST_TRANSIT, TransitConfig
from .constraints import Floats, Mask, gap_seconds
from .spans import Spans

GAP_EDGES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, LONGEST_TRANSIT])  # seconds
SURE = 0.95  # probability of links that are learnt from
GIVEN_TRANSITS = 100.0  # a transit of the config counts as so many
PRIOR_TRANSITS = 100.0  # as many transits, spread as anybody else's, are counted besides
MOST_EVIDENCE = 2.0  # log-likelihood ratio: learnt from links, so it must not overrule them


class Transits:
    """Counts of transits between C cameras.

    Attributes:
        own: float64 (C, C, G), how often the same person appeared in a camera so long after leaving another.
        others: float64 (C, C, G), how often somebody else did.
    """

    def __init__(self, cameras: Sequence[str], given: Sequence[TransitConfig]) -> None:
        """Know some transits from the beginning, as if so many had been seen."""
        self.own = np.zeros((len(cameras), len(cameras), len(GAP_EDGES) - 1))
        self.others = np.zeros_like(self.own)
        numbers = {name: number for number, name in enumerate(cameras)}
        for number in {numbers[one.leaves] for one in given if one.leaves in numbers}:
            self.own[number, number] += GIVEN_TRANSITS / (len(GAP_EDGES) - 1)  # a track may break at any time
        for one in given:
            least, most = one.seconds
            shared = (np.minimum(GAP_EDGES[1:], most) - np.maximum(GAP_EDGES[:-1], least)).clip(0)  # (G,)
            if one.leaves in numbers and one.enters in numbers:  # a camera without tracklets has no number
                self.own[numbers[one.leaves], numbers[one.enters]] += GIVEN_TRANSITS * shared / (most - least)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """All that has been learnt."""
        return {"own": self.own, "others": self.others}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        self.own, self.others = state["own"].copy(), state["others"].copy()

    def learn(self, spans: Spans, identity: NDArray[np.int64], sure: Mask, leaving: NDArray[np.int64]) -> None:
        """Count what follows after some tracklets have ended.

        Args:
            spans: T tracklets.
            identity: int64 (T,), negative without one.
            sure: bool (T,), whether a tracklet surely belongs to its identity.
            leaving: int64 (R,), rows of tracklets that have not been counted before.
        """
        order = np.argsort(spans.first, kind="stable")
        order = order[identity[order] >= 0]
        gap = spans.first[order] - spans.last[leaving, None]  # (R, t)
        follows = (gap > 0) & (gap < GAP_EDGES[-1])
        # The first tracklet of every identity that follows; later ones are transits from other places.
        first = np.zeros_like(follows)
        for number in np.unique(identity[order]).tolist():
            columns = np.flatnonzero(identity[order] == number)
            found = follows[:, columns]
            rows = np.flatnonzero(found.any(1))
            first[rows, columns[found[rows].argmax(1)]] = True
        own = identity[leaving, None] == identity[order]
        place = np.searchsorted(GAP_EDGES, gap, side="right") - 1  # (R, t)
        for counts, counted in ((self.own, first & own & sure[order] & (identity[leaving, None] >= 0)),
                                (self.others, first & ~own)):
            row, column = np.nonzero(counted)
            np.add.at(counts, (spans.camera[leaving[row]], spans.camera[order[column]], place[row, column]), 1)

    def evidence(self, one: Spans, other: Spans) -> Floats:
        """Log-likelihood ratio of N and M tracklets' times and cameras, one person against two, float64 (N, M).

        0 where they overlap in time, and as long as little has been learnt.
        """
        ratio = self._ratios()
        gap = gap_seconds(one, other)  # (N, M)
        forward = other.first >= one.last[:, None]  # (N, M)
        earlier = np.where(forward, one.camera[:, None], other.camera)
        later = np.where(forward, other.camera, one.camera[:, None])
        place = np.searchsorted(GAP_EDGES, gap, side="right") - 1
        known = (gap > 0) & (gap < GAP_EDGES[-1])
        return np.where(known, ratio[earlier, later, np.where(known, place, 0)], 0.0)

    def _ratios(self) -> NDArray[np.float64]:
        """Log-likelihood ratios, float64 (C, C, G); of everything that can follow in a camera."""
        chance = self.others + 1.0
        chance /= chance.sum((1, 2), keepdims=True)  # (C, C, G)
        seen = self.own.sum((1, 2), keepdims=True)  # (C, 1, 1)
        likely = (self.own + PRIOR_TRANSITS * chance) / (seen + PRIOR_TRANSITS)
        return np.asarray(np.log(likely / chance).clip(-MOST_EVIDENCE, MOST_EVIDENCE), np.float64)
