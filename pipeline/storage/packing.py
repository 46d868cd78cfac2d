"""Pack appearances and crops into few bytes: embeddings as int8, masks as uint8, crops as small WebP files."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from ...reid import Appearance
from ..errors import StoreError
from ..pictures.thumbnail import thumbnail
from ..types import Image

WEBP_QUALITY = 60
INT8_MAX, UINT8_MAX = 127, 255


def pack_appearance(appearance: Appearance) -> list[tuple[bytes, bytes]]:
    """N rows as (embedding, mask) bytes.

    An embedding is scaled so that its largest number is 127; its length is 1 anyway, so that no scale need be stored.
    A mask that is the same in all dimensions, as models without mask give, is one byte.
    """
    largest = np.maximum(np.abs(appearance.embedding).max(1, keepdims=True), np.finfo(np.float32).tiny)  # (N, 1)
    embedding = np.rint(appearance.embedding / largest * INT8_MAX).astype(np.int8)  # (N, D)
    mask = np.rint(appearance.mask * UINT8_MAX).astype(np.uint8)  # (N, D)
    same = (mask == mask[:, :1]).all(1)  # (N,)
    return [
        (row.tobytes(), (reliable[:1] if one else reliable).tobytes())
        for row, reliable, one in zip(embedding, mask, same.tolist(), strict=True)]


def unpack_appearance(embedding: bytes, mask: bytes) -> Appearance:
    """One row of `pack_appearance`."""
    row = np.frombuffer(embedding, np.int8).astype(np.float32)[None]  # (1, D)
    reliable = np.frombuffer(mask, np.uint8).astype(np.float32)[None] / UINT8_MAX  # (1, D) or (1, 1)
    return Appearance(row / np.linalg.norm(row), np.ascontiguousarray(np.broadcast_to(reliable, row.shape)))


def unpack_appearances(rows: Sequence[tuple[bytes, bytes]]) -> Appearance:
    """N rows of `pack_appearance`, embedding and mask of each, as (N, D); faster than one after the other."""
    width = len(rows[0][0])
    embedding = np.frombuffer(b"".join(row[0] for row in rows), np.int8).reshape(-1, width).astype(np.float32)  # (N, D)
    mask = np.frombuffer(b"".join(row[1] if len(row[1]) == width else row[1] * width for row in rows), np.uint8)
    reliable = mask.reshape(-1, width).astype(np.float32) / np.float32(UINT8_MAX)  # (N, D)
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True).astype(np.float32)  # (N, 1)
    return Appearance(embedding / lengths, reliable)


def encode_crop(image: Image) -> bytes:
    """Encode a crop, uint8 (h, w, 3) BGR, as a WebP file of the size of a thumbnail.

    Raises:
        ValueError: it is not such an array.
    """
    done, buffer = cv2.imencode(".webp", thumbnail(image), [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    if not done:
        raise ValueError(f"image: expected uint8 (h, w, 3), got {image.dtype} {image.shape}")
    return bytes(buffer)


def decode_crop(content: bytes) -> Image:
    """A stored crop, a WebP or JPEG file, as uint8 (h, w, 3) BGR.

    Raises:
        StoreError: it is none, as in a damaged database.
    """
    image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if image is None:
        raise StoreError("a stored crop is no picture: the database is damaged: restore a copy")
    return np.asarray(image, np.uint8)
