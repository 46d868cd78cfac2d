import math

import pytest
import torch

from reidpipe.reid import Appearance, masked_similarity
from reidpipe.reid.supervision.losses import (
    arcface_logits,
    classification_loss,
    hardest_triplet_loss,
    joint_similarity,
    mask_overlap,
    masked_cosine,
    masked_pair_loss,
    orthogonality_loss,
    without_donors,
)


def random_inputs(n=6, classes=9, dimensions=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    neck = torch.randn(n, dimensions, generator=generator)
    mask = torch.rand(n, dimensions, generator=generator)
    prototypes = torch.randn(classes, dimensions, generator=generator)
    labels = torch.randint(classes, (n,), generator=generator)
    return neck, mask, prototypes, labels


def test_masked_cosine_equals_the_naive_loop():
    neck, mask, prototypes, _ = random_inputs()
    expected = torch.empty(len(neck), len(prototypes))
    for i, (h, m) in enumerate(zip(neck, mask, strict=True)):
        for k, w in enumerate(prototypes):
            expected[i, k] = (m * h / h.norm() * w / w.norm()).sum() / (m * w / w.norm()).norm()
    torch.testing.assert_close(masked_cosine(neck, mask, prototypes), expected)


@pytest.mark.parametrize("constant", [1.0, 0.5, 1e-3])
def test_constant_mask_gives_the_plain_cosine(constant):
    neck, mask, prototypes, _ = random_inputs()
    plain = torch.nn.functional.normalize(neck) @ torch.nn.functional.normalize(prototypes).T
    torch.testing.assert_close(masked_cosine(neck, torch.full_like(mask, constant), prototypes), plain)


def test_masked_cosine_of_an_empty_mask_is_finite_and_has_gradients():
    neck, mask, prototypes, labels = random_inputs()
    neck.requires_grad_()
    mask = torch.zeros_like(mask, requires_grad=True)
    logits = arcface_logits(masked_cosine(neck, mask, prototypes), labels, 0.3, 30.0)
    torch.nn.functional.cross_entropy(logits, labels).backward()
    assert neck.grad.isfinite().all()
    assert mask.grad.isfinite().all()


def test_masked_cosine_is_computed_in_float32_and_stays_below_one():
    neck = torch.eye(3, dtype=torch.bfloat16)
    cosine = masked_cosine(neck, torch.ones_like(neck), neck)
    assert cosine.dtype == torch.float32
    assert cosine.max() < 1


def test_arcface_equals_the_definition_and_touches_the_true_class_only():
    neck, mask, prototypes, labels = random_inputs()
    cosine = masked_cosine(neck, mask, prototypes)
    logits = arcface_logits(cosine, labels, margin=0.4, scale=30.0)
    for i, label in enumerate(labels):
        for k in range(len(prototypes)):
            c = cosine[i, k].item()
            expected = 30 * (math.cos(math.acos(c) + 0.4) if k == label else c)
            assert logits[i, k].item() == pytest.approx(expected, abs=1e-3)


def test_arcface_falls_back_where_the_angle_leaves_its_range():
    cosine = torch.tensor([[-0.999, 0.2]])
    logits = arcface_logits(cosine, torch.tensor([0]), margin=0.5, scale=1.0)
    assert logits[0, 0].item() == pytest.approx(-0.999 - 0.5 * math.sin(0.5), abs=1e-5)


def test_triplet_equals_the_naive_loop():
    features, _, _, _ = random_inputs(n=8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    losses = []
    for i in range(8):
        distances = (features[i] - features).norm(dim=1)
        furthest = max(distances[j].item() for j in range(8) if labels[j] == labels[i])
        nearest = min(distances[j].item() for j in range(8) if labels[j] != labels[i])
        losses.append(math.log1p(math.exp(furthest - nearest)))
    assert hardest_triplet_loss(features, labels).item() == pytest.approx(sum(losses) / 8, abs=1e-4)


def naive_triplets(features, labels, donors, mask):
    """Each anchor's loss and weight, one pair at a time."""
    losses, weights = [], []
    for i in range(len(labels)):
        distances = [(features[i] - other).norm().item() for other in features]
        same = [j for j in range(len(labels)) if labels[j] == labels[i]]
        other = [j for j in range(len(labels)) if labels[j] != labels[i] and labels[j] != donors[i]]
        positive, negative = max(same, key=distances.__getitem__), min(other, key=distances.__getitem__)
        losses.append(math.log1p(math.exp(distances[positive] - distances[negative])))
        shared = [torch.nn.functional.cosine_similarity(mask[i], mask[j], 0).item() for j in (positive, negative)]
        weights.append(shared[0] * shared[1])
    return losses, weights


def test_triplets_weighted_by_shared_mask_equal_the_naive_loop():
    features, mask, _, _ = random_inputs(n=8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    losses, weights = naive_triplets(features, labels, [-1] * 8, mask)
    expected = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / sum(weights)
    assert hardest_triplet_loss(features, labels, mask=mask).item() == pytest.approx(expected, abs=1e-4)
    assert abs(expected - sum(losses) / 8) > 1e-3


@pytest.mark.parametrize("constant", [1.0, 0.5, 1e-3])
def test_constant_masks_give_the_plain_triplet(constant):
    features, mask, _, _ = random_inputs(n=8)
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3])
    weighted = hardest_triplet_loss(features, labels, mask=torch.full_like(mask, constant))
    torch.testing.assert_close(weighted, hardest_triplet_loss(features, labels))


def test_triplets_leave_a_donors_crops_out_of_the_negatives():
    features, mask, _, _ = random_inputs(n=8)
    labels, donors = torch.tensor([0, 0, 1, 1, 2, 2, 2, 3]), torch.tensor([2, -1, 0, -1, 2, 3, 0, 1])
    losses, _ = naive_triplets(features, labels, donors, mask)
    assert hardest_triplet_loss(features, labels, donors).item() == pytest.approx(sum(losses) / 8, abs=1e-4)
    assert hardest_triplet_loss(features, labels).item() != pytest.approx(sum(losses) / 8, abs=1e-4)


def test_a_crop_left_without_negatives_adds_nothing_and_has_finite_gradients():
    features = random_inputs(n=4)[0].requires_grad_()
    labels = torch.tensor([0, 0, 1, 1])
    loss = hardest_triplet_loss(features, labels, torch.tensor([1, 1, 0, 0]))
    loss.backward()
    assert loss.item() == 0
    assert features.grad.isfinite().all()


def test_mask_overlap_is_one_for_equal_and_zero_for_disjoint_masks():
    mask = torch.tensor([[1.0, 1, 0, 0], [0.2, 0.2, 0, 0], [0, 0, 1, 1]])
    torch.testing.assert_close(mask_overlap(mask), torch.tensor([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]))


def test_orthogonality_loss_equals_the_naive_loop():
    heads = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(0))
    expected = 0.0
    for crop in heads:
        for a in range(4):
            for b in range(4):
                if a != b:
                    expected += torch.nn.functional.cosine_similarity(crop[a], crop[b], 0).item() ** 2
    assert orthogonality_loss(heads).item() == pytest.approx(expected / 3 / 12, abs=1e-6)


