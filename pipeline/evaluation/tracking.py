"""Score a run's tracks and identities, or MOTChallenge files, against ground truth.

Boxes match at IoU >= 0.5. Only frames that the run analysed are counted. Ground truth under 30 % visibility is
ignored: it is not counted, and detections on it are removed before scoring.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..storage.queries import analysed_frames, observation_rows
from ..storage.runs import find_run, list_cameras
from ..storage.store import Store
from .decomposition import LinkScore, Stage, TrackletScore, decompose, link_score, tracklet_score
from .ground_truth import Boxes, read_results, read_truth, result_files, truth_files
from .metrics import clear_score, hota_score, identity_score
from .scene import Scene, camera_scene, join, once_a_frame

MIN_VISIBLE = 0.3  # with less of a person visible, the extent of the box is a guess


@dataclass(frozen=True, slots=True)
class CameraScore:
    """One camera's scores, in [0, 1] (MOTA may be negative); None where the denominator is 0.

    Attributes:
        frames: number of analysed frames.
        people, truth_boxes: counted identities and boxes of the ground truth.
        boxes: detections that were scored, without those on ignored ground truth.
        tracking_idf1, tracking_idp, tracking_idr: of the track ids, which are local to this camera.
        tracking_hota, tracking_deta, tracking_assa, tracking_loca: HOTA of the track ids and its parts; the first two
            are None if the ground truth is incomplete.
        mota, misses, false_positives: of the tracks; None if the ground truth is incomplete.
        switches: how often the track id of a person changed.
        fragments: how often a person was lost and found again.
        tracklets: number of tracklets that show anybody.
        purity: mean share of their boxes that show the tracklet's main person.
        identity_idf1, identity_idp, identity_idr: of the identities within this camera; boxes without one are left out.
    """

    camera: str
    frames: int
    people: int
    truth_boxes: int
    boxes: int
    tracking_idf1: float | None
    tracking_idp: float | None
    tracking_idr: float | None
    tracking_hota: float | None
    tracking_deta: float | None
    tracking_assa: float | None
    tracking_loca: float | None
    mota: float | None
    switches: int
    fragments: int
    misses: int | None
    false_positives: int | None
    tracklets: int
    purity: float | None
    identity_idf1: float | None
    identity_idp: float | None
    identity_idr: float | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The scores of a run, or of files.

    Attributes:
        run: its number; None for files.
        labelled_only: whether boxes that match no ground truth were removed, because it is incomplete.
        people: counted identities of the ground truth over all cameras.
        identities: number of identities among the scored boxes.
        cross_idf1, cross_idp, cross_idr, cross_assa: of the identities over all cameras at once: a person must keep one
            identity everywhere.
        links: false and missed links, purity and completeness of the identities.
        tracklets: purity of the tracklets of all cameras.
        decomposition: where identity is lost; its last stage has the same scores as `cross_`.
        without_truth: cameras without a ground truth file; they are in no score.
    """

    run: int | None
    min_visible: float
    labelled_only: bool
    people: int
    identities: int
    cross_idf1: float | None
    cross_idp: float | None
    cross_idr: float | None
    cross_assa: float | None
    links: LinkScore
    tracklets: TrackletScore
    decomposition: list[Stage]
    cameras: list[CameraScore]
    without_truth: list[str]


@dataclass(frozen=True, slots=True)
class Scenes:
    """What is scored in every camera, and the numbers of people.

    Attributes:
        cameras: the scene of every camera with ground truth.
        numbers: number of every counted person by name.
        without_truth: cameras without ground truth.
    """

    cameras: dict[str, Scene]
    numbers: dict[str, int]
    without_truth: list[str]


def evaluate_run(
    store: Store, truth: Path, run: int | None = None, min_visible: float = MIN_VISIBLE, labelled_only: bool = False
) -> Evaluation:
    """Score a run.

    Args:
        truth: a folder with `<camera>.csv` or `<camera>.txt`, see read_truth; a file for a run with one camera.
        run: number of the run; the newest by default.
        min_visible: ground truth with a smaller visible share is ignored.
        labelled_only: the ground truth is incomplete: remove boxes that match none of it, and compute no MOTA.

    Raises:
        StoreError: there is no such run.
        ConfigError: there is no ground truth, or it cannot be read.
    """
    number = find_run(store, run).run
    return _evaluate(run_scenes(store, truth, number, min_visible, labelled_only), number, min_visible, labelled_only)


