"""Training images of a detector: people are partly covered, and keep the box of the whole person."""

import numpy as np

from reidpipe.pipeline.detector.batches import MOST_COVERED, cover_people

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
