import json
import sys
from contextlib import nullcontext

import cv2
import numpy as np
import pytest
import torch

from reidpipe.reid import DatasetError, Embedder, RecipeError, TrainingError, WeightsError, evaluate_folder
from reidpipe.reid.export import export
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.training.records.log import TrainingLog
from reidpipe.reid.training.step.trainer import Trainer
from reidpipe.reid.training.train import learning_rate_at, read_training_crops, steps_per_epoch, train

from ..recording_listener import RecordingListener


def same(one, two):
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else one == two


def test_train_export_embed_evaluate(tmp_path, write_recipe, write_crops, monkeypatch):
    monkeypatch.undo()  # the tiny backbone: this is the one run with a real one
    recording_listener = RecordingListener()
    best = train(write_recipe(backbone={"frozen": ["conv1"]}), tmp_path / "out", listeners=[recording_listener])
    export(best, tmp_path / "model.onnx")
    embedder = Embedder(tmp_path / "model.onnx", threads=1)
    write_crops(tmp_path / "test" / "query", identities=3, each=1, seed=5)
    write_crops(tmp_path / "test" / "bounding_box_test", identities=3, each=1, seed=5)
    scores = evaluate_folder(embedder, tmp_path / "test")
    assert {"plain", "masked", "permuted"} <= set(scores)
    assert scores["plain"].queries == 6
    assert 0 < scores["plain"].mean_average_precision <= 1
    records = TrainingLog(tmp_path / "out" / "log.jsonl").records()
    assert [record["epoch"] for record in records] == [0, 1]
    assert set(records[0]["losses"]) == {"plain", "masked", "triplet", "pairs"}
    assert set(records[0]["held_out"]["crops/train"]) == {"clean", "occluded"}
    assert recording_listener.records == records
    assert len(recording_listener.steps) == 4
    assert (tmp_path / "out" / "curves.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="plain"),
        pytest.param(
            {
                "schedule": {"ema_decay": 0.9, "accumulate_batches": 2},
                "prototypes": {"sampled": 2},
                "amp": "float16",
                "backbone": {"width": 0.25, "cameras": True},
            },
            id="moving average, sampled prototypes, scaler, accumulation, cameras",
        ),
    ],
)
def test_a_resumed_run_ends_exactly_where_an_uninterrupted_one_does(tmp_path, write_recipe, changes):
    recipe = write_recipe(**changes)
    train(recipe, tmp_path / "uninterrupted")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "broken", listeners=[RecordingListener(dies_before_epoch=1)])
    with (tmp_path / "broken" / "log.jsonl").open("a") as log:
        log.write('{"epoch": 1, "losses": {')  # killed while it wrote
    train(write_recipe(**changes, workers=2), tmp_path / "broken", resume=True)
    one, two = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("uninterrupted", "broken"))
    assert one["epoch"] == 2
    assert same(one, two)
    best = [torch.load(tmp_path / name / "best.pt", weights_only=True) for name in ("uninterrupted", "broken")]
    assert same(*best)
    logs = [TrainingLog(tmp_path / name / "log.jsonl").records() for name in ("uninterrupted", "broken")]
    for log in logs:
        for record in log:
            record["seconds"] = 0.0
    assert logs[0] == logs[1]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt], ids=["finished", "interrupted"])
def test_training_leaves_random_state_and_thread_counts_as_they_were(tmp_path, write_recipe, error):
    def state():
        return torch.get_rng_state(), torch.get_num_threads(), cv2.getNumThreads()

    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    before = state()
    with pytest.raises(error) if error else nullcontext():
        train(write_recipe(), tmp_path / "out", listeners=[RecordingListener(dies_before_epoch=1 if error else None)])
    assert same(before, state())


def test_resuming_without_a_checkpoint_is_refused_before_any_crop_is_read(tmp_path, write_recipe):
    (tmp_path / "empty").mkdir()
    recipe = write_recipe(train=[str(tmp_path / "empty")])
    with pytest.raises(WeightsError, match="no such checkpoint to resume from: run it without --resume"):
        train(recipe, tmp_path / "out", resume=True)


