import pytest
import torch
from torch import nn

from reidpipe.reid.backbones.osnet import OSNet
from reidpipe.reid.model.norm_statistics import recalibrate_norms


def small_network():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 36, 5),
        nn.BatchNorm1d(5),
    )
    with torch.no_grad():
        for norm in (network[1], network[5]):
            norm.running_var.uniform_(100, 1000)  # as in weights that were rebuilt from an export
            norm.weight.uniform_(20, 40)
            norm.running_mean.normal_()
            norm.bias.normal_()
    return network


def test_the_outputs_in_evaluation_mode_stay_the_same():
    network, images = small_network().eval(), torch.randn(16, 3, 8, 8)
    with torch.no_grad():
        before = network(images)
        recalibrate_norms(network, [images])
        assert torch.allclose(network(images), before, rtol=1e-4, atol=1e-5)


def test_training_mode_starts_from_the_outputs_of_evaluation_mode():
    network, images = small_network().eval(), torch.randn(16, 3, 8, 8)
    with torch.no_grad():
        expected = network(images)
        assert not torch.allclose(network.train()(images), expected, rtol=0.5)
        network = small_network()
        recalibrate_norms(network, [images])
        # the batch's variance is that of a sample: n / (n - 1) of the population's
        assert torch.allclose(network.train()(images), expected, rtol=0.05, atol=0.05)


def test_statistics_are_those_of_all_batches_together():
    network, images = small_network(), torch.randn(12, 3, 8, 8)
    recalibrate_norms(network, [images[:5], images[5:]])
    flowing = network[0](images)
    assert torch.allclose(network[1].running_mean, flowing.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(network[1].running_var, flowing.var((0, 2, 3), unbiased=False), rtol=1e-4)


def test_a_layer_without_inputs_stays_the_same():
    network = nn.Sequential(nn.BatchNorm1d(3))
    network[0].register_module("idle", nn.BatchNorm1d(3))
    before = network[0].idle.running_var.clone()
    recalibrate_norms(network, [torch.randn(8, 3) * 5])
    assert torch.equal(network[0].idle.running_var, before)
    assert network[0].running_var.mean() > 5


@pytest.mark.parametrize("dead", [False, True], ids=["alive", "a constant channel"])
def test_the_result_is_finite(dead):
    network, images = OSNet(0.25), torch.randn(2, 3, 64, 32)
    if dead:
        images = torch.zeros_like(images)
    recalibrate_norms(network, [images])
    assert all(value.isfinite().all() for value in network.state_dict().values())
