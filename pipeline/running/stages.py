"""The stages of a run after detection: track, build tracklets, link, store; and the checkpoints between them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any

from ...trackers import Detections
from ..config.schema import Config
from ..linking.linker import BATCH_SECONDS, EARLY_SECONDS, Linker, can_be_linked_early
from ..sources.counts import camera_report
from ..sources.opening import Source
from ..sources.quiet import QuietScene
from ..stages.embed import CropEmbedder
from ..stages.track import TrackStage
from ..stopwatch import Stopwatch
from ..storage.writing.checkpoints import Checkpoint
from ..storage.writing.writer import RunWriter
from ..types import CameraReport, Frame, Observations, Place, Tracklet
from .resume import State, can_be_resumed, check_cameras, packed

CHECKPOINT_SECONDS = 10.0  # of footage between two checkpoints; what is lost when a run breaks off


class RunStages:
    """The stages after detection, all run by one thread."""

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, Source],
        embedder: CropEmbedder,
        linker: Linker,
        writer: RunWriter,
        clock: Stopwatch,
    ) -> None:
        self._writer, self._sources, self._linker, self._clock = writer, sources, linker, clock
        self._cameras = {
            name: TrackStage(
                name, config, analysed_rate(config, source), (source.width, source.height), embedder, clock)
            for name, source in sources.items()}
        self._linking, self._keeps_checkpoints = config.linking, can_be_resumed(config)
        self._unlinked: list[Tracklet] = []  # without their images
        self._link_at_seconds = self._checkpoint_at_seconds = -math.inf
        self._places: dict[str, Place] = {}  # of each camera's last frame
        self.observations = self.tracklets = 0

    def process(self, frame: Frame, people: Detections) -> int:
        """Take one frame's detections through all stages; returns how many people are tracked in it."""
        if frame.seconds >= self._checkpoint_at_seconds:
            self._checkpoint(frame.seconds)
        camera = self._cameras[frame.camera]
        self._store(*camera.update(frame, people))
        if frame.place is not None:
            self._places[frame.camera] = frame.place
        if frame.seconds >= self._link_at_seconds:
            self._link(frame.seconds)
        return camera.people

    def restore(self, meta: dict[str, Any], states: Mapping[str, State], errors: Mapping[str, str]) -> None:
        """Go on from a checkpoint, and let the sources go on from there.

        Args:
            meta, states: as `_checkpoint` stored them.
            errors: by camera, why it cannot be opened.

        Raises:
            SourceError: other cameras can be opened than when the run began.
        """
        check_cameras(self._writer.run, set(meta["cameras"]), set(self._cameras), errors)
        for number, name in enumerate(meta["cameras"]):
            self._cameras[name].restore(states[f"camera {number}"])
        self._linker.restore(states["linker"])
        self._link_at_seconds, self._checkpoint_at_seconds = meta["link_at"], meta["checkpoint_at"]
        self.observations, self.tracklets = meta["observations"], meta["tracklets"]
        for name, place in meta["places"].items():
            self._places[name] = Place(**place)
            self._sources[name].continue_after(self._places[name])

    def finish(self) -> None:
        """Settle the last frames, close all tracks, and decide all links."""
        for camera in self._cameras.values():
            self._store(*camera.finish())
        self._link(self._link_at_seconds)
        with self._clock.stage("link"):
            self._writer.add_links(self._linker.finish())

    def reports(self) -> dict[str, CameraReport]:
        """One report per camera; call it when the decoding threads have ended."""
        return {name: camera_report(source.counts, self._cameras[name].frames)
                for name, source in self._sources.items()}

    @property
    def crops(self) -> int:
        """How many crops were embedded."""
        return sum(camera.crops for camera in self._cameras.values())

    def _checkpoint(self, now_seconds: float) -> None:
        """Store where the run can be continued, if its tracker can be.

        Its place depends on the time in the footage only: a run that was continued has the same checkpoints, and what
        was linked before them, as one that never broke off.
        """
        self._link(now_seconds)  # so that no tracklets wait
        self._checkpoint_at_seconds = (now_seconds // CHECKPOINT_SECONDS + 1) * CHECKPOINT_SECONDS
        if not self._keeps_checkpoints:
            return
        with self._clock.stage("checkpoint"):
            content = packed({
                "cameras": list(self._cameras), "places": {name: asdict(one) for name, one in self._places.items()},
                "link_at": self._link_at_seconds, "checkpoint_at": self._checkpoint_at_seconds,
                "observations": self.observations, "tracklets": self.tracklets,
            }, self._states())
        self._writer.checkpoint(Checkpoint(now_seconds, content))

    def _states(self) -> Iterator[tuple[str, State]]:
        """Name and state of all that a checkpoint stores."""
        yield "linker", self._linker.state()
        for number, camera in enumerate(self._cameras.values()):
            state = camera.state()
            assert state is not None  # of a tracker that can be resumed
            yield f"camera {number}", state
            del state

    def _store(self, frames: list[Observations], tracklets: list[Tracklet]) -> None:
        for observations in frames:
            self._writer.add_observations(observations)
            self.observations += int((~observations.interpolated).sum())
        for tracklet in tracklets:
            self._writer.add_tracklet(tracklet)
            self.tracklets += 1
            self._unlinked.append(replace(tracklet, crops=[], crop_appearance=None))

    def _link(self, now_seconds: float) -> None:
        """Link the tracklets that have ended since the last time, and those that have become long."""
        with self._clock.stage("link"):
            still_open = [
                one for camera in self._cameras.values() for one in camera.open_tracklets(now_seconds - EARLY_SECONDS)
                if can_be_linked_early(one, self._linking)]
            links = self._linker.add(self._unlinked + still_open, now_seconds)
        self._writer.add_links(links)
        self._unlinked = []
        self._link_at_seconds = now_seconds + BATCH_SECONDS


def analysed_rate(config: Config, source: Source) -> float:
    """Analysed frames per second."""
    camera = config.cameras[source.camera]
    return min(source.fps / camera.every, camera.fps or math.inf)


def quiet_scene(config: Config) -> QuietScene | None:
    """What tells the quiet frames of one camera apart; None if all frames are searched."""
    look_seconds = config.detector.quiet_seconds
    return QuietScene(look_seconds, CHECKPOINT_SECONDS) if look_seconds else None
