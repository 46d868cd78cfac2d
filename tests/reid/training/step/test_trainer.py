import copy

import numpy as np
import pytest
import torch

from reidpipe.reid import TrainingError
from reidpipe.reid.data.dataset import CropSet
from reidpipe.reid.recipe.schema import Recipe
from reidpipe.reid.training.step.batches import Batch
from reidpipe.reid.training.step.trainer import MOST_SKIPPED_IN_A_ROW, Trainer

RATE = 0.01


@pytest.fixture
def trainer(tiny_backbones):
    def build(identities=4, target=None, norm=True, heads=False, **sections):
        tiny_backbones.update(norm=norm, heads=heads)
        torch.manual_seed(0)
        recipe = Recipe.model_validate({"train": ("x",), **sections})
        return Trainer(recipe, identities, 2, target)

    return build


def batch_of(labels, seed=0, donors=None):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor(labels)
    n = len(labels)
    return Batch(
        images=torch.randint(0, 256, (n, 256, 128, 3), dtype=torch.uint8, generator=generator),
        labels=labels,
        camids=torch.arange(n) % 2,
        rows=torch.arange(n),
        covers=torch.zeros(n, 16, 8),
        donors=torch.full((n,), -1) if donors is None else torch.tensor(donors),
        persons=torch.zeros(n, 16, 8),
    )


def snapshot(one):
    return copy.deepcopy({**one.model.state_dict(), "prototypes": one.prototypes.weight})


def moved(before, after, beginning):
    names = [name for name in before if name.startswith(beginning)]
    assert names
    return any(not torch.equal(before[name], after[name]) for name in names)


def step(one, *batches, rate=RATE):
    return one.step(batches, rate, np.random.default_rng(0))


def test_a_step_moves_backbone_neck_mask_and_prototypes(trainer):
    one = trainer()
    before = snapshot(one)
    losses = step(one, batch_of([0, 0, 1, 1]))
    assert set(losses) == {"plain", "masked", "triplet", "pairs"}
    for part in ("backbone.", "neck.weight", "neck.running_mean", "mask.", "prototypes"):
        assert moved(before, snapshot(one), part), part


def test_the_mask_generator_keeps_its_own_learning_rate(trainer):
    one = trainer(mask={"learning_rate": 0.005})
    before = snapshot(one)
    step(one, batch_of([0, 0, 1, 1]), rate=0.0)
    after = snapshot(one)
    assert moved(before, after, "mask.out")
    assert not moved(before, after, "backbone.stem")
    assert not moved(before, after, "prototypes")


def test_in_a_joint_step_the_mask_generator_follows_the_schedule(trainer):
    one = trainer(mask={"joint_step": True})
    assert len(one.optimisers) == 1
    before = snapshot(one)
    step(one, batch_of([0, 0, 1, 1]), rate=0.0)
    assert not moved(before, snapshot(one), "mask.out")
    step(one, batch_of([0, 0, 1, 1]))
    assert moved(before, snapshot(one), "mask.out")


def test_only_in_a_joint_step_do_the_masks_terms_reach_the_backbone(trainer):
    gradients = {}
    for joint in (False, True):
        one = trainer(mask={"joint_step": joint}, losses={"plain": 1e-30, "masked": 0, "triplet": 0})
        torch.nn.init.normal_(one.model.mask.out.weight, generator=torch.Generator().manual_seed(0))
        step(one, batch_of([0, 0, 1, 1]))
        gradients[joint] = one.model.backbone.out.weight.grad.abs().max().item()
    assert gradients[False] < 1e-20
    assert gradients[True] > 1e-6


def test_the_mask_may_be_supervised_by_classification(trainer):
    one = trainer(mask={"pair_weight": 0, "arcface_weight": 1})
    before = snapshot(one)
    assert "mask_arcface" in step(one, batch_of([0, 0, 1, 1]))
    assert moved(before, snapshot(one), "mask.out")


def test_without_a_mask_generator_there_is_one_optimiser_and_every_mask_is_one_half(trainer):
    one = trainer(mask={"kind": "none"}, losses={"triplet_by_mask": False})
    assert set(step(one, batch_of([0, 0, 1, 1]))) == {"plain", "masked", "triplet"}
    assert len(one.optimisers) == 1
    with torch.inference_mode():
        _, mask = one.model.eval()(torch.zeros(2, 3, 256, 128))
    assert (mask == 0.5).all()


