"""Reading the bytes of a photo, from memory, a path, a URL or an open file, up to a limit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from PIL import Image

from lookalike.errors import PhotoError, UsageError, short_reason
from lookalike.remote.addresses import Reach, is_address, parse, reach_of, shown
from lookalike.storage.files import open_regular
from lookalike.types import Item, UInt8

Source: TypeAlias = (
    bytes | bytearray | memoryview | str | os.PathLike[str] | BinaryIO | Item | Reach | Image.Image | UInt8
)
"""Source of a photo: its bytes, a path, a URL (a string with `://`), a file open for reading in binary mode,
an item, a Pillow image, or an array of pixels: (H, W, 3) uint8 in sRGB, red first.

A URL given as text is trusted and may lead anywhere. The photo of an item is given as the item: what its URL may lead
to depends on the catalogue that named it, see `lookalike.remote.addresses.reach_of`, which returns a `Reach`.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits checked before decoding.

    Attributes:
        bytes: Largest file, bytes.
        pixels: Largest width x height.
        memory: Largest memory of decoding, bytes, as estimated by `memory_estimate.decoded_bytes`.
    """

    bytes: int = 64 * 2**20
    pixels: int = 120_000_000
    memory: int = 2 * 2**30


DEFAULT_LIMITS: Final = Limits()


def read_bytes(
    source: Source,
    *,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
    keep: bool = True,
    seconds: float | None = None,
) -> bytes:
    """Read the file of a photo, up to the limit.

    Args:
        source: Photo.
        limits: Limits, of which `bytes` is used.
        name: Name of the photo in errors; by default its path or URL.
        keep: Whether to use the local cache for remote photos; False for photos that are read once.
        seconds: Time limit for remote photos; None is `lookalike.remote.object_store.PHOTO_S`.

    Raises:
        PhotoError: The file does not exist, cannot be read, is empty or too long.
        UsageError: The source is not of a supported type, or has pixels rather than bytes.
        MissingExtraError: The library for the object store is not installed.
    """
    name = name or name_of(source)
    try:
        if isinstance(source, bytes | bytearray | memoryview):
            data = bytes(source)
        elif isinstance(source, Item) and is_address(source.location):
            data = _fetch(reach_of(source), limits.bytes + 1, name, keep=keep, seconds=seconds)
        elif isinstance(source, Reach):
            data = _fetch(source, limits.bytes + 1, name, keep=keep, seconds=seconds)
        elif isinstance(source, str) and is_address(source):
            data = _fetch(Reach(parse(source)), limits.bytes + 1, name, keep=keep, seconds=seconds)
        elif isinstance(source, Item | str | os.PathLike):
            data = _read_file(Path(source.location if isinstance(source, Item) else source), limits.bytes)
        elif callable(getattr(source, "read", None)):
            data = _read_at_most(source, limits.bytes + 1)  # type: ignore[arg-type]  # it is a file
        else:
            raise UsageError(
                "expected a photo as a path, a URL, bytes, a file open in binary mode, a Pillow image, or an array "
                f"(H, W, 3) of uint8, got {type(source).__name__}"
            )
    except (OSError, ValueError) as error:
        raise PhotoError(name, _reason(error)) from error
    if not data:
        raise PhotoError(name, "the file is empty")
    if len(data) > limits.bytes:
        raise PhotoError(name, f"the file is longer than the {limits.bytes:,} bytes allowed")
    return data


def name_of(source: Source) -> str:
    """Name of a photo in errors: its path, its URL, or `photo`."""
    if isinstance(source, Item):
        return shown(source.location)
    if isinstance(source, Reach):
        return shown(source.address.text)
    if isinstance(source, str | os.PathLike):
        return shown(os.fspath(source))
    named = getattr(source, "filename" if isinstance(source, Image.Image) else "name", None)
    return os.fspath(named) if isinstance(named, str | os.PathLike) and os.fspath(named) else "photo"


def _read_file(path: Path, limit: int) -> bytes:
    with open_regular(path) as file:
        return file.read(min(os.fstat(file.fileno()).st_size, limit) + 1) or b""


def _read_at_most(file: BinaryIO, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := file.read(min(count, 2**20))):
        if not isinstance(part, bytes):
            raise ValueError("the file is open in text mode, open it in binary mode")  # noqa: TRY004 - told as the rest
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _fetch(reach: Reach, limit: int, name: str, *, keep: bool, seconds: float | None) -> bytes:
    # Local photos need no client: its modules take 20 ms to import.
    from lookalike.remote.cache import FRESH_S, shared_cache
    from lookalike.remote.object_store import PHOTO_S, fetch, status

    seconds = PHOTO_S if seconds is None else seconds
    kept = shared_cache() if keep else None
    if kept is None:
        return fetch(reach, limit=limit, name=name, seconds=seconds)
    told = status(reach, seconds=seconds)  # None on the web, where a cached photo is used for a while without a request
    key = f"{reach.address.text}\0{reach.private}\0{told}"
    data = kept.get(key, fresh_s=None if told else FRESH_S)
    if data is None or len(data) >= limit:
        data = fetch(reach, limit=limit, name=name, seconds=seconds)
        kept.keep(key, data)
    return data


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a photo"
    if isinstance(error, PermissionError):
        return "permission denied"
    return f"cannot be read: {short_reason(error)}"
