import logging

import cv2
import numpy as np
import pytest

from reidpipe.reid.errors import DatasetError
from reidpipe.reid.occlusion import cutouts, drawn_objects
from reidpipe.reid.occlusion.synthetic import NOBODY

OWN = cutouts.draw_cutouts(12, seed=0)


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (256, 128, 3), np.uint8)


def picture(tall=40, wide=30, opaque=slice(5, 25)):
    """A red block on nothing."""
    pixels = np.zeros((tall, wide, 4), np.uint8)
    pixels[opaque, opaque] = (0, 0, 200, 255)
    return pixels


@pytest.mark.parametrize("thing", drawn_objects.THINGS, ids=lambda thing: thing.__name__)
def test_drawn_things_are_solid_with_nothing_around_them_and_none_is_like_another(thing):
    drawn = [thing(np.random.default_rng(seed)) for seed in range(3)]
    for pixels in drawn:
        assert pixels.dtype == np.uint8
        assert pixels.shape[0] == drawn_objects.TALL_PX
        assert pixels.shape[2] == 4
        assert 0.08 < (pixels[:, :, 3] > 250).mean() < 1
        assert (pixels[:, :, 3] < 5).any()
        colours = np.unique(pixels[pixels[:, :, 3] > 250][:, :3] // 16, axis=0)
        assert len(colours) > 8
    assert len({pixels.tobytes() for pixels in drawn}) == 3


def test_drawing_draws_every_kind(monkeypatch):
    drawn = []
    kinds = tuple(lambda rng, index=index: drawn.append(index) or picture() for index in range(8))
    monkeypatch.setattr(drawn_objects, "THINGS", kinds)
    cutouts.draw_cutouts(80, seed=1)
    assert set(drawn) == set(range(8))


def test_the_same_seed_draws_the_same_things():
    for one, two in zip(OWN[:3], cutouts.draw_cutouts(3, seed=0), strict=True):
        np.testing.assert_array_equal(one.pixels, two.pixels)


def test_a_thing_is_cut_to_its_own_size_and_premultiplied():
    pixels = picture()
    pixels[10, 10] = (0, 100, 0, 51)
    cutout = cutouts.cutout_from_bgra(pixels)
    assert cutout.pixels.shape == (20, 20, 4)
    assert cutout.pixels[5, 5].tolist() == [0, 20, 0, 51]
    assert cutout.pixels[0, 0].tolist() == [0, 0, 200, 255]
    assert cutout.solidity == pytest.approx(1 - 0.8 / 400)


def test_sixteen_bit_pictures_give_the_same_things():
    wide = picture().astype(np.uint16) * 257
    np.testing.assert_array_equal(cutouts.cutout_from_bgra(wide).pixels, cutouts.cutout_from_bgra(picture()).pixels)


def test_large_pictures_shrink_and_what_is_transparent_lends_them_no_colour():
    pixels = picture(1200, 1000, slice(100, 900))
    pixels[pixels[:, :, 3] == 0, 1] = 255  # green where nothing is to be seen
    cutout = cutouts.cutout_from_bgra(pixels)
    assert max(cutout.pixels.shape[:2]) == cutouts.LARGEST_PX
    assert not cutout.pixels[:, :, 1].any()


def test_a_folder_is_read_with_its_folders_and_pictures_without_transparency_are_logged(tmp_path, caplog):
    (tmp_path / "boxes").mkdir()
    cv2.imwrite(str(tmp_path / "boxes" / "a.png"), picture())
    cv2.imwrite(str(tmp_path / "b.PNG"), picture(60, 50))
    cv2.imwrite(str(tmp_path / "photo.png"), noise())
    cv2.imwrite(str(tmp_path / "full.png"), picture(opaque=slice(None)))
    (tmp_path / "licence.txt").write_text("none")
    with caplog.at_level(logging.WARNING):
        found = cutouts.read_cutouts(tmp_path)
    assert len(found) == 2
    assert {"photo.png", "full.png"} == {record.getMessage().split(":")[0].split("/")[-1] for record in caplog.records}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        pytest.param(lambda folder: None, "no such folder of cut-outs", id="missing"),
        pytest.param(lambda folder: folder.mkdir(), "expected PNGs with transparent parts, found none", id="empty"),
        pytest.param(
            lambda folder: (folder.mkdir(), (folder / "bad.png").write_bytes(b"no picture")),
            "bad.png: not a readable image",
            id="unreadable",
        ),
        pytest.param(
            lambda folder: (folder.mkdir(), cv2.imwrite(str(folder / "gone.png"), picture() * np.uint8(0))),
            "gone.png: expected an object, got an image that is transparent throughout",
            id="transparent",
        ),
    ],
)
def test_bad_folders_are_errors_that_name_them(tmp_path, write, message):
    write(tmp_path / "things")
    with pytest.raises(DatasetError, match=f"things.*{message}"):
        cutouts.read_cutouts(tmp_path / "things")


