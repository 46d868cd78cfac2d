import json

import numpy as np
import pytest
import torch
import yaml

from reidpipe.reid import Embedder, RecipeError, WeightsError, evaluate_folder
from reidpipe.reid.export import export
from reidpipe.reid.recipe import read_recipe
from reidpipe.reid.train import learning_rate_at, save, train

TINY = {
    "train": ["crops/train"],
    "start_from": None,
    "teacher": None,
    "width": 0.25,
    "anchored": False,
    "frozen_stages": ["conv1", "conv2"],
    "epochs": 2,
    "steps_per_epoch": 2,
    "identities_per_batch": 2,
    "crops_per_identity": 2,
    "learning_rate": 1e-3,
    "mask_learning_rate": 1e-3,
    "weight_decay": 5e-4,
    "warmup_steps": 1,
    "arcface_margin": 0.3,
    "arcface_scale": 30.0,
    "teacher_weight": 0,
    "occlusion_probability": 0.5,
    "held_out_identities": 2,
    "evaluate_every_epochs": 1,
    "seed": 3,
    "threads": 1,
}


@pytest.fixture
def write_recipe(tmp_path, write_crops):
    write_crops(tmp_path / "crops" / "train", identities=5)

    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({**TINY, **changes}))
        return path

    return write


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_train_resume_export_embed_evaluate(tmp_path, write_recipe, write_crops):
    unbroken = train(write_recipe(), tmp_path / "unbroken")
    train(write_recipe(), tmp_path / "broken", resume=False)
    last = torch.load(tmp_path / "broken" / "last.pt", weights_only=True)
    assert last["epoch"] == 2
    export(unbroken, tmp_path / "model.onnx")
    embedder = Embedder(tmp_path / "model.onnx", threads=1)
    write_crops(tmp_path / "test" / "query", identities=3, each=1, seed=5)
    write_crops(tmp_path / "test" / "bounding_box_test", identities=3, each=1, seed=5)
    scores = evaluate_folder(embedder, tmp_path / "test")
    assert set(scores) == {"plain", "masked", "permuted"}
    assert scores["plain"].queries == 6
    assert 0 < scores["plain"].mean_average_precision <= 1
    lines = [json.loads(line) for line in (tmp_path / "unbroken" / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1]
    assert set(lines[0]["losses"]) == {"plain", "masked", "triplet", "mask"}
    assert set(lines[0]["held_out"]["crops/train"]) == {"clean", "occluded"}


def test_a_resumed_run_ends_where_an_unbroken_one_does(tmp_path, write_recipe, monkeypatch):
    unbroken = train(write_recipe(), tmp_path / "unbroken")

    class PowerCutError(Exception):
        pass

    def log_once(path, epoch, losses, scores):
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr("reidpipe.reid.train._log", log_once)
        with pytest.raises(PowerCutError):
            train(write_recipe(), tmp_path / "broken")
    train(write_recipe(), tmp_path / "broken", resume=True)
    ends = [torch.load(folder / "last.pt", weights_only=True) for folder in (unbroken.parent, tmp_path / "broken")]
    assert [end["epoch"] for end in ends] == [2, 2]
    one, two = (end["learner"]["model"] for end in ends)
    for name in one:
        torch.testing.assert_close(one[name], two[name], msg=name)


def test_resuming_without_a_checkpoint_says_so(tmp_path, write_recipe):
    with pytest.raises(WeightsError, match="no such checkpoint to resume from"):
        train(write_recipe(), tmp_path / "out", resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"epochz": 3}, "epochz: Extra inputs are not permitted", id="unknown key"),
        pytest.param({"epochs": "many"}, "epochs: Input should be a valid integer", id="wrong type"),
        pytest.param({"epochs": True}, "epochs: Input should be a valid integer", id="a boolean is no integer"),
        pytest.param({"anchored": True}, "anchored: expected a start_from", id="an anchor on nothing"),
        pytest.param({"train": "crops"}, "train: Input should be a valid array", id="a string is no list"),
    ],
)
def test_wrong_recipes_are_refused(write_recipe, changes, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe(write_recipe(**changes))


@pytest.mark.parametrize("content", [None, "- a list", "a: [", "epochs: 1"])
def test_files_that_are_no_recipe_are_refused(tmp_path, content):
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(RecipeError, match=r"recipe.yaml: "):
        read_recipe(path)


def test_paths_in_a_recipe_are_relative_to_it(tmp_path, write_recipe):
    recipe = read_recipe(write_recipe(start_from="net.pth"))
    assert recipe.train == (tmp_path / "crops" / "train",)
    assert recipe.start_from == tmp_path / "net.pth"
    assert recipe.teacher is None
    assert recipe.teacher_weight == 0.0


def test_learning_rate_rises_then_falls_to_zero(write_recipe):
    recipe = read_recipe(write_recipe(epochs=10, steps_per_epoch=10, warmup_steps=10, learning_rate=1.0))
    rates = [learning_rate_at(step, recipe) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10] == pytest.approx(1)
    assert np.all(np.diff(rates[10:]) < 0)
    assert rates[100] == pytest.approx(0, abs=1e-9)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    save({"epoch": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        save({"epoch": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}


def test_every_recipe_in_the_repository_is_valid():
    from pathlib import Path

    recipes = sorted((Path(__file__).parents[2] / "configs" / "train").glob("*.yaml"))
    assert recipes
    for path in recipes:
        read_recipe(path)