def evaluate_files(
    results: Path, truth: Path, min_visible: float = MIN_VISIBLE, labelled_only: bool = False
) -> Evaluation:
    """Score MOTChallenge text files; their ids are tracks and identities at once.

    Args:
        results: a file, or a folder with `<camera>.txt`, such as `reidpipe export trajectories --format mot` writes.
        truth: a file, or a folder with `<camera>.csv` or `<camera>.txt`, see read_truth.
        min_visible, labelled_only: as for evaluate_run.

    Raises:
        ConfigError: a file is missing or cannot be read.
    """
    files = result_files(results, truth)
    found = {camera: read_results(path) for camera, path in files.items()}
    truths = truth_files(truth, files)
    numbers: dict[str, int] = {}
    scenes = {}
    for camera, path in truths.items():
        expected = read_truth(path, min_visible)
        frames = {*expected.frames.tolist(), *found[camera].frames.tolist()}
        scenes[camera] = camera_scene(camera, expected, found[camera], frames, numbers, labelled_only)
    without_truth = [camera for camera in files if camera not in truths]
    return _evaluate(Scenes(scenes, numbers, without_truth), None, min_visible, labelled_only)


def run_scenes(store: Store, truth: Path, run: int, min_visible: float, labelled_only: bool) -> Scenes:
    """What is scored of a run; arguments and errors as for evaluate_run."""
    names = [camera.camera for camera in list_cameras(store, run)]
    files = truth_files(truth, names)
    numbers: dict[str, int] = {}
    scenes = {
        camera: camera_scene(camera, read_truth(path, min_visible), _boxes(store, run, camera),
                             analysed_frames(store, camera, run), numbers, labelled_only)
        for camera, path in files.items()}
    return Scenes(scenes, numbers, [name for name in names if name not in files])


def _boxes(store: Store, run: int, camera: str) -> Boxes:
    rows = list(observation_rows(store, run, camera))
    return Boxes(
        np.array([row.frame for row in rows], np.int64), np.array([row.track for row in rows], np.int64),
        np.array([row.identity or 0 for row in rows], np.int64), np.array([row.confidence for row in rows], np.float64),
        np.array([(row.x1, row.y1, row.x2, row.y2) for row in rows], np.float64).reshape(-1, 4))


def _evaluate(scenes: Scenes, run: int | None, min_visible: float, labelled_only: bool) -> Evaluation:
    scene = join(list(scenes.cameras.values()))
    names = {number: name for name, number in scenes.numbers.items()}
    shown = scene.matched_people()
    stages = decompose(scene, shown)
    return Evaluation(
        run, min_visible, labelled_only, len(names), len(np.unique(scene.identities[scene.identities != 0])),
        stages[-1].idf1, stages[-1].idp, stages[-1].idr, stages[-1].assa,
        link_score(scene, shown, scene.identities), tracklet_score(scene, shown, names), stages,
        [_camera_score(camera, one, names, labelled_only) for camera, one in scenes.cameras.items()],
        scenes.without_truth)


def _camera_score(camera: str, scene: Scene, names: Mapping[int, str], labelled_only: bool) -> CameraScore:
    tracks = scene.tracks + 1
    tracking, identity = identity_score(scene, tracks), identity_score(scene, once_a_frame(scene, scene.identities))
    hota, clear = hota_score(scene, tracks), clear_score(scene, tracks)
    tracklets = tracklet_score(scene, scene.matched_people(), names)
    complete = not labelled_only
    return CameraScore(
        camera, scene.frame_count, len(np.unique(scene.people)), len(scene.people), len(tracks),
        tracking.idf1, tracking.idp, tracking.idr,
        hota.hota if complete else None, hota.deta if complete else None, hota.assa, hota.loca,
        clear.mota if complete else None, clear.switches, clear.fragments,
        clear.misses if complete else None, clear.false_positives if complete else None,
        tracklets.tracklets, tracklets.purity,
        identity.idf1, identity.idp, identity.idr)
