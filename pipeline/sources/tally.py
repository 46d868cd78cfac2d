"""What became of a camera's footage: the report, kept true while the footage is read."""

from __future__ import annotations

import logging

from ..types import CameraReport

log = logging.getLogger(__name__)


class Tally:
    """Keeps one camera's report up to date; whoever reads the footage tells it what it meets."""

    def __init__(self, camera: str) -> None:
        self.report = CameraReport(camera)
        self._troubles: list[str] = []

    def take(self) -> int:
        """Count one decoded picture; returns its 0-based index."""
        self.report.decoded += 1
        return self.report.decoded - 1

    def thin(self) -> None:
        """Count one decoded picture that is left out on purpose."""
        self.report.thinned += 1

    def damage(self, count: int = 1) -> None:
        """Count packets or pictures that could not be decoded."""
        if count:
            self.report.damaged += count
            self.report.status = "partial"

    def trouble(self, text: str) -> None:
        """Keep a line about footage that could not be used; the first stands in the report, all in the log."""
        self._troubles.append(text)
        log.warning("camera %s: %s", self.report.camera, text)
        self.report.status = "partial"
        more = len(self._troubles) - 1
        self.report.error = self._troubles[0] + (f" (and {more} more, see the log)" if more else "")

    def conclude(self, *, finished: bool, seconds: float) -> None:
        """Say how reading ended.

        Args:
            finished: whether the footage was read to its end, as far as it goes.
            seconds: since the first picture, how far it was read.
        """
        if not finished:
            self.trouble(f"stopped after {seconds:.1f} s of footage")
        elif self.report.decoded == 0:
            self.report.status = "failed"
            self.report.error = self.report.error or "no picture could be decoded"
