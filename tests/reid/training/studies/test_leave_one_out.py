import copy
import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from reidpipe.pipeline.cli.main import main
from reidpipe.reid import RecipeError
from reidpipe.reid.export import export_model
from reidpipe.reid.model.network import ModelSpec, create_model, read_model
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.recipe.schema import Recipe
from reidpipe.reid.training.fit_discriminant import fit_to_recipe
from reidpipe.reid.training.records.log import TrainingLog
from reidpipe.reid.training.studies import leave_one_out
from reidpipe.reid.training.studies.leave_one_out import average, best_share, leave_out, run_leave_one_out, table

from ...tiny_network import TinyBackbone

NOTHING: dict[str, object] = {}
DISCRIMINANT = {"discriminant": {"shrinkage": 0.5}}


@pytest.fixture
def start(monkeypatch):
    """The backbone from which every run is said to have started."""
    torch.manual_seed(5)
    backbone = TinyBackbone(0)
    monkeypatch.setattr(leave_one_out, "create_backbone", lambda name, **options: backbone)
    return backbone


@pytest.fixture
def study(tmp_path, write_recipe, write_crops):
    """A recipe with two domains, a test of each, and one that no run is trained on."""
    for number, name in enumerate(("north", "south", "unseen")):
        write_crops(tmp_path / name / "query", identities=4, each=1, seed=number)
        write_crops(tmp_path / name / "bounding_box_test", identities=4, seed=number)
        write_crops(tmp_path / "train" / name, identities=3, seed=10 + number)
    write_crops(tmp_path / "occluded" / "south" / "half" / "query", identities=4, each=1, seed=1)

    def write(sections=NOTHING, **changes):
        section = {
            "tests": ["north", "south"], "unseen": ["unseen"], "occluded": "occluded", "start_shares": [0.0, 0.5],
            **changes,
        }
        return write_recipe(
            train=["train/north", "train/south"],
            schedule={"epochs": 1, "steps_per_epoch": 1},
            held_out={"identities": 0},
            leave_one_out=section,
            **sections,
        )

    return write


def recipe(**sections):
    return Recipe.model_validate({"train": ("a", "b", "c"), **sections})


def test_the_folders_that_stay_share_the_batch_of_the_one_left_out():
    full = recipe(
        unlabelled=("d",),
        sampling={"identities": 24, "per_folder": (12, 6, 3, 3)},
        losses={"triplet_by_mask": False},
        mask={"kind": "none"},
        distillation={"network": "start.xml", "start_share": 0.4},
    )
    left = leave_out(full, 0)
    assert [path.name for path in left.train] == ["b", "c"]
    assert left.sampling.per_folder == (14, 7, 3)
    assert left.distillation.start_share == 0
    assert left.leave_one_out is None


def row(share, left_out=True, network=None, **scores):
    return {"data": "x", "left_out": left_out, "network": network, "start_share": share, "scores": scores}


def test_the_share_is_chosen_on_left_out_domains_alone():
    rows = [
        row(0.0, clean=60.0, half=40.0), row(0.5, clean=58.0, half=46.0),
        row(0.0, clean=50.0), row(0.5, clean=49.0),
        row(0.0, left_out=False, clean=99.0), row(None, network="other", clean=99.0),
    ]
    assert best_share(rows) == 0.5
    assert "| x | ours without it, 50 % of the start | 58.0 | 46.0 | 46.0 |" in table(rows)
    assert "| x | other | 99.0 |  |  |" in table(rows)


def test_a_study_trains_tests_averages_and_does_not_repeat_itself(tmp_path, study, start):
    trained = []
    rows = run_leave_one_out(study(), tmp_path / "out", report=trained.append)
    assert trained == ["training without north", "testing on north", "training without south", "testing on south",
                       "testing on unseen"]
    assert [(one["data"], one["left_out"], one["start_share"]) for one in rows[:4]] == [
        ("north", True, 0.0), ("north", True, 0.5), ("south", True, 0.0), ("south", True, 0.5),
    ]
    assert set(rows[2]["scores"]) == {"clean", "half"}
    assert set(rows[0]["scores"]) == {"clean"}
    assert (rows[4]["data"], rows[4]["left_out"]) == ("unseen", False)
    assert all(0 < score <= 100 for one in rows for score in one["scores"].values())
    assert json.loads((tmp_path / "out" / "leave_one_out.json").read_text()) == rows
    assert (tmp_path / "out" / "leave_one_out.md").read_text() == table(rows)
    without_north = read_recipe(tmp_path / "out" / "1-without-north" / "recipe.yaml")
    assert [path.name for path in without_north.train] == ["south"]
    logs = [(folder / "log.jsonl").read_bytes() for folder in sorted((tmp_path / "out").glob("*-without-*"))]
    assert run_leave_one_out(study(), tmp_path / "out") == rows
    assert [(folder / "log.jsonl").read_bytes() for folder in sorted((tmp_path / "out").glob("*-without-*"))] == logs
    assert len(TrainingLog(tmp_path / "out" / "1-without-north" / "log.jsonl").records()) == 1


