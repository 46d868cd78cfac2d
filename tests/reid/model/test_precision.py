import pytest
import torch
from torch.nn import functional

from reidpipe.reid.model.precision import LEAST_DEVIATION, MeanDeviation, deviations, mask_of, trust_loss


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
    precision, squared, usual = torch.randn(5), torch.rand(4, 5), torch.rand(4, 5) + 0.1
    comparable = torch.tensor([True, False, True, True])
    terms = []
    for i in (0, 2, 3):
        for d in range(5):
            terms.append(0.5 * (squared[i, d] / usual[i, d] * precision[d].exp() - precision[d]))
    loss = trust_loss(precision, squared, comparable, usual)
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_it_is_least_where_the_precision_fits():
    squared, everybody, usual = torch.tensor([[0.5, 1.0, 4.0]]), torch.tensor([True]), torch.ones(1, 3)
    precision = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adam([precision], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        trust_loss(precision, squared, everybody, usual).backward()
        optimiser.step()
    assert torch.allclose(precision.exp(), 1 / squared, rtol=1e-2)


def test_the_usual_deviation_is_a_mask_of_one_half():
    precision = torch.zeros(3, requires_grad=True)
    everybody = torch.ones(2, dtype=torch.bool)
    trust_loss(precision, torch.full((2, 3), 0.4), everybody, torch.full((2, 3), 0.4)).backward()
    assert precision.grad.abs().max() < 1e-6
    assert torch.equal(mask_of(precision), torch.full((3,), 0.5))


def test_no_dim_is_ever_certain():
    assert 0.01 < mask_of(torch.tensor([-50.0])) < mask_of(torch.tensor([50.0])) < 0.99


def test_nobody_to_compare_with_is_no_loss():
    precision = torch.zeros(3, requires_grad=True)
    loss = trust_loss(precision, torch.zeros(2, 3), torch.zeros(2, dtype=torch.bool), torch.ones(2, 3))
    loss.backward()
    assert loss.item() == 0
    assert precision.grad.abs().sum() == 0


def test_what_is_usual_depends_on_the_size_of_a_value():
    usual = MeanDeviation()
    neck = torch.tensor([[0.1, 1.4], [0.1, -1.4]])  # of mean square about 1
    squared = torch.tensor([[0.2, 3.0], [0.4, 5.0]])
    expected = torch.tensor([[0.3, 4.0], [0.3, 4.0]]) + LEAST_DEVIATION
    assert torch.allclose(usual(neck, squared, torch.tensor([True, True])), expected, atol=1e-4)


def test_rows_without_comparison_are_not_usual():
    usual = MeanDeviation()
    neck, squared = torch.tensor([[0.1, 1.4], [0.1, -1.4]]), torch.tensor([[0.2, 3.0], [0.0, 0.0]])
    assert torch.allclose(usual(neck, squared, torch.tensor([True, False]))[0], squared[0] + LEAST_DEVIATION, atol=1e-4)


def test_what_is_usual_follows_slowly():
    usual, everybody = MeanDeviation(), torch.tensor([True])
    neck = torch.tensor([[1.0, 1.0]])
    for _ in range(200):
        usual(neck, torch.full((1, 2), 1.0), everybody)
    after_one = usual(neck, torch.full((1, 2), 3.0), everybody)[0, 0].item()
    assert 1.0 + LEAST_DEVIATION < after_one < 1.1 + LEAST_DEVIATION
