"""The appearance models that come with the program."""

import numpy as np
import pytest

from reidpipe.pipeline.config.stages import AppearanceConfig
from reidpipe.pipeline.errors import WeightsError
from reidpipe.pipeline.stages.embed import BUNDLED, open_embedder


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_model_embeds_crops(name):
    embedder = open_embedder(AppearanceConfig(weights=name), threads=1)
    crops = [np.random.default_rng(seed).integers(0, 256, (200, 80, 3), np.uint8) for seed in range(2)]
    appearance = embedder.embed(crops)
    np.testing.assert_allclose(np.linalg.norm(appearance.embedding, axis=1), 1, atol=1e-5)
    assert ((appearance.mask >= 0) & (appearance.mask <= 1)).all()


def test_weights_that_do_not_exist_are_an_error_that_names_the_key():
    with pytest.raises(WeightsError, match=r"appearance\.weights: nowhere\.onnx"):
        open_embedder(AppearanceConfig(weights="nowhere.onnx"), threads=1)


def test_a_misspelt_model_is_reported_with_the_nearest_name():
    with pytest.raises(WeightsError, match=r"no such weights file, did you mean accurate\?"):
        open_embedder(AppearanceConfig(weights="acurate"), threads=1)
