import pytest
import torch

from reidpipe.reid.model.network import ModelSpec, create_model, packed_model
from tests.pipeline.commands import reidpipe


def test_train_prints_every_epoch_and_the_path_of_the_checkpoint(tmp_path, write_recipe):
    done = reidpipe("train", "--config", write_recipe(), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "epoch 1: plain " in done.output
    assert "crops/train occluded mAP: plain " in done.output
    assert f"checkpoint: {tmp_path / 'out' / 'best.pt'}" in done.output
    again = reidpipe("train", "--config", write_recipe(), "--out", tmp_path / "out")
    assert again.exit_code == 4
    assert "last.pt exists: resume the run with --resume" in again.output


def test_a_bad_recipe_ends_with_one_line_and_exit_code_2(tmp_path, write_recipe):
    done = reidpipe("train", "--config", write_recipe(mask={"kind": "thick"}), "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "recipe.yaml: mask.kind: Input should be 'full', 'lite', 'regions' or 'none', got 'thick'" in done.output
    assert not (tmp_path / "out").exists()


def test_ablate_prints_its_table(tmp_path, write_recipe):
    config = write_recipe(schedule={"epochs": 1, "steps_per_epoch": 1})
    done = reidpipe("ablate", "--config", config, "--out", tmp_path / "out", "--seeds", 1, "--part", "triplet loss")
    assert done.exit_code == 0, done.output
    assert "triplet loss off, seed 3" in done.output
    assert "| off | seeds | clean plain | clean masked | clean permuted |" in done.output
    assert (tmp_path / "out" / "ablation.md").read_text() in done.output


@pytest.mark.parametrize(
    "command", [("train",), ("ablate", "--seeds", 1, "--part", "triplet loss")], ids=lambda command: command[0]
)
def test_an_output_path_that_cannot_be_created_is_named(tmp_path, write_recipe, command):
    (tmp_path / "file").write_text("no folder")
    done = reidpipe(*command, "--config", write_recipe(), "--out", tmp_path / "file" / "out")
    assert done.exit_code == 6, done.output
    assert isinstance(done.exception, SystemExit)
    assert f"{tmp_path / 'file' / 'out'}" in done.output
    assert ": cannot be created: Not a directory: give another path" in done.output


def test_an_export_to_an_impossible_path_names_it(tmp_path):
    spec = ModelSpec("plain-conv", width=0.25)
    torch.save(packed_model(spec, create_model(spec).state_dict()), tmp_path / "best.pt")
    (tmp_path / "file").write_text("no folder")
    done = reidpipe("export-model", tmp_path / "best.pt", tmp_path / "file" / "model.onnx")
    assert done.exit_code == 6, done.output
    assert f"{tmp_path / 'file'}" in done.output
    assert ": cannot be created: " in done.output
    assert ": give another path" in done.output
