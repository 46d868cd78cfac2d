"""A gallery of up to millions of appearances, searched exactly or through FAISS candidates."""

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..appearance import Appearance
from ..disk.files import make_folder, replacing
from ..errors import GalleryError
from ..similarity import Mode, masked_similarity

if TYPE_CHECKING:
    from .blocks import Block
    from .candidates import Candidates

QUERY_ROWS = 256  # queries are searched in groups, so that memory is bounded by one group against one block
FAST_FROM_ROWS = 4096  # in smaller galleries the exact search is as fast
LEAST_CANDIDATES_PER_K = 4
CANDIDATES_PER_ROOT = 0.3  # candidates per √rows, from ROOT_DIMENSIONS on; proportionally more for shorter embeddings,
ROOT_DIMENSIONS = 512  # whose inner products approximate masked similarity less well
RETRAIN_GROWTH = 4  # a gallery that grew by this factor may hold other masks than the index was trained on


class Matches(NamedTuple):
    """Results of a search, most similar first.

    Attributes:
        similarity: float32 (N, k) in [-1, 1]; -inf where the gallery has fewer than k rows.
        ids: int64 (N, k); -1 where the gallery has fewer than k rows.
    """

    similarity: NDArray[np.float32]
    ids: NDArray[np.int64]


class Gallery:
    """Appearances with ids, stored in half precision: 10 bytes per dim and row in all.

    Similarities equal those of `masked_similarity` within 1e-3, so the order differs only among rows closer than that.
    A gallery must not be used by several threads at once.
    """

    def __init__(self, dimensions: int) -> None:
        """Create an empty gallery for embeddings of length `dimensions` (D)."""
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
            ids: integers (N,), not negative, which `search` returns; by default the row numbers.

        Raises:
            ValueError: another D, or ids of the wrong shape, dtype or sign; the gallery is unchanged.
        """
        import torch

        from .blocks import BLOCK_ROWS, Block

        self._check_dimensions("appearance", appearance)
        own = self._checked_ids(len(appearance), ids)
        largest = appearance.mask.max(1, keepdims=True, initial=0)  # (N, 1)
        mask = torch.from_numpy(appearance.mask / np.where(largest > 0, largest, 1)).half()  # scale has no effect
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
        """Find the k most similar rows for every query.

        Args:
            query: (N, D).
            k: number of rows per query, at least 1.
            mode: as in `masked_similarity`.
            exact: True compares every row.  False compares candidates only: joint mode only, the same similarities,
                recall@10 of 0.99 or more, several times faster from 10⁴ rows on.  The first such search, and the next
                after the gallery has grown much, builds the index: about 10 s for a million rows, and up to 3 bytes per
                dim and row.

        Returns:
            Matches of shape (N, k).

        Raises:
            ValueError: another D, k below 1, an unknown mode, or a fast search in a mode other than joint.
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
            group = query if len(query) <= QUERY_ROWS else query[start : start + QUERY_ROWS]  # slices are validated
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
        """Write the gallery to one .npz file, atomically.

        Raises:
            OutputError: the file cannot be written.
        """
        path = Path(path)
        make_folder(path.parent)
        halves = {
            name: np.concatenate(
                [
                    np.empty((0, self.dimensions), np.float16),
                    *(getattr(block, name)[: block.size].numpy() for block in self._blocks),
                ]
            )
            for name in ("embedding", "mask")
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, embedding=halves["embedding"], mask=halves["mask"], ids=self._ids)

    @classmethod
    def load(cls, path: Path | str) -> "Gallery":
        """Read a gallery written by `save`.

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
        """Exact search, joint mode: bfloat16 products rule out almost all rows of a block, float32 ranks the rest."""
        import torch

        from .blocks import BLOCK_ROWS, Queries

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
        """Exact search, any mode: `masked_similarity` with one block after the other."""
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
        """Fast search, joint mode: candidates of the FAISS index, ranked by masked similarity."""
        import torch

        from .blocks import Queries, similarity_to_own

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
        """The FAISS index, trained if necessary and filled with all rows."""
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
            raise ValueError(f"ids: expected none below 0 (-1 means no match), got {ids.min()}")
        return ids.astype(np.int64)


_Found = tuple[NDArray[np.float32], NDArray[np.int64]]  # similarity (n,), row (n,), best first, n ≤ k
