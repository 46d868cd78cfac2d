"""One track of our tracker: who it is, where it is, and when it may have changed over to somebody else."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .appearance import Views
from .motion import Motion

FITS = 64  # remembered, some seconds of them


@dataclass(slots=True)
class Doubt:
    """A span of time in which a track may have changed over to another person.

    Attributes:
        began, ended: seconds of its first and last frame so far.
        rivals: by id, the largest overlap with another track, and when.
        newborn: the track began then; it may be one that was lost before.
        by_appearance: nothing happened, but a view looks different.
    """

    began: float
    ended: float
    rivals: dict[int, tuple[float, float]] = field(default_factory=dict)
    newborn: bool = False
    by_appearance: bool = False


@dataclass(slots=True, eq=False)
class Track:
    """A person in one camera.

    Attributes:
        track_id: as it is returned; decisions may change it.
        motion: predicted to the current frame, one row.
        observed: the state at the last observation, from which a gap is replayed.
        first_seconds, last_seconds: of the first and last box.
        xyxy: float32 (4,), the last box.
        row: of its box in the current frame's detections, -1 if there is none.
        boxes: how many it has.
        views: its embedded crops in plain view.
        doubt: whether it is still the same person, None if there is none.
        fits: seconds, and how well the box fitted the motion.
    """

    track_id: int
    motion: Motion
    observed: Motion
    first_seconds: float
    last_seconds: float
    xyxy: NDArray[np.float32]
    row: int
    boxes: int = 1
    views: Views = field(default_factory=Views)
    doubt: Doubt | None = None
    fits: list[tuple[float, float]] = field(default_factory=list)

    @classmethod
    def start(cls, track_id: int, xyxy: NDArray[np.float32], row: int, seconds: float) -> Track:
        """A new track at the detection in a row of xyxy (N, 4)."""
        motion = Motion.start(xyxy[row : row + 1])
        doubt = Doubt(seconds, seconds, newborn=True)
        return cls(track_id, motion, motion, seconds, seconds, xyxy[row], row, doubt=doubt)

    def observe(self, xyxy: NDArray[np.float32], row: int, fit: float, seconds: float, gap_seconds: float) -> None:
        """Continue with a box (4,), the detection in a row; its motion has yet to be corrected by it.

        Args:
            xyxy, row: the box.
            fit: its overlap with the prediction.
            seconds: now.
            gap_seconds: after a longer gap, the motion is replayed, and there is a doubt.
        """
        gap = seconds - self.last_seconds
        self.fits = [*self.fits[1 - FITS :], (seconds, fit - gap)]
        if gap > gap_seconds:
            self.motion = self.observed.through(self.xyxy, xyxy, gap)
            self.question(self.last_seconds, seconds)
        self.xyxy, self.last_seconds = xyxy, seconds
        self.row, self.boxes = row, self.boxes + 1

    def question(self, began: float, ended: float) -> Doubt:
        """Open a doubt, or extend the one there is."""
        if self.doubt is None:
            self.doubt = Doubt(began, ended)
        self.doubt.ended = ended
        return self.doubt

    def likeliest_change(self, began: float, ended: float) -> float:
        """When a change of person is most likely: where the box fitted the motion least."""
        span = [(fit, seconds) for seconds, fit in self.fits if began <= seconds <= ended]
        return min(span)[1] if span else ended
