"""Serve the review page of a database until the process is asked to stop."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from ..errors import ConfigError, OutputError, ReidpipeError
from ..storage.runs import run_number
from ..storage.store import Store
from ..types import FloorPlan
from .access.security import LEAST_TOKEN, LOOPBACK_NAMES, Sessions, Views, is_loopback
from .app import make_app
from .database import Database
from .jobs import CACHE_BYTES, Jobs
from .reads.overview import read_overview
from .reads.remembered import Remembered
from .reads.review import least_sure_links
from .reads.timeline import timeline_of
from .search.finder import Finder
from .search.gallery import gallery_of

logger = logging.getLogger(__name__)

SIGNALLED = 128  # exit codes of processes that a signal ended, as shells report them
LONGEST_TOKEN_FILE = 4096  # bytes
READ_SECONDS = 10.0  # for which the address waits for what is read ahead
GRACE_SECONDS = 2  # for which answers that have begun are waited for
END_SECONDS = 10.0  # after which the process ends, whatever its threads do


@dataclass(frozen=True, slots=True)
class Serving:
    """How the page is served.

    Attributes:
        host: address to listen at.
        port: 0 for any that is free.
        token_file: holds what people log in with; by default, on loopback, a new token is part of the address.
        view_token_file: holds what those log in with who may only look; by default, nobody may.
        who: the name that the page proposes for those who decide.
        blur: whether heads in everything shown are blurred.
        cache: folder for copies of footage and for clips.
        cache_bytes: of all of these.
        audit_views: file to which looks at people are appended; none by default.
        plan: picture of the floor for runs that stored none.
    """

    host: str
    port: int
    token_file: Path | None
    view_token_file: Path | None
    who: str
    blur: bool
    cache: Path
    cache_bytes: int = CACHE_BYTES
    audit_views: Path | None = None
    plan: FloorPlan | None = None


def serve(store: Store, how: Serving, ready: Callable[[str], object]) -> None:
    """Serve the page; returns when the process is asked to stop, which ends END_SECONDS later at the latest.

    Args:
        store: the database.
        how: where, and for whom.
        ready: called once with the address to open.

    Raises:
        ConfigError: others would reach the page without a token of their own, or the file holds none.
        OutputError: the address cannot be used.
    """
    host, port, token_file = how.host, how.port, how.token_file
    if token_file is None and not is_loopback(host):
        raise ConfigError(f"--host {host}: other machines would reach pictures of people: give --token-file, or leave "
                          "--host out")
    token = secrets.token_urlsafe(24) if token_file is None else read_token(token_file)
    view_token = None if how.view_token_file is None else read_token(how.view_token_file)
    if view_token == token:
        raise ConfigError(f"{how.view_token_file}: holds the same token as --token-file: give another one")
    with _listening(host, port) as listener:
        port = listener.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        hosts = frozenset(f"{one}:{port}" for one in (*LOOPBACK_NAMES, name.lower())) if is_loopback(host) else None
        views = None if how.audit_views is None else Views(how.audit_views)
        database, jobs = Database(store), Jobs(how.cache, how.cache_bytes)
        try:
            remembered, finder = Remembered(), Finder(how.blur)
            sessions = Sessions(token, view_token=view_token)
            app = make_app(database, sessions, jobs, how.who, hosts, f"reidpipe_{port}", how.blur, finder, views,
                           remembered, how.plan)
            read = threading.Event()
            threading.Thread(target=_read_ahead, args=(database, remembered, finder, read), daemon=True).start()
            read.wait(READ_SECONDS)
            server = _Server(uvicorn.Config(
                app, log_level="warning", access_log=False, server_header=False, lifespan="off",
                timeout_graceful_shutdown=GRACE_SECONDS))
            ready(f"http://{name}:{port}/" + (f"login?token={token}" if token_file is None else ""))
            server.run(sockets=[listener])
        finally:
            jobs.close()
            if views is not None:
                views.close()
            database.close()


class _Server(uvicorn.Server):
    """A server whose process ends in a bounded time.

    Python waits for its threads: one query of minutes, or a decoder that hangs, would keep the process for as long.
    What is cut off is reading, a file that is made again, or a transaction, which the database undoes.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        end = threading.Timer(END_SECONDS, _end_now, [sig])
        end.daemon = True
        end.start()
        super().handle_exit(sig, frame)


def _end_now(number: int) -> None:
    logger.warning("a request or a video still goes on: the server ends without it")
    os._exit(SIGNALLED + number)


def _read_ahead(database: Database, remembered: Remembered, finder: Finder, read: threading.Event) -> None:
    """Read the newest run and open its models before somebody asks for them: of a long day, that takes seconds."""
    try:
        with database.reading() as store:
            run = run_number(store, None)
            remembered.get("overview", store, run, read_overview)
            remembered.get("review", store, run, least_sure_links)
            timeline_of(remembered, store, run)
            gallery_of(remembered, store, run)
        finder.open_models(database, run)
    except ReidpipeError as error:  # whoever opens the page reads it there
        logger.debug("nothing could be read ahead: %s", error)
    finally:
        read.set()


def read_token(path: Path) -> str:
    """The token in a file.

    Raises:
        ConfigError: the file cannot be read, or holds no token that is long enough.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST_TOKEN_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}: give a file that holds the token") from error
    token = content.decode("utf-8", "replace").strip()
    if not LEAST_TOKEN <= len(token) <= LONGEST_TOKEN_FILE or not token.isprintable():
        raise ConfigError(f"{path}: expected one line of at least {LEAST_TOKEN} characters as the token")
    return token


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OutputError(f"{host}:{port} cannot be used: {reason}: give another --host or --port") from error
