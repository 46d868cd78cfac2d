import numpy as np
import pytest

from reidpipe.reid.evaluation.metrics import ranking_scores


def score(similarity, query, gallery):
    """query, gallery: lists of (pid, camid)."""
    qp, qc = np.array(query, np.int64).reshape(-1, 2).T
    gp, gc = np.array(gallery, np.int64).reshape(-1, 2).T
    return ranking_scores(np.array(similarity, np.float32).reshape(len(query), len(gallery)), qp, qc, gp, gc)


@pytest.mark.parametrize(
    ("gallery", "precision", "rank1"),
    [
        pytest.param([(1, 2), (2, 2), (1, 3)], (1 + 2 / 3) / 2, 1, id="hits at 1 and 3"),
        pytest.param([(2, 2), (1, 2), (1, 3)], (1 / 2 + 2 / 3) / 2, 0, id="hits at 2 and 3"),
        pytest.param([(1, 1), (1, 2), (2, 2)], 1, 1, id="same person in the same camera is removed"),
        pytest.param([(2, 1), (1, 2), (3, 2)], 1 / 2, 0, id="other people in the same camera stay"),
        pytest.param([(-1, 2), (1, 2), (2, 2)], 1, 1, id="junk is removed"),
        pytest.param([(0, 2), (1, 2), (2, 2)], 1 / 2, 0, id="distractor stays"),
    ],
)
def test_average_precision_by_hand(gallery, precision, rank1):
    scores = score([[0.9, 0.8, 0.7]], [(1, 1)], gallery)
    assert scores.mean_average_precision == pytest.approx(precision)
    assert scores.rank1 == rank1
    assert scores.queries == 1


@pytest.mark.parametrize(
    ("query", "gallery"),
    [
        pytest.param([(1, 1)], [(2, 2), (1, 1)], id="no match but in the same camera"),
        pytest.param([(0, 1)], [(0, 2), (1, 2)], id="a distractor as query"),
        pytest.param([(-1, 1)], [(-1, 2), (1, 2)], id="junk as query"),
        pytest.param([], [(1, 2)], id="no query"),
        pytest.param([(1, 1)], [], id="empty gallery"),
    ],
)
def test_queries_without_a_match_are_not_counted(query, gallery):
    scores = score(np.zeros((len(query), len(gallery))), query, gallery)
    assert (scores.queries, scores.mean_average_precision, scores.rank1) == (0, 0, 0)


def test_cmc_counts_the_first_hit():
    gallery = [(pid, 2) for pid in range(1, 13)]
    similarity = -np.arange(12)[None].repeat(3, 0)
    scores = score(similarity, [(1, 1), (5, 1), (10, 1)], gallery)
    assert (scores.rank1, scores.rank5, scores.rank10) == pytest.approx((1 / 3, 2 / 3, 1))
    assert scores.mean_average_precision == pytest.approx((1 + 1 / 5 + 1 / 10) / 3)


def test_scores_equal_a_naive_implementation_s_on_random_similarities():
    rng = np.random.default_rng(0)
    query = np.stack([rng.integers(1, 6, 20), rng.integers(1, 4, 20)], 1)
    gallery = np.stack([rng.integers(-1, 6, 50), rng.integers(1, 4, 50)], 1)
    similarity = rng.random((20, 50), np.float32)
    precisions = []
    for row, (pid, cam) in zip(similarity, query, strict=True):
        ranked = [gallery[g] for g in sorted(range(50), key=lambda g: -row[g])]
        ranked = [(p, c) for p, c in ranked if p != -1 and not (p == pid and c == cam)]
        found, at_hits = 0, []
        for place, (p, _) in enumerate(ranked, start=1):
            if p == pid:
                found += 1
                at_hits.append(found / place)
        if at_hits:
            precisions.append(sum(at_hits) / len(at_hits))
    assert score(similarity, query, gallery).mean_average_precision == pytest.approx(np.mean(precisions))


def test_refuses_a_matrix_of_another_shape():
    with pytest.raises(ValueError, match=r"similarity: expected \(1, 2\), got \(2, 1\)"):
        ranking_scores(np.zeros((2, 1), np.float32), *(np.ones(n, np.int64) for n in (1, 1, 2, 2)))
