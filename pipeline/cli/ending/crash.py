"""Turn an error that nobody foresaw into one line and a crash file, instead of a traceback on the terminal."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from importlib.metadata import version

from ...credentials import without_credentials

DEBUG_VARIABLE = "REIDPIPE_DEBUG"  # set to anything: tracebacks are printed, and no file is written


def wants_traceback() -> bool:
    """Whether the user asked for tracebacks."""
    return bool(os.environ.get(DEBUG_VARIABLE))


def report_crash(error: BaseException) -> str:
    """Write a crash file; returns one line for the user that names it.

    The file holds the traceback, the command and versions, without credentials and without values of variables. It lies
    in the folder for temporary files, and only its owner may read it.
    """
    text = " ".join(without_credentials(str(error)).split())
    line = f"unexpected error, {type(error).__name__}{': ' if text else ''}{text}"
    details = "".join(traceback.format_exception(error))
    content = "\n".join([
        f"reidpipe {version('reidpipe')}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {' '.join(sys.argv[1:])}",
        details,
    ])
    try:
        descriptor, path = tempfile.mkstemp(prefix="reidpipe-crash-", suffix=".txt")  # created 0600
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(without_credentials(content))
    except OSError as failure:
        return f"{line} (set {DEBUG_VARIABLE}=1 to see where; no crash file could be written: {failure.strerror})"
    return f"{line}; this is a bug, please report it with {path}"
