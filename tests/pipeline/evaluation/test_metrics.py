"""IDF1, HOTA and CLEAR MOT equal TrackEval and py-motmetrics, on random scenes and on the kit's files."""

from pathlib import Path

import numpy as np
import pytest
from motmetrics import MOTAccumulator
from motmetrics import metrics as motmetrics
from trackeval.metrics import CLEAR, HOTA, Identity

from reidpipe.pipeline.evaluation.ground_truth import Boxes, Truth, read_results, read_truth
from reidpipe.pipeline.evaluation.metrics import clear_score, hota_score, identity_score
from reidpipe.pipeline.evaluation.scene import Scene, box_iou, camera_scene, join

KIT = Path(__file__).parents[3].parent / "shared" / "kit" / "motgt"
EXACT = 1e-6


def truth_of(frames, people, xyxy) -> Truth:
    return Truth(np.array(frames, np.int64), np.array(people, np.str_), np.array(xyxy, np.float64).reshape(-1, 4),
                 np.array(xyxy, np.float64).reshape(-1, 4), np.ones(len(frames), np.bool_))


def boxes_of(frames, ids, xyxy) -> Boxes:
    ids = np.array(ids, np.int64)
    return Boxes(np.array(frames, np.int64), ids, ids, np.ones(len(ids)), np.array(xyxy, np.float64).reshape(-1, 4))


def scene_of(truth: Truth, boxes: Boxes) -> Scene:
    return camera_scene("a", truth, boxes, {*truth.frames.tolist(), *boxes.frames.tolist()}, {}, False)


def crowd(seed: int, frames: int = 40, people: int = 6) -> tuple[Truth, Boxes]:
    """People who walk through each other; boxes are noisy, missing or false, and their ids change and swap."""
    random = np.random.default_rng(seed)
    centre, speed = random.uniform(0, 300, people), random.uniform(-12, 12, people)
    ids = np.arange(1, people + 1)
    truth, boxes = [], []
    for frame in range(frames):
        if random.random() < 0.15:
            ids[random.integers(people)] = ids.max() + 1
        if random.random() < 0.15:
            ids[:2] = ids[1], ids[0]
        for person in np.flatnonzero(random.random(people) < 0.9):
            left = centre[person] + speed[person] * frame
            box = np.array([left, 50, left + 60, 190])
            truth.append((frame, f"p{person}", box))
            if random.random() < 0.85:
                boxes.append((frame, ids[person], box + random.normal(0, 9, 4)))
        if random.random() < 0.3:
            boxes.append((frame, 1000 + frame % 3, np.array([0, 0, 50, 100]) + random.uniform(0, 300)))
    return truth_of(*zip(*truth, strict=True)), boxes_of(*zip(*boxes, strict=True))


def by_frame(truth: Truth, boxes: Boxes):
    """Frame by frame: numbers of people, ids from 0, and the IoU, computed with none of our matching."""
    _, people = np.unique(truth.identities, return_inverse=True)
    _, ids = np.unique(boxes.tracks, return_inverse=True)
    for frame in sorted({*truth.frames.tolist(), *boxes.frames.tolist()}):
        here, found = truth.frames == frame, boxes.frames == frame
        yield people[here], ids[found], box_iou(truth.xyxy[here], boxes.xyxy[found])


def by_trackeval(truth: Truth, boxes: Boxes) -> dict[str, float]:
    people, ids, similarity = zip(*by_frame(truth, boxes), strict=True)
    scene = {
        "num_gt_dets": len(truth.frames), "num_tracker_dets": len(boxes.frames), "num_timesteps": len(people),
        "num_gt_ids": len(set(truth.identities.tolist())), "num_tracker_ids": len(set(boxes.tracks.tolist())),
        "gt_ids": people, "tracker_ids": ids, "similarity_scores": similarity}
    quiet = {"PRINT_CONFIG": False}
    hota = HOTA().eval_sequence(scene)
    return {**{name: np.mean(hota[name]) for name in ("HOTA", "DetA", "AssA", "LocA")},
            **Identity(quiet).eval_sequence(scene), **CLEAR(quiet).eval_sequence(scene)}


def by_motmetrics(truth: Truth, boxes: Boxes) -> dict[str, float]:
    accumulator = MOTAccumulator(auto_id=True)
    for people, ids, similarity in by_frame(truth, boxes):
        accumulator.update(people, ids, np.where(1 - similarity > 0.5, np.nan, 1 - similarity))
    names = ["idf1", "idp", "idr", "mota", "num_switches", "num_fragmentations", "num_misses", "num_false_positives"]
    return motmetrics.create().compute(accumulator, metrics=names, return_dataframe=False)


def assert_as_in_references(truth: Truth, boxes: Boxes, with_clear: bool = True) -> None:
    """Compare all scores. TrackEval's CLEAR matches differently where an id returns after a pause."""
    scene = scene_of(truth, boxes)
    hota, identity = hota_score(scene, scene.tracks + 1), identity_score(scene, scene.tracks + 1)
    clear, trackeval = clear_score(scene, scene.tracks + 1), by_trackeval(truth, boxes)
    assert [hota.hota, hota.deta, hota.assa, hota.loca] == pytest.approx(
        [trackeval[name] for name in ("HOTA", "DetA", "AssA", "LocA")], abs=EXACT)
    assert [identity.idf1, identity.idp, identity.idr] == pytest.approx(
        [trackeval[name] for name in ("IDF1", "IDP", "IDR")], abs=EXACT)
    reference = by_motmetrics(truth, boxes)
    assert [identity.idf1, identity.idp, identity.idr, clear.mota] == pytest.approx(
        [reference[name] for name in ("idf1", "idp", "idr", "mota")], abs=EXACT)
    assert [clear.switches, clear.fragments, clear.misses, clear.false_positives] == [
        reference[f"num_{name}"] for name in ("switches", "fragmentations", "misses", "false_positives")]
    if with_clear:
        assert [clear.mota, clear.switches] == pytest.approx([trackeval["MOTA"], trackeval["IDSW"]], abs=EXACT)