def test_the_average_is_of_the_runs_and_the_start(tmp_path, study, start):
    run_leave_one_out(study(start_shares=[0.5]), tmp_path / "out")
    runs = [read_model(folder / "best.pt") for folder in sorted((tmp_path / "out").glob("*-without-*"))]
    model = read_model(tmp_path / "out" / "average.pt")
    names = [name for name, _ in model.backbone.named_parameters()]
    for name in names:
        ours, first, second, begun = (
            dict(one.named_parameters())[name].detach().numpy()
            for one in (model.backbone, runs[0].backbone, runs[1].backbone, start)
        )
        np.testing.assert_allclose(ours, (first + second) / 4 + begun / 2, atol=1e-6)
    same = average(runs[:1], read_recipe(study()), 0.0)
    for name, value in runs[0].state_dict().items():
        np.testing.assert_array_equal(same.state_dict()[name], value)


def test_the_map_is_fitted_to_the_people_that_stay_and_in_the_end_to_all(tmp_path, study, start):
    fitted = []
    run_leave_one_out(study(DISCRIMINANT, start_shares=[0.5]), tmp_path / "out")
    model = read_model(tmp_path / "out" / "average.pt")
    for number, kept in ((1, "south"), (2, "north")):
        recipe_of_run = read_recipe(next((tmp_path / "out").glob(f"{number}-without-*")) / "recipe.yaml")
        assert [path.name for path in recipe_of_run.train] == [kept]
        fitted.append(read_model(next((tmp_path / "out").glob(f"{number}-without-*")) / "best.pt").discriminant.map)
    again = copy.deepcopy(model)
    fit_to_recipe(again, read_recipe(study(DISCRIMINANT)))
    torch.testing.assert_close(again.discriminant.map, model.discriminant.map)
    assert not torch.allclose(fitted[0], fitted[1])


def test_students_of_a_teacher_keep_the_maps_into_its_space():
    taught = recipe(
        mask={"kind": "none"},
        losses={"triplet_by_mask": False},
        discriminant={},
        distillation={"network": "teacher.onnx"},
    )
    students = [create_model(ModelSpec(width=0.25, mask="none", discriminant=True)) for _ in range(2)]
    for number, student in enumerate(students):
        student.discriminant.map.fill_(number)
    assert torch.all(average(students, taught, 0.0).discriminant.map == 0.5)


def test_the_command_adds_a_map_to_a_checkpoint_and_it_is_exported(tmp_path, study, start):
    run_leave_one_out(study(start_shares=[0.0]), tmp_path / "out")
    plain, mapped = tmp_path / "out" / "average.pt", tmp_path / "mapped.pt"
    arguments = ["fit-discriminant", str(plain), "--out", str(mapped), "--config"]
    found = CliRunner().invoke(main, [*arguments, str(study())])
    assert found.exit_code == 2
    assert "discriminant: is missing" in found.output
    found = CliRunner().invoke(main, [*arguments, str(study(DISCRIMINANT))])
    assert found.exit_code == 0, found.output
    model = read_model(mapped)
    images = torch.randint(0, 256, (3, 256, 128, 3), dtype=torch.uint8)
    with torch.inference_mode():
        before, after = (one.features(one.normalise(images)).neck for one in (read_model(plain), model))
    torch.testing.assert_close(after, before @ model.discriminant.map)
    export_model(model, tmp_path / "model.onnx")  # raises if the file computes something else


@pytest.mark.parametrize(
    ("tests", "message"),
    [
        pytest.param(None, "recipe.yaml: leave_one_out: is missing", id="no section"),
        pytest.param(["north", "south", "unseen"], "leave_one_out.tests: expected 2, one per folder", id="too many"),
    ],
)
def test_a_recipe_that_leaves_nothing_to_test_on_is_refused(tmp_path, study, write_recipe, tests, message):
    path = write_recipe() if tests is None else study(tests=tests)
    with pytest.raises(RecipeError, match=message):
        run_leave_one_out(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_prints_the_table(tmp_path, study, start):
    done = CliRunner().invoke(main, ["leave-one-out", "--config", str(study()), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "leave_one_out.md").read_text() in done.output
