"""Number identities anew: those who were away for too long, and new ones in the order in which they appear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .evidence.spans import Spans

Numbers = NDArray[np.int64]


def split_absences(
    spans: Spans, identity: Numbers, last_seen: NDArray[np.float64], limit_seconds: float, next_number: int
) -> tuple[Numbers, int]:
    """Make new identities of those who are away for longer than a limit.

    They appear when the tracklet that lay between joins another identity.

    Args:
        spans: of T tracklets, at least one.
        identity: int64 (T,), not negative.
        last_seen: float64 (T,), UTC epoch seconds at which each one's identity was seen before; -inf for never.
        limit_seconds: the longest absence.
        next_number: the next free number.

    Returns:
        Identities, int64 (T,), and the next free number.
    """
    order = np.lexsort((spans.first, identity))  # (T,)
    own = identity[order]
    begins = np.diff(own, prepend=-1) != 0
    # Every identity has its own stretch of one long time axis, so that one running maximum serves all.
    zero = spans.first.min()
    offset = (np.cumsum(begins) - 1) * (spans.last.max() - zero + 1.0)
    seen_until = np.maximum.accumulate(spans.last[order] - zero + offset)
    gap = spans.first[order] - zero + offset - np.concatenate([[0.0], seen_until[:-1]])
    gap[begins] = (spans.first[order] - last_seen[order])[begins]
    gap[begins & np.isinf(gap)] = 0.0
    breaks = gap > limit_seconds
    latest = np.maximum.accumulate(np.where(begins | breaks, np.arange(len(order)), 0))  # (T,)
    new = next_number + np.cumsum(breaks) - 1
    split = identity.copy()
    split[order] = np.where(breaks[latest], new[latest], own)
    return split, next_number + int(breaks.sum())


def numbered_by_appearance(spans: Spans, identity: Numbers, first_new: int) -> tuple[Numbers, int]:
    """Number new identities in the order of their first seconds: int64 (T,), and the next free number.

    Args:
        spans: of T tracklets.
        identity: int64 (T,); from `first_new` on they are new.
        first_new: the lowest number of a new identity.
    """
    new = np.flatnonzero(identity >= first_new)
    order = new[np.lexsort((new, spans.first[new]))]
    numbers, firsts, places = np.unique(identity[order], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(firsts))  # (n,)
    numbered = identity.copy()
    numbered[order] = first_new + rank[places]
    return numbered, first_new + len(numbers)
