"""What the routes answer with: JSON and pictures."""

from __future__ import annotations

import math
from collections.abc import Callable

from fastapi.responses import JSONResponse, Response

from ..media.pictures import head_blurred, picture_type

Handler = Callable[..., Response]


def picture_of(content: bytes | None, blur: bool) -> Response:
    """A WebP or JPEG file, with the head blurred if wanted; whatever else a database holds is not sent."""
    if content is not None and blur:
        content = head_blurred(content)
    kind = None if content is None else picture_type(content)
    if kind is None:
        return JSONResponse({"error": "no such picture is stored: it may have been pruned"}, 404)
    return Response(content, media_type=kind)


def finite(value: object) -> object:
    """A JSON value in which numbers that JSON lacks are null; a damaged database may hold them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    return [finite(one) for one in value] if isinstance(value, (list, tuple)) else value
