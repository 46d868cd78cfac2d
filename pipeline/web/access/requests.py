"""What requests may say: checked once, here; unknown keys are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ...errors import ReidpipeError

LARGEST_ROW = 2**63 - 1  # of the database's numbers
Number = Annotated[int, Field(ge=1, le=LARGEST_ROW)]


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


_Row = Annotated[int, Field(ge=0, le=LARGEST_ROW)]
_Seconds = Annotated[float, Field(gt=-1e12, lt=1e12, allow_inf_nan=False)]
Row = Annotated[int, Path(ge=0, le=LARGEST_ROW)]
RunNumber = Annotated[_Row | None, BeforeValidator(_none_if_empty), Query(
    alias="run", description="number of a run; the newest by default")]
Cameras = Annotated[Sequence[_Row], Query(alias="camera", description="row ids of cameras; all by default")]
First = Annotated[_Seconds | None, BeforeValidator(_none_if_empty), Query(
    alias="from", description="UTC epoch seconds; what ends before is left out")]
Last = Annotated[_Seconds | None, BeforeValidator(_none_if_empty), Query(
    alias="to", description="UTC epoch seconds; what begins after is left out")]
LeastSeconds = Annotated[float, Query(ge=0, lt=1e9, description="of the longest visit of an identity")]
LeastCameras = Annotated[int, Query(ge=1, le=10_000, description="that saw an identity")]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ROW)]
Limit = Annotated[int | None, Query(ge=1, le=100_000)]
TIMES = ("from", "to", "seconds")


class RequestError(ReidpipeError):
    """A request that the page would not make."""


class Decision(BaseModel):
    """A correction: of which run, by whom, and why."""

    model_config = ConfigDict(extra="forbid", strict=True)

    run: Number
    who: str
    why: str = ""


class Name(Decision):
    """Name an identity; empty takes the name away."""

    name: str


class Other(Decision):
    """Decide about an identity and another one."""

    other: Number
    anyway: bool = False


class Split(Decision):
    """Split an identity: these tracklets leave it, or all that begin with a tracklet or later."""

    tracklets: Annotated[list[Number], Field(max_length=1000)] = []
    from_tracklet: Number | None = None


class Forget(Decision):
    """Forget an identity; its number is given again, so that no slip of the hand deletes anybody."""

    again: Number


class Confirm(Decision):
    """Decide that a tracklet and another one of its identity are one person."""

    other: Number


class Undo(Decision):
    """Undo a correction; the last one in force by default."""

    correction: Number | None = None


def what_is_wrong(error: RequestValidationError) -> str:
    """The first problem of a request, in one line."""
    first: dict[str, Any] = error.errors()[0]
    kind, *places = first["loc"]
    where = ".".join(str(place) for place in places)
    if kind == "body":
        if first["type"] == "json_invalid":
            return f"the body is no JSON: {first['msg']}"
        return f"{where}: {first['msg']}" if where else f"expected a body of type application/json: {first['msg']}"
    name = str(places[0]) if places else ""
    expected = "seconds since 1970" if name in TIMES else "a whole number"
    return f"{name}: expected {expected}, got {str(first['input'])[:40]!r}"
