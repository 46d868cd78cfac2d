import numpy as np

from reidpipe.reid.training.feature_memory import FeatureMemory


def mean_colours(images):
    return images.reshape(len(images), -1, 3).mean(1).astype(np.float32)


def test_only_images_that_are_new_are_embedded():
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 4, 3)).astype(np.uint8)
    asked = []

    def embed(some):
        asked.append(len(some))
        return mean_colours(some)

    memory = FeatureMemory()
    np.testing.assert_array_equal(memory.features(images[:2], "one", embed), mean_colours(images[:2]))
    order = [3, 1, 3, 0]  # one image twice
    np.testing.assert_array_equal(memory.features(images[order], "one", embed), mean_colours(images[order]))
    np.testing.assert_array_equal(memory.features(images[order], "one", embed), mean_colours(images[order]))
    assert asked == [2, 1]


def test_networks_do_not_share_features():
    images, memory = np.zeros((1, 8, 4, 3), np.uint8), FeatureMemory()
    assert memory.features(images, "one", lambda some: np.ones((1, 2), np.float32)).tolist() == [[1, 1]]
    assert memory.features(images, "two", lambda some: np.zeros((1, 2), np.float32)).tolist() == [[0, 0]]
