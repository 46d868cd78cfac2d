"""The main pipeline: footage of several cameras in; observations, tracklets and identities in the database out."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Literal, cast

from ..reid.disk.files import MODES
from ..trackers import Detections
from .config.schema import Config
from .errors import StoreError
from .linking.linker import Linker
from .listener import RunListener
from .running.prepare import prepare
from .running.resume import Earlier, can_be_resumed, earlier_run, inputs_of, run_to_resume, unpacked
from .running.stages import RunStages, quiet_scene
from .sources.opening import Source
from .sources.time_order import CameraReader, in_time_order
from .stages.detection.detect import Detector, detect_ahead
from .stopwatch import Stopwatch
from .storage.runs import find_run, list_cameras
from .storage.store import CameraRow, Store
from .storage.writing.writer import RunWriter
from .types import CameraReport, CameraStatus, FloorPlan, Frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run.

    Attributes:
        run: its number in the database.
        interrupted: whether it was stopped before the end of the footage.
        status: "complete", or "partial" if a camera failed, footage was damaged or the run was interrupted.
        cameras: one report per camera, in the config's order.
        observations, tracklets, identities: how many were stored; interpolated boxes do not count.
        undecided: tracklets without an identity, because they were seen too shortly or poorly.
        crops: how many crops were embedded.
        seconds: wall-clock time.
        stage_seconds: busy seconds per stage, summed over all threads.
        start: how it began: "new", "resumed", or "ended" if there was nothing left to resume.
        resumable: whether it has not reached its end and can be resumed.
    """

    run: int
    interrupted: bool
    status: str
    cameras: list[CameraReport]
    observations: int
    tracklets: int
    identities: int
    undecided: int
    crops: int
    seconds: float
    stage_seconds: dict[str, float]
    start: Literal["new", "resumed", "ended"] = "new"
    resumable: bool = False


def run_pipeline(
    config: Config, listener: RunListener, stop: threading.Event, trust_weights: bool = False, resume: bool = False,
    clock: Stopwatch | None = None,
) -> Outcome:
    """Process all footage of a config and store the results.

    Args:
        config: validated, with resolved paths.
        listener: informed of progress.
        stop: set it to end early; finished work is stored, and the run is marked as partial and can be resumed.
        trust_weights: whether weights of formats that can run programs may be loaded, such as ultralytics' .pt.
        resume: continue the newest run of this config if it has not ended; if there is none, begin one.
        clock: measures the stages, for who wants to read it while the run goes on.

    Raises:
        ConfigError: the run to be resumed had other settings, weights, footage, or another version; or the picture of
            the floor cannot be read.
        SourceError: no camera's footage can be opened.
        WeightsError: a model cannot be loaded.
        StoreError: the database cannot be opened or written.
    """
    began, clock = time.perf_counter(), Stopwatch() if clock is None else clock
    inputs = inputs_of(config)
    earlier = run_to_resume(config, inputs) if resume else None
    if earlier is not None and earlier.has_ended:
        return _ended(config, earlier.run)
    prepared = prepare(config, trust_weights)
    sources, failed, detector, embedder = prepared.ready()
    listener.opened(sources, failed)
    with ExitStack() as open_parts:
        store = open_parts.enter_context(Store.open(config.database, create=True, modes=MODES[config.access]))
        writer, content = _begin(config, sources, inputs, earlier, store, prepared.plan)
        open_parts.enter_context(writer)
        linker = Linker(config.linking, list(config.cameras), embedder.dimensions)
        stages = RunStages(config, sources, embedder, linker, writer, clock)
        if content:
            stages.restore(*unpacked(content, store.name), {name: report.error for name, report in failed.items()})
        try:
            for frame, people in _detected(config, sources, detector, stop, clock):
                if not stop.is_set():  # else the user waits, and a resumed run comes here again
                    listener.analysed(frame, stages.process(frame, people))
                del frame  # its picture need not be kept while the next are waited for
            stages.finish()
            interrupted = stop.is_set()
        finally:
            stop.set()  # on an error the decoding threads must end too
        reports = failed | stages.reports()
        complete = all(report.status == "complete" for report in reports.values())
        ended = complete or not interrupted or not can_be_resumed(config)
        status: Literal["complete", "partial"] = "complete" if complete else "partial"
        _close(store, writer, reports.values(), status, ended)
        stored = find_run(store, writer.run)
    return Outcome(
        run=writer.run, interrupted=interrupted, status=status, cameras=[reports[name] for name in config.cameras],
        observations=stages.observations, tracklets=stages.tracklets, identities=stored.people,
        undecided=stored.tracklets - stored.links, crops=stages.crops, seconds=time.perf_counter() - began,
        stage_seconds=clock.seconds, start="new" if earlier is None else "resumed", resumable=not ended)


def _detected(
    config: Config, sources: Mapping[str, Source], detector: Detector, stop: threading.Event, clock: Stopwatch
) -> Iterator[tuple[Frame, Detections]]:
    """The frames of all cameras in time order, and who is in them; decoding and detection are ahead."""
    stall_seconds = config.sources.stall_seconds
    readers = [CameraReader(source, stop, clock, stall_seconds, quiet_scene(config)) for source in sources.values()]
    return detect_ahead(in_time_order(readers), detector, config.detector.batch, clock)


def _begin(
    config: Config, sources: Mapping[str, Source], inputs: str, earlier: Earlier | None, store: Store,
    plan: FloorPlan | None,
) -> tuple[RunWriter, bytes]:
    """The writer of a new run, or of an earlier one with the content of its checkpoint, if it has one."""
    if earlier is not None:
        return store.resume_run(earlier.run)
    before = earlier_run(store, inputs)
    if before is not None and not before.has_ended:
        logger.warning("run %d of the same cameras is unfinished; a new one begins (to continue it instead, stop this "
                       "one and add --resume)", before.run)
    cameras = [_camera_row(config, name, sources.get(name)) for name in config.cameras]
    kept = inputs if can_be_resumed(config) else None
    return store.start_run(json.dumps(config.as_written()), cameras, inputs=kept, plan=plan), b""


def _close(
    store: Store, writer: RunWriter, reports: Iterable[CameraReport], status: Literal["complete", "partial"],
    ended: bool,
) -> None:
    """Store the reports, and close the run; one that has not ended can be resumed."""
    for report in reports:
        writer.report(report)
    if ended:
        writer.settle_links()
    writer.finish(status, ended)
    if ended and store.is_mostly_free():  # the checkpoints of a short run are larger than its results
        with suppress(StoreError):  # another program may be reading; it costs room only
            store.compact()


def _ended(config: Config, run: int) -> Outcome:
    """The outcome of a run that has ended before."""
    with Store.open(config.database) as store:
        summary = find_run(store, run)
        cameras = [
            CameraReport(one.camera, one.decoded, one.analysed, one.thinned, one.dropped, one.damaged,
                         cast("CameraStatus", one.status), one.error)
            for one in list_cameras(store, run)]
    return Outcome(
        run=run, interrupted=False, status=summary.status, cameras=cameras, observations=summary.observations,
        tracklets=summary.tracklets, identities=summary.people, undecided=summary.tracklets - summary.links, crops=0,
        seconds=0.0, stage_seconds={}, start="ended")


def _camera_row(config: Config, name: str, source: Source | None) -> CameraRow:
    camera = config.cameras[name]
    written = config.as_written()["cameras"][name]["source"]
    if source is None:
        return CameraRow(name, written, 0, 0, 0.0, 0.0, camera.pixels_to_floor)
    return CameraRow(
        name, written, source.width, source.height, source.fps, source.start_seconds, camera.pixels_to_floor
    )
