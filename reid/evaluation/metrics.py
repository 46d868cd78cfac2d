"""Mean average precision (mAP) and cumulative matching characteristics (CMC) by the Market-1501 protocol."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JUNK_PID = -1  # ignored: removed from the gallery
DISTRACTOR_PID = 0  # stays in the gallery and matches no query


@dataclass(frozen=True)
class RankingScores:
    """Scores over the counted queries: those with at least one match in another camera.

    Attributes:
        mean_average_precision: in [0, 1].
        rank1, rank5, rank10: share of queries whose first match is within the first 1, 5, 10 ranks, in [0, 1].
        queries: number of counted queries.
    """

    mean_average_precision: float
    rank1: float
    rank5: float
    rank10: float
    queries: int


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Scores of every single query.

    Attributes:
        average_precision: float64 (Nq,) in [0, 1]; NaN where the query is not counted.
        first_hit: int64 (Nq,), 0-based rank of the first match; -1 where the query is not counted.
    """

    average_precision: NDArray[np.float64]
    first_hit: NDArray[np.int64]


def ranking_scores(
    similarity: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
) -> RankingScores:
    """Score a similarity matrix; arguments as in `query_scores`.  All scores are 0 where no query is counted."""
    scores = query_scores(similarity, query_pids, query_camids, gallery_pids, gallery_camids)
    counted = scores.first_hit >= 0  # (Nq,)
    if not counted.any():
        return RankingScores(0.0, 0.0, 0.0, 0.0, 0)
    first_hits = scores.first_hit[counted]
    within = {rank: float(np.mean(first_hits < rank)) for rank in (1, 5, 10)}
    mean = float(scores.average_precision[counted].mean())
    return RankingScores(mean, within[1], within[5], within[10], len(first_hits))


def query_scores(
    similarity: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
) -> QueryScores:
    """Score each row of a similarity matrix (Zheng et al., "Scalable Person Re-identification", ICCV 2015).

    For each query, gallery rows of the same identity in the same camera are removed, and so is junk (pid -1); pid 0
    stays as a distractor.  Queries without a remaining match, or without an identity, are not counted.  AP is the mean
    of the precisions at the matches; CMC is read from the first match.  Ties keep the gallery's order.

    Args:
        similarity: float32 (Nq, Ng), larger is more similar.
        query_pids, query_camids: int64 (Nq,), identity and camera.
        gallery_pids, gallery_camids: int64 (Ng,).

    Raises:
        ValueError: `similarity` does not fit the labels.
    """
    expected = (len(query_pids), len(gallery_pids))
    if similarity.shape != expected:
        raise ValueError(f"similarity: expected {expected}, got {similarity.shape}")
    precision, first_hit = np.full(len(query_pids), np.nan), np.full(len(query_pids), -1)
    for query, (row, pid, camid) in enumerate(zip(similarity, query_pids, query_camids, strict=True)):
        order = ranked_rows(row, int(pid), int(camid), gallery_pids, gallery_camids)
        hits = np.flatnonzero(gallery_pids[order] == pid)  # ranks of the matches, from 0
        if pid not in (JUNK_PID, DISTRACTOR_PID) and len(hits):
            precision[query] = np.mean(np.arange(1, len(hits) + 1) / (hits + 1))
            first_hit[query] = hits[0]
    return QueryScores(precision, first_hit)


def ranked_rows(
    similarity: NDArray[np.float32],
    pid: int,
    camid: int,
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
) -> NDArray[np.intp]:
    """Rank the gallery for one query.

    Args:
        similarity: float32 (Ng,), larger is more similar.
        pid, camid: the query's identity and camera.
        gallery_pids, gallery_camids: int64 (Ng,).

    Returns:
        intp (at most Ng,), gallery rows from the most to the least similar, without junk and without the query's own
        identity in its own camera.
    """
    kept = (gallery_pids != JUNK_PID) & ~((gallery_pids == pid) & (gallery_camids == camid))  # (Ng,)
    rows = np.flatnonzero(kept)
    return np.asarray(rows[np.argsort(-similarity[rows], kind="stable")], np.intp)