def test_two_accumulated_halves_are_one_whole_where_no_statistics_depend_on_the_batch(trainer):
    sections = {"losses": {"triplet": 0}, "mask": {"kind": "none"}}
    sections["losses"]["triplet_by_mask"] = False
    ends = []
    for halves in (False, True):
        one = trainer(norm=False, **sections)
        one.frozen.append(one.model.neck)  # the last BatchNorm
        whole = batch_of([0, 1, 2, 3, 0, 1, 2, 3])
        names = [name for name in vars(whole) if name != "exchange"]
        parts = [Batch(*(getattr(whole, name)[rows] for name in names)) for rows in (slice(4), slice(4, 8))]
        losses = step(one, *(parts if halves else [whole]))
        ends.append((losses, snapshot(one)))
    (whole_losses, whole_end), (half_losses, half_end) = ends
    assert half_losses == pytest.approx(whole_losses, abs=1e-5)
    for name in whole_end:
        torch.testing.assert_close(half_end[name], whole_end[name], atol=1e-5, rtol=1e-4, msg=name)


@pytest.mark.parametrize("amp", ["none", "bfloat16", "float16"])
def test_number_formats_train_and_weights_stay_float32(trainer, amp):
    one = trainer(amp=amp)
    assert one.scaler.is_enabled() == (amp == "float16")
    before, losses = snapshot(one), None
    for _ in range(MOST_SKIPPED_IN_A_ROW - 1):
        losses = losses or step(one, batch_of([0, 0, 1, 1]))
    assert losses is not None
    assert moved(before, snapshot(one), "backbone.out")
    assert all(value.dtype != torch.float16 for value in snapshot(one).values())


@pytest.mark.parametrize("amp", ["none", "float16"])
@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing(trainer, monkeypatch, where, amp):
    one = trainer(schedule={"ema_decay": 0.5}, amp=amp)
    while step(one, batch_of([0, 0, 1, 1])) is None:
        pass
    before, average = snapshot(one), copy.deepcopy(one.average.state_dict())
    optimisers = copy.deepcopy([each.state_dict()["state"] for each in one.optimisers])
    moments, skipped = copy.deepcopy(one.prototypes.state()), one.skipped
    original = one.objective.losses

    def broken(batch, features, mask, sample):
        losses = original(batch, features, mask, sample)
        if where == "loss":
            return {**losses, "plain": losses["plain"] * torch.nan}
        return {**losses, "plain": losses["plain"] + ((sample.weight - sample.weight.detach()) * 0).sum().sqrt()}

    with monkeypatch.context() as patch:
        patch.setattr(one.objective, "losses", broken)
        assert step(one, batch_of([2, 2, 3, 3], seed=1)) is None
    assert one.skipped == skipped + 1
    after = snapshot(one)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(torch.equal(average[name], value) for name, value in one.average.state_dict().items())
    assert all(torch.equal(moments[name], value) for name, value in one.prototypes.state().items())
    for old, new in zip(optimisers, one.optimisers, strict=True):
        for key, values in new.state_dict()["state"].items():
            assert all(torch.equal(old[key][name], value) for name, value in values.items())
    assert step(one, batch_of([0, 0, 1, 1])) is not None
    assert one.skipped_in_a_row == 0


def test_many_such_steps_in_a_row_end_the_run(trainer, monkeypatch):
    one = trainer()
    monkeypatch.setattr(one, "_accumulate", lambda batches, sample: None)
    for _ in range(MOST_SKIPPED_IN_A_ROW - 1):
        assert step(one, batch_of([0, 0, 1, 1])) is None
    with pytest.raises(TrainingError, match=r"step 19: the loss was not finite 20 times in a row"):
        step(one, batch_of([0, 0, 1, 1]))


def test_the_moving_average_lags_behind_and_is_what_is_kept(trainer):
    one = trainer(schedule={"ema_decay": 0.9})
    start = copy.deepcopy(one.best_model.state_dict())
    for seed in range(3):
        step(one, batch_of([0, 0, 1, 1], seed))
    name = "backbone.out.weight"
    begin, now, average = start[name], one.model.state_dict()[name], one.best_model.state_dict()[name]
    assert 0 < (average - begin).norm() < (now - begin).norm()
    assert torch.equal(one.weights()["model"][name], average)


def test_the_moving_average_forgets_faster_in_its_first_steps_and_averages_statistics(trainer):
    one = trainer(schedule={"ema_decay": 0.5})
    names = ["backbone.out.weight", "neck.running_var"]
    expected = {name: one.model.state_dict()[name].clone() for name in names}
    for number in range(1, 15):
        step(one, batch_of([0, 0, 1, 1], number))
        decay = min(0.5, number / (number + 10))
        for name in names:
            expected[name] = decay * expected[name] + (1 - decay) * one.model.state_dict()[name]
    for name in names:
        torch.testing.assert_close(one.best_model.state_dict()[name], expected[name])
    counter = "backbone.norm.num_batches_tracked"
    assert one.best_model.state_dict()[counter] == one.model.state_dict()[counter] == 14


