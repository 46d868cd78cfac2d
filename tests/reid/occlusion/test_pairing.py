import numpy as np
import pytest

from reidpipe.reid.occlusion.pairing import BEST_SHARE, LEAST_OVERLAP, NO_DONOR, choose_donors, occlusion_overlap, pair


def random_regions(count, seed=0, filled=0.3):
    return np.random.default_rng(seed).random((count, 16, 8)) < filled


def naive_overlap(regions):
    count, _, width = regions.shape
    overlap = np.zeros((count, count, width))
    for i in range(count):
        for j in range(count):
            for t in range(width):
                shared = np.logical_and(np.roll(regions[i], t, axis=1), regions[j]).sum()
                overlap[i, j, t] = shared / max(1, regions[j].sum())
    return overlap


@pytest.mark.parametrize("count", [0, 1, 7])
def test_overlap_of_all_pairs_and_shifts_is_that_of_the_loop(count):
    regions = random_regions(count)
    overlap = occlusion_overlap(regions)
    assert overlap.dtype == np.float32
    np.testing.assert_allclose(overlap, naive_overlap(regions), atol=1e-6)


def test_overlap_is_one_with_itself_and_none_without_a_person():
    regions = random_regions(3)
    regions[1] = False
    overlap = occlusion_overlap(regions)
    np.testing.assert_array_equal(overlap[[0, 2], [0, 2], 0], 1)
    assert not overlap[:, 1].any()
    assert not overlap[1].any()


def test_overlap_finds_the_shift_that_brings_the_anchor_over_the_donor():
    regions = np.zeros((2, 16, 8), bool)
    regions[0, 2:14, 1:4], regions[1, 2:14, 4:7] = True, True
    overlap = occlusion_overlap(regions)
    assert overlap[0, 1].argmax() == 3
    assert overlap[0, 1, 3] == 1
    assert overlap[1, 0].argmax() == 5  # three to the left, round the corner of eight


def test_regions_of_another_type_are_refused():
    with pytest.raises(ValueError, match=r"regions: expected bool \(N, H, W\), got float64"):
        occlusion_overlap(np.zeros((2, 16, 8)))


def naive_candidates(overlap, pids, i):
    """(j, t) that an anchor may be given; ties at the border of the best 10 % are all let in."""
    count, _, shifts = overlap.shape
    pool = [(overlap[i, j, t], j, t) for j in range(count) for t in range(shifts) if pids[j] != pids[i]]
    if not pool:
        return set()
    worst = sorted((one[0] for one in pool), reverse=True)[int(np.ceil(BEST_SHARE * len(pool))) - 1]
    return {(j, t) for score, j, t in pool if score >= max(worst, LEAST_OVERLAP)}


def test_donors_are_drawn_from_the_best_tenth_above_the_floor_and_nobody_else():
    rng = np.random.default_rng(0)
    overlap = rng.uniform(0, 1, (6, 6, 8)).astype(np.float32)
    overlap[2] *= 0.69  # nobody fits
    overlap[3] = np.where(rng.random((6, 8)) < 0.05, overlap[3], 0.1)  # few fit
    pids = np.array([1, 1, 2, 3, 4, 4])
    expected = [naive_candidates(overlap, pids, i) for i in range(6)]
    drawn = [set() for _ in range(6)]
    for _ in range(400):
        pairing = choose_donors(overlap, pids, rng)
        for i in range(6):
            if pairing.donors[i] != NO_DONOR:
                drawn[i].add((int(pairing.donors[i]), int(pairing.shifts[i])))
    assert drawn == expected
    assert not drawn[2]


def test_equal_candidates_are_all_drawn():
    overlap = np.ones((12, 12, 8), np.float32)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(100):
        pairing = choose_donors(overlap, np.arange(12), rng)
        assert (pairing.donors != np.arange(12)).all()
        seen |= set(zip(pairing.donors.tolist(), pairing.shifts.tolist(), strict=True))
    assert len(seen) == 12 * 8


@pytest.mark.parametrize(
    "pids",
    [pytest.param([5, 5, 5], id="one person only"), pytest.param([5], id="one crop"), pytest.param([], id="none")],
)
def test_without_anybody_else_nothing_is_transferred(pids):
    pairing = pair(np.ones((len(pids), 16, 8), bool), np.array(pids, np.int64), np.random.default_rng(0))
    np.testing.assert_array_equal(pairing.donors, [NO_DONOR] * len(pids))
    np.testing.assert_array_equal(pairing.shifts, [0] * len(pids))


def test_pairing_repeats_with_the_seed():
    regions = random_regions(8, filled=0.8)
    one, two = (pair(regions, np.arange(8), np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one.donors, two.donors)
    np.testing.assert_array_equal(one.shifts, two.shifts)
    assert (one.donors != NO_DONOR).any()
