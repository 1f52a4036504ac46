"""The one door for pixels: bytes, a path, a file or a URL in; an upright sRGB photo out.

Gallery, query and training photos all pass it, so rotation, colour profiles, transparency and limits are decided
once. A photo is known by its content, never by the ending of its name, and only raster formats that are decoded
within this process are read at all.
"""

from __future__ import annotations

import ctypes
import math
import os
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from PIL import Image
from PIL.ImageFile import ImageFile

from lookalike.errors import PhotoError, UsageError
from lookalike.remote.cache import FRESH_S, shared_cache
from lookalike.remote.stores import fetch, is_remote, status
from lookalike.srgb import to_srgb
from lookalike.types import Box

Source: TypeAlias = bytes | str | os.PathLike[str] | BinaryIO
"""What a photo can come from: its bytes, a path, a URL (a string with `://`) or a file open for reading bytes."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused before any pixel is decoded.

    Attributes:
        bytes: Longest file.
        pixels: Largest width x height.
    """

    bytes: int = 64 * 2**20
    pixels: int = 120_000_000


DEFAULT_LIMITS: Final = Limits()

# First bytes of a file -> the Pillow module and class that read it. Called directly rather than through Image.open,
# which would import every other format and warn about large photos by a limit that is not ours.
_FORMATS: Final = (
    (b"\xff\xd8\xff", 0, "JpegImagePlugin", "JpegImageFile"),
    (b"\x89PNG\r\n\x1a\n", 0, "PngImagePlugin", "PngImageFile"),
    (b"WEBP", 8, "WebPImagePlugin", "WebPImageFile"),
    (b"ftypavif", 4, "AvifImagePlugin", "AvifImageFile"),
    (b"ftypavis", 4, "AvifImagePlugin", "AvifImageFile"),
    (b"GIF87a", 0, "GifImagePlugin", "GifImageFile"),
    (b"GIF89a", 0, "GifImagePlugin", "GifImageFile"),
    (b"II*\x00", 0, "TiffImagePlugin", "TiffImageFile"),
    (b"MM\x00*", 0, "TiffImagePlugin", "TiffImageFile"),
    (b"jP  \r\n\x87\n", 4, "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    (b"\xff\x4f\xff\x51", 0, "Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    (b"P5", 0, "PpmImagePlugin", "PpmImageFile"),
    (b"P6", 0, "PpmImagePlugin", "PpmImageFile"),
    (b"BM", 0, "BmpImagePlugin", "BmpImageFile"),
)
_MEDIA_TYPES: Final = {
    "JpegImagePlugin": "image/jpeg",
    "PngImagePlugin": "image/png",
    "WebPImagePlugin": "image/webp",
    "AvifImagePlugin": "image/avif",
    "GifImagePlugin": "image/gif",
    "TiffImagePlugin": "image/tiff",
    "Jpeg2KImagePlugin": "image/jp2",
    "PpmImagePlugin": "image/x-portable-anymap",
    "BmpImagePlugin": "image/bmp",
}
_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_REDUCTIONS: Final = (8, 4, 2)  # what a JPEG's 8x8 blocks can be decoded to, beside full size
_ORIENTATION_TAG: Final = 0x0112
_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = {5, 6, 7, 8}
_ONE_AT_A_TIME: Final = threading.Lock()


def open_image(
    source: Source,
    *,
    at_least: int | None = None,
    box: Box | None = None,
    limits: Limits = DEFAULT_LIMITS,
    name: str | None = None,
) -> Image.Image:
    """Open a photo, upright and in sRGB; of an animation, the first frame; transparency onto white.

    Args:
        source: Where it is.
        at_least: Both sides of the result may shrink to about this many pixels, and never below it; a big JPEG is
            then decoded at an eighth, a quarter or half its size, which is several times faster.
        box: The part to return, in pixels of the upright photo at full size; clipped to the photo.
        limits: What is refused before decoding.
        name: What errors call the photo; by default the path or URL.

    Returns:
        An RGB picture, fully decoded, that carries nothing of the file's metadata.

    Raises:
        PhotoError: It cannot be read, is no photo, is damaged or too large, or the box lies outside of it.
        UsageError: What was given as box is not a `Box`.
    """
    if box is not None and not isinstance(box, Box):
        raise UsageError(f"a box is lookalike.Box(x1, y1, x2, y2), got {box!r}")
    name = name or _name_of(source)
    data = read_bytes(source, limits=limits, name=name)
    with _told_as_photo_error(name):
        with _no_warnings():
            file = _recognise(data, name)
        width, height = file.size
        if width * height > limits.pixels:
            raise PhotoError(name, f"{width}x{height} pixels are more than the {limits.pixels:,} allowed")
        if at_least is not None:
            _reduce(file, at_least, box, name)
        with _no_warnings() if file.format == "TIFF" else nullcontext():  # it reads its EXIF while it decodes
            file.load()
        orientation = _orientation(file)
        upright = file.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else file
        if box is not None:
            upright = _crop(upright, box, _upright_size((width, height), orientation), name)
        photo = to_srgb(upright, file.info.get("icc_profile"))
        photo.info = {}
        return photo


def read_bytes(source: Source, *, limits: Limits = DEFAULT_LIMITS, name: str | None = None, keep: bool = True) -> bytes:
    """Read a photo's file, and never more of it than the limit.

    Args:
        source: Where it is.
        limits: `limits.bytes` is the longest file.
        name: What errors call the photo; by default the path or URL.
        keep: Keep what comes from a store in the local cache, and look there first; not for photos that are read once.

    Raises:
        PhotoError: There is no such file, it cannot be read, it is empty or too long.
        MissingExtraError: It is in a store, and what reads from such is not installed.
    """
    name = name or _name_of(source)
    try:
        if isinstance(source, bytes):
            data = source
        elif isinstance(source, str) and "://" in source:
            data = _fetch(source, limits.bytes + 1, name, keep=keep)
        elif isinstance(source, str | os.PathLike):
            data = _read_file(Path(source), limits.bytes)
        else:
            data = _read_at_most(source, limits.bytes + 1)
    except (OSError, ValueError) as error:
        raise PhotoError(name, _reason(error)) from error
    if not data:
        raise PhotoError(name, "the file is empty")
    if len(data) > limits.bytes:
        raise PhotoError(name, f"the file is longer than the {limits.bytes:,} bytes allowed")
    return data


def content_type(start: bytes, *, name: str) -> str:
    """Tell the media type of a photo, such as `image/jpeg`, by the first bytes of its file.

    Args:
        start: At least 16 of them.
        name: What errors call the photo.

    Raises:
        PhotoError: It is not a photo that `open_image` reads.
    """
    for signature, offset, module, _ in _FORMATS:
        if start.startswith(signature, offset):
            return _MEDIA_TYPES[module]
    raise PhotoError(name, "not a photo in a format that can be read")


def _name_of(source: Source) -> str:
    if isinstance(source, bytes):
        return "photo"
    if isinstance(source, str | os.PathLike):
        return os.fspath(source)
    named = getattr(source, "name", None)
    return named if isinstance(named, str) else "photo"


def _read_file(path: Path, limit: int) -> bytes:
    with path.open("rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):  # a pipe, such as a shell's <(...)
            return _read_at_most(file, limit + 1)
        return file.read(min(status.st_size, limit) + 1) or b""


def _read_at_most(file: BinaryIO, count: int) -> bytes:
    parts: list[bytes] = []
    while count > 0 and (part := file.read(min(count, 2**20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _fetch(url: str, limit: int, name: str, *, keep: bool) -> bytes:
    kept = shared_cache() if keep and is_remote(url) else None
    if kept is None:
        return fetch(url, limit=limit, name=name)
    told = status(url)  # None on the web, and then for a while nobody asks whether it has changed
    key = f"{url}\0{told}"
    data = kept.get(key, fresh_s=None if told else FRESH_S)
    if data is None or len(data) >= limit:
        data = fetch(url, limit=limit, name=name)
        kept.keep(key, data)
    return data


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "this is a folder, not a photo"
    if isinstance(error, PermissionError):
        return "permission denied"
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {(words or type(error).__name__).splitlines()[0]}"


@contextmanager
def _told_as_photo_error(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on odd bytes into the one error; decoders raise nearly anything."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(name, "there is not enough memory to decode it") from error
    except Exception as error:
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise PhotoError(name, "the file is cut short" if cut else "the file is damaged") from error


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Keep Pillow's remarks on damaged metadata to itself: what matters of it is read by `_orientation`.

    Before Python 3.14 the filters of warnings are one list for all threads, so one thread at a time may change them;
    Pillow's readers hold the interpreter for the same short while anyway.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _silence_libtiff() -> None:
    """Have libtiff keep its complaints to itself, which it writes to C's standard error, past Python."""
    with suppress(OSError, AttributeError):  # where it cannot be reached that way, it goes on talking
        ctypes.CDLL(import_module("PIL._imaging").__file__).TIFFSetErrorHandler(None)


def _recognise(data: bytes, name: str) -> ImageFile:
    for signature, offset, module, reader in _FORMATS:
        if data.startswith(signature, offset):
            if module == "TiffImagePlugin":
                _silence_libtiff()
            file: ImageFile = getattr(import_module(f"PIL.{module}"), reader)(BytesIO(data))
            return file
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise PhotoError(name, "HEIC photos cannot be read; save it as JPEG")
    raise PhotoError(name, "not a photo in a format that can be read (such as JPEG, PNG, WebP, AVIF, GIF, TIFF)")


def _reduce(file: ImageFile, at_least: int, box: Box | None, name: str) -> None:
    """Have a JPEG decoded at the smallest scale whose result, or the box in it, keeps `at_least` pixels a side."""
    width, height = file.size
    side: float = min(width, height)
    if box is not None:
        left, top, right, bottom = _clipped(box, _upright_size(file.size, _orientation(file)), name)
        side = min(right - left, bottom - top)
    for reduction in _REDUCTIONS:
        if side // reduction >= max(at_least, 1):
            file.draft(None, (width // reduction, height // reduction))
            return


def _orientation(file: ImageFile) -> int:
    """Read the orientation, 1 to 8, from the first directory of a photo's EXIF; 1 when there is none to be found.

    Pillow's own reader is slower and warns about the damaged EXIF that many cameras write.
    """
    exif: bytes = file.info.get("exif", b"").removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHLH", exif, entry)
            if tag == _ORIENTATION_TAG:
                return int(value)
    except struct.error:
        pass
    return 1


def _upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    return (size[1], size[0]) if orientation in _SIDEWAYS else size


def _clipped(box: Box, size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Clip a box to the photo that it was drawn on."""
    width, height = size
    if box.x1 >= width or box.y1 >= height:
        raise PhotoError(name, f"the box {box} lies outside the photo of {width}x{height} pixels")
    return box.x1, box.y1, min(box.x2, width), min(box.y2, height)


def _crop(photo: Image.Image, box: Box, full_size: tuple[int, int], name: str) -> Image.Image:
    """Cut out a box, in pixels of the full size, with every pixel that it touches."""
    left, top, right, bottom = _clipped(box, full_size, name)
    across, down = photo.width / full_size[0], photo.height / full_size[1]
    place = (
        math.floor(left * across),
        math.floor(top * down),
        min(math.ceil(right * across), photo.width),
        min(math.ceil(bottom * down), photo.height),
    )
    with _no_warnings():  # which Pillow gives of parts that are large by its limit
        return photo.crop(place)
