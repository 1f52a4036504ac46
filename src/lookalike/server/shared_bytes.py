"""Memory that a process shares with those it starts."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
from typing import Any, Protocol, Self


class Inherited(Protocol):
    """A file that a parent process gave to this one."""

    def detach(self) -> int:
        """Its number."""
        ...


class SharedBytes:
    """Bytes in a file that has no name; on Linux it is in memory, for the file system of a container may be read-only.

    Attributes:
        file: Number of the file.
        bytes: Its content.
    """

    def __init__(self, file: int) -> None:
        self.file = file
        self.bytes = mmap.mmap(file, 0)

    @classmethod
    def of_size(cls, size: int) -> Self:
        """Share so many bytes, all of them 0."""
        if sys.platform == "linux":
            file = os.memfd_create("lookalike")
        else:
            with tempfile.TemporaryFile() as named:
                file = os.dup(named.fileno())
        os.ftruncate(file, size)
        return cls(file)

    def __reduce__(self) -> tuple[Any, ...]:
        """Take it to a process that is being started, on POSIX."""
        from multiprocessing.reduction import DupFd

        return _opened, (type(self), DupFd(self.file))

    def close(self) -> None:
        """Close the file in this process."""
        self.bytes.close()
        os.close(self.file)


def _opened(kind: type[SharedBytes], file: Inherited) -> SharedBytes:
    """Bytes of a file that was brought to this process."""
    return kind(file.detach())
