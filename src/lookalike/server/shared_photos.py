"""Photos that visitors of the page share: a folder of them for a while, each at an id that cannot be guessed."""

from __future__ import annotations

import os
import re
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Annotated, Final

from PIL import Image

from lookalike.config import Range, check_limits
from lookalike.errors import ConfigError
from lookalike.images.formats import LONGEST_SIDES
from lookalike.server.errors import ApiError
from lookalike.storage.durable import write_durably

ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
QUALITY: Final = 88
ENDING: Final = ".shared.jpg"


@dataclass(frozen=True, slots=True)
class Sharing:
    """Photos that visitors may share by a link.

    Attributes:
        folder: Folder for shared photos, of this server alone; empty switches sharing off.
        hours: How long a shared photo is kept, in hours.
        photos: Largest number of shared photos; more are refused until others have expired.
        bytes: Largest size of all shared photos together, in bytes.
    """

    folder: str = ""
    hours: Annotated[float, Range(above=0, most=100_000)] = 24.0
    photos: Annotated[int, Range(least=1, most=10_000_000)] = 1000
    bytes: Annotated[int, Range(least=1, most=2**50)] = 268_435_456

    def __post_init__(self) -> None:
        check_limits(self)


class SharedPhotos:
    """The shared photos of a folder. Thread-safe; several processes may use one folder.

    Args:
        sharing: Folder and limits.

    Raises:
        ConfigError: The folder cannot be written to.
    """

    def __init__(self, sharing: Sharing) -> None:
        self._sharing, self._folder = sharing, Path(sharing.folder)
        self._lock = threading.Lock()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            trial = self._folder / f".{secrets.token_urlsafe(16)}"
            trial.touch()
            trial.unlink()
        except OSError as error:
            raise ConfigError(f"folder of [page.sharing]: {self._folder}: {error.strerror or error}") from None

    def add(self, photo: Image.Image) -> str:
        """Store a photo, without what its file says of place and camera.

        Args:
            photo: Upright RGB image, scaled down to the longest side of a JPEG.

        Returns:
            Its id: 128 random bits.

        Raises:
            ApiError: There is no room until others have expired.
        """
        file = BytesIO()
        if max(photo.size) > (longest := LONGEST_SIDES["JPEG"]):
            photo = photo.copy()
            photo.thumbnail((longest, longest))
        photo.save(file, "JPEG", quality=QUALITY)
        data = file.getvalue()
        with self._lock:
            sizes = self._swept()
            if len(sizes) >= self._sharing.photos or sum(sizes) + len(data) > self._sharing.bytes:
                raise ApiError("busy", "there is no room for another shared photo; try again later")
            photo_id = secrets.token_urlsafe(16)
            write_durably(self._path(photo_id), data)
        return photo_id

    def get(self, photo_id: str) -> bytes | None:
        """JPEG of an id; None if there is none, or it has expired."""
        if not ID.fullmatch(photo_id):
            return None
        path = self._path(photo_id)
        try:
            if self._expired(path.stat().st_mtime):
                return None
            return path.read_bytes()
        except FileNotFoundError:
            return None

    def _path(self, photo_id: str) -> Path:
        return self._folder / f"{photo_id}{ENDING}"

    def _expired(self, written: float) -> bool:
        return time.time() - written > self._sharing.hours * 3600

    def _swept(self) -> list[int]:
        """Delete what has expired; the sizes of the others, in bytes."""
        sizes = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                name = entry.name.removeprefix(".")  # the dot is that of a file that is being written
                if not name.endswith(ENDING) or not ID.fullmatch(name.removesuffix(ENDING)):
                    continue
                with suppress(FileNotFoundError):  # another process was first
                    found = entry.stat(follow_symlinks=False)
                    if self._expired(found.st_mtime):
                        Path(entry.path).unlink()
                    else:
                        sizes.append(found.st_size)
        return sizes
