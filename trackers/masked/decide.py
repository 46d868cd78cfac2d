"""Decide by appearance whether tracks are still who they were: swap, rejoin or split them [ours].

Whenever a track may have changed over to another person (it overlapped with another, was not seen for a moment, has
just begun, or looks different), views from after that are compared with views from before, its own and those of the
others involved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .appearance import Views, view_similarity
from .track import Doubt, Track

VIEWS_AFTER = 2  # needed for a decision after a meeting, a gap or a birth
VIEWS_AFTER_LOOKING_DIFFERENT = 3  # needed if only a view looks different
PATIENCE_SECONDS = 1.2  # after that, one view is enough
LOOKS_DIFFERENT = 0.4  # similarity of a view to those before that raises a doubt
SPLIT = 0.4  # similarity to the views before below which a track is split
SPLIT_BY_APPEARANCE = 0.3  # if only a view looks different
KNOWN = 0.5  # similarity from which a new track is one that was lost
TAKE_MARGIN = 0.12  # by which a lost track must be more similar than the own past
SWAP_MARGIN = 0.08  # by which two tracks must be more similar to each other's past, on average
REACH = 1.0  # heights of a person per second; half a height more at once
HEIGHT_RATIO = 1.6  # of one person a moment later
INSTANT = 1e-6  # seconds


@dataclass(frozen=True, slots=True)
class Change:
    """What must be corrected: "swap" with another track, "take" over a lost one, or "split" off; since when."""

    kind: Literal["swap", "take", "split"]
    since: float
    other: Track | None = None


def looks_different(track: Track, view: Views, masked: bool) -> bool:
    """Whether a new view raises a doubt about a track."""
    return len(track.views) > 0 and view_similarity(view, track.views, masked) < LOOKS_DIFFERENT


def views_needed(doubt: Doubt) -> int:
    """How many views after a doubt decide it."""
    return VIEWS_AFTER_LOOKING_DIFFERENT if doubt.by_appearance else VIEWS_AFTER


def views_after(track: Track) -> Views:
    """The views since the track's doubt ended; all of them if there is none."""
    doubt = track.doubt
    return track.views if doubt is None else track.views.since(doubt.ended + (0 if doubt.newborn else INSTANT))


def can_decide(track: Track, doubt: Doubt, seconds: float) -> bool:
    """Whether there is enough to compare."""
    count = len(views_after(track))
    return count >= views_needed(doubt) or (count > 0 and seconds - doubt.ended > PATIENCE_SECONDS)


def decide(track: Track, doubt: Doubt, others: Sequence[Track], seconds: float, masked: bool) -> Change | None:
    """What must be corrected of a track in doubt; None if it is who it was.

    Args:
        track: seen now, with views after the doubt.
        doubt: its own.
        others: all other tracks, lost ones too.
        seconds: now.
        masked: how views are compared.
    """
    after, before = views_after(track), track.views.before(doubt.began)
    own = view_similarity(after, before, masked) if len(before) else None
    best, gain = None, 0.0
    for other in others:
        one = (_gain_of_taking if other.row < 0 else _gain_of_swapping)(track, doubt, other, own, seconds, masked)
        if one > gain:
            best, gain = other, one
    if best is not None:
        known = doubt.rivals.get(best.track_id)
        since = known[1] if known else track.likeliest_change(doubt.began, after.seconds[0])
        if best.row >= 0:
            return Change("swap", since, best)
        return Change("take", track.first_seconds if doubt.newborn else since, best)
    if own is not None and own < (SPLIT_BY_APPEARANCE if doubt.by_appearance else SPLIT):
        met = max(doubt.rivals.values(), default=None)
        return Change("split", met[1] if met else track.likeliest_change(doubt.began, after.seconds[0]))
    return None


def _gain_of_taking(
    track: Track, doubt: Doubt, lost: Track, own: float | None, seconds: float, masked: bool
) -> float:
    """How much more similar a track is to a lost one than to its own past, less the margin; 0 if it cannot be it."""
    seen_together = lost.last_seconds > doubt.ended
    if seen_together or not (lost.track_id in doubt.rivals or _in_reach(track, lost, seconds)):
        return 0.0
    before = lost.views.before(doubt.began)
    if not len(before):
        return 0.0
    similarity = view_similarity(views_after(track), before, masked)
    return similarity - (KNOWN if own is None else own + TAKE_MARGIN)


def _gain_of_swapping(
    track: Track, doubt: Doubt, rival: Track, own: float | None, _seconds: float, masked: bool
) -> float:
    """How much more similar two tracks are to each other's past than to their own, on average, less the margin."""
    if own is None or rival.track_id not in doubt.rivals:
        return 0.0
    doubts = rival.doubt is not None and not rival.doubt.newborn
    began = min(doubt.began, rival.doubt.began) if doubts and rival.doubt else doubt.began
    ended = max(doubt.ended, rival.doubt.ended) if rival.doubt else doubt.ended
    before, after = rival.views.before(began), rival.views.since(ended)
    if not len(before) or not len(after):
        return 0.0
    crossed = view_similarity(views_after(track), before, masked) + (
        view_similarity(after, track.views.before(doubt.began), masked))
    return (crossed - own - view_similarity(after, before, masked)) / 2 - SWAP_MARGIN


def _in_reach(track: Track, lost: Track, seconds: float) -> bool:
    """Whether somebody can have walked from where a lost track was, or would be, to where a track is now."""
    here = track.motion.xyxy[0]
    places = np.stack([lost.motion.xyxy[0], lost.xyxy])  # (2, 4)
    centres = (places[:, :2] + places[:, 2:] - here[:2] - here[2:]) / 2  # (2, 2), from here
    height = max(float(lost.xyxy[3] - lost.xyxy[1]), 1.0)
    ratio = float(here[3] - here[1]) / height
    near = np.hypot(*centres.T).min() < height * REACH * (0.5 + seconds - lost.last_seconds)
    return bool(near and 1 / HEIGHT_RATIO < ratio < HEIGHT_RATIO)
