"""Who of a million looks most like this?  A gallery of appearances, searched exactly or through FAISS candidates."""

import math
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..appearance import Appearance
from ..errors import GalleryError
from ..similarity import SMALLEST_ENERGY, Mode, masked_similarity

if TYPE_CHECKING:
    from .candidates import Candidates

QUERY_ROWS = 256  # queries are searched in groups: memory is bounded by one group against one block
FAST_FROM_ROWS = 4096  # below, the exact search is as fast as the fast one
LEAST_CANDIDATES_PER_K = 4
CANDIDATES_PER_ROOT = 0.3  # of the gallery's size, from 512 dims on; with fewer, inner products tell less of the masks
ROOT_DIMENSIONS = 512
RETRAIN_GROWTH = 4  # a gallery that has grown so much may hold other masks than those the index was trained on

BLOCK_ROWS: Final = 16384  # 16 MB per matrix at 512 dims: large enough for full speed, small enough to forget
# How far a similarity from bfloat16 matrices may lie from the float32 one: with unit roundoff u = 2⁻⁹, Cauchy–Schwarz
# bounds the product's error by 3u (two operands, one result), and the two energies' by 1.5u each: 6u, here 8u.
BFLOAT16_ERROR: Final = 2.0**-6
SMALLEST: Final = float(SMALLEST_ENERGY)
GATHERED_NUMBERS: Final = 2**20  # compared at once: 4 MB of float32, and some intermediate results, stay in the cache


