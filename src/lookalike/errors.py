"""Every error that Lookalike raises on purpose.

    LookalikeError               something went wrong and this line says what (exit code 1)
    ├── UsageError               the caller's mistake (exit code 2)
    │   ├── UnknownNameError     a name that is not one of a known few: option, space, index, metric, column
    │   ├── PhotoError           these bytes are not a photo we can or will read
    │   ├── FilterError          a `where` expression that cannot be understood
    │   ├── CatalogueError       a catalogue (folder, table, data set) cannot be read
    │   │   ├── AnnotationError  one line of one of its files cannot be understood
    │   │   └── AnnotationErrors several lines, or files, of a data set cannot be
    │   ├── ConfigError          a setting is missing, unknown or out of range
    │   ├── ModelError           a model file that is not one, or not for this
    │   │   └── NoFinderError    garments are to be found, and no finder is named
    │   ├── GalleryNotFoundError there is no gallery there
    │   └── MismatchError        the gallery was made by another model, or with other spaces
    ├── GalleryLockedError       another process is writing to the gallery
    ├── GalleryGoneError         an open gallery is no longer where it was
    │   └── GalleryReplacedError  it was replaced between a search and a look at what was found
    ├── GalleryClosedError       a gallery was closed during a call
    ├── GalleryDamagedError      the gallery's database fails its own checks
    ├── StorageFullError         there is no room left where something is to be written
    ├── StorageFailedError       a disk fails, and what was being written may be there after all
    ├── GalleryUnreachableError  the server that keeps the gallery does not answer
    ├── IndexFileError           a saved index cannot be used and must be built again
    ├── RowFileError             derived rows are not as they were written and must be derived again
    ├── TrainingError            a training run cannot go on, for a reason that no setting shows
    └── MissingExtraError        an optional part is not installed

An error carries what was expected, what came and what to do; the facts are attributes as well as words.
"""

from __future__ import annotations

import difflib
import errno
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final

LONGEST_REASON: Final = 300


class LookalikeError(Exception):
    """Something went wrong, and the message is the one line that the user needs.

    Attributes:
        code: A stable identifier for programs, such as the HTTP API's clients.
        exit_code: Exit code of the command line.
    """

    code: str = "failed"
    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """How it travels to another process: as it is, and not by its constructor, which takes other arguments."""
        return _remade, (type(self), self.args), self.__dict__


class UsageError(LookalikeError):
    """The caller asked for something that cannot be done as asked."""

    code = "bad_request"
    exit_code = 2


class UnknownNameError(UsageError):
    """A name is not one of the few that are known here."""

    code = "unknown_name"
    LONGEST: ClassVar[int] = 1000
    """Characters that the message shows of a name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        name = name if len(name) <= self.LONGEST else name[: self.LONGEST] + "..."
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.known) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class PhotoError(UsageError):
    """These bytes are not a photo that can, or may, be read.

    Attributes:
        source: Path, URL or name of the photo.
        reason: Cause, in a few words.
    """

    code = "unreadable_photo"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class FilterError(UsageError):
    """A `where` expression cannot be understood.

    Attributes:
        expression: The whole expression.
        position: Character at which it cannot be understood, from 0.
        expected: Description of a valid continuation.
    """

    code = "bad_filter"
    CONTEXT: ClassVar[int] = 100
    """Characters before and after the position that the message shows of a long expression."""

    def __init__(self, expression: str, position: int, expected: str) -> None:
        shown = repr(expression)
        if len(expression) > 2 * self.CONTEXT:
            excerpt = expression[max(0, position - self.CONTEXT) : position + self.CONTEXT]
            shown = f"of {len(expression):,} characters, near {excerpt!r}"
        super().__init__(f"filter {shown}, at character {position + 1}: {expected}")
        self.expression, self.position, self.expected = expression, position, expected


class CatalogueError(UsageError):
    """A catalogue cannot be read."""

    code = "bad_catalogue"


LONGEST_QUOTE: Final = 200
"""Characters of a file's text that a message quotes."""


class AnnotationError(CatalogueError):
    """A line of a catalogue's file cannot be understood.

    Attributes:
        path: The file.
        line: The line, counted from 1.
    """

    def __init__(self, path: Path, line: int, text: str, expected: str) -> None:
        shown = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."
        super().__init__(f"{path}:{line}: expected {expected}, got {shown!r}")
        self.path, self.line = path, line


