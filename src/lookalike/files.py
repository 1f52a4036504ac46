"""Local files: only what is a file is opened, and what is written follows no link."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO
from pathlib import Path
from typing import Final

KINDS: Final = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


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
    """Write a file of UTF-8 text; what bears its name is removed before, and a link is, not what it leads to.

    Raises:
        OSError: It cannot be written.
    """
    path.unlink(missing_ok=True)
    with path.open("x", newline="", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
