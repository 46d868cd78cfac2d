"""Track one camera: frames with detections in, observations and tracklets out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance, concatenate
from ...trackers import (
    TRACKERS,
    Detections,
    ResumableTracker,
    TrackedFrame,
    Tracker,
    TrackerSettings,
    counts_of,
    parts,
)
from ..config.schema import Config
from ..stopwatch import Stopwatch
from ..types import Frame, Observations, Tracklet
from .embed import CropEmbedder, EmbeddedCrop, FrameCrops, SettlingFrame
from .images import images_of, images_state
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
        self._held: deque[SettlingFrame] = deque()
        self.frames = 0
        self.crops = 0

    @property
    def people(self) -> int:
        """How many people are tracked in the newest frame."""
        return self._tracker.people

    def update(self, frame: Frame, people: Detections) -> tuple[list[Observations], list[Tracklet]]:
        """Take the next frame and its detections; returns what is settled by now."""
        with self._clock.stage("track"):
            crops = FrameCrops(frame, np.asarray(people.xyxy, np.float32), self._embedder, self._clock)
            self._held.append(crops)
            settled = self._tracker.update(people, frame.seconds, crops.embed)
            crops.release()
            self.frames += 1
            self.crops += len(crops.crops)
            return self._settle(settled), self._builder.close(self._tracker.open_ids)

    def open_tracklets(self, began_by_seconds: float) -> list[Tracklet]:
        """What is settled by now of the tracks that are still open, without those that began later."""
        return self._builder.open_tracklets(began_by_seconds)

    def finish(self) -> tuple[list[Observations], list[Tracklet]]:
        """What is left at the end of the footage."""
        with self._clock.stage("track"):
            return self._settle(self._tracker.finish()), self._builder.close(open_ids=())

    def state(self) -> dict[str, NDArray[Any]] | None:
        """All that decides what comes next, as arrays, to be stored between two frames; None if the tracker cannot."""
        if not isinstance(self._tracker, ResumableTracker):
            return None
        own: dict[str, NDArray[Any]] = {"counts": np.array([self.frames, self.crops], np.int64)}
        stages: dict[str, dict[str, NDArray[Any]]] = {
            "tracker": self._tracker.state(), "builder": self._builder.state(), "held": self._held_state()}
        return own | {f"{stage}.{name}": array for stage, state in stages.items() for name, array in state.items()}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Continue from what `state` gave, with the same config."""
        def of(stage: str) -> dict[str, NDArray[Any]]:
            return {key.removeprefix(f"{stage}."): one for key, one in state.items() if key.startswith(f"{stage}.")}

        assert isinstance(self._tracker, ResumableTracker)
        self.frames, self.crops = state["counts"].tolist()
        self._tracker.restore(of("tracker"))
        self._builder.restore(of("builder"))
        self._restore_held(of("held"))

    def _held_state(self) -> dict[str, NDArray[Any]]:
        crops = [crop for frame in self._held for crop in frame.crops.values()]
        appearance = concatenate([Appearance.empty(self._embedder.dimensions), *(crop.appearance for crop in crops)])
        places = [(frame.index, frame.height, frame.width) for frame in self._held]
        own: dict[str, NDArray[Any]] = {
            "seconds": np.array([frame.seconds for frame in self._held], np.float64),
            "index_hw": np.array(places, np.int64).reshape(-1, 3),
            "crop_count": counts_of(frame.crops for frame in self._held),
            "crop_row": np.array([row for frame in self._held for row in frame.crops], np.int64),
            "embedding": appearance.embedding, "mask": appearance.mask,
        }
        return own | images_state([crop.image for crop in crops])

    def _restore_held(self, state: Mapping[str, NDArray[Any]]) -> None:
        crops = [
            EmbeddedCrop(image, Appearance(state["embedding"][[row]], state["mask"][[row]]))
            for row, image in enumerate(images_of(state))]
        rows = parts(state["crop_row"], state["crop_count"])
        places = parts(np.arange(len(crops)), state["crop_count"])
        frames = zip(state["seconds"].tolist(), state["index_hw"].tolist(), rows, places, strict=True)
        self._held = deque(
            SettlingFrame(index, seconds, height, width, {
                row: crops[place] for row, place in zip(own.tolist(), of_own.tolist(), strict=True)})
            for seconds, (index, height, width), own, of_own in frames)

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