def test_a_missing_folder_or_teacher_is_refused_before_any_crop_is_read(tmp_path, write_recipe, monkeypatch):
    monkeypatch.setattr("reidpipe.reid.training.train.read_people", None)
    folders = [str(tmp_path / "crops" / "train"), str(tmp_path / "nowhere")]
    with pytest.raises(DatasetError, match="nowhere: no such folder of crops"):
        train(write_recipe(train=folders), tmp_path / "out")
    with pytest.raises(WeightsError, match=r"none\.onnx: no such weights file"):
        train(write_recipe(teacher={"network": str(tmp_path / "none.onnx")}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_finished_run_is_not_overwritten(tmp_path, write_recipe):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "last.pt").touch()
    with pytest.raises(WeightsError, match=r"last.pt exists: resume the run with --resume"):
        train(write_recipe(), tmp_path / "out")


@pytest.fixture
def finished(tmp_path, write_recipe):
    train(write_recipe(schedule={"epochs": 1, "steps_per_epoch": 1}, held_out={"identities": 0}), tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"backbone": {"width": 0.5}}, r"with backbone.width: 0.25, the recipe says 0.5", id="width"),
        pytest.param({"mask": {"kind": "full"}}, "was trained with mask.kind: lite, the recipe says full", id="mask"),
        pytest.param({"schedule": {"epochs": 9, "steps_per_epoch": 1}}, "with schedule.epochs", id="epochs"),
        pytest.param({"occlusion": None}, "was trained with occlusion", id="a section less"),
        pytest.param({"held_out": {"identities": 1}}, "was trained with held_out.identities: 0", id="other people"),
    ],
)
def test_a_checkpoint_of_another_recipe_is_refused(write_recipe, finished, changes, message):
    base = {"schedule": {"epochs": 1, "steps_per_epoch": 1}, "held_out": {"identities": 0}}
    with pytest.raises(WeightsError, match=message):
        train(write_recipe(**{**base, **changes}), finished, resume=True)


def test_a_checkpoint_of_other_crops_or_no_checkpoint_is_refused(tmp_path, write_recipe, write_crops, finished):
    recipe = write_recipe(schedule={"epochs": 1, "steps_per_epoch": 1}, held_out={"identities": 0})
    write_crops(tmp_path / "crops" / "train", identities=7)
    with pytest.raises(WeightsError, match="was trained on 5 identities, the recipe's folders hold 7"):
        train(recipe, finished, resume=True)
    (finished / "best.pt").replace(finished / "last.pt")
    with pytest.raises(WeightsError, match=r"last.pt: not a checkpoint to resume from"):
        train(recipe, finished, resume=True)
    (finished / "last.pt").write_bytes(b"half a file")
    with pytest.raises(WeightsError, match=r"last.pt: not a readable PyTorch file"):
        train(recipe, finished, resume=True)


def test_crops_seen_by_one_camera_only(tmp_path, write_recipe, write_crops, caplog):
    write_crops(tmp_path / "alone", identities=3, cameras=1)
    with pytest.raises(DatasetError, match=r"alone: expected 2 identities to hold out .*, got 0"):
        train(write_recipe(train=["alone"]), tmp_path / "out")
    write_crops(tmp_path / "mixed", identities=6, cameras=1)
    write_crops(tmp_path / "mixed", identities=3, cameras=2)
    caplog.clear()
    crops, held_out = read_training_crops(read_recipe(write_recipe(train=["mixed"])))
    assert "mixed: warning: 3 of 6 identities have no second crop in another camera" in caplog.text
    assert len(np.unique(crops.pids)) == 4
    assert len(np.unique(held_out[0].query.camids)) == 2


def test_bad_crops_are_named(tmp_path, write_recipe):
    with pytest.raises(DatasetError, match="nowhere"):
        train(write_recipe(train=["nowhere"]), tmp_path / "out")
    broken = tmp_path / "crops" / "train" / "0001_c1s1_000000_00.png"
    broken.write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"0001_c1s1_000000_00.png: is not an image"):
        train(write_recipe(), tmp_path / "out")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_where_there_is_none_is_refused(tmp_path, write_recipe):
    with pytest.raises(RecipeError, match="device: cuda is set, but PyTorch finds no CUDA device"):
        train(write_recipe(device="cuda"), tmp_path / "out")


def test_a_frozen_module_that_does_not_exist_is_named(tmp_path, write_recipe):
    with pytest.raises(RecipeError, match=r"backbone.frozen: this backbone has no module conv9"):
        train(write_recipe(backbone={"frozen": ["conv9"]}), tmp_path / "out")


