"""Callbacks of a run, for progress displays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .sources.opening import Source
from .types import CameraReport, Frame


class RunListener(Protocol):
    """Called in the thread of the run."""

    def opened(self, sources: Mapping[str, Source], reports: Mapping[str, CameraReport]) -> None:
        """The sources are open; `reports` holds the cameras that failed."""

    def analysed(self, frame: Frame, people: int) -> None:
        """One frame is analysed; `people` are tracked in it."""


class Silent:
    """A listener that does nothing."""

    def opened(self, sources: Mapping[str, Source], reports: Mapping[str, CameraReport]) -> None:
        """Do nothing."""

    def analysed(self, frame: Frame, people: int) -> None:
        """Do nothing."""
