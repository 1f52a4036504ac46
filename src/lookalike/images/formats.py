"""Formats that are read, known by a file's first bytes, and the Pillow class that reads each."""

from __future__ import annotations

import ctypes
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Final

from PIL.ImageFile import ImageFile

from lookalike.errors import PhotoError

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
_ONE_AT_A_TIME: Final = threading.Lock()


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


@contextmanager
def no_warnings() -> Iterator[None]:
    """Keep Pillow's remarks on damaged metadata to itself: what matters of it is read by `orientation`.

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


def recognise(data: bytes, name: str) -> ImageFile:
    """Open a file with the reader of its format; nothing is decoded yet.

    Raises:
        PhotoError: It is not a photo in a format that can be read.
    """
    for signature, offset, module, reader in _FORMATS:
        if data.startswith(signature, offset):
            if module == "TiffImagePlugin":
                _silence_libtiff()
            file: ImageFile = getattr(import_module(f"PIL.{module}"), reader)(BytesIO(data))
            return file
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
        raise PhotoError(name, "HEIC photos cannot be read; save it as JPEG")
    raise PhotoError(name, "not a photo in a format that can be read (such as JPEG, PNG, WebP, AVIF, GIF, TIFF)")
