import copy

import numpy as np
import pytest
import torch

from reidpipe.reid.appearance import Appearance
from reidpipe.reid.embedder import Embedder
from reidpipe.reid.errors import RecipeError
from reidpipe.reid.export import export_model
from reidpipe.reid.model.network import ModelSpec, ReidModel, create_model
from reidpipe.reid.model.regions import (
    WINDOWS,
    RegionHeads,
    RegionMask,
    Regions,
    VisibilityMap,
    region_loss,
    region_windows,
    seen_of_regions,
    visibility_loss,
    visibility_truth,
)
from reidpipe.reid.similarity import masked_similarity

from ..tiny_network import DIMENSIONS as TINY_DIMENSIONS
from ..tiny_network import TinyVit

CHANNELS = (8, 12, 16, 16)
SIZES = ((32, 16), (16, 8), (16, 8), (16, 8))


def maps(people=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(people, c, *size, generator=generator) for c, size in zip(CHANNELS, SIZES, strict=True)]


def test_every_window_is_an_average():
    windows = region_windows()
    assert windows.shape == (WINDOWS, 16, 8)
    assert torch.allclose(windows.sum((1, 2)), torch.ones(WINDOWS))
    assert (windows >= 0).all()


@pytest.mark.parametrize(
    "window, inside, outside",
    [
        pytest.param(0, (2, 4), (13, 4), id="upper third"),
        pytest.param(1, (7, 4), (1, 4), id="middle third"),
        pytest.param(2, (13, 4), (2, 4), id="lower third"),
        pytest.param(3, (8, 1), (8, 6), id="left half"),
        pytest.param(4, (8, 6), (8, 1), id="right half"),
    ],
)
def test_windows_cover_their_part_of_the_crop(window, inside, outside):
    weights = region_windows()[window]
    assert weights[inside] > 20 * weights[outside]


def test_visibility_is_undecided_at_the_start():
    assert torch.equal(VisibilityMap(CHANNELS)(maps()), torch.zeros(3, 16, 8))


def test_the_visibility_map_can_learn_a_position():
    torch.manual_seed(0)
    visibility, given = VisibilityMap(CHANNELS), maps(8)
    truth = torch.zeros(8, 16, 8)
    truth[:, :, 4:] = 1
    optimiser = torch.optim.Adam(visibility.parameters(), 0.01)
    for _ in range(30):
        optimiser.zero_grad()
        visibility_loss(visibility(given), truth, torch.ones_like(truth)).backward()
        optimiser.step()
    found = torch.sigmoid(visibility.eval()(given))
    assert found[:, :, 5:].mean() > 0.8
    assert found[:, :, :3].mean() < 0.2


def test_cells_with_an_unknown_target_have_no_gradient():
    logits = torch.randn(2, 16, 8, requires_grad=True)
    known = torch.zeros(2, 16, 8)
    known[0, 3, 2] = 1
    loss = visibility_loss(logits, torch.ones(2, 16, 8), known)
    loss.backward()
    assert loss.item() == pytest.approx(torch.nn.functional.softplus(-logits[0, 3, 2]).item())
    assert (logits.grad != 0).sum() == 1


def test_no_known_cells_give_no_loss():
    logits = torch.randn(2, 16, 8, requires_grad=True)
    loss = visibility_loss(logits, torch.ones(2, 16, 8), torch.zeros(2, 16, 8))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


def test_global_pooling_weights_the_visible_cells():
    heads = RegionHeads(16, 10, 4)
    visible = torch.zeros(1, 16, 8)
    visible[:, :4, :4] = 1
    weights = heads.weights(visible)
    assert weights.sum().item() == pytest.approx(1)
    assert weights[:, :4, :4].sum() > 0.8


def test_global_pooling_is_the_mean_where_no_cell_is_visible():
    weights = RegionHeads(16, 10, 4).weights(torch.zeros(2, 16, 8))
    assert torch.allclose(weights, torch.full((2, 16, 8), 1 / 128))