class Block:
    """Up to BLOCK_ROWS rows of one gallery."""

    def __init__(self, dimensions: int) -> None:
        shape = (BLOCK_ROWS, dimensions)
        self.size = 0
        self.embedding = torch.empty(shape, dtype=torch.float16)  # memory that nobody has written costs nothing
        self.mask = torch.empty(shape, dtype=torch.float16)
        self._masked = torch.empty(shape, dtype=torch.bfloat16)  # m⊙e
        self._weight = torch.empty(shape, dtype=torch.bfloat16)  # m
        self._energy = torch.empty(shape, dtype=torch.bfloat16)  # m⊙e²

    def add(self, embedding: Tensor, mask: Tensor) -> None:
        """Append n rows, float16 (n, D); the caller has made sure that they fit."""
        rows = slice(self.size, self.size + len(embedding))
        self.embedding[rows], self.mask[rows] = embedding, mask
        e, m = embedding.float(), mask.float()  # (n, D)
        self._masked[rows], self._weight[rows], self._energy[rows] = m * e, m, m * e * e
        self.size = rows.stop

    def approximate(self, query: "Queries") -> Tensor:
        """Joint similarity of every query to every row, float32 (N, size), at most BFLOAT16_ERROR off."""
        rows = slice(0, self.size)
        dot = (query.masked.bfloat16() @ self._masked[rows].T).float()  # (N, size)
        of_query = (query.energy.bfloat16() @ self._weight[rows].T).float().clamp_(min=SMALLEST)
        of_gallery = (query.mask.bfloat16() @ self._energy[rows].T).float().clamp_(min=SMALLEST)
        return dot.mul_(of_query.rsqrt_()).mul_(of_gallery.rsqrt_())

    def similarity(self, query: "Queries", one: int, rows: Tensor) -> Tensor:
        """Joint similarity of query `one` to some rows, int64 (n,) → float32 (n,)."""
        embedding, mask = self.embedding.index_select(0, rows), self.mask.index_select(0, rows)  # faster than [rows]
        return _joint(embedding, mask, query.masked[one], query.energy[one], query.mask[one])

    def closest(self, query: "Queries", k: int, floor: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Every row of this block that may be among the k best of a query, with its float32 similarity.

        Args:
            query: N queries.
            k: how many are wanted.
            floor: float32 (N,), similarity of the k-th best found elsewhere; -inf if there are none yet.

        Returns:
            Per query (similarity float32 (n,), row int64 (n,)).
        """
        near = self.approximate(query)  # (N, size)
        kth = near.topk(min(k, self.size), 1).values[:, -1] - BFLOAT16_ERROR  # (N,), no more than the true k-th
        floor = torch.maximum(floor, kth) if k <= self.size else floor
        query_index, row = torch.nonzero(near >= (floor - BFLOAT16_ERROR)[:, None], as_tuple=True)  # (P,), (P,)
        each = torch.split(row, torch.bincount(query_index, minlength=len(near)).tolist())
        return [(self.similarity(query, one, rows), rows) for one, rows in enumerate(each)]


class Queries:
    """N queries, made ready once: what the three products of the joint form need of their side."""

    def __init__(self, appearance: Appearance) -> None:
        mask = torch.from_numpy(appearance.mask)
        mask = mask / mask.amax(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)  # scale changes nothing
        embedding = torch.from_numpy(appearance.embedding)
        self.mask = mask  # (N, D), largest is one
        self.masked = mask * embedding  # (N, D)
        self.energy = self.masked * embedding  # (N, D)

    def __len__(self) -> int:
        return len(self.mask)


def similarity_to_own(blocks: Sequence[Block], query: Queries, rows: Tensor) -> Tensor:
    """Joint similarity of every query to rows of its own, int64 (N, C) → float32 (N, C).

    By one thread: twenty steps of some 0.05 ms each gain little from two, and a hundredfold is lost where another
    program holds a core, or where FAISS's own threads still wait there for work.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return torch.cat(list(_groups_to_own(blocks, query, rows)))
    finally:
        torch.set_num_threads(threads)


def _groups_to_own(blocks: Sequence[Block], query: Queries, rows: Tensor) -> Iterator[Tensor]:
    """`similarity_to_own` of some queries after the other: memory is bounded."""
    at_once = max(GATHERED_NUMBERS // max(rows.shape[1] * query.mask.shape[1], 1), 1)
    for start in range(0, len(query), at_once):
        some = slice(start, start + at_once)
        embedding, mask = (half.view(*rows[some].shape, -1) for half in _gathered(blocks, rows[some].flatten()))
        yield _joint(embedding, mask, query.masked[some], query.energy[some], query.mask[some])


def _gathered(blocks: Sequence[Block], rows: Tensor) -> tuple[Tensor, Tensor]:
    """Embedding and mask of some rows of a whole gallery, int64 (n,) → float16 (n, D) each."""
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
    """Inner products of rows (…, n, D) with a query (…, D) → (…, n); this way round is ten times faster for a batch."""
    return (query.unsqueeze(-2) @ rows.mT).squeeze(-2)



class Matches(NamedTuple):
    """The answer to a search, best first.

    Attributes:
        similarity: float32 (N, k) in [-1, 1]; -inf where the gallery had fewer than k rows.
        ids: int64 (N, k); -1 there.
    """

    similarity: NDArray[np.float32]
    ids: NDArray[np.int64]


class Gallery:
    """Appearances with ids, kept in half precision: 10 bytes per dim and row, searched copies included.

    Similarities are those of `masked_similarity` within 1e-3; the order is the same but for rows closer than that.
    Not safe for use by several threads at once.
    """

    def __init__(self, dimensions: int) -> None:
        if dimensions < 1:
            raise ValueError(f"dimensions: expected at least 1, got {dimensions}")
        self.dimensions = dimensions
        self._blocks: list[Block] = []
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._candidates: Candidates | None = None
        self._trained_rows = 0

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, appearance: Appearance, ids: NDArray[np.integer] | Sequence[int] | None = None) -> None:
        """Append rows (N, D).

        Args:
            appearance: (N, D).
            ids: integers (N,), not negative, what `search` answers with; by default the row numbers.

        Raises:
            ValueError: another D, or ids of the wrong shape, kind or sign; the gallery is then as it was.
        """
        import torch

        from .gallery import BLOCK_ROWS, Block

        self._check_dimensions("appearance", appearance)
        own = self._checked_ids(len(appearance), ids)
        largest = appearance.mask.max(1, keepdims=True, initial=0)  # (N, 1)
        mask = torch.from_numpy(appearance.mask / np.where(largest > 0, largest, 1)).half()  # scale changes nothing
        embedding = torch.from_numpy(appearance.embedding).half()
        start = 0
        while start < len(embedding):
            if not self._blocks or self._blocks[-1].size == BLOCK_ROWS:
                self._blocks.append(Block(self.dimensions))
            part = slice(start, start + BLOCK_ROWS - self._blocks[-1].size)
            self._blocks[-1].add(embedding[part], mask[part])
            start = part.stop
        self._ids = np.concatenate([self._ids, own])

    def search(self, query: Appearance, k: int, mode: Mode = "joint", exact: bool = True) -> Matches:
        """The k most similar rows of every query.

        Args:
            query: (N, D).
            k: how many, at least 1.
            mode: as in `masked_similarity`.
            exact: True compares every row; False compares candidates only (joint mode; same similarities, recall@10
                of 0.99 and more, several times faster from 10⁴ rows on).  The first fast search, and one after much
                growth, builds the index: about 10 s for a million rows, and up to 3 bytes per dim and row.

        Returns:
            Matches of shape (N, k).
        """
        self._check_dimensions("query", query)
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}")
        if mode not in ("plain", "query", "joint"):
            raise ValueError(f"mode: expected plain, query or joint, got {mode!r}")
        if not exact and mode != "joint":
            raise ValueError(f"exact: the fast search is of mode joint only, got mode {mode!r}; use exact=True")
        matches = Matches(np.full((len(query), k), -np.inf, np.float32), np.full((len(query), k), -1, np.int64))
        if len(self) == 0:
            return matches
        for start in range(0, len(query), QUERY_ROWS):
            group = query if len(query) <= QUERY_ROWS else query[start : start + QUERY_ROWS]  # a slice is checked anew
            if mode != "joint":
                found = self._by_matrices(group, k, mode)
            elif exact or len(self) < FAST_FROM_ROWS:
                found = self._by_bounds(group, k)
            else:
                found = self._by_candidates(group, k)
            for one, (similarity, row) in enumerate(found, start):
                matches.similarity[one, : len(row)], matches.ids[one, : len(row)] = similarity, self._ids[row]
        return matches

    def save(self, path: Path | str) -> None:
        """Write everything to one .npz file; it appears whole or not at all."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        halves = {
            name: np.concatenate(
                [
                    np.empty((0, self.dimensions), np.float16),
                    *(getattr(block, name)[: block.size].numpy() for block in self._blocks),
                ]
            )
            for name in ("embedding", "mask")
        }
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            whole = Path(folder) / "gallery.npz"
            np.savez(whole, embedding=halves["embedding"], mask=halves["mask"], ids=self._ids)
            whole.replace(path)

    @classmethod
    def load(cls, path: Path | str) -> "Gallery":
        """Read what `save` wrote.

        Raises:
            GalleryError: no such file, or not a gallery.
        """
        path = Path(path)
        if not path.is_file():
            raise GalleryError(f"{path}: no such gallery file")
        try:
            with np.load(path, allow_pickle=False) as stored:
                embedding, mask, ids = stored["embedding"], stored["mask"], stored["ids"]
            gallery = cls(embedding.shape[1])
            gallery.add(Appearance(embedding.astype(np.float32), mask.astype(np.float32)), ids)
        except (ValueError, KeyError, IndexError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise GalleryError(f"{path}: not a gallery written by this program ({type(error).__name__})") from error
        return gallery

    def _by_bounds(self, query: Appearance, k: int) -> list["_Found"]:
        """Exact: bfloat16 matrices rule out almost all rows of a block, float32 decides among the rest."""
        import torch

        from .gallery import BLOCK_ROWS, Queries

        ready = Queries(query)
        best = [(torch.empty(0), torch.empty(0, dtype=torch.int64))] * len(query)
        floor = torch.full((len(query),), -math.inf)
        for number, block in enumerate(self._blocks):
            for one, (similarity, row) in enumerate(block.closest(ready, k, floor)):
                both = torch.cat([best[one][0], similarity])
                rows = torch.cat([best[one][1], row + number * BLOCK_ROWS])
                top = both.argsort(descending=True, stable=True)[:k]
                best[one] = (both[top], rows[top])
                if len(top) == k:
                    floor[one] = best[one][0][-1]
        return [(similarity.numpy(), row.numpy()) for similarity, row in best]

    def _by_matrices(self, query: Appearance, k: int, mode: Mode) -> list["_Found"]:
        """Exact, any mode: `masked_similarity` against one block after the other."""
        similarity = np.empty((len(query), 0), np.float32)
        row = np.empty((len(query), 0), np.int64)
        start = 0
        for block in self._blocks:
            stored = Appearance(block.embedding[: block.size].float().numpy(), block.mask[: block.size].float().numpy())
            similarity = np.concatenate([similarity, masked_similarity(query, stored, mode)], 1)
            new = np.broadcast_to(np.arange(start, start + block.size), (len(query), block.size))
            row = np.concatenate([row, new], 1)
            top = np.argsort(-similarity, axis=1, kind="stable")[:, :k]  # (N, k)
            similarity, row = np.take_along_axis(similarity, top, 1), np.take_along_axis(row, top, 1)
            start += block.size
        return list(zip(similarity, row, strict=True))

    def _by_candidates(self, query: Appearance, k: int) -> list["_Found"]:
        import torch

        from .gallery import Queries, similarity_to_own

        ready = Queries(query)
        of_size = CANDIDATES_PER_ROOT * math.sqrt(len(self)) * max(ROOT_DIMENSIONS / self.dimensions, 1)
        count = min(max(math.ceil(of_size), LEAST_CANDIDATES_PER_K * k), len(self))
        row = np.sort(self._indexed().search(query.embedding, ready.mask.numpy(), count), 1)  # (N, count), -1 first
        similarity = similarity_to_own(self._blocks, ready, torch.from_numpy(row.clip(0))).numpy()
        similarity = np.where(row >= 0, similarity, -np.inf)
        top = np.argsort(-similarity, axis=1, kind="stable")[:, :k]  # (N, k)
        found = np.take_along_axis(similarity, top, 1), np.take_along_axis(row, top, 1)
        return [(near[own >= 0], own[own >= 0]) for near, own in zip(*found, strict=True)]

    def _indexed(self) -> "Candidates":
        """The index, brought up to date."""
        from .candidates import SAMPLE_ROWS, Candidates

        if self._candidates is None or len(self) > RETRAIN_GROWTH * self._trained_rows:
            step = math.ceil(len(self) / SAMPLE_ROWS)
            sample = [(one.embedding[: one.size : step], one.mask[: one.size : step]) for one in self._blocks]
            embedding, mask = (
                np.concatenate([part.float().numpy() for part in parts]) for parts in zip(*sample, strict=True)
            )
            self._candidates, self._trained_rows = Candidates(embedding, mask), len(self)
        start = 0
        for block in self._blocks:
            new = slice(min(max(self._candidates.size - start, 0), block.size), block.size)
            if new.start < new.stop:
                self._candidates.add(block.embedding[new].float().numpy(), block.mask[new].float().numpy())
            start += block.size
        return self._candidates

    def _check_dimensions(self, name: str, appearance: Appearance) -> None:
        if appearance.dimensions != self.dimensions:
            raise ValueError(f"{name}: expected {self.dimensions} dimensions, got {appearance.dimensions}")

    def _checked_ids(self, count: int, given: NDArray[np.integer] | Sequence[int] | None) -> NDArray[np.int64]:
        if given is None:
            return np.arange(len(self), len(self) + count, dtype=np.int64)
        ids = np.asarray(given)
        if ids.shape != (count,) or ids.dtype.kind not in "iu":
            raise ValueError(f"ids: expected integers of shape ({count},), got {ids.dtype} of shape {ids.shape}")
        if count and int(ids.min()) < 0:
            raise ValueError(f"ids: expected none below 0 (-1 means nobody), got {ids.min()}")
        return ids.astype(np.int64)


_Found = tuple[NDArray[np.float32], NDArray[np.int64]]  # similarity (n,), row (n,), best first, n ≤ k
