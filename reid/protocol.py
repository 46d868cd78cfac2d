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


def ranking_scores(
    similarity: NDArray[np.float32],
    query_pids: NDArray[np.int64],
    query_camids: NDArray[np.int64],
    gallery_pids: NDArray[np.int64],
    gallery_camids: NDArray[np.int64],
) -> RankingScores:
    """Score a similarity matrix (Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015).

    Per query, gallery rows of the same identity in the same camera are dropped, and so is junk (pid -1); pid 0
    stays as a distractor.  Queries left without a match, or without an identity, are skipped.  AP is the mean of
    the precisions at the hits; CMC counts the first hit.  Ties keep the gallery's order.

    Args:
        similarity: (Nq, Ng), larger is more alike.
        query_pids, query_camids: int (Nq,).
        gallery_pids, gallery_camids: int (Ng,).

    Returns:
        The scores; all 0 where no query counts.
    """
    expected = (len(query_pids), len(gallery_pids))
    if similarity.shape != expected:
        raise ValueError(f"similarity: expected {expected}, got {similarity.shape}")
    precisions: list[float] = []
    first_hits: list[int] = []
    for row, pid, camid in zip(similarity, query_pids, query_camids, strict=True):
        kept = (gallery_pids != JUNK_PID) & ~((gallery_pids == pid) & (gallery_camids == camid))  # (Ng,)
        order = np.argsort(-row[kept], kind="stable")
        hits = np.flatnonzero(gallery_pids[kept][order] == pid)  # ranks of the matches, from 0
        if pid in (JUNK_PID, DISTRACTOR_PID) or len(hits) == 0:
            continue
        precisions.append(float(np.mean(np.arange(1, len(hits) + 1) / (hits + 1))))
        first_hits.append(int(hits[0]))
    return _summary(np.array(precisions), np.array(first_hits))


def _summary(precisions: NDArray[np.float64], first_hits: NDArray[np.int64]) -> RankingScores:
    if len(precisions) == 0:
        return RankingScores(0.0, 0.0, 0.0, 0.0, 0)
    within = {rank: float(np.mean(first_hits < rank)) for rank in (1, 5, 10)}
    return RankingScores(float(precisions.mean()), within[1], within[5], within[10], len(precisions))
