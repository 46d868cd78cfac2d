"""Scores equal the reference implementation's, and only what is analysed and visible is counted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.pipeline.errors import ConfigError
from reidpipe.pipeline.evaluation.ground_truth import read_truth
from reidpipe.pipeline.evaluation.scene import box_iou
from reidpipe.pipeline.evaluation.tracking import evaluate_files, evaluate_run
from reidpipe.pipeline.output.export import export_trajectories
from reidpipe.pipeline.storage.store import CameraRow, Store
from reidpipe.pipeline.types import Link, Observations

KIT = Path(__file__).parents[3].parent / "shared" / "kit"
HEADER = "frame,seconds,identity,x1,y1,x2,y2,visible_x1,visible_y1,visible_x2,visible_y2,visible,floor_x,floor_y\n"
A, B = (0, 0, 100, 200), (300, 0, 400, 200)
A_LEFT = (0, 0, 40, 200)  # its left 40 %

Box = tuple[float, float, float, float]
Seen = tuple[int, int, Box]  # frame, track, box


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "a.db", create=True) as store:
        yield store


def save(
    store: Store, cameras: dict[str, Iterable[Seen]], frames: Iterable[int], identities: dict[str, dict[int, int]],
) -> None:
    """Store a run that analysed `frames` of every camera."""
    with store.start_run("{}", [CameraRow(name, "x", 640, 480, 10.0, 0.0) for name in cameras]) as run:
        for camera, seen in cameras.items():
            by_frame: dict[int, list[Seen]] = {frame: [] for frame in frames}
            for row in seen:
                by_frame[row[0]].append(row)
            for frame, rows in by_frame.items():
                run.add_observations(Observations(
                    camera, frame, frame / 10, np.array([row[1] for row in rows], np.int64),
                    np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
                    np.linspace(0.9, 0.5, len(rows), dtype=np.float32), np.ones(len(rows), np.float32)))
        run.add_links([Link(camera, track, identity, None, None, None)
                       for camera, given in identities.items() for track, identity in given.items()])


def write_truth(
    folder: Path, camera: str, rows: Iterable[tuple[int, str, Box, float]], visible_box: Box | None = None
) -> None:
    """Write a ground truth file; rows are frame, identity, box, visible share."""
    lines = [",".join(map(str, (frame, frame / 10, who, *box, *(visible_box or box), visible, 0, 0)))
             for frame, who, box, visible in rows]
    (folder / f"{camera}.csv").write_text(HEADER + "\n".join(lines) + "\n")


def test_a_hand_counted_run(store, tmp_path):
    """One person, four frames in each of two cameras; at the door, the last two get another identity."""
    save(store, {"door": [(0, 1, A), (1, 1, A), (2, 2, A), (3, 2, A)], "hall": [(n, 1, B) for n in range(4)]},
         range(4), {"door": {1: 1, 2: 2}, "hall": {1: 1}})
    write_truth(tmp_path, "door", [(n, "anna", A, 1.0) for n in range(4)])
    write_truth(tmp_path, "hall", [(n, "anna", B, 1.0) for n in range(4)])
    scored = evaluate_run(store, tmp_path)
    door, hall = scored.cameras
    assert (door.tracking_idf1, door.tracking_idp, door.tracking_idr) == (0.5, 0.5, 0.5)
    assert (door.mota, door.switches, door.misses, door.false_positives) == (0.75, 1, 0, 0)
    assert (door.frames, door.people, door.truth_boxes, door.boxes) == (4, 1, 4, 4)
    assert door.identity_idf1 == 0.5
    assert (hall.tracking_idf1, hall.mota, hall.identity_idf1) == (1.0, 1.0, 1.0)
    assert (scored.cross_idf1, scored.cross_idp, scored.cross_idr) == (0.75, 0.75, 0.75)  # 6 of 8 boxes
    assert (scored.people, scored.identities, scored.without_truth) == (1, 2, [])
    assert scored.cross_assa == pytest.approx((6 * 6 / 8 + 2 * 2 / 8) / 8)  # 6 boxes share id 1, 2 share id 2
    assert (scored.links.links, scored.links.missed, scored.links.completeness) == (1, 1, 0.75)
    assert (door.tracklets, door.purity, door.fragments) == (2, 1.0, 0)
    assert [stage.idf1 for stage in scored.decomposition] == [1.0, 1.0, 0.75]
    assert json.loads(json.dumps(asdict(scored)))["cameras"][0]["camera"] == "door"


def test_separate_identities_per_camera_are_correct_within_and_wrong_across_cameras(store, tmp_path):
    save(store, {"door": [(n, 1, A) for n in range(4)], "hall": [(n, 1, B) for n in range(4)]},
         range(4), {"door": {1: 1}, "hall": {1: 2}})
    write_truth(tmp_path, "door", [(n, "anna", A, 1.0) for n in range(4)])
    write_truth(tmp_path, "hall", [(n, "anna", B, 1.0) for n in range(4)])
    scored = evaluate_run(store, tmp_path)
    assert [camera.identity_idf1 for camera in scored.cameras] == [1.0, 1.0]
    assert scored.cross_idf1 == 0.5


def test_the_reference_values_of_py_motmetrics(store, tmp_path):
    """TUD-Stadtmitte, as py-motmetrics itself scores it from the two text files (rounded in its README)."""
    if not KIT.is_dir():
        pytest.skip("the kit with TUD-Stadtmitte is not here")
    result = np.loadtxt(KIT / "motgt" / "TUD-Stadtmitte-res.txt", delimiter=",", usecols=range(6))
    (tmp_path / "street.txt").write_text((KIT / "motgt" / "TUD-Stadtmitte-gt.txt").read_text())
    boxes = [(int(frame) - 1, int(track), (x, y, x + w, y + h)) for frame, track, x, y, w, h in result.tolist()]
    save(store, {"street": boxes}, range(179), {"street": {track: track for _, track, _ in boxes}})
    scored = evaluate_run(store, tmp_path)
    (street,) = scored.cameras
    assert street.tracking_idf1 == pytest.approx(0.6446194225721785, abs=1e-6)
    assert street.tracking_idp == pytest.approx(0.8197596795727636, abs=1e-6)
    assert street.tracking_idr == pytest.approx(0.5311418685121108, abs=1e-6)
    assert street.mota == pytest.approx(0.5640138408304498, abs=1e-6)
    assert (street.switches, street.misses, street.false_positives) == (7, 452, 45)
    assert scored.cross_idf1 == street.identity_idf1 == street.tracking_idf1


@pytest.mark.parametrize("seen", [
    pytest.param([], id="not found"),
    pytest.param([(0, 2, B)], id="full box found"),
    pytest.param([(0, 2, (300, 0, 340, 200))], id="visible part found"),
])
def test_detections_of_occluded_people_are_neither_counted_nor_false_positives(store, tmp_path, seen):
    save(store, {"door": [(0, 1, A), *seen]}, [0], {"door": {1: 1}})
    (tmp_path / "door.csv").write_text(
        HEADER + "0,0,a,0,0,100,200,0,0,100,200,1,0,0\n0,0,b,300,0,400,200,300,0,340,200,0.25,0,0\n")
    (door,) = evaluate_run(store, tmp_path).cameras
    assert (door.tracking_idf1, door.mota, door.truth_boxes, door.boxes) == (1.0, 1.0, 1, 1)
    (strict,) = evaluate_run(store, tmp_path, min_visible=0.2).cameras
    assert strict.truth_boxes == 2


def test_a_detection_of_a_visible_person_counts_despite_an_occluded_one_behind(store, tmp_path):
    save(store, {"door": [(0, 1, A)]}, [0], {})
    write_truth(tmp_path, "door", [(0, "behind", A, 0.1), (0, "front", (0, 0, 110, 200), 1.0)])
    (door,) = evaluate_run(store, tmp_path).cameras
    assert (door.mota, door.boxes) == (1.0, 1)


def test_an_unmatched_detection_is_a_false_positive_unless_the_truth_is_incomplete(store, tmp_path):
    save(store, {"door": [(0, 1, A), (0, 2, B)]}, [0], {"door": {1: 1, 2: 2}})
    write_truth(tmp_path, "door", [(0, "a", A, 1.0)])
    (complete,) = evaluate_run(store, tmp_path).cameras
    assert (complete.mota, complete.false_positives, complete.identity_idp) == (0.0, 1, 0.5)
    (partly,) = evaluate_run(store, tmp_path, labelled_only=True).cameras
    assert (partly.mota, partly.misses, partly.false_positives) == (None, None, None)
    assert (partly.tracking_hota, partly.tracking_deta, partly.tracking_assa) == (None, None, 1.0)
    assert (partly.tracking_idf1, partly.identity_idp, partly.switches) == (1.0, 1.0, 0)


def test_only_analysed_frames_are_counted(store, tmp_path):
    save(store, {"door": [(n, 1, A) for n in (0, 3)]}, [0, 3, 6], {"door": {1: 1}})
    write_truth(tmp_path, "door", [(n, "a", A, 1.0) for n in range(7)])
    (door,) = evaluate_run(store, tmp_path).cameras
    assert (door.frames, door.truth_boxes, door.misses, door.mota) == (3, 3, 1, pytest.approx(2 / 3))


def test_detections_without_identity_are_left_out_of_identity_scores(store, tmp_path):
    save(store, {"door": [(0, 1, A), (1, 2, A)]}, [0, 1], {"door": {1: 1}})
    write_truth(tmp_path, "door", [(0, "a", A, 1.0), (1, "a", A, 1.0)])
    (door,) = evaluate_run(store, tmp_path).cameras
    assert (door.identity_idp, door.identity_idr) == (1.0, 0.5)


def test_of_an_identity_twice_in_a_frame_the_newest_track_counts(store, tmp_path):
    save(store, {"door": [(0, 1, A), (0, 2, B)]}, [0], {"door": {1: 1, 2: 1}})
    write_truth(tmp_path, "door", [(0, "a", A, 1.0), (0, "b", B, 1.0)])
    scored = evaluate_run(store, tmp_path)
    assert (scored.cameras[0].identity_idp, scored.identities) == (1.0, 1)
    save(store, {"door": [(0, 1, A), (0, 2, B)]}, [0], {"door": {1: 1, 2: 1}})
    write_truth(tmp_path, "door", [(0, "a", A, 1.0)])
    assert evaluate_run(store, tmp_path).cameras[0].identity_idp == 0.0


def test_an_overlap_of_exactly_half_is_a_match(store, tmp_path):
    save(store, {"door": [(0, 1, (0, 0, 100, 100))]}, [0], {})
    write_truth(tmp_path, "door", [(0, "a", (0, 0, 100, 200), 1.0)])
    assert evaluate_run(store, tmp_path).cameras[0].mota == 1.0


def test_scores_without_people_and_detections_are_none(store, tmp_path):
    save(store, {"door": [], "hall": []}, [0, 1], {})
    write_truth(tmp_path, "door", [])
    scored = evaluate_run(store, tmp_path)
    (door,) = scored.cameras
    assert (door.frames, door.tracking_idf1, door.mota, door.identity_idf1, scored.cross_idf1) == (2, *[None] * 4)
    assert scored.without_truth == ["hall"]


def test_a_run_without_frames_counts_nothing(store, tmp_path):
    save(store, {"door": []}, [], {})
    write_truth(tmp_path, "door", [(0, "a", A, 1.0)])
    assert evaluate_run(store, tmp_path).cameras[0].truth_boxes == 0


def test_box_iou():
    boxes = np.array([A, A_LEFT, B, (5, 5, 5, 5)], np.float64)
    np.testing.assert_allclose(box_iou(boxes, boxes), [[1, 0.4, 0, 0], [0.4, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert box_iou(boxes, np.zeros((0, 4))).shape == (4, 0)


@pytest.mark.parametrize(("line", "frame", "box", "counted"), [
    pytest.param("1,7,10,20,30,40", 0, (10, 20, 40, 60), True, id="six columns"),
    pytest.param("3,7,10,20,30,40,0,1,1", 2, (10, 20, 40, 60), False, id="ignored by its confidence"),
    pytest.param("1,7,10,20,30,40,1,3,1", 0, (10, 20, 40, 60), False, id="a car"),
    pytest.param("1,7,10,20,30,40,1,1,0.2", 0, (10, 20, 40, 60), False, id="occluded"),
    pytest.param("1,7,10,20,30,40,1,4.4,5.5,0", 0, (10, 20, 40, 60), True, id="world coordinates"),
])
def test_motchallenge_text_is_read(tmp_path, line, frame, box, counted):
    (tmp_path / "a.txt").write_text(line + "\n")
    truth = read_truth(tmp_path / "a.txt", 0.3)
    assert (truth.frames.tolist(), truth.identities.tolist(), tuple(truth.xyxy[0]), truth.counted.tolist()) == (
        [frame], ["7"], box, [counted])


@pytest.mark.parametrize(("name", "text", "message"), [
    pytest.param("a.csv", "frame,identity\n", "got no x1", id="a column is missing"),
    pytest.param("a.csv", "frame,identity,x1,y1,x2,y2\n0,a,1,2,3,wide\n", "y2: expected numbers", id="not a number"),
    pytest.param("a.csv", "frame,identity,x1,y1,x2,y2\n0,a,1,2\n", "x2: expected numbers", id="a short line"),
    pytest.param("a.csv", "frame,identity,x1,y1,x2,y2\n0,a,1,2,3,4\n0,a,1,2,3,4\n", "identity a is twice", id="twice"),
    pytest.param("a.txt", "1,2,3\n", "at least 6 columns", id="not MOTChallenge"),
    pytest.param("a.txt", "a,b,c,d,e,f\n", "column 1: expected numbers", id="text"),
])
def test_invalid_ground_truth_is_reported(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_truth(tmp_path / name, 0.3)


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_an_empty_ground_truth_file_has_no_people(tmp_path, name):
    (tmp_path / name).write_text("frame,identity,x1,y1,x2,y2\n" if name == "a.csv" else "")
    assert len(read_truth(tmp_path / name, 0.3).frames) == 0


def test_a_folder_without_ground_truth_is_reported(store, tmp_path):
    save(store, {"door": []}, [0], {})
    with pytest.raises(ConfigError, match="no ground truth"):
        evaluate_run(store, tmp_path)


def test_a_person_who_is_lost_and_found_again_is_one_fragment(store, tmp_path):
    save(store, {"door": [(n, 1, A) for n in (0, 1, 4, 5)]}, range(6), {})
    write_truth(tmp_path, "door", [(n, "anna", A, 1.0) for n in range(6)])
    (door,) = evaluate_run(store, tmp_path).cameras
    assert (door.fragments, door.switches, door.misses) == (1, 0, 2)


def test_a_run_with_one_camera_takes_a_single_file_as_truth(store, tmp_path):
    save(store, {"door": [(0, 1, A)]}, [0], {"door": {1: 1}})
    write_truth(tmp_path, "any name", [(0, "anna", A, 1.0)])
    assert evaluate_run(store, tmp_path / "any name.csv").cross_idf1 == 1.0
    save(store, {"door": [], "hall": []}, [0], {})
    with pytest.raises(ConfigError, match="one ground truth file for 2 cameras"):
        evaluate_run(store, tmp_path / "any name.csv")


def mot_lines(seen: Iterable[Seen]) -> str:
    """MOTChallenge text of boxes."""
    return "".join(f"{frame + 1},{track},{x1},{y1},{x2 - x1},{y2 - y1},1,-1,-1,-1\n"
                   for frame, track, (x1, y1, x2, y2) in seen)


def test_exported_results_score_as_the_run_itself(store, tmp_path):
    save(store, {"door": [(n, 1 if n < 2 else 2, A) for n in range(4)], "hall": [(n, 1, B) for n in range(4)]},
         range(4), {"door": {1: 1, 2: 2}, "hall": {1: 1}})
    truth = tmp_path / "truth"
    truth.mkdir()
    write_truth(truth, "door", [(n, "anna", A, 1.0) for n in range(4)])
    write_truth(truth, "hall", [(n, "anna", B, 1.0) for n in range(4)])
    export_trajectories(store, tmp_path / "results", "mot")
    scored, own = evaluate_files(tmp_path / "results", truth), evaluate_run(store, truth)
    assert (scored.run, scored.cross_idf1, scored.cross_assa) == (None, own.cross_idf1, own.cross_assa)
    assert scored.decomposition == own.decomposition
    assert [one.mota for one in scored.cameras] == [one.mota for one in own.cameras]


def test_two_text_files_are_scored_on_the_command_line(tmp_path):
    (tmp_path / "gt.txt").write_text(mot_lines([(n, 7, A) for n in range(4)]))
    (tmp_path / "ours.txt").write_text(mot_lines([(n, 0 if n < 2 else 3, A) for n in range(4)]))
    files = ["--truth", str(tmp_path / "gt.txt"), "--results", str(tmp_path / "ours.txt")]
    done = CliRunner().invoke(main, ["evaluate", *files, "--json"])
    assert done.exit_code == 0, done.output
    scored = json.loads(done.stdout)
    (camera,) = scored["cameras"]
    assert (camera["camera"], camera["mota"], camera["switches"], camera["tracking_idf1"]) == ("gt", 0.75, 1, 0.5)
    assert camera["tracking_hota"] == pytest.approx(0.5**0.5)
    assert [stage["stage"] for stage in scored["decomposition"]] == ["detection", "tracklets", "linking"]
    shown = CliRunner().invoke(main, ["evaluate", *files]).stdout
    assert all(words in shown for words in ("HOTA", "lost here", "70.7", "perfect linking of these tracklets"))


@pytest.mark.parametrize(("truth", "results", "message"), [
    pytest.param("gt.txt", "gone.txt", "gone.txt: no such file", id="missing"),
    pytest.param("gt.txt", "det.txt", "expected ids of tracks, got -1", id="detections"),
    pytest.param("gt.txt", "twice.txt", "identity 1 is twice in frame 0", id="an id twice in a frame"),
    pytest.param("folder", "gt.txt", "expected two files, or two folders", id="a folder and a file"),
    pytest.param("folder", "empty", "no results", id="no result files"),
    pytest.param("folder", "other", "no door.txt", id="a camera has no results"),
])
def test_invalid_results_are_reported_in_one_line(tmp_path, truth, results, message):
    for folder in ("folder", "empty", "other"):
        (tmp_path / folder).mkdir()
    line = "1,1,0,0,100,200,1\n"
    for name, text in (("gt.txt", line), ("det.txt", "1,-1,0,0,100,200,1\n"), ("twice.txt", 2 * line),
                       ("folder/door.txt", line), ("other/hall.txt", line)):
        (tmp_path / name).write_text(text)
    done = CliRunner().invoke(main, ["evaluate", "--truth", str(tmp_path / truth), "--results",
                                     str(tmp_path / results)])
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_files_and_a_run_cannot_be_scored_at_once(tmp_path):
    done = CliRunner().invoke(main, ["evaluate", "--truth", "a", "--results", "b", "--run", "1"])
    assert (done.exit_code, "not both" in done.stderr) == (2, True)
