"""Where identity is lost, purity of tracklets, false and missed links: hand-counted, and the order of the ceilings."""

import numpy as np
import pytest

from reidpipe.pipeline.evaluation.decomposition import decompose, link_score, tracklet_score
from reidpipe.pipeline.evaluation.ground_truth import Boxes, Truth
from reidpipe.pipeline.evaluation.scene import Scene, camera_scene, join

LEFT, RIGHT, NOBODY = (0, 0, 100, 200), (300, 0, 400, 200), (600, 0, 700, 200)


def camera(name, seen, numbers, people=("anna", "ben")) -> Scene:
    """One camera where anna stands left and ben right; seen holds frame, track, identity and box."""
    frames = sorted({row[0] for row in seen})
    count = len(frames) * len(people)
    xyxy = np.array([LEFT, RIGHT][: len(people)] * len(frames), np.float64).reshape(-1, 4)
    truth = Truth(np.repeat(frames, len(people)), np.array(list(people) * len(frames), np.str_), xyxy, xyxy,
                  np.ones(count, np.bool_))
    frame, track, identity, box = zip(*seen, strict=True)
    boxes = Boxes(np.array(frame), np.array(track), np.array(identity), np.ones(len(seen)), np.array(box, np.float64))
    return camera_scene(name, truth, boxes, frames, numbers, labelled_only=False)


def test_each_stage_loses_its_share():
    """Ben is missed in 5 of 10 frames; track 1 shows anna 8 times, then ben twice, while track 2 shows anna.

    Of 30 boxes of people, 10 + 5 + 10 are found. Perfect linking joins anna's tracks at the door, of which the older
    one then has no identity in its last two frames: it finds 10 + 3 + 10. The linking under test tears anna apart.
    """
    numbers: dict[str, int] = {}
    door = [(n, 1, 1, LEFT if n < 8 else RIGHT) for n in range(10)]
    door += [(n, 2, 2, LEFT) for n in range(8, 10)] + [(n, 3, 3, RIGHT) for n in range(3)]
    hall = [(n, 1, 4, LEFT) for n in range(10)]
    scene = join([camera("door", door, numbers), camera("hall", hall, numbers, ("anna",))])
    detection, tracklets, linking = decompose(scene, scene.matched_people())
    assert (detection.idf1, detection.idp, detection.idr) == pytest.approx((50 / 55, 1, 25 / 30))
    assert tracklets.idf1 == pytest.approx(2 * 23 / 53)
    assert linking.idf1 == pytest.approx(2 * 13 / 55)  # anna: the hall's 10; ben: his own 3
    assert detection.lost == pytest.approx(1 - 50 / 55)
    assert linking.lost == pytest.approx(tracklets.idf1 - linking.idf1)


def test_perfect_linking_leaves_out_tracklets_that_would_cost_more_than_they_give():
    """A track that shows anna once in 10 frames has more false boxes than true ones."""
    seen = [(n, 1, 1, LEFT) for n in range(1, 10)] + [(0, 2, 1, LEFT)] + [(n, 2, 1, NOBODY) for n in range(1, 10)]
    scene = camera("door", seen, {}, ("anna",))
    _, tracklets, _ = decompose(scene, scene.matched_people())
    assert tracklets.idf1 == pytest.approx(18 / 19)


@pytest.mark.parametrize("seed", range(20))
def test_no_linking_of_the_tracklets_beats_the_ceilings(seed):
    random = np.random.default_rng(seed)
    seen = []
    for track in range(1, 9):
        switch, first = random.integers(0, 30, 2)
        sides = [LEFT, RIGHT, NOBODY]
        one, other = random.integers(0, 3, 2)
        seen += [(n, track, int(random.integers(0, 4)), sides[one] if n < switch else sides[other])
                 for n in range(first, 30)]
    identity = {row[1]: row[2] for row in seen}
    seen = [(frame, track, identity[track], np.array(box) + random.normal(0, 4, 4)) for frame, track, _, box in seen]
    scene = camera("door", seen, {})
    detection, tracklets, linking = decompose(scene, scene.matched_people())
    assert detection.idf1 >= tracklets.idf1 >= linking.idf1


def test_purity_counts_boxes_of_other_people_and_of_nobody():
    seen = [(n, 1, 1, LEFT if n < 6 else RIGHT if n < 9 else NOBODY) for n in range(10)]
    seen += [(n, 2, 1, RIGHT) for n in range(5)] + [(n, 3, 1, NOBODY) for n in range(5)]
    scene = camera("door", seen, numbers := {})
    score = tracklet_score(scene, scene.matched_people(), {number: name for name, number in numbers.items()})
    assert (score.tracklets, score.purity, score.below, score.nobody) == (2, pytest.approx(0.8), 1, 1)
    (mixed,) = score.mixed
    assert (mixed.camera, mixed.track, mixed.boxes, mixed.people) == ("door", 1, 10, {"anna": 6, "ben": 3})
    assert mixed.purity == pytest.approx(0.6)


@pytest.mark.parametrize(("identities", "links", "false", "needed", "missed"), [
    pytest.param([1, 1, 1, 2, 2], 3, 0, 3, 0, id="all correct"),
    pytest.param([1, 1, 1, 1, 1], 4, 1, 3, 0, id="one cut separates two people"),
    pytest.param([1, 1, 3, 2, 2], 2, 0, 3, 1, id="one link is missing"),
    pytest.param([1, 1, 2, 2, 2], 3, 1, 3, 1, id="in the wrong identity"),
    pytest.param([1, 2, 3, 4, 5], 0, 0, 3, 3, id="nothing is linked"),
    pytest.param([1, 1, 0, 2, 2], 2, 0, 2, 0, id="one without identity"),
])
def test_links_are_counted_by_what_must_be_cut_and_joined(identities, links, false, needed, missed):
    """Tracks 1 to 3 show anna, 4 and 5 ben, one after another, two boxes each."""
    seen = [(2 * track + n, track, identities[track - 1], LEFT if track < 4 else RIGHT)
            for track in range(1, 6) for n in range(2)]
    scene = camera("door", seen, {})
    score = link_score(scene, scene.matched_people(), scene.identities)
    assert (score.links, score.false, score.needed, score.missed) == (links, false, needed, missed)
    assert score.without_identity == identities.count(0)
    assert score.links - score.false == score.needed - score.missed, "both are the number of correct links"


def test_purity_and_completeness_of_identities():
    """Identity 1 has 6 boxes of anna and 2 of ben; identity 2 the other 2 of ben."""
    seen = [(n, 1, 1, LEFT) for n in range(6)] + [(n, 2, 1, RIGHT) for n in range(6, 8)]
    seen += [(n, 3, 2, RIGHT) for n in range(8, 10)]
    scene = camera("door", seen, {})
    score = link_score(scene, scene.matched_people(), scene.identities)
    assert (score.purity, score.completeness) == (0.8, 0.8)


def test_nobody_and_nothing():
    empty = Truth(*(np.zeros(0, kind) for kind in (np.int64, np.str_)), np.zeros((0, 4)), np.zeros((0, 4)),
                  np.zeros(0, np.bool_))
    boxes = Boxes(*(np.zeros(0, np.int64) for _ in range(3)), np.zeros(0), np.zeros((0, 4)))
    scene = camera_scene("door", empty, boxes, [0, 1], {}, labelled_only=False)
    shown = scene.matched_people()
    assert [stage.idf1 for stage in decompose(scene, shown)] == [None] * 3
    assert tracklet_score(scene, shown, {}).purity is None
    assert link_score(scene, shown, scene.identities).links == 0
