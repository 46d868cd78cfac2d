"""Pack appearances and crops into few bytes: embeddings as int8, masks as uint8, crops as small WebP files."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from ...reid import Appearance
from ..errors import StoreError
from ..types import Image

CROP_HEIGHT_PX = 160  # of a stored crop; enough to judge a link by eye
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


def encode_crop(image: Image) -> bytes:
    """Encode a crop, uint8 (h, w, 3) BGR, as a WebP file of at most CROP_HEIGHT_PX in height and width.

    Raises:
        ValueError: it is not such an array.
    """
    small = _shrink(image)
    done, buffer = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
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


def _shrink(image: Image) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    factor = min(1.0, CROP_HEIGHT_PX / max(height, width))
    if factor == 1:
        return image
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
