"""Per-camera trackers behind one protocol."""

from __future__ import annotations

from collections.abc import Callable

from .. import offline  # noqa: F401 - switches off telemetry, so it comes before any dependency
from .geometry import visible_shares
from .masked.tracker import MaskedTracker
from .protocol import Detections, Embed, ResumableTracker, TrackedFrame, Tracker, TrackerSettings
from .ragged import counts_of, parts
from .ultralytics import UltralyticsTracker

__all__ = [
    "TRACKERS", "Detections", "Embed", "MaskedTracker", "ResumableTracker", "TrackedFrame", "Tracker",
    "TrackerSettings", "UltralyticsTracker", "counts_of", "parts", "visible_shares",
]

TRACKERS: dict[str, Callable[[TrackerSettings], Tracker]] = {
    "masked": MaskedTracker,
    "bytetrack": lambda settings: UltralyticsTracker("bytetrack", settings),
    "botsort": lambda settings: UltralyticsTracker("botsort", settings),
    "ocsort": lambda settings: UltralyticsTracker("ocsort", settings),
}
