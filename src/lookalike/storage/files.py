"""Local files: opening of regular files only, and atomic writes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final

from lookalike.errors import LookalikeError, UsageError, storage_error

KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)

DISK: Final = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS))
"""Errors of a full, failing or read-only disk."""

NAME_KEPT: Final = 40
"""Characters of a file's name that the name of its temporary file keeps, so that it is never too long."""


def open_regular(path: str | os.PathLike[str]) -> FileIO:
    """Open a regular file for reading bytes, unbuffered; reading a pipe, socket or device might block.

    Raises:
        OSError: It cannot be opened, or is not a regular file; `strerror` has the reason.
    """
    check_regular(os.stat(path), path)  # noqa: PTH116 - a Path would be made for nothing
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK)  # it may have been replaced by a pipe
    except BlockingIOError:  # a file server has leased the file to a client; a blocking open waits until it is released
        descriptor = os.open(path, flags)
    try:
        check_regular(os.fstat(descriptor), path)
        return FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: str | os.PathLike[str], *, most: int) -> bytes:
    """Read a regular file.

    Args:
        path: File.
        most: Largest size in bytes.

    Raises:
        OSError: It cannot be read, is not a regular file, or is larger; `strerror` has the reason.
    """
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", os.fspath(path))
        return file.read()


def check_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    """Check that a file is a regular one.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It is a pipe, socket or device.
    """
    if stat.S_ISREG(status.st_mode):
        return
    name = os.fspath(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    raise OSError(errno.EINVAL, f"it is {kind_of(status)}, and only files are read", name)


def kind_of(status: os.stat_result) -> str:
    """Kind of a file that is neither regular nor a folder: `a pipe`, `a socket`, `a device`."""
    return next((name for is_kind, name in KINDS if is_kind(status.st_mode)), "of a kind that is not known")


def create_file(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically; a link at the path is replaced, and not its target.

    Raises:
        OSError: It cannot be written.
    """
    with _replacing(path) as unfinished, unfinished.open("xb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside a file, which it replaces at the end, flushed to disk.

    After an error the temporary file is deleted, and the old file stays. Links are followed. Files that are not
    regular, such as /dev/stdout, are written directly.

    Raises:
        OSError: It cannot be written.
    """
    place = Path(os.path.realpath(path))
    if place.exists() and not place.is_file():
        yield path
        return
    with _replacing(place) as unfinished:
        yield unfinished
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """Yield the path of a temporary file, and move it to a target at the end."""
    unfinished = place.with_name(f".{place.name[:NAME_KEPT]}.part")
    try:
        unfinished.unlink(missing_ok=True)  # left by a killed process
        yield unfinished
        unfinished.replace(place)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file atomically; see `written_whole`.

    Raises:
        OSError: It cannot be written.
    """
    with written_whole(path) as unfinished, unfinished.open("xb" if unfinished != path else "wb") as file:
        file.write(data)


def not_written(path: Path, what: str, error: OSError) -> LookalikeError:
    """Error for a file that cannot be written: a caller's mistake, unless the disk is full or fails.

    Args:
        path: File or folder.
        what: Purpose of the file, such as `the page`.
        error: Error of the operating system.
    """
    if error.errno in DISK:
        return storage_error(path, error)
    return UsageError(f"{path}: {what} cannot be written: {error.strerror or error}")


def file_at(path: Path) -> tuple[int, int] | None:
    """Device and inode of the file at a path; None for a missing file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
