"""Write lock: a locked file, and beside it a file that describes the holder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import GalleryLockedError, LookalikeError, storage_error
from lookalike.storage.files import create_file, file_at, open_regular
from lookalike.storage.fork import watch

if TYPE_CHECKING:
    from filelock import BaseFileLock

PATIENCE_S = 2.0
"""Seconds that a writer waits for another: longer than a batch takes, shorter than an indexing run."""


TRIES = 20


class WriteLock:
    """Write lock of a gallery, reentrant within a thread.

    The operating system releases the lock when its holder dies, so a lock is never stale. The description of the holder
    may be; it is read only when the lock is taken.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._note = path.with_suffix(".json")
        self._threads = threading.RLock()
        self._depth = 0
        self._file: tuple[int, int] | None = None
        watch(self)
        self._lock: BaseFileLock

    def before_fork(self) -> None:
        """Do nothing: filelock handles forks."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, hold no lock: the parent does."""
        if child:
            self._threads, self._depth, self._file = threading.RLock(), 0, None

    @contextmanager
    def held(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Hold the lock during a context.

        Args:
            patience_s: Seconds to wait for another process; 0 tries once.

        Raises:
            GalleryLockedError: Another process or thread holds it.
            LookalikeError: The folder cannot be written.
        """
        if not self._threads.acquire(timeout=patience_s):
            raise self._refusal()
        try:
            if self._depth == 0:
                self._acquire(patience_s)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self._release()
        finally:
            self._threads.release()

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one at the path; after a replacement, other processes may write too."""
        return self._file is not None and self._file == file_at(self._path)

    def _acquire(self, patience_s: float) -> None:
        from filelock import FileLock, Timeout

        self._lock = FileLock(self._path, thread_local=False)
        for _ in range(TRIES):
            self._file = file_at(self._path)
            try:
                self._lock.acquire(timeout=patience_s, poll_interval=0.02)
            except Timeout:
                raise self._refusal() from None
            except OSError as error:
                raise storage_error(f"{self._path.parent} cannot be written to", error) from None
            if self.is_in_place():
                break
            self._lock.release()  # of a file that was replaced or created while it was being locked
        else:
            raise LookalikeError(f"{self._path.parent} is being replaced all the time; try again")
        with contextlib.suppress(OSError):  # a full disk must not prevent removing items
            create_file(self._note, json.dumps(describe_this_process()))

    def _release(self) -> None:
        try:
            with contextlib.suppress(OSError):  # the file may have been replaced by one that cannot be deleted
                if self.is_in_place():
                    self._note.unlink(missing_ok=True)
        finally:
            self._lock.release()

    def _refusal(self) -> GalleryLockedError:
        holder = self._read_note()
        who = "process {pid} on {host} ({command}) since {since}".format(**holder) if holder else "another process"
        return GalleryLockedError(
            f"{self._path.parent} is being written to by {who}; wait until it has finished, or stop it", holder=holder
        )

    def _read_note(self) -> dict[str, Any]:
        """Description of the holder; empty if it is missing or invalid."""
        note: object = None
        with contextlib.suppress(OSError, ValueError, RecursionError), open_regular(self._note) as file:
            note = json.loads(file.read())
        return note if isinstance(note, dict) and note.keys() == describe_this_process().keys() else {}


def describe_this_process() -> dict[str, str | int]:
    """Description of this process as the holder of a lock."""
    return {
        "host": platform.node(),
        "pid": os.getpid(),
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:200],
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
