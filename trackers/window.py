"""The last frames of one camera, held back until the ids of their boxes are settled."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .protocol import TrackedFrame
from .ragged import counts_of, parts

FILLED = -1  # row of a box that is interpolated


@dataclass(slots=True)
class _Held:
    """One frame: its boxes, and which of them each id has."""

    seconds: float
    xyxy: NDArray[np.float32]  # (N, 4), all detections
    confidence: NDArray[np.float32]  # (N,)
    rows: dict[int, int] = field(default_factory=dict)  # of the detections, by track id


class Window:
    """Holds frames for a while, in which ids may be changed, then returns them with short gaps filled.

    Args:
        delay_seconds: how long a frame is held.
        fill_seconds: the longest gap of a track that is filled by linear interpolation; at most `delay_seconds`.
    """

    def __init__(self, delay_seconds: float, fill_seconds: float) -> None:
        self._delay, self._fill = max(delay_seconds, fill_seconds), fill_seconds
        self._frames: deque[_Held] = deque()
        self._last: dict[int, tuple[float, NDArray[np.float32]]] = {}  # of ids that left: when and where they were

    @property
    def ids(self) -> set[int]:
        """All ids that held frames have."""
        return {track_id for frame in self._frames for track_id in frame.rows}

    def add(
        self, seconds: float, xyxy: NDArray[np.float32], confidence: NDArray[np.float32], rows: Mapping[int, int]
    ) -> None:
        """Hold the newest frame: detections (N, 4) and (N,), and the row of each id that is in it."""
        self._frames.append(_Held(seconds, xyxy, confidence, dict(rows)))

    def relabel(self, ids: Mapping[int, int], since: float) -> None:
        """Give ids other ones, all at once, in the held frames from `since` on; 0 removes an id's boxes."""
        for frame in self._frames:
            if frame.seconds >= since:
                kept = {one: row for one, row in frame.rows.items() if one not in ids}
                moved = {ids[one]: row for one, row in frame.rows.items() if ids.get(one)}
                frame.rows = kept | moved

    def release(self, seconds: float) -> list[TrackedFrame]:
        """Return the frames that are held long enough; `seconds` is the time now, infinite at the end."""
        released = []
        while self._frames and self._frames[0].seconds < seconds - self._delay:
            frame = self._frames.popleft()
            filled = self._fill_gaps(frame)
            self._last |= {one: (frame.seconds, frame.xyxy[row]) for one, row in frame.rows.items()}
            released.append(_tracked(frame, filled))
        oldest = seconds - self._delay - self._fill
        self._last = {one: last for one, last in self._last.items() if last[0] >= oldest}
        return released

    def state(self) -> dict[str, NDArray[Any]]:
        """The held frames and the ids that left, as arrays."""
        frames = self._frames
        return {
            "seconds": np.array([frame.seconds for frame in frames], np.float64),
            "box_count": counts_of(frame.confidence for frame in frames),
            "xyxy": np.concatenate([np.zeros((0, 4), np.float32), *(frame.xyxy for frame in frames)]),
            "confidence": np.concatenate([np.zeros(0, np.float32), *(frame.confidence for frame in frames)]),
            "id_count": counts_of(frame.rows for frame in frames),
            "id_row": np.array([pair for frame in frames for pair in frame.rows.items()], np.int64).reshape(-1, 2),
            "last_id": np.array(list(self._last), np.int64),
            "last_seconds": np.array([seconds for seconds, _ in self._last.values()], np.float64),
            "last_xyxy": np.array([xyxy for _, xyxy in self._last.values()], np.float32).reshape(-1, 4),
        }

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave."""
        boxes = zip(
            state["seconds"].tolist(),
            parts(state["xyxy"], state["box_count"]),
            parts(state["confidence"], state["box_count"]),
            parts(state["id_row"], state["id_count"]), strict=True)
        self._frames = deque(
            _Held(seconds, xyxy, confidence, dict(rows.tolist())) for seconds, xyxy, confidence, rows in boxes)
        last = zip(state["last_seconds"].tolist(), state["last_xyxy"], strict=True)
        self._last = dict(zip(state["last_id"].tolist(), last, strict=True))

    def _fill_gaps(self, frame: _Held) -> dict[int, NDArray[np.float32]]:
        """Interpolated boxes, float32 (4,), of the ids that are not in a frame but shortly before and after it."""
        missing = {one for one in self._last if one not in frame.rows}
        found: dict[int, NDArray[np.float32]] = {}
        for later in self._frames:
            if not missing or later.seconds - frame.seconds > self._fill:
                break
            for one in missing & later.rows.keys():
                missing.discard(one)
                before, xyxy = self._last[one]
                if later.seconds - before <= self._fill:
                    share = np.float32((frame.seconds - before) / (later.seconds - before))
                    found[one] = (1 - share) * xyxy + share * later.xyxy[later.rows[one]]
        return found


def _tracked(frame: _Held, filled: Mapping[int, NDArray[np.float32]]) -> TrackedFrame:
    rows = np.array(list(frame.rows.values()), np.int64)
    boxes = np.array(list(filled.values()), np.float32).reshape(-1, 4)
    return TrackedFrame(
        frame.seconds,
        np.concatenate([frame.xyxy[rows], boxes]),
        np.concatenate([frame.confidence[rows], np.zeros(len(boxes), np.float32)]),
        np.array([*frame.rows, *filled], np.int64),
        np.concatenate([rows, np.full(len(boxes), FILLED)]))
