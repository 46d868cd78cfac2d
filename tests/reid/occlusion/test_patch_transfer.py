import numpy as np
import pytest
import torch

from reidpipe.reid.occlusion.pairing import NO_DONOR, Pairing, pair
from reidpipe.reid.occlusion.patch_transfer import transfer_crop, transfer_tokens, upsampled

CELL = 4  # pixels, so that crops of 64×32 stand for those of 256×128


def batch(count, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, 16 * CELL, 8 * CELL, 3), np.uint8)
    regions = np.zeros((count, 16, 8), bool)
    for region in regions:
        left, top = rng.integers(0, 5), rng.integers(0, 6)
        region[top : top + 10, left : left + 3] = True
    return images, regions


SOME = Pairing(np.array([2, NO_DONOR, 0, 1]), np.array([3, 0, 0, 7]))
PIDS = np.array([70, 80, 90, 60])


def naive_transfer(cells, regions, pairing):
    """The equation, cell by cell: (N, h, w, ...)."""
    composed = cells.copy()
    for i, (j, t) in enumerate(zip(*pairing, strict=True)):
        if j == NO_DONOR:
            continue
        for y in range(cells.shape[1]):
            for x in range(cells.shape[2]):
                composed[i, y, x] = cells[i, y, (x - t) % cells.shape[2]] if regions[j, y, x] else cells[j, y, x]
    return composed


def test_token_transfer_is_the_equation():
    _, regions = batch(4)
    tokens = torch.randn(4, 128, 5, generator=torch.Generator().manual_seed(0))
    composed, donors, cover = transfer_tokens(tokens, regions, PIDS, SOME)
    expected = naive_transfer(tokens.numpy().reshape(4, 16, 8, 5), regions, SOME)
    np.testing.assert_array_equal(composed.numpy(), expected.reshape(4, 128, 5))
    assert donors.tolist() == [90, -1, 70, 80]
    np.testing.assert_array_equal(cover.numpy(), [~regions[2], regions[1] & False, ~regions[0], ~regions[1]])


def test_token_transfer_passes_gradients_to_what_is_shown_only():
    _, regions = batch(2)
    tokens = torch.randn(2, 128, 3, requires_grad=True)
    composed = transfer_tokens(tokens, regions, np.array([1, 2]), Pairing(np.array([1, NO_DONOR]), np.array([0, 0])))
    composed.tokens[0].sum().backward()
    shown = tokens.grad.any(2).numpy().reshape(2, 16, 8)
    np.testing.assert_array_equal(shown, [regions[1], ~regions[1]])


def test_tokens_of_another_grid_are_refused():
    _, regions = batch(4)
    with pytest.raises(ValueError, match=r"tokens: expected \(4, 128, C\), got \(4, 129, 5\)"):
        transfer_tokens(torch.zeros(4, 129, 5), regions, PIDS, SOME)


@pytest.mark.parametrize("anchor", np.flatnonzero(SOME.donors != NO_DONOR))
def test_pixel_transfer_is_the_equation_away_from_the_seams(anchor):
    images, regions = batch(4)
    before = images.copy()
    j, t = SOME.donors[anchor], int(SOME.shifts[anchor])
    composed, cover = transfer_crop(images[anchor], images[j], regions[j], t)
    np.testing.assert_array_equal(images, before)
    weight = upsampled(regions[j], 64, 32)
    np.testing.assert_array_equal(cover, 1 - weight)
    rolled = np.roll(images[anchor], t * CELL, axis=1)
    assert abs(composed - (rolled * weight[:, :, None] + images[j] * (1 - weight[:, :, None]))).max() < 0.51
    inside, outside = weight == 1, weight == 0
    np.testing.assert_array_equal(composed[inside], rolled[inside])
    np.testing.assert_array_equal(composed[outside], images[j][outside])
    assert (inside | outside).mean() > 0.85


def test_the_upsampled_region_is_the_region_at_the_cells_centres():
    regions = batch(6)[1]
    for region in regions:
        soft = upsampled(region, 256, 128)
        assert soft.dtype == np.float32
        assert soft.min() == 0
        assert soft.max() == 1
        np.testing.assert_array_equal(soft[8::16, 8::16] > 0.5, region)
        assert abs(soft.mean() - region.mean()) < 0.02


@pytest.mark.parametrize("everywhere", [True, False], ids=["the donor fills his crop", "the donor is nowhere"])
def test_limits_of_the_donors_region(everywhere):
    images, _ = batch(2)
    composed, cover = transfer_crop(images[0], images[1], np.full((16, 8), everywhere), 0)
    np.testing.assert_array_equal(composed, images[0 if everywhere else 1])
    np.testing.assert_array_equal(cover, np.full((64, 32), not everywhere, np.float32))


def test_pixels_and_tokens_agree():
    _, regions = batch(6)
    cells = np.arange(6 * 128, dtype=np.int64).reshape(6, 16, 8) % 251
    pairing = pair(regions, np.arange(6), np.random.default_rng(1))
    assert (pairing.donors != NO_DONOR).any()
    big = np.repeat(np.repeat(cells, 16, 1), 16, 2)[..., None].repeat(3, 3).astype(np.uint8)
    tokens = transfer_tokens(torch.from_numpy(cells).reshape(6, 128, 1), regions, np.arange(6), pairing).tokens
    for i, (j, t) in enumerate(zip(*pairing, strict=True)):
        pixels = big[i] if j == NO_DONOR else transfer_crop(big[i], big[j], regions[j], int(t))[0]
        np.testing.assert_array_equal(pixels[8::16, 8::16, 0], tokens[i].numpy().reshape(16, 8))


def test_an_empty_batch_stays_empty():
    _, regions = batch(0)
    pids = np.zeros(0, np.int64)
    pairing = pair(regions, pids, np.random.default_rng(0))
    assert transfer_tokens(torch.zeros(0, 128, 5), regions, pids, pairing).tokens.shape == (0, 128, 5)
