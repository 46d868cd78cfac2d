"""Appearances in few bytes."""

import numpy as np

from reidpipe.pipeline.storage.packing import pack_appearance, unpack_appearance, unpack_appearances
from reidpipe.reid import Appearance, concatenate


def test_many_rows_are_unpacked_as_one_after_the_other():
    random = np.random.default_rng(1)
    embedding = random.normal(size=(4, 16)).astype(np.float32)
    embedding /= np.linalg.norm(embedding, axis=1, keepdims=True)
    mask = np.stack([np.ones(16), random.random(16), np.full(16, 0.5), random.random(16)]).astype(np.float32)
    rows = pack_appearance(Appearance(embedding, mask))
    assert {len(row[1]) for row in rows} == {1, 16}
    one, all_ = concatenate([unpack_appearance(*row) for row in rows]), unpack_appearances(rows)
    np.testing.assert_allclose(all_.embedding, one.embedding, atol=1e-7)
    np.testing.assert_array_equal(all_.mask, one.mask)
