"""Find candidates for masked similarity in a large gallery with a FAISS index.

For one query, s ≥ τ ⇔ ⟨m_q⊙e_q, m_g⊙e_g⟩ / √B − τ√A ≥ 0, with A = Σ m_q m_g e_q² and B = Σ m_q m_g e_g² (the joint
form).  We approximate B by the gallery row's own mask, and √A to first order about the mean mask.  The left side is
then one inner product, of q = (m_q⊙e_q, −τ/(2√a)·P(m_q⊙e_q²)) with g = (m_g⊙e_g/√Σ m_g e_g², P(m_g − mean)), where a is
A for the mean mask and P holds the leading principal directions of the gallery's masks [ours].

With LLᵀ = Σ qqᵀ/n, ⟨q, g⟩ = ⟨L⁻¹q, Lᵀg⟩ and L⁻¹q is white: an error in Lᵀg has the same effect in every direction, so
the principal components of Lᵀg lose least, and codes of least squared error are the right ones [ours].  Pairs of
components, the strongest with the weakest, share codes of 4 bits (product quantization: Jégou et al., TPAMI 2011; pairs
of similar variance: Ge et al., OPQ, CVPR 2013), which FAISS scans in registers (IndexPQFastScan; André et al., VLDB
2015).  The best of those are re-ranked by the components themselves, in half precision (IndexRefine).
"""

import numpy as np
from numpy.typing import NDArray

MASK_DIRECTIONS = 32  # occlusion hides whole body parts: a few directions carry almost all of a mask's variance
TYPICAL_SIMILARITY = 0.3  # τ, about the similarity of the tenth neighbour; recall is the same from 0.3 to 0.5
KEPT_VARIANCE = 0.998  # of Lᵀg: near neighbours differ in far smaller components than arbitrary rows do
SAMPLE_ROWS = 4096  # several times the number of dims
CODE_BITS = 4  # all that a register holds
CODED_SHARE = 4  # rows chosen by their codes and then re-ranked, per row asked for
SIMD_NUMBERS = 16  # FAISS compares float16 rows several times faster if their length is a multiple of this
RIDGE = 1e-3  # share added to the energy of each query dim, as a sample may leave directions without any
SMALLEST_ENERGY = np.float32(1e-12)


class Candidates:
    """An index over gallery rows: trained on a sample of them, then filled with all of them in order."""

    def __init__(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Train on a sample of the gallery, float32 (n, D) each, n ≥ 16, one row per code."""
        import faiss  # imported late, so that importing reidpipe.reid stays cheap

        self._mean_mask = mask.mean(0)  # (D,)
        centred = mask - self._mean_mask
        _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
        self._directions = np.ascontiguousarray(directions[:, ::-1][:, :MASK_DIRECTIONS], np.float32)  # (D, r)
        row, query = self._of_gallery(embedding, mask), self._of_query(embedding, mask)  # (n, D + r), (n, D + r)
        self._mean_row = row.mean(0)  # shifts all similarities of one query by the same amount
        self._row_axes, self._query_axes = _shared_axes(row - self._mean_row, query)  # (D + r, d), (D + r, d)
        kept = self._row_axes.shape[1]
        codes = faiss.IndexPQFastScan(kept, kept // 2, CODE_BITS, faiss.METRIC_INNER_PRODUCT)
        halves = faiss.IndexScalarQuantizer(kept, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # thousands of tiny steps: on a busy machine threads would wait for each other
        codes.train(self._projected(row))
        faiss.omp_set_num_threads(threads)
        self._index = faiss.IndexRefine(codes, halves)
        self._kept = (codes, halves)  # IndexRefine does not own them, so Python must keep them alive
        self._index.k_factor = CODED_SHARE

    def add(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Append n rows, float32 (n, D) each."""
        self._index.add(self._projected(self._of_gallery(embedding, mask)))

    @property
    def size(self) -> int:
        """Number of rows in the index."""
        return int(self._index.ntotal)

    def search(self, embedding: NDArray[np.float32], mask: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The best candidate rows of N queries, float32 (N, D) each → int64 (N, count); -1 where there are fewer."""
        _, rows = self._index.search(self._of_query(embedding, mask) @ self._query_axes, count)
        return np.asarray(rows, np.int64)

    def _projected(self, row: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray((row - self._mean_row) @ self._row_axes, np.float32)  # (n, d)

    def _of_gallery(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        masked = mask * embedding  # (n, D)
        energy = np.maximum((masked * embedding).sum(1, keepdims=True), SMALLEST_ENERGY)  # (n, 1)
        return np.concatenate([masked / np.sqrt(energy), (mask - self._mean_mask) @ self._directions], 1)  # (n, D + r)

    def _of_query(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        masked = mask * embedding  # (N, D)
        energy = masked * embedding  # (N, D)
        typical = np.sqrt(np.maximum(energy @ self._mean_mask, SMALLEST_ENERGY))[:, None]  # (N, 1), √a
        away = energy @ self._directions * (-TYPICAL_SIMILARITY / 2) / typical  # (N, r)
        return np.concatenate([masked, away], 1)  # (N, D + r)


def _shared_axes(
    row: NDArray[np.float32], query: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The d leading principal axes for rows and for queries, (D + r, d) each; d is even, strongest beside weakest.

    Multiplied by them, g becomes Lᵀg and q becomes L⁻¹q, both in coordinates of the principal axes of Lᵀg.
    """
    energy = query.T.astype(np.float64) @ query / len(query)  # (D + r, D + r)
    np.einsum("ii->i", energy)[:] += RIDGE * energy.diagonal() + float(SMALLEST_ENERGY)
    root = np.linalg.cholesky(energy)  # L
    white = row @ root  # (n, D + r)
    variance, axes = np.linalg.eigh(white.T @ white)  # ascending
    share = np.cumsum(variance[::-1]) / max(variance.sum(), float(SMALLEST_ENERGY))
    kept = -(-(int(np.searchsorted(share, KEPT_VARIANCE)) + 1) // SIMD_NUMBERS) * SIMD_NUMBERS
    pairs = min(kept, len(share)) // 2
    strongest = np.arange(1, pairs + 1)
    paired = axes[:, -np.stack([strongest, 2 * pairs + 1 - strongest], 1).ravel()]  # (D + r, d)
    return (root @ paired).astype(np.float32), np.linalg.solve(root.T, paired).astype(np.float32)