def test_a_window_ignores_cells_outside():
    heads, deepest = RegionHeads(16, 10, 4), torch.randn(1, 16, 16, 8)
    before = heads(deepest)
    deepest[:, :, :, 7] += 10  # at the right edge
    changed = (heads(deepest) - before).abs().view(WINDOWS, 4).amax(1)
    assert changed[3] < 0.01 * changed[4]


def test_every_dim_has_a_region():
    heads = RegionHeads(16, 10, 4)
    assert heads.dimensions == 10 + 4 * WINDOWS
    assert heads.region_of.tolist() == [0] * 10 + [region for region in range(1, 6) for _ in range(4)]


def test_visibility_of_regions():
    visible = torch.zeros(1, 16, 8)
    visible[:, :, :4] = 1
    whole, upper, middle, lower, left, right = RegionHeads(16, 10, 4).seen(visible)[0].tolist()
    assert [whole, upper, middle, lower] == pytest.approx([0.5] * 4)
    assert left > 0.9
    assert right < 0.1


def test_every_mask_is_one_half_at_the_start():
    region_of = RegionHeads(16, 10, 4).region_of
    assert torch.equal(RegionMask(region_of)(torch.full((3, 6), 0.5)), torch.full((3, 30), 0.5))


def test_dims_of_an_occluded_window_have_a_lower_mask():
    region_of = RegionHeads(16, 10, 4).region_of
    values = RegionMask(region_of)(torch.tensor([[0.1, 0.5, 0.5, 0.41, 0.9, 0.2]]))[0]
    assert torch.allclose(values[region_of < 5], torch.tensor(0.5))  # including those of global pooling
    assert torch.allclose(values[region_of == 5], torch.tensor(0.5 * 0.5**4))  # visible to half of 80 % of the mean


def test_the_target_of_rendered_people_is_their_unoccluded_part():
    covers, persons = torch.zeros(1, 16, 8), torch.zeros(1, 16, 8)
    persons[0, 4:12, 2:6] = 1
    covers[0, :, :4] = 1
    visible, known = visibility_truth(covers, persons, 0.15)
    expected = torch.zeros(16, 8)
    expected[4:12, 4:6] = 1
    assert torch.equal(visible[0], expected)
    assert torch.equal(known, torch.ones(1, 16, 8))


def test_of_other_crops_only_the_occluders_are_known():
    covers = torch.zeros(1, 16, 8)
    covers[0, 8:] = 1
    visible, known = visibility_truth(covers, torch.zeros(1, 16, 8), 0.15)
    assert (visible[0, 8:] == 0).all()
    assert (known[0, 8:] == 1).all()
    assert torch.allclose(known[0, :8], torch.tensor(0.15))
    assert visible[0, 3, 4] > 0.7 > visible[0, 3, 0]  # more likely in the middle than at the edge


def test_the_region_loss_equals_the_naive_loop():
    torch.manual_seed(0)
    heads = RegionHeads(16, 10, 4)
    neck, prototypes, labels = torch.randn(5, 30), torch.randn(7, 30), torch.tensor([0, 3, 3, 6, 1])
    seen = torch.rand(5, 6)
    expected = []
    for region in range(6):
        own = heads.region_of == region
        terms, weights = [], []
        for row in range(5):
            a = neck[row, own] / neck[row, own].norm()
            logits = torch.stack([10 * a @ (one[own] / one[own].norm()) for one in prototypes])
            terms.append(logits.logsumexp(0) - logits[labels[row]])
            weights.append(max(seen[row, region].item() - 0.15, 0))
        expected.append(sum(w * t for w, t in zip(weights, terms, strict=True)) / sum(weights))
    loss = region_loss(neck, prototypes, labels, seen, heads.region_of, 10)
    assert loss.item() == pytest.approx(torch.stack(expected).mean().item(), rel=1e-4)