@pytest.mark.parametrize("seed", range(8))
def test_random_crowds_score_as_in_trackeval_and_motmetrics(seed):
    assert_as_in_references(*crowd(seed), with_clear=False)


def test_hota_of_a_hand_counted_case():
    """One person in four frames, exact boxes, two ids: AssA is the mean of 2 / 4 over all four boxes."""
    box = (0, 0, 100, 200)
    scene = scene_of(truth_of(range(4), ["a"] * 4, [box] * 4), boxes_of(range(4), [1, 1, 2, 2], [box] * 4))
    score = hota_score(scene, scene.tracks + 1)
    assert (score.hota, score.deta, score.assa, score.loca) == pytest.approx((0.5**0.5, 1, 0.5, 1))


def test_hota_of_boxes_that_overlap_by_half():
    """IoU 0.5 passes 10 of the 19 thresholds, from 0.05 to 0.5; above them nothing matches."""
    scene = scene_of(truth_of([0], ["a"], [(0, 0, 100, 200)]), boxes_of([0], [1], [(0, 0, 100, 100)]))
    score = hota_score(scene, scene.tracks + 1)
    assert (score.deta, score.assa, score.hota) == pytest.approx((10 / 19,) * 3)
    assert score.loca == pytest.approx((10 * 0.5 + 9) / 19)


@pytest.mark.parametrize(("people", "ids", "hota", "idf1"), [
    pytest.param([], [], None, None, id="nobody and no boxes"),
    pytest.param(["a"], [], 0.0, 0.0, id="nobody found"),
    pytest.param([], [1], 0.0, 0.0, id="only false positives"),
])
def test_scores_without_people_or_boxes(people, ids, hota, idf1):
    box = (0, 0, 100, 200)
    scene = scene_of(truth_of([0] * len(people), people, [box] * len(people)),
                     boxes_of([0] * len(ids), ids, [box] * len(ids)))
    assert hota_score(scene, scene.tracks + 1).hota == hota
    assert identity_score(scene, scene.tracks + 1).idf1 == idf1


def test_a_box_without_an_id_is_left_out():
    truth, boxes = crowd(1)
    scene = scene_of(truth, boxes)
    ids = np.where(scene.tracks % 3 == 0, 0, scene.tracks)
    rest = scene.only(ids != 0)
    assert hota_score(scene, ids) == hota_score(rest, ids[ids != 0])
    assert identity_score(scene, ids) == identity_score(rest, ids[ids != 0])


def test_two_cameras_are_scored_as_one_long_recording():
    one, other = crowd(1), crowd(2)
    numbers: dict[str, int] = {}
    both = join([camera_scene(name, *parts, range(40), numbers, False)
                 for name, parts in (("a", one), ("b", other))])
    truth = truth_of([*one[0].frames, *(other[0].frames + 40)], [*one[0].identities, *other[0].identities],
                     [*one[0].xyxy, *other[0].xyxy])
    boxes = boxes_of([*one[1].frames, *(other[1].frames + 40)], [*one[1].tracks, *other[1].tracks],
                     [*one[1].xyxy, *other[1].xyxy])
    expected = by_trackeval(truth, boxes)
    assert hota_score(both, both.identities).assa == pytest.approx(np.mean(expected["AssA"]), abs=EXACT)
    assert identity_score(both, both.identities).idf1 == pytest.approx(expected["IDF1"], abs=EXACT)


def kit(name: str) -> Path:
    if not KIT.is_dir():
        pytest.skip("the kit with ground truth of MOTChallenge is not here")
    return KIT / name


def counted(truth: Truth) -> Truth:
    keep = truth.counted
    return Truth(truth.frames[keep], truth.identities[keep], truth.xyxy[keep], truth.xyxy[keep], keep[keep])


def test_tud_stadtmitte_with_its_result():
    assert_as_in_references(read_truth(kit("TUD-Stadtmitte-gt.txt"), 0), read_results(kit("TUD-Stadtmitte-res.txt")))


def test_pets09_with_its_detections_as_tracks():
    """The detections have no ids: the n-th from the left has id n, which makes hundreds of switches."""
    table = np.loadtxt(kit("PETS09-S2L1-det.txt"), delimiter=",", usecols=range(6))
    table = table[np.lexsort((table[:, 2], table[:, 0]))]
    first = np.searchsorted(table[:, 0], table[:, 0])
    boxes = boxes_of(table[:, 0].astype(int) - 1, np.arange(len(table)) - first + 1,
                     np.column_stack([table[:, 2:4], table[:, 2:4] + table[:, 4:6]]))
    assert_as_in_references(counted(read_truth(kit("PETS09-S2L1-gt.txt"), 0)), boxes, with_clear=False)


def test_mot17_with_a_damaged_copy_of_its_ground_truth():
    truth = counted(read_truth(kit("MOT17-09-gt.txt"), 0))
    random = np.random.default_rng(0)
    kept = random.random(len(truth.frames)) < 0.8
    ids = truth.identities.astype(np.int64) * 20 + truth.frames // random.integers(40, 80)
    noisy = truth.xyxy + random.normal(0, 0.12, truth.xyxy.shape) * np.repeat(np.diff(
        truth.xyxy.reshape(-1, 2, 2), axis=1)[:, 0], 2, axis=0).reshape(-1, 4)
    assert_as_in_references(truth, boxes_of(truth.frames[kept], ids[kept], noisy[kept]), with_clear=False)
