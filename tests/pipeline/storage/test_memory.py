"""What the tracklet builder, the embedding stage and the writer keep does not grow with the length of a run."""

from __future__ import annotations

import gc
import time
import tracemalloc

import numpy as np
import supervision as sv

from reidpipe.pipeline.config.schema import AppearanceConfig
from reidpipe.pipeline.stages.embed import EmbedStage
from reidpipe.pipeline.stages.tracklet_builder import TrackletBuilder
from reidpipe.pipeline.stopwatch import Stopwatch
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.types import Frame
from reidpipe.reid import Appearance

from ..stored_runs import camera, rows

PEOPLE = 4  # at once
FRAMES_PER_PERSON = 40
FRAMES_PER_PART = 800


class FlatEmbedder:
    dimensions = 16

    def embed(self, crops):
        return Appearance(np.full((len(crops), 16), 0.25, np.float32), np.ones((len(crops), 16), np.float32))


def test_what_is_kept_does_not_grow(tmp_path):
    path = tmp_path / "a.db"
    builder = TrackletBuilder("door", AppearanceConfig(), None)
    image = np.zeros((480, 640, 3), np.uint8)
    kept: list[int] = []
    stored = 0
    with Store.open(path, create=True) as store, store.start_run("{}", [camera("door")]) as run:
        embedding = EmbedStage(FlatEmbedder(), AppearanceConfig(), Stopwatch())
        tracemalloc.start()
        try:
            for part in range(3):  # the first one fills caches
                for index in range(part * FRAMES_PER_PART, (part + 1) * FRAMES_PER_PART):
                    ids = PEOPLE * (index // FRAMES_PER_PERSON) + np.arange(PEOPLE)
                    left = 100.0 * np.arange(PEOPLE) + index % FRAMES_PER_PERSON
                    xyxy = np.column_stack([left, np.full(PEOPLE, 50), left + 60, np.full(PEOPLE, 200)])
                    people = sv.Detections(xyxy=xyxy.astype(np.float32), confidence=np.full(PEOPLE, 0.9, np.float32),
                                           tracker_id=ids)
                    observations, crops = builder.update(Frame("door", index, 1e9 + index / 10, image), people)
                    run.add_observations(observations)
                    for track_id, crop in crops:
                        embedding.add(("door", track_id), crop)
                    for track_id, crop in builder.close(set(ids.tolist())):
                        if crop is not None:
                            embedding.add(("door", track_id), crop)
                        embedding.close(("door", track_id))
                    for done in embedding.finished():
                        run.add_tracklet(builder.build(done.key[1], done.crops, done.appearance))
                        stored += 1
                wait_for(path, "select count(*) from frames", (part + 1) * FRAMES_PER_PART)
                wait_for(path, "select count(distinct tracklet_id) from appearances", stored)
                gc.collect()
                kept.append(tracemalloc.get_traced_memory()[0])
        finally:
            tracemalloc.stop()
            embedding.shut_down()
    assert stored > 200
    assert kept[2] <= 1.03 * kept[1]


def wait_for(path, query, count):
    """Until the writing thread has stored everything."""
    until = time.monotonic() + 120
    while rows(path, query) != [(count,)] and time.monotonic() < until:
        time.sleep(0.05)
    assert rows(path, query) == [(count,)]