def test_occluded_regions_have_no_gradient():
    heads = RegionHeads(16, 10, 4)
    neck = torch.randn(2, 30, requires_grad=True)
    covers = torch.zeros(2, 16, 8)
    covers[:, :, 4:] = 1  # the right half
    seen = seen_of_regions(1 - covers)
    region_loss(neck, torch.randn(3, 30), torch.tensor([0, 1]), seen, heads.region_of, 10).backward()
    assert (neck.grad[:, heads.region_of == 5] == 0).all()
    assert (neck.grad[:, heads.region_of == 4] != 0).all()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model(ModelSpec("osnet", 0.25, "regions", regions=8)).eval()


def test_a_model_with_regions_returns_evidence(model):
    with torch.no_grad():
        embedding, mask, evidence = model(torch.randn(2, 3, 256, 128))
    assert embedding.shape == mask.shape == (2, 512 + 8 * WINDOWS)
    assert torch.allclose(embedding.norm(dim=1), torch.ones(2))
    assert torch.allclose(mask, torch.tensor(0.5), atol=1e-6)
    assert torch.equal(evidence, torch.full((2, 16, 8), 0.5))


def test_the_global_feature_is_that_of_the_backbone_at_the_start(model):
    images = torch.randn(2, 3, 256, 128)
    with torch.no_grad():
        feature = model.features(images).feature[:, :512]
        assert torch.allclose(feature, model.backbone(images).feature, atol=1e-5)


def test_the_mean_mask_moves_into_the_embedding(model):
    model = copy.deepcopy(model)
    torch.nn.init.normal_(model.mask.precision)
    torch.nn.init.normal_(model.regions.visibility.out.weight)  # so that masks differ
    images = torch.randn(4, 3, 256, 128)
    with torch.no_grad():
        before = Appearance(*(one.numpy() for one in model(images)[:2]))
        masks = torch.from_numpy(before.mask)
        model.mean_mask.copy_(masks.mean(0).maximum(0.51 * masks.amax(0)))  # so that none is clipped at 1
        after = Appearance(*(one.numpy() for one in model(images)[:2]))
    same = masked_similarity(before, before), masked_similarity(after, after)
    assert np.allclose(*same, atol=1e-4)
    assert after.mask.std(1).mean() < before.mask.std(1).mean()


def test_the_mean_mask_follows_unoccluded_crops_only(model):
    model = copy.deepcopy(model)
    features = model.features(torch.randn(2, 3, 256, 128))
    features = features._replace(seen=torch.tensor([[0.9] * 6, [0.1] * 6]))
    masks = torch.stack([torch.full((model.dimensions,), 0.7), torch.full((model.dimensions,), 0.1)])
    for _ in range(1000):
        model.update_mean_mask(masks, features, torch.tensor([True, False]))
    assert torch.allclose(model.mean_mask, torch.tensor(0.7), atol=1e-3)
    assert torch.allclose(model.mask.mean_seen, torch.tensor(0.9), atol=1e-3)
    before = model.mean_mask.clone()
    model.update_mean_mask(masks, features, torch.tensor([False, False]))
    assert torch.equal(model.mean_mask, before)


def test_a_backbone_without_a_map_to_weight_is_refused():
    model = ReidModel(TinyVit(), None, Regions((8, 8, 8, 8), TINY_DIMENSIONS, 4))
    with pytest.raises(RecipeError, match=r"regions: TinyVit has no map to pool"):
        model.features(torch.randn(1, 3, 256, 128))


def test_an_exported_model_takes_any_batch_size_and_returns_evidence(model, tmp_path, recwarn):
    export_model(model, tmp_path / "model.onnx")
    assert not [one for one in recwarn if issubclass(one.category, torch.jit.TracerWarning)]
    embedder, crops = Embedder(tmp_path / "model.onnx", threads=1), [np.zeros((64, 32, 3), np.uint8)] * 3
    assert len(embedder.embed(crops)) == 3
    assert embedder.evidence(crops[:1]).shape == (1, 16, 8)
