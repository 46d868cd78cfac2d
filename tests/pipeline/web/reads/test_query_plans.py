"""The queries of the page use indices."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from sqlalchemy import select

from reidpipe.pipeline.storage.queries import frame_of_box
from reidpipe.pipeline.storage.schema import (
    AnalysedFrame,
    AppearanceRow,
    Camera,
    CropRow,
    Identity,
    Observation,
    TrackletRow,
)
from reidpipe.pipeline.storage.store import Store
from reidpipe.pipeline.web.reads.tracklets import linked_tracklets


def plans(path, query):
    with Store.open(path) as store, store.reading() as connection:
        sql = str(query.compile(connection.engine, compile_kwargs={"literal_binds": True}))
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]


@pytest.mark.parametrize("large", ["observations", "frames", "crops", "appearances", "links"])
def test_pages_of_one_person_read_no_large_table_whole(footage_path, large):
    person = (Camera.run_id == 1, Identity.number == 2)
    of_person = Identity.id == TrackletRow.identity_id
    queries = [
        linked_tracklets().where(*person),
        select(CropRow.quality).select_from(CropRow).join(TrackletRow).join(Camera).join(
            Identity, of_person).where(*person),
        select(AppearanceRow.mask).select_from(AppearanceRow).join(TrackletRow).join(Camera).join(
            Identity, of_person).where(*person),
        select(Observation.x1).select_from(TrackletRow).join(Camera).join(Identity, of_person).join(
            Observation, Observation.tracklet_id == TrackletRow.id).join(AnalysedFrame, frame_of_box()).where(*person),
        select(Observation.x1).select_from(TrackletRow).join(
            Observation, Observation.tracklet_id == TrackletRow.id).join(AnalysedFrame, frame_of_box()).where(
            TrackletRow.camera_id == 1, TrackletRow.first_seconds <= 5)]
    for query in queries:
        for step in plans(footage_path, query):
            assert not step.startswith(f"SCAN {large}"), step
