"""A network learns occlusion from its own start: targets, losses, pictures without identities, a whole run."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional

from reidpipe.reid import DatasetError, Embedder, RecipeError
from reidpipe.reid.data.dataset import CropSet, read_unlabelled
from reidpipe.reid.export import export
from reidpipe.reid.recipe.loader import read_recipe
from reidpipe.reid.recipe.schema import Recipe
from reidpipe.reid.training.feature_memory import FeatureMemory
from reidpipe.reid.training.records.log import TrainingLog
from reidpipe.reid.training.stages import embed_with_start, frozen_features
from reidpipe.reid.training.step.objective import Objective
from reidpipe.reid.training.step.trainer import Trainer
from reidpipe.reid.training.train import identities_to_learn, read_training_crops, train

from ..backbones.test_openvino import write_network
from ..small_networks import write_openvino_baseline
from .step.test_trainer import batch_of, snapshot, step

NO_IDENTITY_LOSS = {"plain": 0, "masked": 0, "triplet": 0, "triplet_by_mask": False}
PURE = {"losses": NO_IDENTITY_LOSS, "mask": {"kind": "none"}, "distillation": {"network": "start.xml"}}


def unit(*shape, seed=0):
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)))


def objective(clean, pids, centres, **distillation):
    recipe = Recipe.model_validate({"train": ("x",), **PURE, "distillation": {"network": "start.xml", **distillation}})
    one = Objective(recipe, clean.shape[1])
    one.set_targets(clean, torch.tensor(pids), centres)
    return one


def terms(one, neck, rows):
    return one._distillation_loss(neck, rows).item(), one._relation_loss(neck, rows).item()


def test_who_says_the_same_of_the_hidden_crop_has_nothing_to_learn():
    clean = unit(6, 8)
    one, rows = objective(clean, range(6), clean), torch.tensor([4, 1])
    assert terms(one, 3 * clean[rows], rows) == pytest.approx((0, 0), abs=1e-6)
    cosine, relation = terms(one, clean[[0, 2]], rows)
    assert cosine == pytest.approx(1 - (clean[[0, 2]] * clean[rows]).sum(1).mean().item(), abs=1e-6)
    assert relation > 0.1


def test_the_relation_is_the_divergence_of_two_softmaxes_over_all_crops():
    clean, neck = unit(6, 8), unit(2, 8, seed=1)
    rows = torch.tensor([3, 5])
    wanted, found = (torch.softmax(one @ clean.T / 0.2, 1) for one in (clean[rows], neck))
    expected = (wanted * (wanted.log() - found.log())).sum(1).mean().item()
    assert terms(objective(clean, range(6), clean, temperature=0.2), neck, rows)[1] == pytest.approx(expected, rel=1e-4)


def test_only_named_crops_have_a_target_between_their_own_and_their_identitys():
    clean, centres = unit(4, 8), unit(2, 8, seed=1)
    one = objective(clean, [0, 1, 1, 2], centres, identity_share=0.5)
    torch.testing.assert_close(one.targets[2], functional.normalize(clean[2] + centres[1], dim=0))
    torch.testing.assert_close(one.targets[3], clean[3])


def mask_distillation(one, neck, mask, covers):
    rows = torch.arange(len(neck))
    batch = replace(batch_of([0] * len(neck)), rows=rows, covers=covers)
    return one._mask_distillation_loss(neck, mask, batch)


def test_a_mask_that_hides_what_occlusion_changed_has_nothing_to_learn():
    clean, covers = unit(5, 32), torch.zeros(5, 16, 8)
    one = objective(clean, range(5), clean)
    covers[0, :8] = 1
    assert mask_distillation(one, 2 * clean, torch.full((5, 32), 0.5), covers).item() == pytest.approx(0, abs=1e-5)
    occluded = clean.clone()
    occluded[0, 16:] = clean[1, 16:]
    logits, losses = torch.zeros(32, requires_grad=True), []
    optimiser = torch.optim.Adam([logits], 0.1)
    for _ in range(60):
        mask = torch.cat([torch.sigmoid(logits)[None], torch.full((4, 32), 0.5)])
        loss = mask_distillation(one, occluded, mask, covers)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.5 * losses[0]
    assert logits[16:].mean() < logits[:16].mean()  # trusts what is still the person's own


def test_without_two_clean_crops_a_mask_learns_nothing():
    clean, covers = unit(3, 8), torch.ones(3, 16, 8)
    covers[0] = 0
    mask = torch.full((3, 8), 0.5).requires_grad_()
    mask_distillation(objective(clean, range(3), clean), clean, mask, covers).backward()
    assert mask.grad.abs().max() == 0


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of people of different sizes, the second one with a mask, and a folder that has neither."""
    rng = np.random.default_rng(0)
    for folder in ("people/images", "people/masks", "plain"):
        (tmp_path / folder).mkdir(parents=True)
    for name in "abc":
        picture = rng.integers(0, 256, (60, 20 + ord(name) % 7, 3), np.uint8)
        cv2.imwrite(str(tmp_path / "people" / "images" / f"{name}.png"), picture)
        cv2.imwrite(str(tmp_path / "plain" / f"{name}.png"), picture)
    mask = np.zeros((60, 22), np.uint8)
    mask[30:] = 255
    cv2.imwrite(str(tmp_path / "people" / "masks" / "b.png"), mask)
    return tmp_path


