"""What can go wrong for a user, as one tree, and the exit code that each kind ends the program with."""

from __future__ import annotations


class ReidpipeError(Exception):
    """A mistake or a mishap that a user can act on; its text is one line and says what to do."""

    exit_code = 1


class ConfigError(ReidpipeError):
    """The config file cannot be read, or says something that makes no sense."""

    exit_code = 2


class SourceError(ReidpipeError):
    """A camera's footage is missing, empty or cannot be decoded."""

    exit_code = 3


class WeightsError(ReidpipeError):
    """Model weights are missing, damaged, or not what this stage needs."""

    exit_code = 4


class StoreError(ReidpipeError):
    """The database cannot be opened, is newer than this program, is locked, or its disk is full."""

    exit_code = 5


class OutputError(ReidpipeError):
    """A result file cannot be written."""

    exit_code = 6


INTERRUPTED_EXIT_CODE = 130  # what shells report for Ctrl-C
