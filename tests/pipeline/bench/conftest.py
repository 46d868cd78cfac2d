"""What benchmarks of a synthetic day measure first."""

from __future__ import annotations

import numpy as np
import pytest

from reidpipe.pipeline.bench.synthetic_day import Measured


@pytest.fixture(scope="session")
def measured():
    """People who differ clearly."""
    rng = np.random.default_rng(0)
    means = rng.normal(size=(12, 64)).astype(np.float32)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    deviations = (0.05 * rng.normal(size=(40, 64))).astype(np.float32)
    return Measured(means, deviations, np.ones((40, 64), np.float32), rng.uniform(2, 12, 40), rng.uniform(0.3, 2, 40),
                    0.12)
