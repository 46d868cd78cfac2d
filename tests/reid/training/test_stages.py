import cv2
import numpy as np
import pytest
import torch

from reidpipe.reid import DatasetError, RecipeError
from reidpipe.reid.backbones.large.clip_model import load_clip
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.training.feature_memory import FeatureMemory
from reidpipe.reid.training.records.log import TrainingLog
from reidpipe.reid.training.stages import embed_with_teacher, find_people, gather_occluders, learn_text
from reidpipe.reid.training.step.trainer import Trainer
from reidpipe.reid.training.train import read_training_crops, train

from ..recording_listener import RecordingListener

TINY_CLIP = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": [32, 16], "layers": 1, "width": 16, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
TRANSFER = {"transferred": 1.0, "pasted": 0.0, "probability": 1.0, "saliency": {"steps": 2}}


@pytest.fixture
def tiny_clip(monkeypatch):
    """open_clip's ViT-B-16 in small; counts how often it is loaded."""
    pytest.importorskip("open_clip", reason="needs the extra `train`")
    loaded = []

    def load(name, weights, **more):
        loaded.append((name, weights))
        torch.manual_seed(0)
        return load_clip("tiny", None, model_config=TINY_CLIP)

    monkeypatch.setattr("reidpipe.reid.training.stages.load_clip", load)
    return loaded


@pytest.fixture
def everywhere(monkeypatch):
    """A selector that finds a person in the middle of every crop: that of two steps finds nobody yet."""
    region = np.zeros((16, 8), np.bool_)
    region[3:14, 2:6] = True
    monkeypatch.setattr(
        "reidpipe.reid.training.stages.salient_regions", lambda selector, images: np.stack([region] * len(images))
    )
    return region


@pytest.fixture
def seen(monkeypatch):
    """Every batch that a trainer is given."""
    batches, original = [], Trainer.step

    def step(self, group, learning_rate, rng):
        batches.extend(group)
        return original(self, group, learning_rate, rng)

    monkeypatch.setattr(Trainer, "step", step)
    return batches


def test_text_supervision_adds_its_terms_and_moves_its_projections(tmp_path, write_recipe, tiny_clip):
    recipe = write_recipe(clip={"epochs": 1, "pretrained": "openai"}, held_out={"identities": 0})
    train(recipe, tmp_path / "out")
    assert tiny_clip == [("ViT-B-16", "openai")]
    for record in TrainingLog(tmp_path / "out" / "log.jsonl").records():
        assert {"text", "text_prototypes"} <= set(record["losses"])
    state = torch.load(tmp_path / "out" / "last.pt", weights_only=True)["trainer"]["extras"]
    text = torch.load(tmp_path / "out" / "text.pt", weights_only=True)["text"]
    assert text.shape == (5, 12)
    assert torch.equal(state["text.text"], text)
    std = state["text.projection.weight"].std()
    assert std > 1.2e-3  # it began at 0.001
    assert not any("text" in name for name in torch.load(tmp_path / "out" / "best.pt", weights_only=True)["model"])


