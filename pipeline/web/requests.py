"""What writing requests may say: checked once, here; unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from ..errors import ReidpipeError

LARGEST_ROW = 2**63 - 1  # of the database's numbers
Number = Annotated[int, Field(ge=1, le=LARGEST_ROW)]


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


Body = TypeVar("Body", bound=Decision)


async def body_of(request: Request, kind: type[Body]) -> Body:
    """The JSON body of a request.

    Raises:
        RequestError: it is no such body.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RequestError("expected a body of type application/json")
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise RequestError(f"{where}: {first['msg']}" if where else first["msg"]) from error


def number_in(text: str, what: str) -> int:
    """A whole number in a path or query.

    Raises:
        RequestError: it is something else.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 19 and 0 <= int(text) <= LARGEST_ROW):
        raise RequestError(f"{what}: expected a whole number, got {text[:40]!r}")
    return int(text)


def seconds_in(text: str | None, what: str) -> float | None:
    """UTC epoch seconds in a query.

    Raises:
        RequestError: it is something else.
    """
    if text is None or text == "":
        return None
    try:
        seconds = float(text)
    except ValueError as error:
        raise RequestError(f"{what}: expected seconds since 1970, got {text[:40]!r}") from error
    if not abs(seconds) < 1e12:  # NaN, too
        raise RequestError(f"{what}: expected seconds since 1970, got {text[:40]!r}")
    return seconds
