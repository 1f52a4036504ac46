"""Image formats by their first bytes, and the reader of each."""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import import_module
from io import BytesIO
from typing import Any, Final

from PIL.ImageFile import ImageFile

from lookalike.errors import PhotoError
from lookalike.images import isobmff
from lookalike.images.part_counts import is_excessive

LONGEST_SIDES: Final = {"JPEG": 65_500, "WEBP": 16_383}
"""Longest side of a picture to write, in pixels (`JPEG_MAX_DIMENSION` of libjpeg, `WEBP_MAX_DIMENSION` of libwebp)."""

# Signature, its offset in the file, and the format.
_SIGNATURES: Final = (
    (b"\xff\xd8\xff", 0, "jpeg"),
    (b"\x89PNG\r\n\x1a\n", 0, "png"),
    (b"WEBP", 8, "webp"),
    (b"GIF87a", 0, "gif"),
    (b"GIF89a", 0, "gif"),
    (b"II*\x00", 0, "tiff"),
    (b"MM\x00*", 0, "tiff"),
    (b"II+\x00", 0, "tiff"),  # BigTIFF
    (b"MM\x00+", 0, "tiff"),
    (b"jP  \r\n\x87\n", 4, "jp2"),
    (b"\xff\x4f\xff\x51", 0, "jp2"),
    (b"P5", 0, "x-portable-anymap"),
    (b"P6", 0, "x-portable-anymap"),
    (b"BM", 0, "bmp"),
)
# Module and class that read each format. They are called directly, since Image.open would import every format and warn
# about large photos by Pillow's own limit.
_READERS: Final = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("lookalike.images.png", "PngPhoto"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heic": ("pi_heif", "HeifImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "tiff": ("lookalike.images.tiff", "TiffPhoto"),
    "jp2": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "x-portable-anymap": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
}
# Signature, its offset, and the name of formats that are not read.
_UNREADABLE: Final = (
    (b"\xff\x0a", 0, "JPEG XL"),
    (b"JXL \r\n\x87\n", 4, "JPEG XL"),
    (b"8BPS", 0, "Photoshop"),
    (b"%!PS", 0, "PostScript"),
    (b"%PDF", 0, "PDF"),
    (b"\x00\x00\x01\x00", 0, "icon"),
)
_ONE_AT_A_TIME: Final = threading.Lock()


def format_of(data: bytes) -> str | None:
    """Format of a photo by the first bytes of its file, named as in its media type; None for other files."""
    for signature, offset, kind in _SIGNATURES:
        if data.startswith(signature, offset):
            return kind
    return isobmff.coding(data)


def content_type(start: bytes, *, name: str) -> str:
    """Media type of a photo, such as `image/jpeg`, by the first bytes of its file.

    Args:
        start: First bytes, at least 64.
        name: Name of the photo in errors.

    Raises:
        PhotoError: The file is not a photo in a supported format.
    """
    kind = format_of(start)
    if kind is None and isobmff.is_container(start):
        kind = "heif"  # the coding is named further on in the file
    if kind is None:
        raise PhotoError(name, _why_not(start))
    return f"image/{kind}"


def open_file(data: bytes, *, most_pixels: int, name: str) -> ImageFile:
    """Open a file with the reader of its format, without decoding it.

    Args:
        data: The whole file.
        most_pixels: Largest width x height, for formats whose reader allocates memory on opening.
        name: Name of the photo in errors.

    Raises:
        PhotoError: The file is not a photo in a supported format, or is too large.
    """
    kind = format_of(data)
    if kind is None:
        raise PhotoError(name, _why_not(data))
    if kind == "webp":
        check_pixels(_webp_size(data), most_pixels, name)
    if is_excessive(data, kind):
        raise PhotoError(
            name, "it has more segments, blocks, chunks or items than a photo needs; save it as a plain JPEG"
        )
    module, reader = _READERS[kind]
    opened: Callable[[BytesIO], ImageFile] = getattr(import_module(module), reader)
    if kind == "tiff":
        _silence_libtiff()
    elif kind == "heic":
        _leave_out_other_pictures()
    if kind not in ("avif", "heic"):
        return opened(BytesIO(data))
    plain = isobmff.for_avif_reader(data) if kind == "avif" else isobmff.without_remarks(data)
    file = opened(BytesIO(plain))
    if not file.info.get("icc_profile") and (codes := isobmff.color_codes(data)):
        from lookalike.images.profiles import cicp_profile

        file.info["icc_profile"] = cicp_profile(*codes)
    return file


def check_pixels(size: tuple[int, int], most: int, name: str) -> None:
    """Check the number of pixels of a photo.

    Raises:
        PhotoError: The photo has too many pixels.
    """
    width, height = size
    if width * height > most:
        raise PhotoError(name, f"{width}x{height} pixels are more than the {most:,} allowed")


def _why_not(data: bytes) -> str:
    for signature, offset, kind in _UNREADABLE:
        if data.startswith(signature, offset):
            return f"not a photo in a format that can be read, but {kind}; save it as JPEG"
    return "not a photo in a format that can be read (such as JPEG, PNG, WebP, AVIF, HEIC, GIF, TIFF)"


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP canvas, for which the reader allocates memory on opening; 0, 0 if there is none.

    Source: RFC 9649, sections 2.5 to 2.7.
    """
    kind, header = data[12:16], data[16:30].ljust(14, b"\0")
    if kind == b"VP8X":
        return int.from_bytes(header[8:11], "little") + 1, int.from_bytes(header[11:14], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(header[5:9], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(header[10:12], "little") & 0x3FFF, int.from_bytes(header[12:14], "little") & 0x3FFF
    return 0, 0


@contextmanager
def no_warnings() -> Iterator[None]:
    """Suppress Pillow's warnings about damaged metadata, of which only the orientation matters, see `orientation`.

    Before Python 3.14 all threads share the filters of warnings, so one thread at a time may change them. Pillow's
    readers hold the interpreter lock for the same short time anyway.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@cache
def _leave_out_other_pictures() -> None:
    """Make pi-heif ignore the thumbnails, depth maps and masks of a file, which may be damaged."""
    options: Any = import_module("pi_heif.options")
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False


@cache
def _silence_libtiff() -> None:
    """Suppress the messages of libtiff, which it writes to C's standard error, past Python.

    Pillow's reader also logs some, which Python writes there too unless the program has set up logging.
    """
    logging.getLogger("PIL.TiffImagePlugin").addHandler(logging.NullHandler())
    with suppress(OSError, AttributeError):  # if libtiff cannot be reached this way, its messages appear
        library = ctypes.CDLL(import_module("PIL._imaging").__file__)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
