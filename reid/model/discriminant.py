"""A linear map that brings out what tells people apart, fitted in closed form to labelled embeddings.

Linear discriminant analysis with soft weights: in the basis that makes the variance within identities 1 and
diagonalises the variance between them (Fukunaga, "Introduction to Statistical Pattern Recognition", 1990, ch. 10), each
axis is weighted by a power of b / (b + 1), the share of its variance that identities explain (as of probabilistic LDA,
Ioffe, ECCV 2006) [use here ours].  Cosine in the new space ranks people of other cameras much better where the network
itself was trained by classification only.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import DatasetError

SMALLEST = 1e-12


class Discriminant(nn.Module):
    """The fitted map as the last layer of a network; the identity until `fit`.  No loss trains it.

    map: float32 (D, D).
    """

    map: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.register_buffer("map", torch.eye(dimensions))

    @torch.no_grad()
    def fit(
        self,
        neck: Tensor,
        pids: NDArray[np.int64],
        domains: NDArray[np.int64] | None,
        shrinkage: float,
        power: float,
    ) -> None:
        """Replace the map by that of unoccluded crops.

        Args:
            neck: float32 (N, D), what the map will get.
            pids, domains, shrinkage, power: as of `fit_discriminant`; without domains all crops are of one.

        Raises:
            DatasetError: too few identities.
        """
        domains = np.zeros(len(pids), np.int64) if domains is None else domains
        found = fit_discriminant(neck.cpu().numpy(), pids, domains, shrinkage, power)
        self.map.copy_(torch.from_numpy(found))

    @torch.no_grad()
    def regress(self, neck: Tensor, targets: Tensor, ridge: float) -> None:
        """Replace the map by the ridge regression from `neck` to `targets`, into the space of another network.

        Args:
            neck: float32 (N, D), what the map will get; each dim of variance 1.
            targets: float32 (N, D), the other network's embeddings of the same crops.
            ridge: weight of the squared map, in crops; > 0.
        """
        features, wanted = neck.double(), targets.double()
        gram = features.T @ features + ridge * torch.eye(neck.shape[1], dtype=torch.double, device=neck.device)
        self.map.copy_(torch.linalg.solve(gram, features.T @ wanted))

    def forward(self, neck: Tensor) -> Tensor:
        """float32 (N, D) → the same shape, in float32 also under autocast: the metric is never rounded."""
        with torch.autocast(neck.device.type, enabled=False):
            return neck @ self.map


def fit_discriminant(
    features: NDArray[np.float32],
    pids: NDArray[np.int64],
    domains: NDArray[np.int64],
    shrinkage: float,
    power: float,
) -> NDArray[np.float32]:
    """Fit the map to unoccluded crops of known people.

    Args:
        features: float32 (N, D), as the map will get them.
        pids: int64 (N,), identities; at least two, and at least one with two crops.
        domains: int64 (N,), the data set of each crop: identities are compared with the mean of their own set, so that
            differences between sets do not count as differences between people.
        shrinkage: of the covariance within identities, in multiples of its mean variance; ≥ 0.
        power: of the weights b / (b + 1): 0 whitens within identities, 1 is the expectation of probabilistic LDA.

    Returns:
        float32 (D, D), to be multiplied from the right: features @ map.  Its scale is such that the mean squared length
        of centred features stays the same.

    Raises:
        DatasetError: too few identities.
    """
    within, between = scatter(features.astype(np.float64), pids, domains)  # (D, D), (D, D)
    dimensions = len(within)
    variance, axes = np.linalg.eigh(within + shrinkage * np.trace(within) / dimensions * np.eye(dimensions))
    whiten = axes / np.sqrt(variance.clip(SMALLEST))  # (D, D)
    explained, rotation = np.linalg.eigh(whiten.T @ between @ whiten)  # (D,), (D, D)
    weights = (explained.clip(0) / (explained.clip(0) + 1)) ** power  # (D,)
    found = (whiten @ rotation * weights)[:, ::-1]  # the most telling axis first
    total = within + between
    scale = np.sqrt(np.trace(total) / max(np.trace(found.T @ total @ found), SMALLEST))
    return np.asarray(scale * found, np.float32)


def scatter(
    features: NDArray[np.float64], pids: NDArray[np.int64], domains: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariance within identities, and of the identities' means around those of their data sets: (D, D) each."""
    _, identity, counts = np.unique(
        np.stack([domains, pids], 1), axis=0, return_inverse=True, return_counts=True
    )  # (N,), (I,)
    identity = identity.reshape(-1)  # NumPy 2.0 keeps a second axis
    repeated = len(features) - len(counts)
    if len(counts) < 2 or repeated < 1:
        raise DatasetError(
            "discriminant: expected two identities, one of them with two crops, got "
            f"{len(counts)} with {len(features)} crops in all: add training folders, or leave the section out"
        )
    means = _means(features, identity, len(counts))  # (I, D)
    deviations = features - means[identity]  # (N, D)
    domain_of = np.zeros(len(counts), np.int64)
    domain_of[identity] = domains
    _, domain = np.unique(domain_of, return_inverse=True)  # (I,)
    centred = means - _means(means, domain.reshape(-1), domain.max() + 1)[domain.reshape(-1)]  # (I, D)
    return deviations.T @ deviations / repeated, centred.T @ centred / (len(counts) - 1)


def _means(rows: NDArray[np.float64], groups: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    sums = np.zeros((count, rows.shape[1]))
    np.add.at(sums, groups, rows)
    return sums / np.bincount(groups, minlength=count)[:, None]