def test_pasting_changes_what_is_covered_and_nothing_else():
    image = noise()
    before = image.copy()
    for seed in range(30):
        hidden, cover, donor = cutouts.occlude_with_cutout(image, OWN, np.random.default_rng(seed))
        assert hidden.shape == image.shape
        assert cover.dtype == np.float32
        assert cover.min() >= 0
        assert cover.max() <= 1
        np.testing.assert_array_equal(hidden[cover == 0], image[cover == 0])
        assert (hidden[cover == 1] != image[cover == 1]).any(1).mean() > 0.9
        assert donor == NOBODY
    np.testing.assert_array_equal(image, before)


def test_half_transparent_things_let_half_of_the_picture_through(monkeypatch):
    pane = np.zeros((50, 50, 4), np.uint8)
    pane[:] = (100, 100, 100, 128)
    monkeypatch.setattr(cutouts, "_placed", lambda *_: cv2.resize(cutouts.cutout_from_bgra(pane).pixels, (128, 256)))
    image = np.full((256, 128, 3), 200, np.uint8)
    hidden = [cutouts.occlude_with_cutout(image, OWN, np.random.default_rng(seed)).image.mean() for seed in range(200)]
    assert np.mean(hidden) == pytest.approx(200 * (1 - 128 / 255) + 100 * 128 / 255, abs=5)


def test_objects_cover_neither_too_little_nor_too_much_of_a_crop():
    rngs = map(np.random.default_rng, range(200))
    shares = [cutouts.occlude_with_cutout(noise(), OWN, rng).cover.mean() for rng in rngs]
    assert np.mean(np.array(shares) < 0.05) < 0.03
    assert np.mean(np.array(shares) > 0.7) < 0.03
    assert np.percentile(shares, 90) - np.percentile(shares, 10) > 0.25


def test_things_come_from_both_sides_both_ways_round_and_mostly_stand_below():
    left_half_red = picture(40, 40, slice(None))
    left_half_red[:, 20:, :3] = (200, 0, 0)
    left_half_red[0, 0, 3] = 0
    thing = [cutouts.cutout_from_bgra(left_half_red)]
    image, ways, covers = np.full((256, 128, 3), 100, np.uint8), [], []
    for seed in range(120):
        hidden, cover, _ = cutouts.occlude_with_cutout(image, thing, np.random.default_rng(seed))
        columns = np.arange(128)[None].repeat(256, 0)
        red, blue = ((hidden[:, :, channel] > 120) & (cover > 0.9) for channel in (2, 0))
        if red.any() and blue.any():
            ways.append(columns[red].mean() < columns[blue].mean())
        covers.append(cover)
    mean = np.mean(covers, axis=0)
    assert 0.3 < np.mean(ways) < 0.7
    assert mean[128:].mean() > 1.5 * mean[:128].mean()
    assert 0.7 < mean[:, :64].mean() / mean[:, 64:].mean() < 1.4


def test_small_crops_are_occluded_too():
    for seed in range(5):
        hidden, cover, _ = cutouts.occlude_with_cutout(noise()[:64, :32], OWN, np.random.default_rng(seed))
        assert hidden.shape == (64, 32, 3)
        assert cover.shape == (64, 32)


def test_the_cutouts_of_the_kit_are_read(kit):
    assert len(cutouts.read_cutouts(kit / "occluders")) == 15