def test_skipped_steps_are_counted_and_too_many_end_the_run(tmp_path, write_recipe, monkeypatch, caplog):
    original, calls = Trainer._accumulate, []

    def sometimes_none(self, batches, sample):
        calls.append(1)
        return None if len(calls) in (2, 3) else original(self, batches, sample)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_accumulate", sometimes_none)
        train(write_recipe(held_out={"identities": 0}), tmp_path / "out")
    assert [record["skipped"] for record in TrainingLog(tmp_path / "out" / "log.jsonl").records()] == [1, 1]
    assert "epoch 0 step 1: the loss is not finite: skipped" in caplog.text
    assert "epoch 1 step 2: the loss is not finite: skipped" in caplog.text
    monkeypatch.setattr(Trainer, "_accumulate", lambda self, batches, sample: None)
    recipe = write_recipe(schedule={"epochs": 3, "steps_per_epoch": 15}, held_out={"identities": 0})
    with pytest.raises(TrainingError, match=r"step 19: the loss was not finite 20 times in a row"):
        train(recipe, tmp_path / "hopeless")


def test_a_held_out_folder_is_another_domain(tmp_path, write_recipe, write_crops):
    write_crops(tmp_path / "elsewhere" / "crops", identities=3, seed=9)
    recipe = write_recipe(held_out={"identities": 0, "folders": ["elsewhere/crops"]}, schedule={"epochs": 1})
    train(recipe, tmp_path / "out")
    (line,) = (tmp_path / "out" / "log.jsonl").read_text().splitlines()
    assert list(json.loads(line)["held_out"]) == ["elsewhere/crops"]


def test_cameras_of_two_folders_get_different_numbers(tmp_path, write_recipe, write_crops):
    write_crops(tmp_path / "more", identities=4, cameras=3, seed=1)
    crops, _ = read_training_crops(read_recipe(write_recipe(train=["crops/train", "more"])))
    assert sorted(np.unique(crops.camids)) == [0, 1, 2, 3, 4]
    assert sorted(np.unique(crops.pids)) == list(range(5))


def test_a_recipe_may_name_a_published_data_set(tmp_path, write_recipe, write_crops):
    for split, people in (("bounding_box_train", 5), ("query", 2), ("bounding_box_test", 3)):
        write_crops(tmp_path / "market" / split, identities=people)
    crops, held_out = read_training_crops(read_recipe(write_recipe(train=["market"])))
    assert len(np.unique(crops.pids)) + len(np.unique(held_out[0].query.pids)) == 5


def test_where_people_are_seen_is_kept_for_training(tmp_path, write_recipe, write_crops):
    crops = write_crops(tmp_path / "rendered", identities=4)
    (crops / "visible").mkdir()
    for path in crops.glob("*.png"):
        cv2.imwrite(str(crops / "visible" / path.name), np.full((64, 32), 255, np.uint8))
    joined, _ = read_training_crops(read_recipe(write_recipe(train=["crops/train", "rendered"])))
    assert joined.visible.min(axis=(1, 2)).tolist() == [255 * source for source in joined.sources]


def test_learning_rate_rises_then_falls_to_zero(write_recipe):
    schedule = {"epochs": 10, "warmup_steps": 10, "learning_rate": 1.0}
    recipe = read_recipe(write_recipe(schedule=schedule))
    rates = [learning_rate_at(step, recipe, 10) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == pytest.approx(1)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[100] == pytest.approx(0, abs=1e-9)


def test_an_epoch_shows_every_identity_once_by_default(write_recipe):
    recipe = read_recipe(write_recipe(schedule={"steps_per_epoch": None}, held_out={"identities": 0}))
    crops, _ = read_training_crops(recipe)
    assert steps_per_epoch(recipe, crops) == 2
    assert steps_per_epoch(read_recipe(write_recipe()), crops) == 2


def test_tensorboard_writes_event_files_or_says_what_is_missing(tmp_path, write_recipe, monkeypatch):
    recipe = write_recipe(tensorboard=True, schedule={"epochs": 1, "steps_per_epoch": 1})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "torch.utils.tensorboard", None)
        with pytest.raises(RecipeError, match=r"pip install 'reidpipe\[train\]'"):
            train(recipe, tmp_path / "out")
    pytest.importorskip("tensorboard")
    train(recipe, tmp_path / "out")
    assert list((tmp_path / "out" / "events").glob("events.out.*"))


def test_a_model_of_regions_is_trained_and_evaluated(tmp_path, write_recipe):
    recipe = write_recipe(
        regions={"dimensions": 4}, mask={"kind": "regions", "trust_weight": 1.0}, losses={"triplet_by_mask": False}
    )
    best = train(recipe, tmp_path / "out")
    records = TrainingLog(tmp_path / "out" / "log.jsonl").records()
    assert {"regions", "visibility", "trust"} <= records[-1]["losses"].keys()
    assert 0 < records[-1]["held_out"]["crops/train"]["clean"]["masked"]["mean_average_precision"] <= 1
    assert best.is_file()
