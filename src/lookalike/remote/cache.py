"""Photos of stores, kept on this machine up to a bound, for those who look at the same ones again and again."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
import threading
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

DIGEST_BYTES: Final = 32
"""Of the SHA-256 that each file begins with."""

LIMIT: Final = 2**30
"""Bytes that are kept; beyond them those go that nobody has looked at for longest."""

FRESH_S: Final = 600.0
"""For so long a photo of the web is taken to be the same: there it is not asked first whether it has changed."""

FOLDER: Final = "LOOKALIKE_CACHE"
"""The environment variable that names another folder; when it is set to nothing, nothing is kept."""

UNFINISHED: Final = ".lookalike-"
OURS: Final = re.compile(r"[0-9a-f]{64}|\.lookalike-\w{8}")
"""Names of files that are removed when there is no more room: the folder may hold others."""


class PhotoCache:
    """Files in a folder, named by a hash of what they are; several processes may share one."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._held: int | None = None

    def get(self, key: str, *, fresh_s: float | None = None) -> bytes | None:
        """What is kept under a key, if anything is; what was damaged on the disk is not.

        Args:
            key: What it is.
            fresh_s: What is older is not wanted.
        """
        path = self._path(key)
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    return None
                if fresh_s is None:
                    os.utime(file.fileno())
                elif time.time() - found.st_mtime > fresh_s:
                    return None
                content = file.read()
        except OSError:
            return None
        digest, data = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
        return data if hashlib.sha256(data).digest() == digest else None

    def keep(self, key: str, data: bytes) -> None:
        """Keep something; where that is not possible, it is not kept."""
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # A name that is taken is not written to: in a folder that others share it may be a link of theirs.
            number, unfinished = tempfile.mkstemp(prefix=UNFINISHED, dir=self._folder)
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(hashlib.sha256(data).digest() + data)
                Path(unfinished).replace(path)
            except BaseException:
                Path(unfinished).unlink(missing_ok=True)
                raise
            self._make_room(DIGEST_BYTES + len(data))

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._held is not None and self._held + added <= self._limit:
                self._held += added
                return
            files: list[tuple[float, int, Path]] = []
            for path in self._folder.iterdir():
                if not OURS.fullmatch(path.name):
                    continue
                with suppress(OSError):  # another process may have removed it
                    found = path.lstat()
                    files.append((found.st_mtime, found.st_size, path))
            self._held = sum(size for _, size, _ in files)
            if self._held <= self._limit:
                return
            for _, size, path in sorted(files):
                path.unlink(missing_ok=True)
                self._held -= size
                if self._held <= 0.9 * self._limit:
                    break

    def _path(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@cache
def shared_cache() -> PhotoCache | None:
    """The cache of this user; None when nothing is to be kept."""
    named = os.environ.get(FOLDER)
    if named == "":
        return None
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return PhotoCache(Path(named) if named else caches / "lookalike" / "photos")
