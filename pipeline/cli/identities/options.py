"""Arguments and options that the commands about identities share: who decides, tracklets, and times."""

from __future__ import annotations

import getpass
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from ...errors import ConfigError
from ..options import LARGEST_RUN, Decorated, database_options

if TYPE_CHECKING:
    from ...storage.store import Store
    from ...types import TrackKey

IDENTITY = click.IntRange(1, LARGEST_RUN)
CLOCK = re.compile(r"\d\d:\d\d(:\d\d(\.\d+)?)?")
TIME_FORMS = "a time such as 2026-03-02T09:00:30Z, 09:00:30 on the run's first day in UTC, or seconds since 1970"

by_option = click.option("--by", "who", help="who decides  [default: your user name]")
why_option = click.option("--why", default="", help="the reason, kept in the history")


def decision_options(command: Decorated) -> Decorated:
    """The options of a correction: --by, --why, --database, --cameras, --run and --json."""
    return by_option(why_option(database_options(command)))


def author(who: str | None) -> str:
    """Who decides: as given, or the user.

    Raises:
        ConfigError: the user has no name.
    """
    if who is not None:
        return who
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise ConfigError("it is not known who you are: give --by NAME") from error


def tracklet_key(text: str) -> TrackKey:
    """`CAMERA:TRACK` as a camera and a track.

    Raises:
        ConfigError: it is something else.
    """
    camera, _, track = text.rpartition(":")
    if not camera or not track.isascii() or not track.isdigit():
        raise ConfigError(f'expected a tracklet as CAMERA:TRACK, such as entrance:7, got "{text}"')
    return camera, int(track)


@dataclass(frozen=True, slots=True)
class Clock:
    """Reads times as a person writes them.

    Attributes:
        day: the first day of the run, midnight UTC.
    """

    day: datetime

    @classmethod
    def of_run(cls, store: Store, run: int | None) -> Clock:
        """The clock of a run's footage."""
        from ...storage.runs import list_cameras

        first = min((camera.start_seconds for camera in list_cameras(store, run)), default=0.0)
        return cls(datetime.fromtimestamp(first, UTC).replace(hour=0, minute=0, second=0, microsecond=0))

    def seconds(self, text: str) -> float:
        """UTC epoch seconds.

        Raises:
            ConfigError: it is no time.
        """
        try:
            if CLOCK.fullmatch(text):
                clock = datetime.strptime(text, "%H:%M" if text.count(":") == 1 else _clock_format(text))
                since = timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second,
                                  microseconds=clock.microsecond)
                return (self.day + since).timestamp()
            if text.replace(".", "", 1).isdigit():
                return float(text)
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as error:
            raise ConfigError(f'expected {TIME_FORMS}; got "{text}"') from error

    def interval(self, text: str) -> tuple[float, float]:
        """`START/END`, either of which may be missing, as UTC epoch seconds.

        Raises:
            ConfigError: it is no interval, or ends before it begins.
        """
        start, slash, end = text.partition("/")
        if not slash or not (start or end):
            raise ConfigError(f'--time: expected START/END, such as 09:00:10/09:00:40, got "{text}"')
        first = self.seconds(start) if start else float("-inf")
        last = self.seconds(end) if end else float("inf")
        if last < first:
            raise ConfigError(f'--time: "{text}" ends before it begins')
        return first, last


def _clock_format(text: str) -> str:
    return "%H:%M:%S.%f" if "." in text else "%H:%M:%S"