def test_pictures_that_nobody_has_named_are_one_person_each(pictures):
    crops = read_unlabelled(pictures / "people")
    assert crops.images.shape == (3, 256, 128, 3)
    assert crops.pids.tolist() == [0, 1, 2]
    assert crops.visible is not None
    assert crops.visible[1, 40:].min() == 255
    assert crops.visible[1, :20].max() == crops.visible[0].max() == 0
    plain = read_unlabelled(pictures / "plain")
    assert plain.visible is None
    np.testing.assert_array_equal(plain.images, crops.images)


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="no such folder of pictures"):
        read_unlabelled(tmp_path / "missing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="expected pictures of people, found none"):
        read_unlabelled(tmp_path / "empty")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"distillation": None, "losses": {}}, "unlabelled: needs the section", id="no teacher"),
        pytest.param({"clip": {}}, "unlabelled: clip needs identities", id="clip"),
        pytest.param(
            {"unlabelled": [], "distillation": None, "losses": {}, "mask": {"kind": "lite", "distillation_weight": 1}},
            "mask.distillation_weight: needs the section distillation",
            id="mask without a start",
        ),
        pytest.param({"unlabelled": [], "regions": {"dimensions": 0}}, "regions.weight: there are no", id="no heads"),
    ],
)
def test_recipes_that_cannot_learn_without_labels_are_refused(write_recipe, changes, message):
    base = {**PURE, "unlabelled": ["people"]}
    with pytest.raises(RecipeError, match=message):
        read_recipe(write_recipe(**{**base, **changes}))


def test_those_without_a_name_come_last_and_count_as_no_identity(pictures, write_recipe):
    recipe = read_recipe(write_recipe(**PURE, unlabelled=["people", "plain"]))
    crops, _ = read_training_crops(recipe)
    assert identities_to_learn(recipe, crops) == 3  # of five, two are held out
    assert len(np.unique(crops.pids)) == 3 + 6
    assert crops.pids[crops.sources > 0].min() == 3
    assert len(np.unique(crops.camids)) == 4


def test_identity_losses_leave_out_those_without_a_name(tiny_backbones):
    tiny_backbones.update(norm=False)
    recipe = Recipe.model_validate(
        {
            "train": ("x",),
            "unlabelled": ("y",),
            **PURE,
            "losses": {**NO_IDENTITY_LOSS, "masked": 1, "triplet": 1},
            "distillation": {"network": "s.xml", "weight": 0, "relation_weight": 0},
        }
    )
    moved = []
    for labels in ([0, 0, 1, 1], [0, 0, 1, 1, 2, 3]):
        torch.manual_seed(0)
        one = Trainer(recipe, 2, 2, start=unit(6, 16))
        batch = batch_of(labels)
        images = batch_of([0] * 6).images[: len(labels)]
        object.__setattr__(batch, "images", images)
        one.model.neck.eval()
        assert step(one, batch) is not None
        moved.append(snapshot(one))
    for name, value in moved[0].items():
        torch.testing.assert_close(value, moved[1][name], msg=name)


def test_a_start_of_another_width_is_refused(tiny_backbones):
    recipe = Recipe.model_validate({"train": ("x",), **PURE})
    with pytest.raises(RecipeError, match=r"distillation.network: expected .* of 16 dims, got 5"):
        Trainer(recipe, 2, 2, start=unit(6, 5))


def test_a_mirrored_start_says_the_same_of_a_crop_and_its_mirror_image(tmp_path):
    network = write_openvino_baseline(tmp_path / "peer.xml")
    crops = np.random.default_rng(0).integers(0, 256, (3, 256, 128, 3), np.uint8)
    once, both = (frozen_features(network, crops, mirrored) for mirrored in (False, True))
    mirror = np.ascontiguousarray(crops[:, :, ::-1])
    np.testing.assert_allclose(both, frozen_features(network, mirror, True), rtol=1e-4)
    np.testing.assert_allclose(both, (once + frozen_features(network, mirror, False)) / 2, rtol=1e-4)


