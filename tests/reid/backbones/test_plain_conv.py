import copy

import torch
from torch import nn

from reidpipe.reid.backbones.plain_conv import PlainConv

MULTIPLY_ADDS = (0.2e9, 0.35e9)  # two cores compute that about 300 times per second


def trained(width=0.25, cameras=0):
    """A small network with weights and statistics other than the initial ones."""
    torch.manual_seed(0)
    net = PlainConv(width, cameras)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return net


def images(n=3):
    return torch.randn(n, 3, 64, 32, generator=torch.Generator().manual_seed(1))


def test_one_convolution_per_block_computes_the_same_as_its_branches():
    net = trained().eval()
    with torch.inference_mode():
        branches, single = net(images()), net.fused()(images())
    for ours, expected in zip((*single.maps, single.feature), (*branches.maps, branches.feature), strict=True):
        assert expected.std() > 0.01
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


def test_the_fused_form_holds_nothing_but_3x3_convolutions_and_one_linear():
    kinds = [module for module in trained().fused().modules() if not list(module.children())]
    assert {type(module) for module in kinds} == {nn.Conv2d, nn.ReLU, nn.Linear}
    assert {module.kernel_size for module in kinds if isinstance(module, nn.Conv2d)} == {(3, 3)}


def test_fusing_leaves_the_network_as_it_was_and_may_be_repeated():
    net = trained()
    before = copy.deepcopy(net.state_dict())
    once = net.fused()
    twice = once.fused()
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    with torch.inference_mode():
        torch.testing.assert_close(twice(images()).feature, once(images()).feature)


def test_the_fused_form_keeps_the_protocol():
    net = trained(cameras=2).eval()
    single = net.fused()
    camids = torch.tensor([0, 1, 1])
    assert (single.map_channels, single.dimensions) == (net.map_channels, net.dimensions)
    with torch.inference_mode():
        torch.testing.assert_close(single(images(), camids).feature, net(images(), camids).feature, atol=1e-4, rtol=0)


def test_the_network_is_small_enough_for_a_cpu():
    with torch.device("meta"):
        net = PlainConv().fused()
        work = []
        for module in net.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(
                    lambda conv, _, output: work.append(conv.weight.numel() * output.shape[2] * output.shape[3])
                )
        net(torch.zeros(1, 3, 256, 128))
    assert MULTIPLY_ADDS[0] < sum(work) < MULTIPLY_ADDS[1]
    assert 4 * sum(parameter.numel() for parameter in net.parameters()) < 10e6  # bytes
