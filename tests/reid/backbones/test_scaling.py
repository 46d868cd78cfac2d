import pytest
import torch
from torch.nn import functional

from reidpipe.reid.backbones.scaling import scaled


@pytest.mark.parametrize("size", [(16, 8), (10, 5), (24, 12), (10, 8)])
def test_scaling_by_products_is_antialiased_bilinear_interpolation(size):
    x = torch.rand(2, 3, 16, 8, generator=torch.Generator().manual_seed(0))
    expected = functional.interpolate(x, size, mode="bilinear", antialias=True)
    torch.testing.assert_close(scaled(x, (16, 8), size), expected)