def test_heads_are_kept_apart_where_the_backbone_has_them(trainer):
    assert "orthogonality" in step(trainer(heads=True, losses={"orthogonality": 1.0}), batch_of([0, 0, 1, 1]))
    assert "orthogonality" not in step(trainer(losses={"orthogonality": 1.0}), batch_of([0, 0, 1, 1]))


def test_a_teacher_is_followed(trainer, tmp_path):
    target = torch.nn.functional.normalize(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
    one = trainer(target=target, teacher={"network": tmp_path / "x.xml", "weight": 4.0})
    history = [step(one, batch_of([0, 0, 1, 1]))["teacher"] for _ in range(15)]
    assert history[-1] < history[0] - 0.1


def test_camera_embeddings_are_learnt_in_training_and_not_used_later(trainer):
    one = trainer(backbone={"cameras": True})
    assert one.spec.cameras == 2
    before = snapshot(one)
    step(one, batch_of([0, 0, 1, 1]))
    assert moved(before, snapshot(one), "backbone.camera")


def test_a_donors_class_is_ignored(trainer):
    one = trainer(mask={"kind": "none"}, losses={"triplet_by_mask": False})  # a mask would learn from the first step
    one.frozen.append(one.model)  # so that both steps see the same
    with torch.no_grad():
        one.prototypes.weight[:] = one.prototypes.weight[0]  # all four classes are equally likely
    some, none = [2, -1, -1, -1], [-1, -1, -1, -1]
    with_donor, without = (step(one, batch_of([0, 0, 1, 1], donors=donors), rate=0.0) for donors in (some, none))
    assert with_donor["plain"] < without["plain"] - 0.05
    assert with_donor["masked"] < without["masked"] - 0.05


REGIONS = {
    "regions": {"dimensions": 4},
    "mask": {"kind": "regions", "pair_weight": 0.0, "trust_weight": 1.0},
    "losses": {"pairs": 1.0},
}


def test_region_heads_visibility_map_and_precision_are_trained(trainer):
    one = trainer(**REGIONS)
    before = snapshot(one)
    for _ in range(2):  # in the first step every cell still has its mean visibility
        losses = step(one, batch_of([0, 0, 1, 1, 2, 2]))
    assert {"regions", "visibility", "trust", "embedding_pairs"} <= losses.keys()
    after = snapshot(one)
    for part in ("regions.visibility.out.weight", "regions.heads.heads.0.weight", "mask.precision", "mean_seen"):
        assert any(name.endswith(part) and not torch.equal(before[name], after[name]) for name in before), part


def test_the_precision_loss_trains_the_mask_generator_only(trainer):
    one = trainer(**REGIONS)
    batch = batch_of([0, 0, 1, 1, 2, 2])
    features = one.model.features(one.model.normalise(batch.images))
    mask = one.model.masks(features)
    sample = one.prototypes.sample(batch.labels, np.random.default_rng(0))
    one.objective.losses(batch, features, mask, sample)["trust"].backward()
    assert all(parameter.grad is None for parameter in one.model.backbone.parameters())
    assert all(parameter.grad is None for parameter in one.model.regions.parameters())
    assert one.model.mask.precision.grad.abs().sum() > 0


def test_statistics_are_recalibrated_at_the_start(trainer):
    one = trainer()
    norm = one.model.backbone.norm
    with torch.no_grad():
        norm.running_var.fill_(500.0)
        norm.weight.fill_(20.0)
    crops = CropSet(
        np.random.default_rng(0).integers(0, 256, (8, 256, 128, 3), np.uint8), np.arange(8) % 4, np.zeros(8, np.int64)
    )
    one.start(crops)
    assert norm.running_var.max() < 100
    assert norm.weight.max() < 20


def test_mean_deviations_survive_a_step_that_is_not_finite(trainer, monkeypatch):
    one = trainer(**REGIONS)
    step(one, batch_of([0, 0, 1, 1, 2, 2]))
    before = copy.deepcopy(one.objective.mean_deviation.state_dict())
    features, mean_mask = one.model.features, one.model.mean_mask.clone()

    def broken(*arguments):
        seen = features(*arguments)
        return seen._replace(neck=seen.neck * torch.nan)

    monkeypatch.setattr(one.model, "features", broken)
    assert step(one, batch_of([0, 0, 1, 1, 2, 2])) is None
    assert all(torch.equal(before[name], value) for name, value in one.objective.mean_deviation.state_dict().items())
    assert torch.equal(one.model.mean_mask, mean_mask)
