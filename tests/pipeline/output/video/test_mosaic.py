"""The tiles of the mosaic."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.pipeline.output.video.mosaic import lay_out


@pytest.mark.parametrize(
    ("count", "shape", "size_wh"),
    [
        pytest.param(1, (960, 540), (1280, 720), id="one"),
        pytest.param(2, (960, 540), (1280, 360), id="two side by side"),
        pytest.param(4, (960, 540), (1280, 720), id="four"),
        pytest.param(4, (540, 960), (1280, 568), id="four upright in a row"),
        pytest.param(5, (960, 540), (1920, 720), id="five"),
        pytest.param(9, (960, 540), (1920, 1080), id="nine"),
    ],
)
def test_tiles_fill_the_mosaic_and_do_not_touch(count, shape, size_wh):
    (width, height), tiles = lay_out({str(number): shape for number in range(count)})
    assert width % 2 == height % 2 == 0
    assert (width, height) == pytest.approx(size_wh, abs=6)
    covered = np.zeros((height, width), int)
    for tile in tiles.values():
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
        assert tile.width / tile.height == pytest.approx(shape[0] / shape[1], rel=0.02)
    assert covered.max() == 1
    assert covered.mean() > 0.95 * count / (round(width / (tiles["0"].width + 4)) * round(height / tiles["0"].height))
