"""Guard files against being overwritten: what a command reads, and what another program or a person wrote.

An existing file is replaced only by an output of its own kind.  Its kind is read from its content: beside every writer
is a function that knows the header, key or mark that it writes.  A marker file beside the outputs would be litter,
would be lost when they are moved, and would vouch for a file that was exchanged since.
"""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path, PurePath

from ..errors import OutputError

MARK = "reidpipe"  # what outputs name as the program that made them, where their format has a place for it
PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})
PARTNER_SUFFIXES = {".xml": ".bin", ".bin": ".xml"}  # an OpenVINO network consists of both

Recogniser = Callable[[Path], bool]  # whether an existing file is an earlier output of the same kind


class Guard:
    """What the outputs of one command must leave alone.

    Args:
        inputs: files and folders that the command reads; they need not exist.
        patterns: glob patterns of files that it reads.
        force: replace existing files that this program did not write, but never an input.
    """

    def __init__(self, inputs: Iterable[Path] = (), patterns: Iterable[str] = (), force: bool = False) -> None:
        self._force = force
        self._patterns = {_real_pattern(pattern): pattern for pattern in patterns}
        self._names: dict[str, Path] = {}  # of inputs that do not exist yet, such as a database's journal
        self._files: dict[tuple[int, int], Path] = {}  # by device and number, equal for links and other spellings
        self._folders: dict[tuple[int, int], Path] = {}
        for path in inputs:
            self._add(path)
            if path.suffix in PARTNER_SUFFIXES:
                self._add(path.with_suffix(PARTNER_SUFFIXES[path.suffix]))

    def check(self, path: Path, is_former_output: Recogniser) -> None:
        """Refuse an output path.

        Args:
            path: a file to be written; empty files may be replaced, as `mktemp` makes them.
            is_former_output: whether an existing file is an earlier output of the same kind.

        Raises:
            OutputError: the path is an input, would become one, or is a file that this program did not write.
        """
        target, found = self.check_no_input(path)
        folder = self._folder_around(target)
        if found is None or found.st_size == 0:
            return self._check_new(path, target, folder)
        if not stat.S_ISREG(found.st_mode):
            raise OutputError(f"{path} is not a file: give another path")
        if _recognised(target, is_former_output):
            return None
        if folder is not None:
            raise OutputError(f"{path} lies in {folder}, which this command reads: give another path")
        if not self._force:
            advice = "give another path, or --force to replace it"
            raise OutputError(f"{path} exists, and is not an earlier output of this command: {advice}")
        return None

    def check_no_input(self, path: Path) -> tuple[Path, os.stat_result | None]:
        """Refuse a path that is an input; returns the file that it leads to, and its status if it exists.

        Raises:
            OutputError: the path is an input, or cannot be reached.
        """
        target = real_path(path)
        found = _status(path, target)
        source = self._input_at(target, found)
        if source is not None:
            also = "" if source == path else f" ({source})"
            raise OutputError(f"{path} is read by this command{also} and must not be overwritten: give another path")
        return target, found

    def _add(self, path: Path) -> None:
        try:
            found = path.stat()
        except (OSError, ValueError):
            self._names[_name_of(path)] = path
            return
        identified = self._folders if stat.S_ISDIR(found.st_mode) else self._files
        identified[found.st_dev, found.st_ino] = path

    def _input_at(self, target: Path, found: os.stat_result | None) -> Path | None:
        if found is None:
            return self._names.get(_name_of(target))
        return self._files.get((found.st_dev, found.st_ino))

    def _folder_around(self, target: Path) -> Path | None:
        if not self._folders:
            return None
        for parent in target.parents:
            try:
                found = parent.stat()
            except OSError:  # not made yet
                continue
            if (found.st_dev, found.st_ino) in self._folders:
                return self._folders[found.st_dev, found.st_ino]
        return None

    def _check_new(self, path: Path, target: Path, folder: Path | None) -> None:
        if folder is not None and target.suffix.lower() in PICTURE_SUFFIXES:
            raise OutputError(f"{path} would be a new picture in {folder}, which is read: give another path")
        for real, pattern in self._patterns.items():
            if PurePath(target).match(real):
                raise OutputError(f"{path} would be a new file of {pattern}, which is read: give another path")


def real_path(path: Path) -> Path:
    """The file that a path leads to, through symbolic links.

    Raises:
        OutputError: it holds a NUL character.
    """
    if "\0" in str(path):
        raise OutputError(f"{str(path)!r}: a path cannot contain a NUL character: give another path")
    try:
        return Path(os.path.realpath(path.expanduser()))
    except RuntimeError as error:  # of expanduser
        raise OutputError(f"{path}: there is no such user: give another path") from error


def begins_with(path: Path, *beginnings: str) -> bool:
    """Whether a text file begins with one of several texts."""
    longest = max(len(text.encode()) for text in beginnings)
    with path.open("rb") as file:
        head = file.read(longest)
    return head.startswith(tuple(text.encode() for text in beginnings))


def _recognised(target: Path, is_former_output: Recogniser) -> bool:
    try:
        return is_former_output(target)
    except (OSError, ValueError):  # unreadable, or of another kind
        return False


def _status(path: Path, target: Path) -> os.stat_result | None:
    try:
        return target.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}: give another path") from error


def _name_of(path: Path) -> str:
    """Equal for all spellings of a path, on a file system that ignores case, too."""
    return os.path.realpath(path).casefold() if "\0" not in str(path) else str(path)


def _real_pattern(pattern: str) -> str:
    """A glob pattern whose folders without wildcards are resolved."""
    fixed = 0
    parts = PurePath(pattern).parts
    while fixed < len(parts) and not set(parts[fixed]) & set("*?["):
        fixed += 1
    return str(PurePath(os.path.realpath(PurePath(*parts[:fixed]) if fixed else "."), *parts[fixed:]))
