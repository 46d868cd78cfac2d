"""Benchmark the gallery search against FAISS's IndexFlatIP on the same vectors: speed, and recall of the fast search.

The vectors are synthetic but resemble appearances: identities with several views each, in a space whose variance decays
as that of trained embeddings does.  In two of five views adjacent body parts are occluded; their dims hold noise and
have a small, noisy mask.  Uniform random vectors would have no meaningful neighbours.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..appearance import Appearance
from .gallery import Gallery

if TYPE_CHECKING:
    import faiss

K = 10
VIEWS = 8  # per identity in the gallery
LATENT_DIMENSIONS = 128
PARTS = 8  # body parts; each is described by a run of adjacent dims
OCCLUDED_SHARE = 0.4
VIEW_NOISE = 0.45  # in standard deviations of the identities
DIM_NOISE = 0.25
OCCLUDED_VISIBILITY = 0.05  # what remains of an occluded part
RECALL_QUERIES = 128
CHUNK_ROWS = 16384

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """Results for one gallery size; seconds are medians over the rounds, ratios are medians of each round's ratio.

    Attributes:
        rows: gallery size.
        dimensions: D.
        queries: how many are searched at once.
        flat_seconds: IndexFlatIP, the inner product of float32 embeddings.
        exact_seconds: the exact masked search.
        fast_seconds: the fast search, FAISS candidates ranked by masked similarity.
        exact_of_flat: exact_seconds / flat_seconds.
        fast_of_flat: fast_seconds / flat_seconds.
        recall_at_10: share of the exact top ten that the fast search finds, mean over 128 other queries.
        build_seconds: the first fast search, which builds the index.
    """

    rows: int
    dimensions: int
    queries: int
    flat_seconds: float
    exact_seconds: float
    fast_seconds: float
    exact_of_flat: float
    fast_of_flat: float
    recall_at_10: float
    build_seconds: float


class SyntheticGallery:
    """Synthetic identities; the same seed gives the same ones."""

    def __init__(self, identities: int, dimensions: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._std = (1 / np.sqrt(1 + np.arange(LATENT_DIMENSIONS) / 16)).astype(np.float32)  # (L,)
        self._identities = self._normal(identities, LATENT_DIMENSIONS) * self._std  # (C, L)
        self._basis = self._normal(LATENT_DIMENSIONS, dimensions) / np.linalg.norm(self._std)  # (L, D)

    def views(self, identity: NDArray[np.integer]) -> Appearance:
        """A new view of each of these identities: int (n,) → (n, D)."""
        rows, dimensions = len(identity), self._basis.shape[1]
        latent = self._identities[identity] + VIEW_NOISE * self._normal(rows, LATENT_DIMENSIONS) * self._std  # (n, L)
        embedding = latent @ self._basis + DIM_NOISE * self._normal(rows, dimensions)  # (n, D)
        visible = self._visible(rows, dimensions)  # (n, D)
        embedding = visible * embedding + (1 - visible) * self._normal(rows, dimensions)
        embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
        mask = (0.08 + 0.84 * visible) * (0.85 + 0.15 * self._rng.random((rows, dimensions), np.float32))
        return Appearance(embedding, mask)

    def _visible(self, rows: int, dimensions: int) -> NDArray[np.float32]:
        first = self._rng.integers(0, PARTS, (rows, 1))
        count = self._rng.integers(1, PARTS // 2 + 2, (rows, 1)) * (self._rng.random((rows, 1)) < OCCLUDED_SHARE)
        part = np.arange(dimensions) * PARTS // dimensions  # (D,)
        return np.where((part >= first) & (part < first + count), np.float32(OCCLUDED_VISIBILITY), np.float32(1))

    def _normal(self, rows: int, columns: int) -> NDArray[np.float32]:
        return self._rng.standard_normal((rows, columns), np.float32)


def bench_search(
    sizes: Sequence[int], dimensions: int, queries: int = 8, rounds: int = 5, threads: int | None = None, seed: int = 0
) -> list[SearchTimes]:
    """Benchmark gallery sizes; the three searches alternate in every round, so that a load peak hits all of them.

    Args:
        sizes: gallery sizes, each at least 10.
        dimensions: D, at least 8.
        queries: how many are searched at once.
        rounds: how often each is measured.
        threads: for both FAISS and PyTorch; by default all cores.
        seed: of the synthetic identities.

    Raises:
        ValueError: a size or the number of dimensions is too small.
    """
    import faiss
    import torch

    if min(sizes) < K or dimensions < PARTS:
        raise ValueError(f"sizes and dimensions: expected at least {K} and {PARTS}, got {min(sizes)} and {dimensions}")
    threads = threads or os.cpu_count() or 1
    faiss.omp_set_num_threads(threads)
    torch.set_num_threads(threads)
    return [_bench_size(rows, dimensions, queries, rounds, seed) for rows in sizes]


def _bench_size(rows: int, dimensions: int, queries: int, rounds: int, seed: int) -> SearchTimes:
    logger.info("%d rows of %d dims", rows, dimensions)
    identities = -(-rows // VIEWS)
    synthetic = SyntheticGallery(identities, dimensions, seed)
    gallery, flat = _filled(synthetic, rows, dimensions)
    wanted = np.random.default_rng(seed).integers(0, identities, (rounds + 1, queries))
    build_seconds = _seconds(partial(gallery.search, synthetic.views(wanted[0]), K, exact=False))
    timings = []
    for row in wanted:
        query = synthetic.views(row)
        timings.append(
            (
                _seconds(partial(flat.search, query.embedding, K)),
                _seconds(partial(gallery.search, query, K, exact=True)),
                _seconds(partial(gallery.search, query, K, exact=False)),
            )
        )
    flat_seconds, exact_seconds, fast_seconds = zip(*timings[1:], strict=True)  # the first round warms up
    return SearchTimes(
        rows,
        dimensions,
        queries,
        median(flat_seconds),
        median(exact_seconds),
        median(fast_seconds),
        median(exact / base for exact, base in zip(exact_seconds, flat_seconds, strict=True)),
        median(fast / base for fast, base in zip(fast_seconds, flat_seconds, strict=True)),
        _recall(gallery, synthetic.views(np.random.default_rng(seed + 1).integers(0, identities, RECALL_QUERIES))),
        build_seconds,
    )


def _filled(synthetic: SyntheticGallery, rows: int, dimensions: int) -> "tuple[Gallery, faiss.IndexFlatIP]":
    """Fill a gallery and a FAISS index with the same rows, identities interleaved."""
    import faiss

    gallery, flat = Gallery(dimensions), faiss.IndexFlatIP(dimensions)
    identities = -(-rows // VIEWS)
    for start in range(0, rows, CHUNK_ROWS):
        appearance = synthetic.views(np.arange(start, min(start + CHUNK_ROWS, rows)) % identities)
        gallery.add(appearance)
        flat.add(appearance.embedding)
    return gallery, flat


def _recall(gallery: Gallery, query: Appearance) -> float:
    """Mean recall@10 of the fast search with respect to the exact one."""
    exact, fast = (gallery.search(query, K, exact=exact).ids for exact in (True, False))  # (N, 10)
    return float(np.mean([np.isin(one, other).mean() for one, other in zip(exact, fast, strict=True)]))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
