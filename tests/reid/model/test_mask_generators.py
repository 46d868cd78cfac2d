import pytest
import torch

from reidpipe.reid.errors import RecipeError
from reidpipe.reid.model.mask_generators import FullMaskGenerator, MaskGenerator, create_mask_generator

RESNET50, VIT_B16 = (256, 512, 1024, 2048), (768,) * 4
LITE_LIMIT = 600_000


def maps(channels=(8, 8, 16, 16), n=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = [(64, 32), (32, 16), (16, 8), (16, 8)]
    return [torch.randn(n, depth, *size, generator=generator) for depth, size in zip(channels, sizes, strict=True)]


def parameters(kind, channels, dimensions):
    with torch.device("meta"):  # counted, not allocated
        generator = create_mask_generator(kind, channels, dimensions)
    return sum(parameter.numel() for parameter in generator.parameters())


@pytest.mark.parametrize(("kind", "expected"), [("full", FullMaskGenerator), ("lite", MaskGenerator)])
def test_every_mask_starts_at_exactly_one_half(kind, expected):
    generator = create_mask_generator(kind, (8, 8, 16, 16), 24)
    mask = generator(maps())
    assert isinstance(generator, expected)
    assert mask.shape == (3, 24)
    assert (mask == 0.5).all()


@pytest.mark.parametrize("kind", ["full", "lite"])
def test_a_trained_mask_depends_on_the_crop_and_stays_within_0_and_1(kind):
    torch.manual_seed(0)
    generator = create_mask_generator(kind, (8, 8, 16, 16), 24)
    torch.nn.init.normal_(generator.out.weight)
    mask = generator.eval()(maps())
    assert ((mask > 0) & (mask < 1)).all()
    assert (mask.std(0) > 0).all()


@pytest.mark.parametrize("kind", ["full", "lite"])
def test_the_first_step_moves_every_dim(kind):
    generator = create_mask_generator(kind, (8, 8, 16, 16), 24)
    generator(maps()).sum().backward()
    assert generator.out.weight.grad.abs().sum(1).gt(0).all()


def test_the_lite_generator_is_small_for_resnet_50():
    assert parameters("lite", RESNET50, 2048) <= LITE_LIMIT


def test_the_full_generator_has_the_published_size_for_vit_b16():
    assert parameters("full", VIT_B16, 768) == pytest.approx(59e6, rel=0.01)


def test_an_unknown_kind_is_refused():
    with pytest.raises(RecipeError, match="mask: expected full or lite, got tiny"):
        create_mask_generator("tiny", RESNET50, 2048)
