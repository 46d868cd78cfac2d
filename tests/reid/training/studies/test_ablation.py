import json
from pathlib import Path

import numpy as np
import pytest

from reidpipe.reid import RecipeError
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.recipe.schema import Recipe
from reidpipe.reid.training.records.log import TrainingLog
from reidpipe.reid.training.studies import runs
from reidpipe.reid.training.studies.ablation import EVERYTHING, PARTS, run_ablation, table, variants

HERE = Path("recipe.yaml")


def recipe(**sections):
    return Recipe.model_validate({"train": ("crops",), **sections})


def test_the_parts_that_are_off_already_are_not_switched_off_again():
    plain = set(variants(recipe(), HERE))
    assert {EVERYTHING, "mask generator", "triplet loss", "all occlusion", "class-ignoring"} <= plain
    assert not plain & {"teacher", "CLIP", "patch transfer", "cut-outs", "moving average", "orthogonal heads"}
    assert "pasted occlusion" not in plain  # the only source: that is all occlusion
    trusting = variants(recipe(regions={}, mask={"kind": "regions", "pair_weight": 0.0, "trust_weight": 1.0}), HERE)
    assert "mask supervised by precision (instead: by pairs)" in trusting
    assert "mask supervised by pairs (instead: by classification)" not in trusting
    bare = variants(recipe(mask={"kind": "none"}, losses={"triplet_by_mask": False}, occlusion=None), HERE)
    assert set(bare) == {EVERYTHING, "masked classification", "plain classification", "triplet loss"}


OF_PREDICTED_MASKS = (
    "mask supervised by similarities (instead: by classification alone)",
    "mask of all stages (instead: of regions)",
    "dims in any order (instead: by region)",
)


def test_masks_predicted_from_all_stages_have_alternatives(tmp_path):
    predicted = recipe(
        regions={"dimensions": 0, "weight": 0.0},
        mask={"kind": "lite", "pair_weight": 0.0, "arcface_weight": 0.3, "distillation_weight": 1.0},
        losses={"triplet_by_mask": False},
        distillation={"network": "start.xml"},
    )
    chosen = variants(predicted, tmp_path / "recipe.yaml", [*OF_PREDICTED_MASKS, "mask generator and evidence map"])
    unsupervised, of_regions, ordered, nothing = list(chosen.values())[1:]
    assert (unsupervised.mask.distillation_weight, unsupervised.mask.arcface_weight) == (0, 0.3)
    assert (of_regions.mask.kind, of_regions.regions.dimensions) == ("regions", 128)
    assert (ordered.mask.kind, ordered.regions.dimensions) == ("lite", 128)
    assert (nothing.mask.kind, nothing.regions) == ("none", None)


def test_everything_on_lets_everything_be_switched_off(tmp_path):
    full = recipe(
        start_from="net.pth",
        backbone={"cameras": True, "frozen": ("conv1", "conv2")},
        losses={"orthogonality": 1.0, "pairs": 1.0},
        regions={},
        mask={"kind": "regions", "trust_weight": 1.0},
        occlusion={"transferred": 1.0, "cutouts": 1.0},
        teacher={"network": "teacher.xml"},
        clip={},
        schedule={"ema_decay": 0.9},
    )
    chosen = variants(full, tmp_path / "recipe.yaml")
    assert list(chosen) == [EVERYTHING, *(part for part in PARTS if part not in OF_PREDICTED_MASKS)]
    assert chosen["mask generator"].mask.kind == "none"
    assert chosen["teacher"].teacher is None
    random_erasing = chosen["occlusion (instead: random erasing)"].occlusion
    assert (random_erasing.pasted, random_erasing.transferred, random_erasing.erased) == (0, 0, 1)
    different = {json.dumps(one.model_dump(mode="json")) for one in chosen.values()}
    assert len(different) == len(chosen)


@pytest.mark.parametrize(
    ("only", "sections", "message"),
    [
        pytest.param(["magic"], {}, "ablate: no such part: magic", id="unknown part"),
        pytest.param([], {"held_out": {"identities": 0}}, "held_out: expected identities", id="nobody held out"),
    ],
)
def test_what_cannot_be_compared_is_refused(only, sections, message):
    with pytest.raises(RecipeError, match=message):
        variants(recipe(**sections), HERE, only)


