"""Paths as users write them."""

from pathlib import Path


def expand_home(name: str | Path) -> Path:
    """A path with `~` and `~user` replaced by the home folder; unchanged if there is no such user, as shells do it."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)
