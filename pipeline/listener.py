"""Callbacks of a run: what a progress display implements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from .sources.opening import Source
from .types import CameraReport, Frame


class RunListener(Protocol):
    """Called in the run's own thread."""

    def opened(self, sources: Mapping[str, Source], reports: Mapping[str, CameraReport]) -> None:
        """The cameras are open; `reports` holds those that failed."""

    def analysed(self, frame: Frame, people: int) -> None:
        """One frame is done; `people` tracks are in it."""


class Silent:
    """A listener that shows nothing."""

    def opened(self, sources: Mapping[str, Source], reports: Mapping[str, CameraReport]) -> None:
        """Nothing to show."""

    def analysed(self, frame: Frame, people: int) -> None:
        """Nothing to show."""
