"""Store the rows of a gallery in blocks and search one block at a time, with PyTorch.

A block keeps embeddings and masks in float16, and beside them one bfloat16 matrix for each matrix product of the joint
form, so that a search reads 6 bytes per dim.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from torch import Tensor

from ..appearance import Appearance
from ..similarity import SMALLEST_ENERGY

BLOCK_ROWS: Final = 16384  # 16 MB per matrix at 512 dims: large enough for full speed, and little memory is left unused
# Upper bound of |bfloat16 similarity - float32 similarity|: with unit roundoff u = 2⁻⁹, Cauchy–Schwarz bounds the error
# of the dot product by 3u (two operands, one result), and those of the two energies by 1.5u each: 6u, rounded up to 8u.
BFLOAT16_ERROR: Final = 2.0**-6
SMALLEST: Final = float(SMALLEST_ENERGY)
GATHERED_NUMBERS: Final = 2**20  # gathered at once: 4 MB of float32 and the intermediate results fit into the cache


class Block:
    """Up to BLOCK_ROWS rows of one gallery."""

    def __init__(self, dimensions: int) -> None:
        shape = (BLOCK_ROWS, dimensions)
        self.size = 0
        self.embedding = torch.empty(shape, dtype=torch.float16)  # pages that are never written take no memory
        self.mask = torch.empty(shape, dtype=torch.float16)
        self._masked = torch.empty(shape, dtype=torch.bfloat16)  # m⊙e
        self._weight = torch.empty(shape, dtype=torch.bfloat16)  # m
        self._energy = torch.empty(shape, dtype=torch.bfloat16)  # m⊙e²

    def add(self, embedding: Tensor, mask: Tensor) -> None:
        """Append n rows, float16 (n, D) each; the caller makes sure that they fit."""
        rows = slice(self.size, self.size + len(embedding))
        self.embedding[rows], self.mask[rows] = embedding, mask
        e, m = embedding.float(), mask.float()  # (n, D)
        self._masked[rows], self._weight[rows], self._energy[rows] = m * e, m, m * e * e
        self.size = rows.stop

    def approximate(self, query: "Queries") -> Tensor:
        """Joint similarity of every query to every row, float32 (N, size), with an error of at most BFLOAT16_ERROR."""
        rows = slice(0, self.size)
        dot = (query.masked.bfloat16() @ self._masked[rows].T).float()  # (N, size)
        of_query = (query.energy.bfloat16() @ self._weight[rows].T).float().clamp_(min=SMALLEST)
        of_gallery = (query.mask.bfloat16() @ self._energy[rows].T).float().clamp_(min=SMALLEST)
        return dot.mul_(of_query.rsqrt_()).mul_(of_gallery.rsqrt_())

    def similarity(self, query: "Queries", one: int, rows: Tensor) -> Tensor:
        """Joint similarity in float32 of query `one` to some rows: int64 (n,) → float32 (n,)."""
        embedding, mask = self.embedding.index_select(0, rows), self.mask.index_select(0, rows)  # faster than [rows]
        return _joint(embedding, mask, query.masked[one], query.energy[one], query.mask[one])

    def closest(self, query: "Queries", k: int, floor: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Every row of this block that may be among the k most similar to a query, with its float32 similarity.

        Args:
            query: N queries.
            k: how many rows are searched for.
            floor: float32 (N,), similarity of the k-th best row of other blocks; -inf if there are fewer.

        Returns:
            Per query (similarity float32 (n,), row int64 (n,)).
        """
        near = self.approximate(query)  # (N, size)
        kth = near.topk(min(k, self.size), 1).values[:, -1] - BFLOAT16_ERROR  # (N,), a lower bound of the true k-th
        floor = torch.maximum(floor, kth) if k <= self.size else floor
        query_index, row = torch.nonzero(near >= (floor - BFLOAT16_ERROR)[:, None], as_tuple=True)  # (P,), (P,)
        each = torch.split(row, torch.bincount(query_index, minlength=len(near)).tolist())
        return [(self.similarity(query, one, rows), rows) for one, rows in enumerate(each)]


class Queries:
    """The queries' operands of the three matrix products of the joint form, computed once."""

    def __init__(self, appearance: Appearance) -> None:
        mask = torch.from_numpy(appearance.mask)
        mask = mask / mask.amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)  # scale has no effect
        embedding = torch.from_numpy(appearance.embedding)
        self.mask = mask  # (N, D), maximum 1
        self.masked = mask * embedding  # (N, D)
        self.energy = self.masked * embedding  # (N, D)

    def __len__(self) -> int:
        return len(self.mask)


def similarity_to_own(blocks: Sequence[Block], query: Queries, rows: Tensor) -> Tensor:
    """Joint similarity of every query to its own candidate rows: int64 (N, C) → float32 (N, C).

    On one thread: the twenty operations of about 0.05 ms gain little from a second thread, and become a hundred times
    slower where another program, or FAISS's own spinning threads, occupy a core.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return torch.cat(list(_groups_to_own(blocks, query, rows)))
    finally:
        torch.set_num_threads(threads)


def _groups_to_own(blocks: Sequence[Block], query: Queries, rows: Tensor) -> Iterator[Tensor]:
    """`similarity_to_own` for one group of queries after the other, which bounds memory."""
    at_once = max(GATHERED_NUMBERS // max(rows.shape[1] * query.mask.shape[1], 1), 1)
    for start in range(0, len(query), at_once):
        some = slice(start, start + at_once)
        embedding, mask = (half.view(*rows[some].shape, -1) for half in _gathered(blocks, rows[some].flatten()))
        yield _joint(embedding, mask, query.masked[some], query.energy[some], query.mask[some])


def _gathered(blocks: Sequence[Block], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Embedding and mask of some rows of all blocks: int64 (n,) → float16 (n, D) each."""
    if len(blocks) == 1:
        return blocks[0].embedding.index_select(0, rows), blocks[0].mask.index_select(0, rows)
    shape = (len(rows), blocks[0].embedding.shape[1])
    embedding, mask = torch.empty(shape, dtype=torch.float16), torch.empty(shape, dtype=torch.float16)
    for number, block in enumerate(blocks):
        (own,) = torch.nonzero(rows // BLOCK_ROWS == number, as_tuple=True)  # (p,)
        inside = rows[own] - number * BLOCK_ROWS  # (p,)
        embedding.index_copy_(0, own, block.embedding.index_select(0, inside))
        mask.index_copy_(0, own, block.mask.index_select(0, inside))
    return embedding, mask


def _joint(embedding: Tensor, mask: Tensor, query_masked: Tensor, query_energy: Tensor, query_mask: Tensor) -> Tensor:
    """The joint form of `similarity.masked_similarity`: float16 rows (…, n, D), float32 query (…, D) → (…, n)."""
    embedding, mask = embedding.float(), mask.float()  # (…, n, D), (…, n, D)
    masked = mask * embedding  # (…, n, D)
    dot = _products(masked, query_masked)  # (…, n)
    of_query = _products(mask, query_energy).clamp_(min=SMALLEST)
    of_gallery = _products(masked.mul_(embedding), query_mask).clamp_(min=SMALLEST)
    return (dot * of_query.rsqrt_() * of_gallery.rsqrt_()).clamp_(-1, 1)


def _products(rows: Tensor, query: Tensor) -> Tensor:
    """Inner products of rows (…, n, D) with a query (…, D) → (…, n); ten times faster than rows @ query for a batch."""
    return (query.unsqueeze(-2) @ rows.mT).squeeze(-2)
