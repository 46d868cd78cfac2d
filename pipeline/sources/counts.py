"""Count what is decoded of a camera's footage, and turn the counts into the camera's report when the run ends."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ...reid.wording import counted
from ..types import CameraReport, CameraStatus

log = logging.getLogger(__name__)


class FootageCounts:
    """What was decoded of one camera's footage; written only by the thread that decodes it.

    Attributes:
        decoded: frames that could be decoded.
        thinned: those of them left out on purpose (`every`, `fps`).
        damaged: packets or frames that could not be decoded.
        status: "complete", "partial" or "failed", as in `CameraReport`.
        error: one line; empty if complete.
    """

    def __init__(self, camera: str) -> None:
        self.camera = camera
        self.decoded = self.thinned = self.damaged = 0
        self.status: CameraStatus = "complete"
        self._problems: list[str] = []
        self._broken_off = False

    @property
    def error(self) -> str:
        """The first problem with the footage; the log has them all."""
        more = len(self._problems) - 1
        return "".join(self._problems[:1]) + (f" (and {more} more, see the log)" if more > 0 else "")

    def add_decoded(self) -> int:
        """Count one decoded frame; returns its 0-based index."""
        self.decoded += 1
        return self.decoded - 1

    def add_thinned(self) -> None:
        """Count one decoded frame that is left out on purpose."""
        self.thinned += 1

    def add_damaged(self, count: int = 1) -> None:
        """Count packets or frames that could not be decoded."""
        if count:
            self.damaged += count
            self.status = "partial"

    def add_problem(self, text: str, level: int = logging.WARNING) -> None:
        """Log one line about footage that was not used, and keep it for the report."""
        self._problems.append(text)
        log.log(level, "camera %s: %s", self.camera, text)
        self.status = "partial"

    def break_off(self, text: str) -> None:
        """Record that decoding ended early, by an error, a crash or a stall; later calls change nothing."""
        if self._broken_off:
            return
        log.warning("camera %s: %s", self.camera, text)
        self._broken_off = True
        self._problems.insert(0, text)  # before damage, as it cost the most
        self.status = "partial" if self.decoded else "failed"

    def state(self) -> dict[str, Any]:
        """All counts as plain values, to be stored or sent to another process."""
        return {
            "decoded": self.decoded, "thinned": self.thinned, "damaged": self.damaged, "status": self.status,
            "problems": list(self._problems), "broken_off": self._broken_off,
        }

    def mirror(self, state: Mapping[str, Any]) -> None:
        """Take over another process's counts, or an earlier one's, which has logged its problems."""
        self.decoded, self.thinned, self.damaged = state["decoded"], state["thinned"], state["damaged"]
        self.status, self._problems, self._broken_off = state["status"], state["problems"], state["broken_off"]

    def finish(self, *, reached_end: bool, seconds: float) -> None:
        """Record how reading ended.

        Args:
            reached_end: whether the footage was read to its end, as far as it can be decoded.
            seconds: of the last frame read, since the first.
        """
        if self._broken_off:
            return
        if not reached_end:
            self.add_problem(f"stopped after {seconds:.1f} s of footage", logging.INFO)  # who stopped it knows
        elif self.decoded == 0:
            self.status = "failed"
            if not self._problems:
                self._problems.append("no frame could be decoded")


def describe(error: Exception) -> str:
    """One line for an error that no decoder should raise."""
    log.debug("decoding failed", exc_info=error)
    if isinstance(error, MemoryError):
        return "decoding it needs more memory than there is"
    text = " ".join(str(error).split())
    return f"decoding failed ({type(error).__name__}{': ' if text else ''}{text})"


def camera_report(counts: FootageCounts, analysed: int) -> CameraReport:
    """The report of one camera, once its decoding thread has ended.

    Args:
        counts: what was decoded.
        analysed: how many frames went through detection and tracking.
    """
    dropped = max(0, counts.decoded - counts.thinned - analysed)  # stopped while it was read again up to its place
    status, error = counts.status, counts.error
    if dropped and status == "complete":
        status, error = "partial", f"stopped with {counted(dropped, 'decoded frame')} not analysed"
    return CameraReport(
        counts.camera, counts.decoded, analysed, counts.thinned, dropped, counts.damaged, status, error
    )