def test_a_resumed_run_does_not_load_clip_again(tmp_path, write_recipe, tiny_clip):
    sections = {"clip": {"epochs": 1}, "held_out": {"identities": 0}}
    train(write_recipe(**sections), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        train(write_recipe(**sections), tmp_path / "broken", listeners=[RecordingListener(dies_before_epoch=1)])
    train(write_recipe(**sections), tmp_path / "broken", resume=True)
    assert len(tiny_clip) == 2
    ends = [torch.load(tmp_path / name / "best.pt", weights_only=True)["model"] for name in ("unbroken", "broken")]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_the_teacher_runs_once_per_recipe_and_crops(tmp_path, write_recipe, monkeypatch):
    runs = []

    def embed(network, images):
        runs.append(network.name)
        return np.full((len(images), 4), 0.5, np.float32)

    monkeypatch.setattr("reidpipe.reid.training.stages.embed_clean_crops", embed)
    for network in ("one.xml", "one.xml", "two.xml"):
        recipe = read_recipe(write_recipe(teacher={"network": network}))
        crops = read_training_crops(recipe)[0]
        assert embed_with_teacher(recipe, crops, tmp_path, FeatureMemory()).shape == (len(crops), 4)
    assert runs == ["one.xml", "two.xml"]


def test_text_of_another_recipe_is_learnt_again(tmp_path, write_recipe, tiny_clip, caplog):
    for epochs in (1, 1, 2):
        recipe = read_recipe(write_recipe(clip={"epochs": epochs}))
        learn_text(recipe, read_training_crops(recipe)[0], tmp_path)
    assert len(tiny_clip) == 2
    assert "text.pt: of another recipe or other crops: computed again" in caplog.text


def test_without_clip_there_is_no_first_stage(tmp_path, write_recipe):
    recipe = read_recipe(write_recipe())
    assert learn_text(recipe, read_training_crops(recipe)[0], tmp_path) is None
    assert list(tmp_path.glob("*.pt")) == []


def test_the_selector_is_trained_once_and_leaves_the_backbone_alone(tmp_path, write_recipe, monkeypatch):
    recipe = read_recipe(write_recipe(occlusion=TRANSFER))
    crops, _ = read_training_crops(recipe)
    trainer = Trainer(recipe, 3, 2)
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    regions = find_people(recipe, crops, trainer.model.backbone, tmp_path)
    assert regions.shape == (len(crops), 16, 8)
    assert regions.dtype == np.bool_
    assert all(torch.equal(before[name], value) for name, value in trainer.model.state_dict().items())
    monkeypatch.setattr("reidpipe.reid.training.stages.train_saliency", None)  # would fail if called
    np.testing.assert_array_equal(find_people(recipe, crops, trainer.model.backbone, tmp_path), regions)


def test_patches_are_transferred_in_pixels(tmp_path, write_recipe, everywhere, seen):
    train(write_recipe(occlusion=TRANSFER, schedule={"epochs": 1}), tmp_path / "out")
    for batch in seen:
        moved = batch.donors >= 0
        assert moved.tolist() == [False, True, False, True]
        assert (batch.donors != batch.labels).all()
        assert batch.exchange is None
        assert (batch.covers[moved].mean((1, 2)) > 0.2).all()


def test_patches_are_transferred_in_tokens(tmp_path, write_recipe, everywhere, seen):
    sections = {"backbone": {"name": "vit-b16", "frozen": []}, "occlusion": {**TRANSFER, "transfer_space": "tokens"}}
    train(write_recipe(**sections, schedule={"epochs": 1}), tmp_path / "out")
    trainer = Trainer(read_recipe(write_recipe(**sections)), 3, 2)
    for batch in seen:
        assert (batch.donors >= 0).tolist() == [False, True, False, True]
        images = trainer.model.normalise(batch.images)
        with torch.inference_mode():
            plain = trainer.model.eval().features(images).feature
            exchanged = trainer.model.features(images, None, batch.exchange).feature
        assert torch.allclose(plain[[0, 2]], exchanged[[0, 2]], atol=1e-6)
        assert not torch.allclose(plain[[1, 3]], exchanged[[1, 3]], atol=1e-4)


def test_tokens_need_a_backbone_that_has_them(write_recipe):
    with pytest.raises(RecipeError, match=r"occlusion.transfer_space: osnet has no tokens"):
        read_recipe(write_recipe(occlusion={**TRANSFER, "transfer_space": "tokens"}))


def test_class_ignoring_may_be_switched_off(tmp_path, write_recipe, everywhere):
    losses = {}
    for ignoring in (True, False):
        recipe = write_recipe(occlusion=TRANSFER, losses={"ignore_donors": ignoring}, schedule={"steps_per_epoch": 1})
        train(recipe, tmp_path / str(ignoring))
        losses[ignoring] = TrainingLog(tmp_path / str(ignoring) / "log.jsonl").records()[0]["losses"]
    assert losses[True]["plain"] < losses[False]["plain"]
    assert losses[True]["triplet"] <= losses[False]["triplet"]


def test_a_selector_that_finds_nobody_is_reported(tmp_path, write_recipe, monkeypatch, caplog):
    monkeypatch.setattr(
        "reidpipe.reid.training.stages.salient_regions", lambda _, images: np.zeros((len(images), 16, 8), np.bool_)
    )
    train(write_recipe(occlusion=TRANSFER, schedule={"epochs": 1}), tmp_path / "out")
    assert "the selector finds no person" in caplog.text


def test_cutouts_come_from_a_folder_or_are_drawn(tmp_path, write_recipe, monkeypatch):
    monkeypatch.setattr("reidpipe.reid.training.stages.DRAWN_CUTOUTS", 3)
    things = tmp_path / "things"
    with pytest.raises(DatasetError, match="things"):
        gather_occluders(read_recipe(write_recipe(occlusion={"cutouts": 1.0, "cutouts_folder": "things"})), None)
    things.mkdir()
    picture = np.zeros((20, 20, 4), np.uint8)
    picture[5:15, 5:15] = 255
    cv2.imwrite(str(things / "box.png"), picture)
    recipe = read_recipe(write_recipe(occlusion={"cutouts": 1.0, "cutouts_folder": "things"}))
    assert [one.pixels.shape for one in gather_occluders(recipe, None).cutouts] == [(10, 10, 4)]
    drawn = gather_occluders(read_recipe(write_recipe(occlusion={"cutouts": 1.0})), None)
    assert len(drawn.cutouts) == 3
    assert gather_occluders(read_recipe(write_recipe()), None).cutouts == ()
    assert gather_occluders(read_recipe(write_recipe(occlusion=None)), None) is None


def test_a_run_with_cutouts_and_one_without_any_occlusion(tmp_path, write_recipe, seen, monkeypatch):
    monkeypatch.setattr("reidpipe.reid.training.stages.DRAWN_CUTOUTS", 3)
    some = {"cutouts": 1.0, "pasted": 0.0, "probability": 1.0}
    train(write_recipe(occlusion=some, schedule={"epochs": 1}), tmp_path / "some")
    assert [[bool(cover.any()) for cover in batch.covers] for batch in seen] == [[False, True, False, True]] * 2
    seen.clear()
    train(write_recipe(occlusion=None, schedule={"epochs": 1}), tmp_path / "none")
    assert not any(bool(batch.covers.any()) for batch in seen)
