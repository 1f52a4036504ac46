"""Local cache of photos from stores and the web, limited in bytes."""

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
"""Length of the SHA-256 at the beginning of each file."""

LIMIT: Final = 2**30
"""Size of the cache, bytes; the least recently used photos are removed."""

FRESH_S: Final = 600.0
"""Seconds for which a photo of the web is used without asking the server."""

FOLDER: Final = "LOOKALIKE_CACHE"
"""Environment variable with the folder of the cache; empty switches it off."""

UNFINISHED: Final = ".lookalike-"
CACHE_NAME: Final = re.compile(r"[0-9a-f]{64}|\.lookalike-\w{8}")
"""Names of cache files; other files in the folder are not removed."""


class PhotoCache:
    """Files in a folder, named by a hash of their key; several processes may share it."""

    def __init__(self, folder: Path, *, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit
        self._lock = threading.Lock()
        self._held: int | None = None

    def get(self, key: str, *, fresh_s: float | None = None) -> bytes | None:
        """Read the bytes of a key; None if there are none, or they are damaged.

        Args:
            key: Key of the photo.
            fresh_s: Largest age, seconds; None is any age.
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
        """Store bytes under a key; failures are ignored."""
        path = self._path(key)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # An existing file is not written to: in a shared folder it may be a link made by another user.
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
                if not CACHE_NAME.fullmatch(path.name):
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
    """Cache of this user; None if it is switched off."""
    named = os.environ.get(FOLDER)
    if named == "":
        return None
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return PhotoCache(Path(named) if named else caches / "lookalike" / "photos")
