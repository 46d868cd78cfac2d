"""Masked similarity: compare people by the embedding dims that are reliable in both."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance

Mode = Literal["plain", "query", "joint"]
SMALLEST_ENERGY = np.float32(1e-20)  # lower bound under a root, so that disjoint masks give 0 instead of 0/0
HALVES = (0.5, 128 / 255)  # masks of models without one, as computed and as stored in a byte
SHARE_TOLERANCE = 1e-5  # float32 sums stay well inside; masks that say something hardly ever come so near


def masked_similarity(query: Appearance, gallery: Appearance, mode: Mode = "joint") -> NDArray[np.float32]:
    """Similarity of every query to every gallery row, as matrix products.

    plain: cosine, E_q E_gᵀ.
    query: (M_q⊙E_q)E_gᵀ / sqrt((M_q²)(E_g²)ᵀ), the cosine of e_q and m_q⊙e_g; only the query's mask is used [DPM].
    joint: (M_q⊙E_q)(M_g⊙E_g)ᵀ / sqrt([(M_q⊙E_q²)M_gᵀ] ⊙ [M_q(M_g⊙E_g²)ᵀ]), the cosine weighted by m_q⊙m_g
    [summary]; masks enter with their first power, so that |s| ≤ 1 by Cauchy–Schwarz [ours].  Symmetric.

    The scale of a mask has no effect; constant masks give the plain cosine in every mode.

    Args:
        query: (Nq, D).
        gallery: (Ng, D).
        mode: "plain", "query" or "joint".

    Returns:
        float32 (Nq, Ng) in [-1, 1]; 0 where the two masks have no dim in common.

    Raises:
        ValueError: query and gallery differ in D, or the mode is unknown.
    """
    _check_dimensions(query, gallery)
    if mode == "plain":
        return _clipped(query.embedding @ gallery.embedding.T)  # (Nq, Ng)
    query_mask = _largest_is_one(query.mask)  # (Nq, D)
    masked_query = query_mask * query.embedding  # (Nq, D)
    if mode == "query":
        kept = query_mask**2 @ (gallery.embedding**2).T  # (Nq, Ng), squared length of the masked gallery row
        return _clipped(masked_query @ gallery.embedding.T / np.sqrt(np.maximum(kept, SMALLEST_ENERGY)))
    if mode != "joint":
        raise ValueError(f"mode: expected plain, query or joint, got {mode!r}")
    gallery_mask = _largest_is_one(gallery.mask)  # (Ng, D)
    dot = masked_query @ (gallery_mask * gallery.embedding).T  # (Nq, Ng)
    return _clipped(dot / _shared_energy(query.embedding, query_mask, gallery.embedding, gallery_mask))


def shared_mask_share(query: Appearance, gallery: Appearance) -> NDArray[np.float32]:
    """Share of the two embeddings that the joint comparison rests on: its denominator, with unscaled masks [ours].

    With weights w = m_q⊙m_g it is the geometric mean of Σ w e_q² and Σ w e_g², the parts of the two squared lengths
    (both 1) that the comparison uses.  Masks of 1 everywhere give 1, constant masks a and b give a·b, disjoint masks
    give 0.  A low share means that little is visible in both, so the similarity carries little evidence.

    Args:
        query: (Nq, D).
        gallery: (Ng, D).

    Returns:
        float32 (Nq, Ng) in [0, 1].

    Raises:
        ValueError: query and gallery differ in D.
    """
    _check_dimensions(query, gallery)
    share = _shared_energy(query.embedding, query.mask, gallery.embedding, gallery.mask)  # (Nq, Ng)
    return share.clip(0, 1).astype(np.float32)


def informative_share(share: float | None) -> float | None:
    """A shared mask share for people to read: None where it says nothing about what is visible.

    A model without a mask gives 0.5 for every dim, so that all pairs share 0.25 of it, whoever is covered.
    """
    if share is None or any(abs(share - one * other) < SHARE_TOLERANCE for one in HALVES for other in HALVES):
        return None
    return share


def _shared_energy(
    query: NDArray[np.float32],
    query_mask: NDArray[np.float32],
    gallery: NDArray[np.float32],
    gallery_mask: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Lengths of both embeddings under the joint weights, multiplied: float32 (Nq, Ng)."""
    of_query = (query_mask * query**2) @ gallery_mask.T  # (Nq, Ng)
    of_gallery = query_mask @ (gallery_mask * gallery**2).T  # (Nq, Ng)
    # roots before the product, as the product of two small float32 sums would underflow
    return np.sqrt(np.maximum(of_query, SMALLEST_ENERGY)) * np.sqrt(np.maximum(of_gallery, SMALLEST_ENERGY))


def _largest_is_one(mask: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale every mask to a maximum of 1: no masked similarity changes, and small masks do not underflow in float32."""
    largest = mask.max(1, keepdims=True, initial=0)  # (N, 1)
    return np.asarray(mask / np.where(largest > 0, largest, 1), np.float32)


def _clipped(similarity: NDArray[np.floating]) -> NDArray[np.float32]:
    return similarity.clip(-1, 1).astype(np.float32)


def _check_dimensions(query: Appearance, gallery: Appearance) -> None:
    if query.dimensions != gallery.dimensions:
        expected, got = query.dimensions, gallery.dimensions
        raise ValueError(f"gallery: expected {expected} dimensions like query, got {got}")