def test_orthogonal_heads_cost_nothing_and_equal_ones_the_most():
    assert orthogonality_loss(5 * torch.eye(4).expand(2, 4, 4)).item() == 0
    assert orthogonality_loss(torch.ones(2, 4, 3)).item() == pytest.approx(1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_classification_leaves_donors_out_as_if_they_had_no_prototype(smoothing):
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    labels, donors = torch.tensor([0, 4, 2]), torch.tensor([3, -1, 2])  # the last donor is the person itself
    losses = []
    for row, label, donor in zip(logits, labels.tolist(), donors.tolist(), strict=True):
        counts = [k for k in range(5) if k == label or k != donor]
        total = math.log(sum(math.exp(row[k]) for k in counts))
        uniform = sum(total - row[k].item() for k in counts) / len(counts)
        losses.append((1 - smoothing) * (total - row[label].item()) + smoothing * uniform)
    loss = classification_loss(without_donors(logits, labels, donors), labels, smoothing)
    assert loss.item() == pytest.approx(sum(losses) / 3, abs=1e-5)


def test_without_donors_classification_is_cross_entropy_and_gradients_are_finite():
    logits = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([0, 4, 2])
    plain = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.2)
    torch.testing.assert_close(classification_loss(logits, labels, 0.2), plain)
    classification_loss(without_donors(logits, labels, torch.tensor([1, 1, 1])), labels, 0.2).backward()
    assert logits.grad.isfinite().all()
    assert (logits.grad[:, 1] == 0).all()


def test_triplet_of_identical_features_has_finite_gradients():
    features = torch.ones(4, 5, requires_grad=True)
    hardest_triplet_loss(features, torch.tensor([0, 0, 1, 1])).backward()
    assert features.grad.isfinite().all()


def test_joint_similarity_is_the_metric_in_use():
    neck, mask, _, _ = random_inputs()
    embedding = torch.nn.functional.normalize(neck)
    appearance = Appearance(embedding.numpy(), mask.numpy())
    expected = torch.from_numpy(masked_similarity(appearance, appearance, "joint"))
    torch.testing.assert_close(joint_similarity(embedding, mask), expected, atol=1e-5, rtol=0)


def test_pair_loss_equals_the_naive_loop():
    neck, mask, _, _ = random_inputs(n=6)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    similarity = 4 * joint_similarity(torch.nn.functional.normalize(neck), mask)
    losses = []
    for i in range(6):
        everybody = math.log(sum(math.exp(similarity[i, j]) for j in range(6) if j != i))
        own = [everybody - similarity[i, j].item() for j in range(6) if j != i and labels[j] == labels[i]]
        losses.append(sum(own) / len(own))
    assert masked_pair_loss(neck, mask, labels, 4.0).item() == pytest.approx(sum(losses) / 6, abs=1e-4)


def test_pair_loss_trains_a_mask_to_suppress_noise():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(8).repeat_interleave(2)
    own = torch.randn(8, 8, generator=generator).repeat_interleave(2, 0)
    neck = torch.cat([own, 3 * torch.randn(16, 8, generator=generator)], 1)  # the second half is noise
    logits = torch.zeros(16, requires_grad=True)
    masked_pair_loss(neck, torch.sigmoid(logits).expand(16, 16), labels, 16.0).backward()
    assert (logits.grad[:8] < 0).all()
    assert logits.grad[:8].mean() < logits.grad[8:].mean()