class AnnotationErrors(CatalogueError):
    """Several lines or files of a data set cannot be understood.

    Attributes:
        problems: Errors, in the order of reading.
        complete: Whether all files were read to the end, so that no problem is missing.
    """

    def __init__(self, source: str, problems: Sequence[CatalogueError], *, complete: bool) -> None:
        self.problems, self.complete = tuple(problems), complete
        count = f"{len(self.problems)}" if complete else f"at least {len(self.problems)}"
        super().__init__(
            f"{self.problems[0]} ({count} such problems in all; `lookalike catalogue check {source}` lists them)"
        )


class ConfigError(UsageError):
    """A setting is missing, unknown or out of its range."""

    code = "bad_config"


class ModelError(UsageError):
    """A file is not a model, or not one that can be used here."""

    code = "bad_model"


class NoFinderError(ModelError):
    """Garments are to be found, and there is no finder."""

    code = "no_finder"

    def __init__(self) -> None:
        super().__init__("no finder of garments is installed; name the .onnx file of one as `finder`")


class GalleryNotFoundError(UsageError):
    """There is no gallery at that place."""

    code = "no_gallery"


class MismatchError(UsageError):
    """Vectors made by one model meet a gallery made by another."""

    code = "mismatch"


class GalleryLockedError(LookalikeError):
    """Another process is writing to the gallery.

    Attributes:
        holder: Its host, pid, command and since when, as far as they are known.
    """

    code = "locked"

    def __init__(self, message: str, *, holder: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.holder = holder


class GalleryGoneError(LookalikeError):
    """A gallery that is open was moved, deleted or replaced."""

    code = "gallery_gone"


class GalleryReplacedError(GalleryGoneError):
    """A gallery was replaced, compacted or brought back from a copy between a search and a look at what it found."""


class GalleryClosedError(LookalikeError):
    """A gallery was closed by another thread during a call."""

    code = "closed"


class GalleryDamagedError(LookalikeError):
    """The gallery's database fails its own checks."""

    code = "damaged"


class StorageFullError(LookalikeError):
    """A disk or its quota is full; nothing was changed."""

    code = "storage_full"


class StorageFailedError(LookalikeError):
    """A disk fails; what was being written is there as a whole after the next start, or not at all."""


def storage_error(place: Path | str, error: OSError) -> LookalikeError:
    """What to say of a file or folder that cannot be read or written.

    Args:
        place: The file or folder.
        error: Error of the operating system.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"{place}: no room left on the disk; nothing was changed, free some and try again")
    return LookalikeError(f"{place}: {error.strerror or error}")


class GalleryUnreachableError(LookalikeError):
    """The server that keeps the gallery does not answer."""

    code = "unreachable"


class IndexFileError(LookalikeError):
    """A saved index cannot be used; it is derived from the rows, so building it again is the way out.

    Attributes:
        path: The file.
        reason: Cause, in a few words.
    """

    code = "index_file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not a usable index: {reason}")
        self.path, self.reason = path, reason


class RowFileError(LookalikeError):
    """Derived rows cannot be used; the database has them all, so deriving them again is the way out.

    Attributes:
        path: The file.
        reason: Cause, in a few words.
    """

    code = "row_file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not usable rows: {reason}")
        self.path, self.reason = path, reason


class TrainingError(LookalikeError):
    """A training run cannot go on."""

    code = "training_failed"


class MissingExtraError(LookalikeError):
    """An optional part of Lookalike is not installed."""

    code = "missing_extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional part; install it with: pip install 'lookalike[{extra}]'")
        self.extra = extra


def short_reason(error: BaseException) -> str:
    """Reason that an error of another library gives, as one line for our messages.

    Such texts may have several lines, of which the later ones advise on that library's arguments.

    Returns:
        First line of the text, at most 300 characters; the operating system's words for an `OSError`; the type's name
        where there is no text.
    """
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    lines = words.strip().splitlines() or [type(error).__name__]
    return textwrap.shorten(lines[0], LONGEST_REASON, placeholder=" ...")


@contextmanager
def extra_wanted(what: str, extra: str) -> Iterator[None]:
    """Say which extra to install when a library that is imported within is not there; a bug of ours stays one.

    Args:
        what: What cannot be done without it.
        extra: The extra that brings it.

    Raises:
        MissingExtraError: A library is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "lookalike":
            raise
        raise MissingExtraError(what, extra) from error


def _remade(kind: type[LookalikeError], args: tuple[Any, ...]) -> LookalikeError:
    """An error that has come from another process, still without its facts."""
    error = kind.__new__(kind)
    error.args = args
    return error
