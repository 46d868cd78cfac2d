import pytest
import torch
from torch.nn import functional

from reidpipe.reid.model.precision import (
    DEVIATION_FLOOR,
    MeanDeviation,
    precision_loss,
    precision_mask,
    squared_deviations,
)


def naive_deviations(neck, labels, unoccluded):
    embedding = functional.normalize(neck)
    rows, comparable = [], []
    for i in range(len(labels)):
        others = [embedding[j] for j in range(len(labels)) if j != i and labels[j] == labels[i] and unoccluded[j]]
        comparable.append(bool(others))
        mean = sum(others) / len(others) if others else embedding[i]
        rows.append((embedding[i] - mean) ** 2 * embedding.shape[1])
    return torch.stack(rows), torch.tensor(comparable)


def test_deviations_equal_the_naive_loop():
    torch.manual_seed(0)
    neck, labels = torch.randn(9, 6), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3])
    unoccluded = torch.tensor([1, 1, 0, 1, 0, 0, 0, 0, 1], dtype=torch.bool)
    expected, comparable = naive_deviations(neck, labels, unoccluded)
    squared, rows = squared_deviations(neck, labels, unoccluded)
    assert torch.allclose(squared, expected, atol=1e-6)
    assert rows.tolist() == comparable.tolist() == [True, True, True, False, True, True, False, False, False]


def test_the_loss_equals_the_naive_loop():
    torch.manual_seed(0)
    precision, squared, expected = torch.randn(5), torch.rand(4, 5), torch.rand(4, 5) + 0.1
    comparable = torch.tensor([True, False, True, True])
    terms = []
    for i in (0, 2, 3):
        for d in range(5):
            terms.append(0.5 * (squared[i, d] / expected[i, d] * precision[d].exp() - precision[d]))
    loss = precision_loss(precision, squared, comparable, expected)
    assert loss.item() == pytest.approx(torch.stack(terms).mean().item(), rel=1e-5)


def test_the_loss_is_least_where_the_precision_fits():
    squared, every_row, expected = torch.tensor([[0.5, 1.0, 4.0]]), torch.tensor([True]), torch.ones(1, 3)
    precision = torch.zeros(3, requires_grad=True)
    optimiser = torch.optim.Adam([precision], 0.05)
    for _ in range(300):
        optimiser.zero_grad()
        precision_loss(precision, squared, every_row, expected).backward()
        optimiser.step()
    assert torch.allclose(precision.exp(), 1 / squared, rtol=1e-2)


def test_the_mean_deviation_gives_a_mask_of_one_half():
    precision = torch.zeros(3, requires_grad=True)
    every_row = torch.ones(2, dtype=torch.bool)
    precision_loss(precision, torch.full((2, 3), 0.4), every_row, torch.full((2, 3), 0.4)).backward()
    assert precision.grad.abs().max() < 1e-6
    assert torch.equal(precision_mask(precision), torch.full((3,), 0.5))


def test_no_dim_is_ever_certain():
    assert 0.01 < precision_mask(torch.tensor([-50.0])) < precision_mask(torch.tensor([50.0])) < 0.99


def test_no_comparable_rows_give_no_loss():
    precision = torch.zeros(3, requires_grad=True)
    loss = precision_loss(precision, torch.zeros(2, 3), torch.zeros(2, dtype=torch.bool), torch.ones(2, 3))
    loss.backward()
    assert loss.item() == 0
    assert precision.grad.abs().sum() == 0


def test_the_mean_deviation_depends_on_the_magnitude_of_a_value():
    mean_deviation = MeanDeviation()
    neck = torch.tensor([[0.1, 1.4], [0.1, -1.4]])  # of mean square about 1
    squared = torch.tensor([[0.2, 3.0], [0.4, 5.0]])
    expected = torch.tensor([[0.3, 4.0], [0.3, 4.0]]) + DEVIATION_FLOOR
    assert torch.allclose(mean_deviation(neck, squared, torch.tensor([True, True])), expected, atol=1e-4)


def test_rows_without_comparison_do_not_enter_the_mean():
    mean_deviation = MeanDeviation()
    neck, squared = torch.tensor([[0.1, 1.4], [0.1, -1.4]]), torch.tensor([[0.2, 3.0], [0.0, 0.0]])
    assert torch.allclose(
        mean_deviation(neck, squared, torch.tensor([True, False]))[0], squared[0] + DEVIATION_FLOOR, atol=1e-4
    )


def test_the_mean_deviation_follows_slowly():
    mean_deviation, every_row = MeanDeviation(), torch.tensor([True])
    neck = torch.tensor([[1.0, 1.0]])
    for _ in range(200):
        mean_deviation(neck, torch.full((1, 2), 1.0), every_row)
    after_one = mean_deviation(neck, torch.full((1, 2), 3.0), every_row)[0, 0].item()
    assert 1.0 + DEVIATION_FLOOR < after_one < 1.1 + DEVIATION_FLOOR
