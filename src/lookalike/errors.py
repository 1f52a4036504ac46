"""Every error that Lookalike raises on purpose.

    LookalikeError               base of all errors; the message is one line (exit code 1)
    ├── UsageError               the caller's mistake (exit code 2)
    │   ├── UnknownNameError     an unknown option, space, index, metric, column, ...
    │   ├── UnknownWordsError    a text has no word that can be searched
    │   ├── PhotoError           a photo cannot, or may not, be read
    │   ├── FilterError          a `where` expression is invalid
    │   ├── CatalogueError       a catalogue (folder, table, data set) cannot be read
    │   │   ├── AnnotationError  a line of one of its files is invalid
    │   │   └── AnnotationErrors several lines or files of a data set are invalid
    │   ├── ConfigError          a setting is missing, unknown or out of range
    │   ├── ModelError           a file is not a model, or cannot be used here
    │   │   └── NoFinderError    garment detection needs a finder, and none is installed
    │   ├── NoGarmentError       a photo does not show the garment that was asked for
    │   ├── GalleryNotFoundError there is no gallery at an address
    │   ├── BackupError          a file is not a backup of a gallery, or a damaged one
    │   └── MismatchError        the gallery was made by another model, or with other spaces
    ├── PruneLimitError          too many items of a source have vanished to be removed
    ├── GalleryLockedError       another process is writing to the gallery
    ├── GalleryGoneError         an open gallery is no longer where it was
    │   └── GalleryReplacedError  it was replaced between a search and the reading of its items
    ├── GalleryClosedError       a gallery was closed during a call
    ├── GalleryDamagedError      the gallery's database fails its own checks
    ├── StorageFullError         a disk or quota is full
    ├── StorageFailedError       a disk fails; the write may have succeeded
    ├── GalleryUnreachableError  the server that keeps the gallery does not answer
    ├── IndexFileError           a saved index cannot be used and must be built again
    ├── RowFileError             segment files are damaged and must be built again
    ├── TrainingError            a training run cannot continue
    └── MissingExtraError        an optional part is not installed

A message says what was expected, what came and what to do; the values are attributes too.
"""

from __future__ import annotations

import difflib
import errno
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

LONGEST_REASON: Final = 300


class LookalikeError(Exception):
    """Base of Lookalike's errors; the message is one line for the user.

    Attributes:
        code: A stable identifier for programs, such as the HTTP API's clients.
        exit_code: Exit code of the command line.
    """

    code: str = "failed"
    exit_code: ClassVar[int] = 1

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle message and attributes, since constructors of subclasses take other arguments."""
        return _remade, (type(self), self.args), self.__dict__


class UsageError(LookalikeError):
    """A mistake of the caller."""

    code = "bad_request"
    exit_code = 2


class UnknownNameError(UsageError):
    """A name is unknown."""

    code = "unknown_name"
    LONGEST: ClassVar[int] = 1000
    """Characters that the message shows of a name."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        name = name if len(name) <= self.LONGEST else name[: self.LONGEST] + "..."
        near = difflib.get_close_matches(name, self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.known) or 'none'}"
        super().__init__(f"unknown {kind} {name!r}; {hint}")


class UnknownWordsError(UsageError):
    """A text has no word that can be searched in the way that was asked for."""

    code = "unknown_words"


class PhotoError(UsageError):
    """A photo cannot, or may not, be read.

    Attributes:
        source: Path, URL or name of the photo.
        reason: Cause, in a few words.
    """

    code = "unreadable_photo"

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class FilterError(UsageError):
    """A `where` expression is invalid.

    Attributes:
        expression: The whole expression.
        position: Position of the error, from 0.
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
    """A line of a catalogue's file is invalid.

    Attributes:
        path: File.
        line: Line number, from 1.
    """

    def __init__(self, path: Path, line: int, text: str, expected: str) -> None:
        shown = text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."
        super().__init__(f"{path}:{line}: expected {expected}, got {shown!r}")
        self.path, self.line = path, line


class AnnotationErrors(CatalogueError):
    """Several lines or files of a data set are invalid.

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
    """A setting is missing, unknown or out of range."""

    code = "bad_config"


class ModelError(UsageError):
    """A file is not a model, or cannot be used here."""

    code = "bad_model"


class NoFinderError(ModelError):
    """Garment detection needs a finder, and none is installed."""

    code = "no_finder"


class NoGarmentError(UsageError):
    """A photo does not show the garment that was asked for: `asked`, a kind or a number; only the kinds `found`."""

    code = "no_garment"

    def __init__(self, photo: str, asked: str, found: Sequence[str]) -> None:
        self.asked, self.found = asked, tuple(found)
        shown = ", ".join(f"{number} {kind}" for number, kind in enumerate(self.found, start=1)) or "none"
        super().__init__(f"{photo}: garment {asked} was not found; found: {shown}")


class GalleryNotFoundError(UsageError):
    """There is no gallery at an address."""

    code = "no_gallery"


class BackupError(UsageError):
    """A file is not a backup of a gallery, or is damaged or incomplete."""

    code = "bad_backup"


class MismatchError(UsageError):
    """Vectors made by one model meet a gallery made by another."""

    code = "mismatch"


class PruneLimitError(LookalikeError):
    """Too many items of a source have vanished to be removed; all else of the run was written, see `report`."""

    report: Any = None


class GalleryLockedError(LookalikeError):
    """Another process is writing to the gallery.

    Attributes:
        holder: Host, pid, command and start time of the writer, as far as known.
    """

    code = "locked"

    def __init__(self, message: str, *, holder: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.holder = holder


class GalleryGoneError(LookalikeError):
    """A gallery that is open was moved, deleted or replaced."""

    code = "gallery_gone"


class GalleryReplacedError(GalleryGoneError):
    """A gallery was replaced, compacted or restored from a copy between a search and the reading of its items."""


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
    """A disk fails; the write is complete after the next start, or absent."""


def storage_error(place: Path | str, error: OSError) -> LookalikeError:
    """Error for a file or folder that cannot be read or written.

    Args:
        place: File or folder.
        error: Error of the operating system.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError(f"{place}: no room left on the disk; nothing was changed, free some and try again")
    return LookalikeError(f"{place}: {error.strerror or error}")


class GalleryUnreachableError(LookalikeError):
    """The server that keeps the gallery does not answer."""

    code = "unreachable"


class IndexFileError(LookalikeError):
    """A saved index cannot be used, and must be built again from the rows.

    Attributes:
        path: Index file.
        reason: Cause, in a few words.
    """

    code = "index_file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not a usable index: {reason}")
        self.path, self.reason = path, reason


class RowFileError(LookalikeError):
    """Segment files cannot be used, and must be built again from the database.

    Attributes:
        path: Segment file.
        reason: Cause, in a few words.
    """

    code = "row_file"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: not usable rows: {reason}")
        self.path, self.reason = path, reason


class TrainingError(LookalikeError):
    """A training run cannot continue."""

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


def _remade(kind: type[LookalikeError], args: tuple[Any, ...]) -> LookalikeError:
    """Rebuild a pickled error, without its attributes."""
    error = kind.__new__(kind)
    error.args = args
    return error
