import pytest
import torch
from torch.nn import functional

from reidpipe.reid.trust import deviations, trust_loss


def naive_deviations(neck, labels, whole):
    embedding = functional.normalize(neck)
    rows, comparable = [], []
    for i in range(len(labels)):
        others = [embedding[j] for j in range(len(labels)) if j != i and labels[j] == labels[i] and whole[j]]
        comparable.append(bool(others))
        mean = sum(others) / len(others) if others else embedding[i]
        rows.append((embedding[i] - mean) ** 2 * embedding.shape[1])
    return torch.stack(rows), torch.tensor(comparable)


def test_deviations_equal_the_naive_loop():
    torch.manual_seed(0)
    neck, labels = torch.randn(9, 6), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3])
    whole = torch.tensor([1, 1, 0, 1, 0, 0, 0, 0, 1], dtype=torch.bool)
    expected, comparable = naive_deviations(neck, labels, whole)
    squared, rows = deviations(neck, labels, whole)
    assert torch.allclose(squared, expected, atol=1e-6)
    assert rows.tolist() == comparable.tolist() == [True, True, True, False, True, True, False, False, False]


def test_the_loss_equals_the_naive_loop():
    torch.manual_seed(0)
    mask, squared = torch.rand(4, 5) * 0.9 + 0.05, torch.rand(4, 5)
    comparable, typical = torch.tensor([True, False, True, True]), torch.tensor(0.7)
    terms = []
    for i in (0, 2, 3):
        for d in range(5):
            precision = mask[i, d] / (1 - mask[i, d])
            terms.append(0.5 * (squared[i, d] / typical * precision - precision.log()))
    loss = trust_loss(mask, squared, comparable, typical)
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_it_is_least_where_the_precision_fits():
    squared, everybody, typical = torch.tensor([[0.1, 1.0, 10.0]]), torch.tensor([True]), torch.tensor(1.0)
    logit = torch.zeros(1, 3, requires_grad=True)
    optimiser = torch.optim.Adam([logit], 0.1)
    for _ in range(300):
        optimiser.zero_grad()
        trust_loss(torch.sigmoid(logit), squared, everybody, typical).backward()
        optimiser.step()
    assert torch.allclose(logit.exp(), 1 / squared, rtol=1e-2)


def test_a_typical_deviation_is_a_mask_of_one_half():
    logit = torch.zeros(2, 3, requires_grad=True)
    trust_loss(
        torch.sigmoid(logit), torch.full((2, 3), 0.4), torch.ones(2, dtype=torch.bool), torch.tensor(0.4)
    ).backward()
    assert logit.grad.abs().max() < 1e-6


def test_nobody_to_compare_with_is_no_loss():
    mask = torch.full((2, 3), 0.3, requires_grad=True)
    loss = trust_loss(mask, torch.zeros(2, 3), torch.zeros(2, dtype=torch.bool), torch.tensor(1.0))
    loss.backward()
    assert loss.item() == 0
    assert mask.grad.abs().sum() == 0
