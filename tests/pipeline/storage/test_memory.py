"""What the tracker, the tracklet builder and the writer keep does not grow with the length of a run."""

from __future__ import annotations

import gc
import time
import tracemalloc

import numpy as np

from reidpipe.pipeline.config.schema import Config
from reidpipe.pipeline.stages.track import TrackStage
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.types import Frame
from reidpipe.reid import Appearance
from reidpipe.trackers import Detections

from ..stored_runs import camera, rows

PEOPLE = 4  # at once
FRAMES_SEEN, FRAMES_PER_ROUND = 40, 80
FRAMES_PER_PART = 800


class FlatEmbedder:
    dimensions = 16

    def embed(self, crops):
        return Appearance(np.full((len(crops), 16), 0.25, np.float32), np.ones((len(crops), 16), np.float32))


def test_what_is_kept_does_not_grow(tmp_path):
    path = tmp_path / "a.db"
    config = Config.model_validate({"cameras": {"door": {"source": "door.mp4"}}})
    stage = TrackStage("door", config, 10.0, (640, 480), FlatEmbedder(), Stopwatch())
    image = np.zeros((480, 640, 3), np.uint8)
    kept: list[int] = []
    stored = 0
    with Store.open(path, create=True) as store, store.start_run("{}", [camera("door")]) as run:
        tracemalloc.start()
        try:
            for part in range(3):  # the first one fills caches
                for index in range(part * FRAMES_PER_PART, (part + 1) * FRAMES_PER_PART):
                    settled, tracklets = stage.update(Frame("door", index, 1e9 + index / 10, image), people_of(index))
                    for observations in settled:
                        run.add_observations(observations)
                    for tracklet in tracklets:
                        run.add_tracklet(tracklet)
                        stored += 1
                wait_for(path, "select count(distinct tracklet_id) from appearances", stored)
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
    assert stored > 100
    assert kept[2] <= 1.03 * kept[1]


def people_of(index):
    """Four people who walk by for four seconds, then nobody for longer than a lost track is kept."""
    step = index % FRAMES_PER_ROUND
    left = 100.0 * np.arange(PEOPLE if step < FRAMES_SEEN else 0) + step
    xyxy = np.column_stack([left, np.full(len(left), 50), left + 60, np.full(len(left), 200)])
    return Detections(xyxy=xyxy.astype(np.float32), confidence=np.full(len(left), 0.9, np.float32))


def wait_for(path, query, count):
    """Until the writing thread has stored everything."""
    until = time.monotonic() + 120
    while rows(path, query) != [(count,)] and time.monotonic() < until:
        time.sleep(0.05)
    assert rows(path, query) == [(count,)]
