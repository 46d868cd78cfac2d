"""Which few rows of a large gallery are worth comparing exactly?  A FAISS index that knows about masks.

For one query, s ≥ τ ⇔ ⟨m_q⊙e_q, m_g⊙e_g⟩ / √B − τ√A ≥ 0, with A = Σ m_q m_g e_q² and B = Σ m_q m_g e_g² (the joint
form).  B is taken with the gallery row's own mask alone, √A to first order about the mean mask: both sides become one
inner product, of q = (m_q⊙e_q, −τ/(2√a)·P(m_q⊙e_q²)) with g = (m_g⊙e_g/√Σ m_g e_g², P(m_g − mean)), where P holds the
leading principal directions of the gallery's masks [ours].

With LLᵀ = Σ qqᵀ/n, ⟨q, g⟩ = ⟨L⁻¹q, Lᵀg⟩ and L⁻¹q is white: an error in Lᵀg counts the same in every direction, so the
principal components of Lᵀg lose least, and so do codes of least squared error [ours].  Pairs of components, the
strongest with the weakest, share codes of 4 bits (product quantization: Jégou et al., TPAMI 2011; pairs of like
variance: Ge et al., OPQ, CVPR 2013), which FAISS scans in registers (IndexPQFastScan; André et al., VLDB 2015); the
best of those are put in order by the components themselves, in half precision (IndexRefine).
"""

import numpy as np
from numpy.typing import NDArray

MASK_DIRECTIONS = 32  # occlusion hides whole body parts: a few directions carry almost all of a mask's variance
TYPICAL_SIMILARITY = 0.3  # τ: where the last of ten neighbours lies; recall is flat from 0.3 to 0.5
KEPT_VARIANCE = 0.998  # of Lᵀg: what tells ten near neighbours apart is small beside what tells strangers apart
SAMPLE_ROWS = 4096  # several times the number of dims
CODE_BITS = 4  # all that a register holds
CODED_SHARE = 4  # so many times as many rows are chosen by code as are asked for
SIMD_NUMBERS = 16  # FAISS compares rows of halves several times faster if their length is a multiple
RIDGE = 1e-3  # share added to each query dim's energy: a sample cannot tell which directions are empty
SMALLEST_ENERGY = np.float32(1e-12)


class Candidates:
    """An index over gallery rows; trained on some of them, then given all of them in order."""

    def __init__(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Train on a sample of the gallery, float32 (n, D) each, n ≥ 16, one row per code."""
        import faiss  # here, so that importing reidpipe.reid stays cheap

        self._mean_mask = mask.mean(0)  # (D,)
        centred = mask - self._mean_mask
        _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
        self._directions = np.ascontiguousarray(directions[:, ::-1][:, :MASK_DIRECTIONS], np.float32)  # (D, r)
        row, query = self._of_gallery(embedding, mask), self._of_query(embedding, mask)  # (n, D + r), (n, D + r)
        self._mean_row = row.mean(0)  # moves all similarities of one query alike
        self._row_axes, self._query_axes = _shared_axes(row - self._mean_row, query)  # (D + r, d), (D + r, d)
        kept = self._row_axes.shape[1]
        codes = faiss.IndexPQFastScan(kept, kept // 2, CODE_BITS, faiss.METRIC_INNER_PRODUCT)
        halves = faiss.IndexScalarQuantizer(kept, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)  # thousands of tiny steps: on a busy machine threads would wait for one another
        codes.train(self._projected(row))
        faiss.omp_set_num_threads(threads)
        self._index = faiss.IndexRefine(codes, halves)
        self._kept = (codes, halves)  # FAISS does not own them
        self._index.k_factor = CODED_SHARE

    def add(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Append n rows, float32 (n, D) each."""
        self._index.add(self._projected(self._of_gallery(embedding, mask)))

    @property
    def size(self) -> int:
        """How many rows the index holds."""
        return int(self._index.ntotal)

    def search(self, embedding: NDArray[np.float32], mask: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The most promising rows for N queries, float32 (N, D) each → int64 (N, count); -1 where there are fewer."""
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
    """The leading principal axes of Lᵀg and L⁻¹q, an even number d, strongest beside weakest → two of (D + r, d)."""
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
