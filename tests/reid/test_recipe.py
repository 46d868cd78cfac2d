from datetime import date
from pathlib import Path

import pytest
import yaml

from reidpipe.reid import RecipeError
from reidpipe.reid.recipe.loader import read_recipe

RECIPES = sorted((Path(__file__).parents[2] / "configs" / "train").glob("*.yaml"))


@pytest.fixture
def write_recipe(tmp_path):
    def write(**changes):
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump({"train": ["crops"], **changes}))
        return path

    return write


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"epochz": 3}, "epochz: unknown key, expected one of train, start_from, unlabelled", id="unknown"),
        pytest.param({"losses": {"plian": 3}}, r"losses.plian: unknown key, did you mean plain\?", id="of a section"),
        pytest.param({"regions": {"weigth": 3}}, r"regions.weigth: unknown key, did you mean weight\?", id="optional"),
        pytest.param({"seed": date(2024, 1, 1)}, "seed: Input should be a valid integer, got '2024-01-01'", id="date"),
        pytest.param({"schedule": {"epochs": "many"}}, "schedule.epochs: Input should be a valid int", id="wrong type"),
        pytest.param({"schedule": {"epochs": True}}, "schedule.epochs: Input should be a valid integer", id="boolean"),
        pytest.param({"schedule": {"epochs": 0}}, "schedule.epochs: Input should be greater", id="no epoch"),
        pytest.param({"train": "crops"}, "train: Input should be a valid array", id="a string is no list"),
        pytest.param({"train": []}, "train: Tuple should have at least 1 item", id="no crops"),
        pytest.param({"device": "tpu"}, "device: Input should be 'cpu' or 'cuda'", id="unknown device"),
        pytest.param(
            {"backbone": {"name": "vit-b16"}, "regions": {}, "mask": {"kind": "regions"}},
            "regions: vit-b16 has no feature map",
            id="no regions",
        ),
        pytest.param({"mask": {"trust_weight": 1}}, "mask.trust_weight: only masks of kind", id="trust in nothing"),
        pytest.param({"mask": {"kind": "regions"}}, "mask.kind: masks of regions need", id="masks of no regions"),
        pytest.param({"mask": {"kind": "none"}}, "losses.triplet_by_mask: there is no mask", id="weights of no mask"),
        pytest.param(
            {"mask": {"pair_weight": 0}}, "mask: expected a pair_weight, arcface_weight, trust", id="idle mask"
        ),
        pytest.param({"losses": {"plain": 0, "masked": 0, "triplet": 0}}, "losses: expected plain", id="no loss"),
        pytest.param({"occlusion": {"pasted": 0}}, "occlusion: expected a source of occlusion", id="no occluder"),
    ],
)
def test_wrong_recipes_are_refused(write_recipe, changes, message):
    with pytest.raises(RecipeError, match=message):
        read_recipe(write_recipe(**changes))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "no such recipe", id="missing"),
        pytest.param(b"- a list", "expected keys with values, at least train", id="list"),
        pytest.param(b"", "expected keys with values, at least train", id="empty"),
        pytest.param(b"train:\n- crops\nseed: [", "not YAML: line 3, column 8: expected the node content", id="broken"),
        pytest.param(b"PK\x03\x04\xff", "is not a text file: its byte 4 is not UTF-8", id="bytes"),
        pytest.param(b"PK\x03\x04", "is not YAML: line 1: there is a control character", id="control codes"),
        pytest.param(b"seed: 1", "train: is missing", id="no crops"),
        pytest.param(b"cameras: {}", "expected a training recipe, .* got a config of cameras", id="a config"),
        pytest.param(b"(1, 2): 3\n? [a]\n: 4", "not YAML: line 2, column 3: a key must be text", id="a list as a key"),
    ],
)
def test_files_that_are_no_recipe_are_refused(tmp_path, content, message):
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecipeError, match=rf"recipe\.yaml: .*{message}") as caught:
        read_recipe(path)
    assert "\n" not in str(caught.value)


def test_a_recipe_needs_to_name_crops_only(write_recipe):
    recipe = read_recipe(write_recipe())
    assert recipe.backbone.name == "osnet"
    assert recipe.clip is None


def test_paths_in_a_recipe_are_relative_to_it(tmp_path, write_recipe):
    recipe = read_recipe(
        write_recipe(
            start_from="net.pth",
            teacher={"network": "teacher.xml"},
            backbone={"pretrained": "backbone.pth"},
            held_out={"folders": ["other"]},
        )
    )
    assert recipe.train == (tmp_path / "crops",)
    assert recipe.start_from == tmp_path / "net.pth"
    assert recipe.teacher.network == tmp_path / "teacher.xml"
    assert recipe.backbone.pretrained == str(tmp_path / "backbone.pth")
    assert recipe.held_out.folders == (tmp_path / "other",)


def test_names_of_published_weights_stay_as_they_are(write_recipe):
    recipe = read_recipe(write_recipe(backbone={"pretrained": "resnet50.a1_in1k"}))
    assert recipe.backbone.pretrained == "resnet50.a1_in1k"


def test_what_a_checkpoint_compares_holds_no_folder_and_no_machine(write_recipe):
    one = read_recipe(write_recipe(train=["a"], teacher={"network": "x/t.xml"}, threads=1, workers=3, amp="bfloat16"))
    two = read_recipe(write_recipe(train=["b"], teacher={"network": "y/t.xml"}, threads=2, workers=0, amp="bfloat16"))
    assert one.comparable() == two.comparable()
    assert one.comparable()["amp"] == "bfloat16"
    assert one.comparable()["schedule.epochs"] == 60
    assert one.comparable()["teacher.network"] == "t.xml"


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_the_repository_is_valid(path):
    recipe = read_recipe(path)
    if not path.stem.startswith(("accurate", "fast")):  # whose length was chosen elsewhere
        assert recipe.held_out.identities > 0 or recipe.held_out.folders  # or nothing would choose its best checkpoint


@pytest.mark.parametrize("name", ["resnet50", "vit_b16", "clip_vit_b16"])
def test_published_configurations_use_the_papers_losses_alone(name):
    recipe = read_recipe(RECIPES[0].parent / f"{name}.yaml")
    losses, mask = recipe.losses, recipe.mask
    assert (losses.plain, losses.masked, losses.triplet, losses.pairs) == (0.5, 0.5, 1.0, 0.0)
    assert (mask.kind, mask.joint_step) == ("full", False)
    assert (mask.arcface_weight, mask.pair_weight, mask.trust_weight) == (1.0, 0.0, 0.0)
    assert recipe.regions is None


def test_there_is_a_recipe_for_every_published_configuration():
    assert {"resnet50", "vit_b16", "clip_vit_b16"} <= {path.stem for path in RECIPES}
