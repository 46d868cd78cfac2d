"""The discriminant map: what it weights, what it leaves alone, and what it refuses."""

import numpy as np
import pytest
import torch

from reidpipe.reid import DatasetError
from reidpipe.reid.model.discriminant import Discriminant, fit_discriminant, scatter


def people(identities=60, crops=6, dimensions=8, seed=0, noise=None):
    """Embeddings whose first two dims are the person's and whose last two are the crop's alone."""
    rng = np.random.default_rng(seed)
    between = np.full(dimensions, 0.5)
    between[:2], between[-2:] = 2.0, 0.0
    within = np.full(dimensions, 0.5) if noise is None else noise
    pids = np.repeat(np.arange(identities), crops)
    own = rng.normal(size=(identities, dimensions)) * between
    return (own[pids] + rng.normal(size=(len(pids), dimensions)) * within).astype(np.float32), pids


def one_domain(pids):
    return np.zeros(len(pids), np.int64)


def first_match(features, pids):
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -2)
    return float((pids[similarity.argmax(1)] == pids).mean())


def test_it_finds_more_of_new_people_than_plain_cosine_does():
    noise = np.array([0.3, 0.3, 1, 1, 1, 1, 3, 3])
    features, pids = people(noise=noise)
    found = fit_discriminant(features, pids, one_domain(pids), 0.1, 0.5)
    new, new_pids = people(seed=1, noise=noise)
    assert first_match(new @ found, new_pids) > 1.5 * first_match(new, new_pids)


def test_directions_that_say_nothing_about_people_get_little_weight():
    features, pids = people()
    found = fit_discriminant(features, pids, one_domain(pids), 0.0, 1.0)
    lengths = np.linalg.norm(found, axis=1)  # (D,), how far each dim moves the result
    assert lengths[:2].min() > 3 * lengths[-2:].max()


def test_power_0_whitens_within_identities():
    features, pids = people(noise=np.linspace(0.2, 2, 8))
    mapped = features @ fit_discriminant(features, pids, one_domain(pids), 0.0, 0.0)
    within, _ = scatter(mapped.astype(np.float64), pids, one_domain(pids))
    np.testing.assert_allclose(within / within[0, 0], np.eye(8), atol=1e-3)


def test_the_mean_squared_length_stays():
    features, pids = people()
    centred = features - features.mean(0)
    mapped = centred @ fit_discriminant(features, pids, one_domain(pids), 1.0, 0.5)
    assert (mapped**2).sum(1).mean() == pytest.approx((centred**2).sum(1).mean(), rel=0.02)


def test_the_distance_between_data_sets_is_no_difference_between_people():
    features, pids = people()
    far = features.copy()
    domains = (pids >= 30).astype(np.int64)
    far[domains == 1] += 100 * np.eye(8, dtype=np.float32)[-1]
    joined, own = (scatter(one.astype(float), pids, domains) for one in (far, features))
    np.testing.assert_allclose(joined, own, atol=1e-3)


def test_the_same_number_in_two_data_sets_is_two_people():
    features, pids = people(identities=4)
    folded, domains = pids % 2, pids // 2
    folded_scatter, own = (scatter(features.astype(float), one, domains) for one in (folded, pids))
    np.testing.assert_allclose(folded_scatter, own)


@pytest.mark.parametrize(
    "pids", [pytest.param([0, 0, 0], id="one person"), pytest.param([0, 1, 2], id="one crop each")]
)
def test_too_few_people_are_refused(pids):
    with pytest.raises(DatasetError, match="expected two identities, one of them with two crops"):
        fit_discriminant(np.eye(3, dtype=np.float32), np.array(pids), one_domain(pids), 1.0, 0.5)


def test_the_layer_is_the_identity_until_it_is_fitted():
    features, pids = people()
    layer, neck = Discriminant(8), torch.from_numpy(features)
    assert torch.equal(layer(neck), neck)
    layer.fit(neck, pids, None, 1.0, 0.5)
    expected = features @ fit_discriminant(features, pids, one_domain(pids), 1.0, 0.5)
    np.testing.assert_allclose(layer(neck).numpy(), expected, rtol=1e-4, atol=1e-4)


def test_autocast_does_not_round_the_metric():
    features, pids = people()
    layer, neck = Discriminant(8), torch.from_numpy(features)
    layer.fit(neck, pids, None, 1.0, 0.5)
    expected = layer(neck)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(layer(neck), expected)
