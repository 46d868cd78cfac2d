"""How likely a tracklet and an identity are one person: the calibrated evidence of appearance and places.

Log-odds are a logistic regression on two measurements: the masked similarity, relative to how similar each side is to
people who surely are others (cohort normalisation, as of speaker verification: Matejka et al., Interspeech 2017), and
the log-likelihood ratio of the positions on the floor, see `motion.py` [use here ours].  The weights are in the config.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

COHORT = 3  # most similar others whose mean is a tracklet's level
COHORT_PRIOR = 3  # others at the usual level that are counted besides


def log_odds(probability: float) -> float:
    """Of a probability in (0, 1)."""
    return math.log(probability / (1 - probability))


def probability(odds: float) -> float:
    """Of log-odds, in [0, 1]."""
    return 1 / (1 + math.exp(-odds)) if odds > 0 else 1 - 1 / (1 + math.exp(odds))


def cohort_levels(
    similarity: NDArray[np.float32], compatible: NDArray[np.bool_], usual: float
) -> NDArray[np.float32]:
    """How similar each of T tracklets is to the most similar of those who surely are other people, float32 (T,).

    Args:
        similarity: float32 (T, T).
        compatible: bool (T, T), false where time and place show two people: most are seen at once in one camera.
        usual: the level of a tracklet with nobody to compare with.
    """
    count = min(COHORT, len(similarity))
    others = np.where(compatible, np.float32(-np.inf), similarity)
    nearest = -np.partition(-others, count - 1, axis=1)[:, :count] if count else others  # (T, count)
    there = np.isfinite(nearest)
    total = np.where(there, nearest, 0).sum(1) + COHORT_PRIOR * usual
    return np.asarray(total / (there.sum(1) + COHORT_PRIOR), np.float32)
