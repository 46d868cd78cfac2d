"""Decide which pairs of tracklets time and place allow to be one person, for whole arrays of pairs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from .spans import Spans

FLOOR_SLACK_METRES = 8.0  # floor positions are off by metres if shelves hide the feet
OVERLAP_SECONDS = 2.0  # where one track of a person takes over from another, the old one may drift on for so long,
OVERLAP_SHARE = 0.5  # but not for a larger share of the shorter one

Mask = NDArray[np.bool_]
Floats = NDArray[np.float64]


def gap_seconds(one: Spans, other: Spans) -> Floats:
    """Seconds between every two of N and M spans, float64 (N, M); zero or negative where they overlap."""
    return np.maximum(one.first[:, None] - other.last, other.first - one.last[:, None])


def separate_views(cameras: Sequence[str], overlaps: Collection[tuple[str, str]] | None) -> Mask:
    """Which of C cameras never see one person at the same time, bool (C, C): each itself twice, and who has no overlap.

    Args:
        cameras: C names.
        overlaps: pairs of cameras whose views share a place; None if any may.
    """
    separate = np.eye(len(cameras), dtype=np.bool_)
    if overlaps is not None:
        sharing = {frozenset(pair) for pair in overlaps}
        separate |= [[frozenset((one, other)) not in sharing for other in cameras] for one in cameras]
    return np.asarray(separate, np.bool_)


def is_handover(gap: Floats, shorter_seconds: Floats) -> Mask:
    """Whether two tracklets of one camera overlap so briefly that both can be one person, bool (...,).

    Args:
        gap: float64 (...,), seconds between them, negative where they overlap.
        shorter_seconds: float64 (...,), duration of the shorter one.
    """
    return np.asarray((-gap <= OVERLAP_SECONDS) & (-gap <= OVERLAP_SHARE * shorter_seconds), np.bool_)


def twice_at_once(one: Spans, other: Spans, separate: Mask) -> Mask:
    """Whether one person would be twice in one camera at a time, or in two without overlap, bool (N, M)."""
    gap = gap_seconds(one, other)  # (N, M)
    shorter = np.minimum((one.last - one.first)[:, None], other.last - other.first)  # (N, M)
    return np.asarray(separate[one.camera[:, None], other.camera] & (gap <= 0) & ~is_handover(gap, shorter), np.bool_)


def compatible(one: Spans, other: Spans, max_speed: float, separate: Mask) -> Mask:
    """Whether one person can be both tracklets, bool (N, M).

    Nobody is at the same time twice in one camera, or in two cameras without overlap, except for a handover between
    two tracks; in two places at once; or walks faster than `max_speed`. A pair is refused only if it is impossible even
    with both floor positions off by `FLOOR_SLACK_METRES`; without floor positions, cameras may overlap unless it is
    known that they do not.

    Args:
        one, other: N and M tracklets.
        max_speed: metres per second.
        separate: bool (C, C), of `separate_views`, by the cameras' numbers.
    """
    allowed = ~twice_at_once(one, other, separate)
    allowed &= reachable(one.first[:, None] - other.last, one.start_xy[:, None], other.end_xy, max_speed)
    allowed &= reachable(other.first - one.last[:, None], one.end_xy[:, None], other.start_xy, max_speed)
    on_floor = (one.points[:, None] > 0) & (other.points > 0)
    meeting = (gap_seconds(one, other) <= 0) & ~separate[one.camera[:, None], other.camera]  # (N, M)
    rows, columns = np.nonzero(allowed & on_floor & meeting)  # (K,), (K,)
    allowed[rows, columns] = metres_apart(one[rows], other[columns]) <= FLOOR_SLACK_METRES
    return np.asarray(allowed, np.bool_)


def reachable(
    seconds: Floats, one_xy: NDArray[np.float32], other_xy: NDArray[np.float32], max_speed: float
) -> Mask:
    """Whether one can walk from one place to another in time, bool (...,); True if no time passes or a place is NaN.

    Args:
        seconds: float64 (...,).
        one_xy, other_xy: float32 (..., 2), metres.
        max_speed: metres per second.
    """
    metres = np.linalg.norm(one_xy - other_xy, axis=-1)  # (...,)
    return np.asarray((seconds <= 0) | ~(metres - FLOOR_SLACK_METRES > max_speed * seconds), np.bool_)


def metres_apart(one: Spans, other: Spans) -> Floats:
    """Median distance of K pairs of simultaneous paths, at the points of the one that starts later, float64 (K,)."""
    if not len(one):
        return np.zeros(0)
    swapped = one.first > other.first  # (K,)
    delay = np.abs(other.first - one.first)[:, None]  # (K, 1)
    until = np.minimum(one.last, other.last)[:, None] - np.maximum(one.first, other.first)[:, None]  # (K, 1)
    early = np.where(swapped[:, None, None], other.path, one.path).astype(np.float64)  # (K, P, 3)
    late = np.where(swapped[:, None, None], one.path, other.path).astype(np.float64)  # (K, P, 3)
    points = np.where(swapped, one.points, other.points)[:, None]  # (K, 1)
    number = np.arange(late.shape[1])
    during = (number < points) & ((late[:, :, 0] <= until) | (number == 0))  # (K, P)
    # One interpolation for all pairs: every pair has its own stretch of one long time axis.
    moments = np.clip(late[:, :, 0] + delay, early[:, :1, 0], early[:, -1:, 0])
    offset = (np.arange(len(early)) * (early[:, -1, 0].max() + 1.0))[:, None]  # (K, 1)
    axis = (early[:, :, 0] + offset).ravel()
    x, y = (np.interp((moments + offset).ravel(), axis, early[:, :, place].ravel()) for place in (1, 2))
    metres = np.hypot(x - late[:, :, 1].ravel(), y - late[:, :, 2].ravel()).reshape(during.shape)
    return np.asarray(np.nanmedian(np.where(during, metres, np.nan), axis=1), np.float64)
