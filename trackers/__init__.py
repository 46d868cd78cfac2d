"""Per-camera trackers behind one protocol."""

from __future__ import annotations

from collections.abc import Callable

from .protocol import Tracker, TrackerSettings
from .quiet import silence_ultralytics
from .ultralytics import UltralyticsTracker

__all__ = ["TRACKERS", "Tracker", "TrackerSettings", "UltralyticsTracker", "silence_ultralytics"]

TRACKERS: dict[str, Callable[[TrackerSettings], Tracker]] = {
    "bytetrack": lambda settings: UltralyticsTracker("bytetrack", settings),
    "botsort": lambda settings: UltralyticsTracker("botsort", settings),
    "ocsort": lambda settings: UltralyticsTracker("ocsort", settings),
}
