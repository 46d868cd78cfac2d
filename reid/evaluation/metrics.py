"""How good is a ranking?  Mean average precision and CMC by the Market-1501 protocol."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

JUNK_PID = -1  # taken out of the gallery
DISTRACTOR_PID = 0  # stays in the gallery, matches nobody


@dataclass(frozen=True)
class RankingScores:
    """Scores over all queries that have at least one match.

    Attributes:
        mean_average_precision: in [0, 1].
        rank1, rank5, rank10: share of queries whose first match is among the first 1, 5, 10, in [0, 1].
        queries: how many queries counted.
    """

    mean_average_precision: float
    rank1: float
    rank5: float
    rank10: float
    queries: int


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Every query by itself.

    Attributes:
        average_precision: float64 (Nq,) in [0, 1]; NaN where the query does not count.
        first_hit: int64 (Nq,), rank of the first match, from 0; -1 where the query does not count.
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
    """Score a similarity matrix; arguments as in `query_scores`, all 0 where no query counts."""
    scores = query_scores(similarity, query_pids, query_camids, gallery_pids, gallery_camids)
    counts = scores.first_hit >= 0  # (Nq,)
    if not counts.any():
        return RankingScores(0.0, 0.0, 0.0, 0.0, 0)
    first_hits = scores.first_hit[counts]
    within = {rank: float(np.mean(first_hits < rank)) for rank in (1, 5, 10)}
    mean = float(scores.average_precision[counts].mean())
    return RankingScores(mean, within[1], within[5], within[10], len(first_hits))


def query_scores(
    similarity: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
) -> QueryScores:
    """Score each row of a similarity matrix (Zheng et al., "Scalable Person Re-identification", ICCV 2015).

    Per query, gallery rows of the same identity in the same camera are dropped, and so is junk (pid -1); pid 0
    stays as a distractor.  Queries left without a match, or without an identity, do not count.  AP is the mean of
    the precisions at the hits; CMC counts the first hit.  Ties keep the gallery's order.

    Args:
        similarity: (Nq, Ng), larger is more alike.
        query_pids, query_camids: int (Nq,).
        gallery_pids, gallery_camids: int (Ng,).
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
    """The gallery rows that may answer one query, the most alike first; similarity (Ng,) → intp (at most Ng,)."""
    kept = (gallery_pids != JUNK_PID) & ~((gallery_pids == pid) & (gallery_camids == camid))  # (Ng,)
    rows = np.flatnonzero(kept)
    return np.asarray(rows[np.argsort(-similarity[rows], kind="stable")], np.intp)
