import time

import numpy as np
import pytest
import torch
from torch.nn import functional

from reidpipe.reid.model.prototypes import Prototypes
from reidpipe.reid.supervision.losses import classification_loss

CPU = torch.device("cpu")


def drawn(identities=7, dimensions=5, sampled=None, seed=0):
    torch.manual_seed(seed)
    return Prototypes(identities, dimensions, sampled, CPU)


def test_sampling_everything_equals_the_full_loss_and_torchs_adamw():
    prototypes = drawn()
    full = torch.nn.Parameter(prototypes.weight.clone())
    optimiser = torch.optim.AdamW([full], 0.1, weight_decay=0.2)
    neck, labels = torch.randn(4, 5), torch.tensor([1, 1, 6, 0])
    for step in range(3):
        sample = prototypes.sample(labels, np.random.default_rng(step))
        loss = classification_loss(neck @ sample.weight.T, sample.columns(labels))
        expected = functional.cross_entropy(neck @ full.T, labels)
        assert loss.item() == pytest.approx(expected.item(), abs=2e-6)
        loss.backward()
        prototypes.step(sample, 0.1, 0.2)
        optimiser.zero_grad()
        expected.backward()
        optimiser.step()
    torch.testing.assert_close(prototypes.weight, full.detach(), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("sampled", [2, 4, 6])
def test_all_identities_of_the_batch_are_sampled_and_labels_find_their_columns(sampled):
    prototypes = drawn(sampled=sampled)
    labels = torch.tensor([6, 2, 2, 6])
    others = set()
    for seed in range(20):
        sample = prototypes.sample(labels, np.random.default_rng(seed))
        rows = sample.rows.tolist()
        assert rows == sorted(set(rows))
        assert len(rows) == sampled
        assert {2, 6} <= set(rows)
        others |= set(rows) - {2, 6}
        torch.testing.assert_close(sample.weight[sample.columns(labels)], prototypes.weight[labels])
    assert others == (set() if sampled == 2 else {0, 1, 3, 4, 5})


def test_an_identity_that_is_not_sampled_has_no_column():
    sample = drawn(sampled=2).sample(torch.tensor([1, 3]), np.random.default_rng(0))
    assert sample.columns(torch.tensor([1, -1, 6, 3, 0])).tolist() == [0, -1, -1, 1, -1]


def test_a_batch_of_more_identities_than_sampled_takes_them_all():
    sample = drawn(sampled=2).sample(torch.tensor([1, 3, 5]), np.random.default_rng(0))
    assert sample.rows.tolist() == [1, 3, 5]


def test_with_a_million_identities_a_step_touches_the_sampled_rows_only_and_is_fast():
    prototypes = drawn(1_000_000, 4, 100)
    before = prototypes.weight.clone()
    labels = torch.tensor([3, 999_999, 3, 500_000])
    neck = torch.randn(4, 4)
    began = time.perf_counter()
    sample = prototypes.sample(labels, np.random.default_rng(0))
    loss = classification_loss(neck @ sample.weight.T, sample.columns(labels))
    loss.backward()
    prototypes.step(sample, 0.1, 0.01)
    seconds = time.perf_counter() - began
    assert sample.weight.shape == sample.weight.grad.shape == (100, 4)
    changed = (prototypes.weight != before).any(1).nonzero()[:, 0]
    torch.testing.assert_close(changed, sample.rows)
    for moments in (prototypes.mean, prototypes.square, prototypes.steps[:, None]):
        assert set((moments != 0).any(1).nonzero()[:, 0].tolist()) <= set(sample.rows.tolist())
    assert seconds < 0.25  # less than a single pass over all rows and their moments takes


def test_the_state_round_trips():
    one, two = drawn(seed=0), drawn(seed=1)
    for each in (one, two):
        sample = each.sample(torch.tensor([0]), np.random.default_rng(0))
        sample.weight.sum().backward()
        each.step(sample, 0.1, 0.0)
    two.restore(one.state())
    assert all(torch.equal(two.state()[name], value) for name, value in one.state().items())