@pytest.fixture
def trained(monkeypatch):
    """Runs that take no time: their masked mAP depends on part and seed."""
    calls = []

    def train(path, folder, resume, listeners, force, memory):
        one = read_recipe(path)
        calls.append((folder.parent.name, one.seed, resume))
        if len(calls) == 3 and not resume:
            (folder / "last.pt").touch()
            raise KeyboardInterrupt
        score = 0.5 + 0.01 * one.seed - (0.2 if one.losses.triplet == 0 else 0.1 * one.seed * (one.occlusion is None))
        metrics = {metric: {"mean_average_precision": score} for metric in ("plain", "masked", "permuted")}
        TrainingLog(folder / "log.jsonl").append(
            {"epoch": 59, "held_out": {"a": {"clean": metrics, "occluded": metrics}}}
        )

    monkeypatch.setattr(runs, "train", train)
    return calls


def test_the_table_compares_seed_by_seed_and_resumes_an_interrupted_study(tmp_path, write_recipe, trained):
    path = write_recipe(schedule={"epochs": 60}, seed=1)
    parts = ["triplet loss", "all occlusion"]
    reported = []
    with pytest.raises(KeyboardInterrupt):
        run_ablation(path, tmp_path / "out", 2, parts, report=reported.append)
    assert reported == ["everything, seed 1", "triplet loss off, seed 1", "all occlusion off, seed 1"]
    rows = run_ablation(path, tmp_path / "out", 2, parts)
    assert trained == [
        ("everything", 1, False),
        ("triplet-loss", 1, False),
        ("all-occlusion", 1, False),
        ("all-occlusion", 1, True),
        ("everything", 2, False),
        ("triplet-loss", 2, False),
        ("all-occlusion", 2, False),
    ]
    assert [row["seeds"] for row in rows] == [[1, 2]] * 3
    assert rows[0]["scores"]["clean masked"] == pytest.approx([51, 52])
    assert json.loads((tmp_path / "out" / "ablation.json").read_text()) == rows
    text = (tmp_path / "out" / "ablation.md").read_text()
    assert text == table(rows)
    assert "| (everything on) | 2 | 51.5 ± 0.7 |" in text
    assert "| triplet loss | 2 | 31.5 ± 0.7 (-20.0 ± 0.0) |" in text
    assert "| all occlusion | 2 | 36.5 ± 6.4 (-15.0 ± 7.1) |" in text


def test_runs_of_another_recipe_are_not_mixed_in(tmp_path, write_recipe, trained):
    run_ablation(write_recipe(schedule={"epochs": 60}), tmp_path / "out", 1, ["triplet loss"])
    with pytest.raises(RecipeError, match=r"everything/seed-3: holds a run of another recipe"):
        run_ablation(write_recipe(schedule={"epochs": 60, "learning_rate": 1.0}), tmp_path / "out", 1, ["triplet loss"])


def test_real_runs_fill_the_table(tmp_path, write_recipe):
    recipe = write_recipe(schedule={"epochs": 1, "steps_per_epoch": 1})
    rows = run_ablation(recipe, tmp_path / "out", 1, ["mask generator"])
    assert [row["part"] for row in rows] == [EVERYTHING, "mask generator"]
    assert all(0 < score <= 100 for row in rows for scores in row["scores"].values() for score in scores)
    masked, plain = (rows[1]["scores"][f"occluded {metric}"] for metric in ("masked", "plain"))
    assert masked == pytest.approx(plain)  # there is no mask


def test_the_runs_of_a_study_ask_the_teacher_once_about_every_crop(tmp_path, write_recipe, monkeypatch):
    asked = []

    def embed(network, images):
        asked.extend(image.tobytes() for image in images)
        return np.eye(4, dtype=np.float32)[np.arange(len(images)) % 4]

    monkeypatch.setattr("reidpipe.reid.training.stages.embed_clean_crops", embed)
    (tmp_path / "teacher.xml").touch()
    sections = {"teacher": {"network": "teacher.xml"}, "schedule": {"epochs": 1, "steps_per_epoch": 1}}
    run_ablation(write_recipe(**sections), tmp_path / "out", 2, only=["triplet loss"])
    assert len(list((tmp_path / "out").glob("*/seed-*/teacher.pt"))) == 4
    assert len(asked) == len(set(asked)) > 0
