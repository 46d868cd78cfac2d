"""Which few rows of a large gallery are worth comparing exactly?  A FAISS index that knows about masks.

For one query, s ≥ τ ⇔ ⟨m_q⊙e_q, m_g⊙e_g⟩ / √B − τ√A ≥ 0, with A = Σ m_q m_g e_q² and B = Σ m_q m_g e_g² (the joint
form).  B is taken with the gallery row's own mask alone, √A to first order about the mean mask: both sides become one
inner product, of (m_q⊙e_q, −τ/(2√a)·P(m_q⊙e_q²)) with (m_g⊙e_g/√Σ m_g e_g², P(m_g − mean)), where P holds the
leading principal directions of the gallery's masks [ours].  Codes of one bit per dim hold the result: RaBitQ (Gao and
Long, SIGMOD 2024), in FAISS's fast-scan layout.
"""

import numpy as np
from numpy.typing import NDArray

MASK_DIRECTIONS = 32  # occlusion hides whole body parts: a few directions carry almost all of a mask's variance
TYPICAL_SIMILARITY = 0.3  # τ: where the last of ten neighbours lies; recall is flat from 0.3 to 0.45
SAMPLE_ROWS = 4096  # enough for 32 directions
RANDOM_SEED = 12345
SMALLEST_ENERGY = np.float32(1e-12)


class Candidates:
    """An index over gallery rows; trained on some of them, then given all of them in order."""

    def __init__(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Train on a sample of the gallery, float32 (n, D) each, n ≥ 1."""
        import faiss  # here, so that importing reidpipe.reid stays cheap

        self._mean = mask.mean(0)  # (D,)
        centred = mask - self._mean
        _, directions = np.linalg.eigh(centred.T @ centred)  # ascending
        self._directions = np.ascontiguousarray(directions[:, ::-1][:, :MASK_DIRECTIONS], np.float32)  # (D, r)
        self._balance = np.float32(1)
        self._balance = self._balanced(embedding, mask)
        dimensions = embedding.shape[1] + self._directions.shape[1]
        rotation = faiss.RandomRotationMatrix(dimensions, dimensions)  # spreads evidence evenly over the bits
        rotation.init(RANDOM_SEED)
        codes = faiss.IndexRaBitQFastScan(dimensions, faiss.METRIC_INNER_PRODUCT)
        self._index = faiss.IndexPreTransform(rotation, codes)
        self._kept = (rotation, codes)  # FAISS does not own them
        self._index.train(self._of_gallery(embedding, mask))

    def add(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> None:
        """Append n rows, float32 (n, D) each."""
        self._index.add(self._of_gallery(embedding, mask))

    @property
    def size(self) -> int:
        """How many rows the index holds."""
        return int(self._index.ntotal)

    def search(self, embedding: NDArray[np.float32], mask: NDArray[np.float32], count: int) -> NDArray[np.int64]:
        """The most promising rows for N queries, float32 (N, D) each → int64 (N, count); -1 where there are fewer."""
        _, rows = self._index.search(self._of_query(embedding, mask), count)
        return np.asarray(rows, np.int64)

    def _balanced(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> np.float32:
        """The scale between a row's two parts at which the product of both sides' lengths, and so the error, is least.

        With parts of squared lengths (1, a·g²) and (1, b/g²), that is g⁴ = b/a.
        """
        dimensions = embedding.shape[1]
        row, query = self._of_gallery(embedding, mask), self._of_query(embedding, mask)
        lengths = [(side[:, part] ** 2).sum() for side in (row, query) for part in np.s_[:dimensions, dimensions:]]
        of_row = lengths[1] / max(lengths[0], SMALLEST_ENERGY)
        of_query = lengths[3] / max(lengths[2], SMALLEST_ENERGY)
        return np.float32((of_query / of_row) ** 0.25 if min(of_row, of_query) > SMALLEST_ENERGY else 1)

    def _of_gallery(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        masked = mask * embedding  # (n, D)
        energy = np.maximum((masked * embedding).sum(1, keepdims=True), SMALLEST_ENERGY)  # (n, 1)
        away = (mask - self._mean) @ self._directions  # (n, r)
        return np.concatenate([masked / np.sqrt(energy), self._balance * away], 1)  # (n, D + r)

    def _of_query(self, embedding: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.float32]:
        energy = mask * embedding**2  # (N, D)
        typical = np.sqrt(np.maximum(energy @ self._mean, SMALLEST_ENERGY))[:, None]  # (N, 1), √a
        away = energy @ self._directions * (-TYPICAL_SIMILARITY / 2) / typical  # (N, r)
        return np.concatenate([mask * embedding, away / self._balance], 1)  # (N, D + r)
