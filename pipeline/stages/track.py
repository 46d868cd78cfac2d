"""Track one camera: frames with detections in, observations and tracklets out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import supervision as sv

from ...trackers import TRACKERS, TrackedFrame, Tracker, TrackerSettings
from ..config.schema import Config
from ..stopwatch import Stopwatch
from ..types import Frame, Observations, Tracklet
from .embed import CropEmbedder, FrameCrops
from .tracklet_builder import TrackletBuilder

MISSED_FRAMES = 2  # a track survives at least one missed frame, however low the frame rate is


class TrackStage:
    """One camera's tracker, and the frames that it holds back.

    Args:
        camera: its name.
        config: of the run.
        rate: analysed frames per second.
        frame_wh: width and height of the frames in pixels.
        embedder: shared by all cameras.
        clock: measures the stages "track" and "embed".
    """

    def __init__(
        self, camera: str, config: Config, rate: float, frame_wh: tuple[int, int], embedder: CropEmbedder,
        clock: Stopwatch,
    ) -> None:
        homography = config.cameras[camera].pixels_to_floor
        self._tracker: Tracker = TRACKERS[config.tracker.name](_settings(config, rate, frame_wh))
        self._builder = TrackletBuilder(
            camera, config.appearance, None if homography is None else np.array(homography), embedder.dimensions,
            config.tracker.split_similarity)
        self._embedder, self._clock = embedder, clock
        self._held: deque[FrameCrops] = deque()
        self.frames = 0
        self.crops = 0

    @property
    def people(self) -> int:
        """How many people are tracked in the newest frame."""
        return self._tracker.people

    def update(self, frame: Frame, people: sv.Detections) -> tuple[list[Observations], list[Tracklet]]:
        """Take the next frame and its detections; returns what is settled by now."""
        with self._clock.stage("track"):
            crops = FrameCrops(frame, np.asarray(people.xyxy, np.float32), self._embedder, self._clock)
            self._held.append(crops)
            settled = self._tracker.update(people, frame.seconds, crops.embed)
            crops.release()
            self.frames += 1
            self.crops += len(crops.crops)
            return self._settle(settled), self._builder.close(self._tracker.open_ids)

    def finish(self) -> tuple[list[Observations], list[Tracklet]]:
        """What is left at the end of the footage."""
        with self._clock.stage("track"):
            return self._settle(self._tracker.finish()), self._builder.close(open_ids=())

    def _settle(self, frames: Iterable[TrackedFrame]) -> list[Observations]:
        return [self._builder.update(self._held.popleft(), tracked) for tracked in frames]


def _settings(config: Config, rate: float, frame_wh: tuple[int, int]) -> TrackerSettings:
    tracker, appearance = config.tracker, config.appearance
    return TrackerSettings(
        tracker.new_track_confidence, tracker.high_confidence, tracker.low_confidence, tracker.match_cost,
        lost_seconds=max(tracker.lost_seconds, MISSED_FRAMES / rate),
        fill_seconds=tracker.fill_seconds,
        crops_per_second=tracker.crops_per_second,
        interval_seconds=appearance.interval_seconds,
        min_height_px=appearance.min_height_px,
        min_visible=appearance.min_visible,
        frame_wh=frame_wh,
        appearance=tracker.appearance,
    )
