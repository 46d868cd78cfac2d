"""What the routes answer with: JSON and pictures."""

from __future__ import annotations

from collections.abc import Callable

from fastapi.responses import JSONResponse, Response
from pydantic_core import to_json

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


def as_json(value: object) -> Response:
    """A value as JSON; numbers that JSON lacks are null: a damaged database may hold them."""
    return Response(json_of(value), media_type="application/json")


def json_of(value: object) -> bytes:
    """A value as the text of `as_json`; dataclasses become objects, tuples arrays."""
    return to_json(value, inf_nan_mode="null")
