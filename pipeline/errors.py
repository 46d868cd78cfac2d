"""Errors of the application and their exit codes; the root of the tree is `reid.errors`."""

from __future__ import annotations

from ..reid.errors import OutputError, ReidpipeError, WeightsError

__all__ = [
    "CRASH_EXIT_CODE",
    "INTERRUPTED_EXIT_CODE",
    "ConfigError",
    "CorrectionError",
    "LockedError",
    "OutputError",
    "ReidpipeError",
    "SourceError",
    "StoreError",
    "WeightsError",
]

CRASH_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED_EXIT_CODE = 130  # what shells report for Ctrl-C


class ConfigError(ReidpipeError):
    """The config file cannot be read, or holds an unknown key or an invalid value."""

    exit_code = 2


class CorrectionError(ReidpipeError):
    """A decision about identities that cannot be: an unknown identity, one person in two places, an undo too many."""

    exit_code = 2


class SourceError(ReidpipeError):
    """A camera's footage is missing, empty or cannot be decoded."""

    exit_code = 3


class StoreError(ReidpipeError):
    """The database cannot be opened, is newer than this program, is locked, or its disk is full."""

    exit_code = 5


class LockedError(StoreError):
    """Another program has locked the database."""