def test_a_whole_run_begins_as_its_start_and_ends_as_an_onnx_file(tmp_path, write_recipe, pictures, monkeypatch):
    monkeypatch.undo()  # the tiny backbone
    write_network(tmp_path / "start.xml")
    recipe_path = write_recipe(
        **PURE,
        unlabelled=["people"],
        backbone={"name": "openvino", "pretrained": "start.xml", "width": 1.0, "frozen": []},
        regions={"dimensions": 0, "weight": 0.0},
        augmentation={"degraded": 1.0, "smallest_height_px": 48, "mostly_small": True},
        sampling={"per_folder": [1, 1]},
        schedule={"epochs": 1},
    )
    recipe = read_recipe(recipe_path)
    crops, _ = read_training_crops(recipe)
    start = embed_with_start(recipe, crops, tmp_path, FeatureMemory())
    trainer = Trainer(recipe, 3, 3, start=start)
    trainer.start(crops)
    assert recipe.distillation is not None
    once = torch.from_numpy(frozen_features(recipe.distillation.network, crops.images, mirrored=False))
    images = trainer.model.normalise(torch.from_numpy(crops.images))
    with torch.inference_mode():
        features = trainer.model.eval().features(images)
    torch.testing.assert_close(features.feature, once, rtol=0.05, atol=0.05)  # OpenVINO may round to bfloat16
    torch.testing.assert_close(
        functional.normalize(trainer.model.neck(start)).detach(), trainer.objective.targets, atol=1e-4, rtol=1e-4
    )

    best = train(recipe_path, tmp_path / "out")
    (record,) = TrainingLog(tmp_path / "out" / "log.jsonl").records()
    assert set(record["losses"]) == {"distillation", "relation", "visibility"}
    export(best, tmp_path / "model.onnx")
    embedder = Embedder(tmp_path / "model.onnx", threads=1)
    appearance = embedder.embed(list(crops.images[:2]))
    assert appearance.embedding.shape == (2, 5)
    np.testing.assert_allclose(appearance.mask, 0.5)


def test_what_is_kept_lies_between_the_trained_backbone_and_its_start(tiny_backbones):
    tiny_backbones.update(norm=False)
    recipe = Recipe.model_validate({"train": ("x",), **PURE, "distillation": {"network": "s.xml", "start_share": 0.25}})
    torch.manual_seed(0)
    one = Trainer(recipe, 2, 2, start=unit(4, 16))
    one.start(CropSet(np.zeros((4, 256, 128, 3), np.uint8), np.array([0, 0, 1, 1]), np.zeros(4, np.int64)))
    begun = one.model.backbone.out.weight.detach().clone()
    assert step(one, batch_of([0, 0, 1, 1])) is not None
    trained = one.model.backbone.out.weight.detach()
    assert not torch.equal(trained, begun)
    torch.testing.assert_close(one.best_model.backbone.out.weight, 0.75 * trained + 0.25 * begun)
    assert torch.equal(one.model.backbone.out.weight, trained)


def test_a_teacher_leads_a_student_into_its_space_before_training(tmp_path, write_recipe, pictures, monkeypatch):
    """The teacher is an exported model; its embeddings of clean crops are the targets, and the map leads to them."""
    monkeypatch.undo()  # the tiny backbone
    write_network(tmp_path / "start.xml")
    settings = {
        **PURE,
        "unlabelled": ["people"],
        "backbone": {"name": "openvino", "pretrained": "start.xml", "width": 1.0, "frozen": []},
        "schedule": {"epochs": 1},
    }
    own = write_recipe(**settings)
    export(train(own, tmp_path / "teacher"), tmp_path / "teacher.onnx")
    taught = write_recipe(
        **{**settings, "distillation": {"network": "teacher.onnx", "mirrored": False}, "discriminant": {}}
    )
    recipe = read_recipe(taught)
    crops, _ = read_training_crops(recipe)
    start = embed_with_start(recipe, crops, tmp_path, FeatureMemory())
    trainer = Trainer(recipe, 3, 3, start=start)
    trainer.start(crops)
    wanted = torch.from_numpy(Embedder(tmp_path / "teacher.onnx").embed(list(crops.images)).embedding)
    torch.testing.assert_close(trainer.objective.targets, wanted, atol=1e-4, rtol=1e-4)
    images = trainer.model.normalise(torch.from_numpy(crops.images))
    with torch.inference_mode():
        found = functional.normalize(trainer.model.eval().features(images).neck)
    assert functional.cosine_similarity(found, wanted).mean() > 0.9
    assert train(taught, tmp_path / "student").is_file()


def test_a_teacher_needs_a_map_into_its_space(write_recipe):
    with pytest.raises(RecipeError, match="a teacher's space needs the section discriminant"):
        read_recipe(write_recipe(**{**PURE, "distillation": {"network": "teacher.onnx"}}))
