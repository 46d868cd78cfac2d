"""One identity's page: its tracklets, its stored pictures, and for each link the two pictures that decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from sqlalchemy import Row, Select, select
from sqlalchemy.orm import InstrumentedAttribute

from ....reid import Appearance, masked_similarity
from ...relinking.relink import shown_linking
from ...storage.packing import unpack_appearance, unpack_appearances
from ...storage.queries import appearance_of_crop
from ...storage.schema import AppearanceRow, Camera, CropRow, TrackletRow
from ...storage.store import Store
from .runs import camera_names
from .tracklets import LinkedTracklet, find_tracklet, of_identity, tracklets_of


class StoredCrop(TypedDict):
    """A stored picture of a tracklet."""

    tracklet: int
    frame: int
    seconds: float
    quality: float


class Pair(TypedDict):
    """The two most similar crops of a tracklet and of the earlier tracklet of its identity that it resembles most."""

    own: StoredCrop
    other: StoredCrop
    similarity: float


def identity_page(store: Store, run: int, identity: int) -> dict[str, object]:
    """One identity: its tracklets with their links, its crops, and for each link the two crops that decided.

    Raises:
        CorrectionError: it has no such identity.
    """
    tracklets = tracklets_of(store, run, identity)
    with store.reading() as connection:
        crops = [_crop(row) for row in connection.execute(_crops_of(
            run, identity, CropRow.tracklet_id, CropRow.frame_index, CropRow.seconds, CropRow.quality))]
    pairs = _pairs(store, run, tracklets)
    return {
        "identity": identity, "name": tracklets[0].name, "run": run,
        "cameras": camera_names(store, run),
        "first_seconds": tracklets[0].first_seconds,
        "last_seconds": max(one.last_seconds for one in tracklets),
        "observations": sum(one.observations for one in tracklets),
        "tracklets": [
            {**one._asdict(), "crops": [crop for crop in crops if crop["tracklet"] == one.id],
             "pair": pairs.get(one.id)}
            for one in tracklets]}


def link_pair(store: Store, run: int, tracklet: int) -> dict[str, object]:
    """A tracklet, the earlier one of its identity that it resembles most, and the two crops of the pair.

    Raises:
        CorrectionError: it has no such tracklet with an identity.
    """
    own = find_tracklet(store, run, tracklet)
    tracklets = tracklets_of(store, run, own.identity)
    pair = _pairs(store, run, tracklets).get(tracklet)
    other = None if pair is None else next(one for one in tracklets if one.id == pair["other"]["tracklet"])
    return {"own": own._asdict(), "other": None if other is None else other._asdict(), "pair": pair}


def crop_file(store: Store, run: int, tracklet: int, frame: int) -> bytes | None:
    """A stored crop, a WebP or JPEG file; None if there is none."""
    with store.reading() as connection:
        found: bytes | None = connection.scalar(
            select(CropRow.image).join(TrackletRow).join(Camera)
            .where(Camera.run_id == run, CropRow.tracklet_id == tracklet, CropRow.frame_index == frame))
    return found


def crop_appearance(store: Store, run: int, tracklet: int, frame: int) -> Appearance | None:
    """The stored appearance of a stored crop, (1, D); None if there is none."""
    with store.reading() as connection:
        row = connection.execute(
            select(AppearanceRow.embedding, AppearanceRow.mask).select_from(CropRow).join(TrackletRow).join(Camera)
            .join(AppearanceRow, appearance_of_crop())
            .where(Camera.run_id == run, CropRow.tracklet_id == tracklet, CropRow.frame_index == frame)).first()
    return None if row is None else unpack_appearance(row[0], row[1])


def portrait_file(store: Store, run: int, identity: int) -> bytes | None:
    """The best stored crop of an identity; None if there is none."""
    with store.reading() as connection:
        found: bytes | None = connection.scalar(_crops_of(run, identity, CropRow.image).limit(1))
    return found


def _crops_of(run: int, identity: int, *columns: InstrumentedAttribute[Any]) -> Select[*tuple[Any, ...]]:
    """Columns of an identity's crops, the best first."""
    return (
        select(*columns).select_from(CropRow).join(TrackletRow).where(of_identity(run, identity))
        .order_by(CropRow.quality.desc(), CropRow.tracklet_id, CropRow.frame_index))


def _crop(row: Row[*tuple[Any, ...]]) -> StoredCrop:
    return {"tracklet": row[0], "frame": row[1], "seconds": row[2], "quality": row[3]}


def _pairs(store: Store, run: int, tracklets: Sequence[LinkedTracklet]) -> dict[int, Pair]:
    """What a person compares to judge the links of an identity's tracklets, which are in the order of their beginning.

    A link says that somebody is who was seen before, so that of the tracklets that began earlier, the one with the most
    similar appearance counts; of the two, the most similar crops. Nothing is left of those without stored embeddings.
    """
    columns = CropRow.tracklet_id, CropRow.frame_index, CropRow.seconds, CropRow.quality
    identity = tracklets[0].identity
    with store.reading() as connection:
        rows = connection.execute(
            _crops_of(run, identity, *columns, AppearanceRow.embedding, AppearanceRow.mask)
            .join(AppearanceRow, appearance_of_crop())).all()
        whole = {row[0]: row[1:] for row in connection.execute(
            select(AppearanceRow.tracklet_id, AppearanceRow.embedding, AppearanceRow.mask)
            .select_from(AppearanceRow).join(TrackletRow)
            .where(of_identity(run, identity), AppearanceRow.kind == "tracklet"))}
    with_crops = {row[0] for row in rows}
    shown = [one.id for one in tracklets if one.id in with_crops and one.id in whole]  # T, by their beginning
    if len(shown) < 2:
        return {}
    # Constant masks cancel: then the cosine, a third of the work, is the same.
    mode = "plain" if all(len(row[5]) == 1 for row in rows) else shown_linking(store, run).mode
    appearance = unpack_appearances([(row[4], row[5]) for row in rows])
    crops, of = [_crop(row) for row in rows], np.array([row[0] for row in rows])  # (N,)
    tracklet = unpack_appearances([(whole[one][0], whole[one][1]) for one in shown])
    similarity = masked_similarity(tracklet, tracklet, mode)  # (T, T)
    found: dict[int, Pair] = {}
    for place, own in enumerate(shown):
        # The first may have a link, too: after a correction, or from before there was a picture of the earlier ones.
        others = similarity[place, :place] if place else similarity[0, 1:]
        other = shown[int(others.argmax()) + (place == 0)]
        sides = np.flatnonzero(of == own), np.flatnonzero(of == other)
        pairs = masked_similarity(appearance[sides[0]], appearance[sides[1]], mode)
        row, column = np.unravel_index(pairs.argmax(), pairs.shape)
        found[own] = {
            "own": crops[sides[0][row]], "other": crops[sides[1][column]], "similarity": float(pairs[row, column])}
    return found
