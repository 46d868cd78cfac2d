"""Training images of a detector: people are partly covered, and keep the box of the whole person."""

import cv2
import numpy as np

from reidpipe.pipeline.detector.batches import MOST_COVERED, batches, cover_people

PEOPLE = np.array([[100, 60, 160, 240], [300, 80, 350, 230]], np.float32)


def scene(seed):
    """A noisy background with two white people."""
    image = np.random.default_rng(seed).integers(0, 200, (360, 640, 3), dtype=np.uint8)
    for x1, y1, x2, y2 in PEOPLE.astype(int):
        image[y1:y2, x1:x2] = 255
    return image


def white_share(image, box):
    x1, y1, x2, y2 = box.astype(int)
    return float((image[y1:y2, x1:x2] == 255).all(-1).mean())


def test_people_are_partly_covered_and_keep_their_boxes():
    shares = []
    for seed in range(60):
        image = scene(seed)
        covered, boxes = cover_people(image, PEOPLE, np.random.default_rng(seed))
        assert (image == scene(seed)).all(), "the original is not changed"
        shares += [white_share(covered, box) for box in boxes]
        assert all((box == PEOPLE).all(1).any() for box in boxes)
    assert min(shares) >= 1 - MOST_COVERED - 0.05, "nobody is covered completely"
    assert 0.05 < np.mean(np.array(shares) < 0.95) < 0.5, "some are covered"


def test_a_picture_without_people_stays_as_it_is():
    image = scene(0)
    covered, boxes = cover_people(image, np.zeros((0, 4), np.float32), np.random.default_rng(0))
    assert (covered == image).all()
    assert boxes.shape == (0, 4)


def test_people_who_fill_the_picture_are_not_covered():
    image = scene(1)
    everything = np.array([[0, 0, 640, 360]], np.float32)
    for seed in range(10):
        covered, boxes = cover_people(image, everything, np.random.default_rng(seed))
        assert (covered == image).all()
        assert len(boxes) == 1


def test_upright_photos_fill_the_picture_as_a_grid_of_people_of_many_sizes(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    paths = []
    for index in range(4):
        photo = np.full((300, 200, 3), 40, np.uint8)
        photo[60:240, 70:130] = 250
        paths.append(tmp_path / "images" / f"{index}.jpg")
        cv2.imwrite(str(paths[-1]), photo)
        (tmp_path / "labels" / f"{index}.txt").write_text("0 0.5 0.5 0.3 0.6")
    heights, shown = [], []
    for pixels, targets in batches(paths, 30, 4, (384, 640), np.random.default_rng(0)):
        boxes = targets["bboxes"].numpy() * np.array([640, 384, 640, 384])  # (M, 4)
        heights += boxes[:, 3].tolist()
        for box, image in zip(boxes, targets["batch_idx"].int().tolist(), strict=True):
            x1, y1, x2, y2 = np.concatenate([box[:2] - box[2:] / 2, box[:2] + box[2:] / 2]).round().astype(int)
            shown.append(bool(pixels[image, :, y1:y2, x1:x2].max() > 0.5))
    assert np.mean(shown) > 0.95, "people are where the labels say, but for a few covered ones at the edge"
    assert len(heights) > 5 * 120, "several people in a picture"
    assert min(heights) < 60, "small people"
    assert max(heights) > 200, "large people"
