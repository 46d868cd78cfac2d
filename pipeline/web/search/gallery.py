"""The appearances of a run's tracklets in memory, in few bytes, so that a search reads no database."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select

from ....reid import Appearance, masked_similarity
from ...config.linking import LinkingConfig
from ...errors import StoreError
from ...linking.evidence.views import mean_of_nearest, nearest_views
from ...relinking.relink import shown_linking
from ...storage.packing import UINT8_MAX
from ...storage.schema import AppearanceRow, Camera, Identity, TrackletRow
from ...storage.store import Store
from ..reads.remembered import Remembered

ROWS_AT_ONCE = 4096  # unpacked at once: some MiB
TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Gallery:
    """T tracklets with an identity and an appearance.

    Attributes:
        linking: the `linking` section of the links that results show.
        ends: row ids of the first and the last appearance.
        embedding: int8 (T, D), of any length; mask: uint8 (T, D) or (T, 1), 255 is 1.
        identity, camera: int64 (T,), numbers and row ids; first, last: float64 (T,), UTC epoch seconds.
    """

    linking: LinkingConfig
    ends: tuple[int, ...]
    embedding: NDArray[np.int8]
    mask: NDArray[np.uint8]
    identity: NDArray[np.int64]
    camera: NDArray[np.int64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]

    def similarity(self, query: Appearance, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Masked similarity of one query, (1, D), to some rows, int64 (N,), as float64 (N,).

        Raises:
            StoreError: the query is of another model.
        """
        if len(rows) and self.embedding.shape[1] != query.dimensions:
            raise StoreError(f"the stored embeddings have {self.embedding.shape[1]} dimensions, the query has "
                             f"{query.dimensions}: the run was made with another appearance model")
        parts = [np.zeros(0, np.float64)]
        for start in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[start:start + ROWS_AT_ONCE]
            embedding = self.embedding[some].astype(np.float32)  # (N, D)
            if self.mask.shape[1] == 1:
                parts.append(_with_constant_masks(query, embedding, self.linking.mode))
                continue
            length = np.linalg.norm(embedding, axis=1, keepdims=True).astype(np.float32)  # (N, 1)
            embedding /= np.maximum(length, np.float32(TINY))
            mask = np.ascontiguousarray(np.broadcast_to(
                self.mask[some].astype(np.float32) / np.float32(UINT8_MAX), embedding.shape))  # (N, D)
            parts.append(masked_similarity(query, Appearance(embedding, mask), self.linking.mode)[0].astype(np.float64))
        return np.concatenate(parts)

    def nearest(self, query: Appearance, rows: NDArray[np.int64], most: int) -> list[tuple[int, float]]:
        """The identities among some rows, int64 (N,), that look most like a query, and their similarities.

        The similarity of an identity is the mean over its most similar tracklets, as in `rank_identities`.
        """
        if not len(rows):
            return []
        similarity = self.similarity(query, rows)
        order = np.argsort(self.identity[rows], kind="stable")
        numbers, starts = np.unique(self.identity[rows][order], return_index=True)
        means = mean_of_nearest(nearest_views(similarity[None, order], starts))[0]  # (L,)
        return [(int(numbers[place]), float(means[place])) for place in np.argsort(-means, kind="stable")[:most]]


def _with_constant_masks(query: Appearance, embedding: NDArray[np.float32], mode: str) -> NDArray[np.float64]:
    """`masked_similarity` of one query to a gallery, (N, D) of any length, whose masks are constant, float64 (N,).

    These cancel, so that two products of the gallery with a vector are left.
    """
    own = query.embedding[0]  # (D,)
    mask = np.ones_like(own) if mode == "plain" else query.mask[0] / max(float(query.mask.max()), TINY)  # (D,)
    weight = mask if mode == "joint" else mask**2
    # Not `@`, whose threads wait for each other when many search at once on a machine that is busy.
    energy = np.einsum("nd,d->n", np.square(embedding), weight)  # (N,)
    if mode == "joint":
        energy *= float((weight * np.square(own)).sum())
    dot = np.einsum("nd,d->n", embedding, mask * own)  # (N,)
    return np.asarray(dot / np.sqrt(np.maximum(energy, TINY)), np.float64).clip(-1, 1)


def gallery_of(remembered: Remembered, store: Store, run: int) -> Gallery:
    """The gallery of a run as it is now; appearances that were pruned meanwhile are not searched.

    Raises:
        ConfigError: as `read_gallery`.
    """
    found = remembered.get("gallery", store, run, read_gallery)
    with store.reading() as connection:
        there = connection.scalar(select(func.count()).where(AppearanceRow.id.in_(found.ends)))
    if there == len(set(found.ends)):
        return found
    remembered.drop("gallery", run)
    return remembered.get("gallery", store, run, read_gallery)


def read_gallery(store: Store, run: int) -> Gallery:
    """Read the gallery of a run.

    Raises:
        ConfigError: its links were made with settings of another version.
    """
    with store.reading() as connection:
        rows = connection.execute(
            select(AppearanceRow.embedding, AppearanceRow.mask, Identity.number, TrackletRow.camera_id,
                   TrackletRow.first_seconds, TrackletRow.last_seconds, AppearanceRow.id)
            .select_from(AppearanceRow).join(TrackletRow).join(Camera)
            .join(Identity, Identity.id == TrackletRow.identity_id)
            .where(Camera.run_id == run, AppearanceRow.kind == "tracklet").order_by(AppearanceRow.id)).all()
    width = len(rows[0][0]) if rows else 0
    masks = max((len(row[1]) for row in rows), default=1)
    return Gallery(
        shown_linking(store, run), tuple({row[6] for row in (*rows[:1], *rows[-1:])}),
        np.frombuffer(b"".join(row[0] for row in rows), np.int8).reshape(len(rows), width),
        np.frombuffer(b"".join(row[1] if len(row[1]) == masks else row[1] * masks for row in rows), np.uint8).reshape(
            len(rows), masks),
        np.array([row[2] for row in rows], np.int64), np.array([row[3] for row in rows], np.int64),
        np.array([row[4] for row in rows], np.float64), np.array([row[5] for row in rows], np.float64))
