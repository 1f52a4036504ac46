"""Local files: only what is a file is opened, and what is written is there as a whole, or not at all."""

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
"""Errors that say that a disk is full, bad or only to be read."""

NAME_KEPT: Final = 40
"""Characters of a file's name that the name of the unfinished file has, so that it is never too long."""


def open_regular(path: str | os.PathLike[str]) -> FileIO:
    """Open a file for reading bytes, unbuffered; a pipe, a socket or a device could keep its reader waiting for ever.

    Raises:
        OSError: It cannot be opened, or is no file; `strerror` says which of these it is.
    """
    check_regular(os.stat(path), path)  # noqa: PTH116 - a Path would be made for nothing
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK)  # it may have become a pipe by now
    except BlockingIOError:  # a file server has promised it to a client, and gives it back when it is opened patiently
        descriptor = os.open(path, flags)
    try:
        check_regular(os.fstat(descriptor), path)
        return FileIO(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def check_regular(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    """Refuse what is no file.

    Raises:
        IsADirectoryError: It is a folder.
        OSError: It is something else.
    """
    if stat.S_ISREG(status.st_mode):
        return
    name = os.fspath(path)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    raise OSError(errno.EINVAL, f"it is {kind_of(status)}, and only files are read", name)


def kind_of(status: os.stat_result) -> str:
    """What something is that is neither file nor folder: `a pipe`, `a socket`, `a device`."""
    return next((name for is_kind, name in KINDS if is_kind(status.st_mode)), "of a kind that is not known")


def create_file(path: Path, text: str) -> None:
    """Write a file of UTF-8 text as a whole; a link that bears its name is replaced, not what it leads to.

    Raises:
        OSError: It cannot be written.
    """
    with _replacing(path) as unfinished, unfinished.open("xb") as file:
        file.write(text.encode("utf-8", "backslashreplace"))


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Lend the path of a hidden file beside another; at the end it is synced and takes the other's name and place.

    What cannot be finished is deleted, and what was there stays. Links are followed. Into what is no file, such as
    /dev/stdout, is written as it comes.

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
    """Lend the path of a file that there is not, and move it to a place at the end."""
    unfinished = place.with_name(f".{place.name[:NAME_KEPT]}.part")
    try:
        unfinished.unlink(missing_ok=True)  # left by a kill
        yield unfinished
        unfinished.replace(place)
    except BaseException:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes) -> None:
    """Write a file; see `written_whole`.

    Raises:
        OSError: It cannot be written.
    """
    with written_whole(path) as unfinished, unfinished.open("xb" if unfinished != path else "wb") as file:
        file.write(data)


def not_written(path: Path, what: str, error: OSError) -> LookalikeError:
    """What to say where a file that was asked for cannot be written: a bad disk is no mistake of the caller's.

    Args:
        path: The file or folder.
        what: What it would have been, such as `the page`.
        error: What the operating system says.
    """
    if error.errno in DISK:
        return storage_error(path, error)
    return UsageError(f"{path}: {what} cannot be written: {error.strerror or error}")
