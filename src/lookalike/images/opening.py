"""Opening of photos: an upright sRGB image from bytes, a path, a file, a URL or pixels.

Gallery, query and training photos are all opened here, so that rotation, colour profiles, transparency and limits are
the same. The format is recognised by the content of the file, never by its name, and only raster formats that are
decoded within this process are read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

from PIL import Image
from PIL.ImageFile import ImageFile

from lookalike.errors import PhotoError, UsageError
from lookalike.images.color import to_srgb
from lookalike.images.formats import check_pixels, no_warnings, open_file
from lookalike.images.jpeg import SCAN_MARKER, completed, scans, without_remarks
from lookalike.images.jpeg2000 import halvings, levels
from lookalike.images.memory_budget import memory_for
from lookalike.images.memory_estimate import decoded_bytes
from lookalike.images.orientation import UPRIGHT, orientation, upright_size
from lookalike.images.pixels import picture_of
from lookalike.images.source import DEFAULT_LIMITS, Limits, Source, name_of, read_bytes
from lookalike.types import Box

MOST_SCANS: Final = 200
MOST_SCANNED: Final = 2 * 10**9
"""Most scans of a JPEG, and most pixels of all its scans: 40 scans of 50 megapixels take 3.5 s (2-core x86-64)."""


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
        source: Photo.
        at_least: Sides in pixels that the result may be reduced to, but not below; a large JPEG or JPEG 2000 is then
            decoded at 1/2, 1/4 or 1/8 of its size, which is several times faster. None decodes at full size.
        box: Part to return, in pixels of the upright photo at full size; clipped to the photo.
        limits: Limits checked before decoding.
        name: Name of the photo in errors; by default its path or URL.

    Returns:
        Decoded RGB image without metadata.

    Raises:
        PhotoError: The photo cannot be read, is not a photo, is damaged or too large, or the box lies outside of it.
        UsageError: The source is not of a supported type, or `box` is not a `Box`.
    """
    photo, _ = _open(source, at_least=at_least, box=box, limits=limits, name=name)
    return photo


def open_with_size(
    source: Source, *, at_least: int, limits: Limits = DEFAULT_LIMITS
) -> tuple[Image.Image, tuple[int, int]]:
    """Open a photo as `open_image` does; returns also the width and height of the upright photo at its full size.

    Raises:
        PhotoError: It cannot be read, is not a photo, or is damaged or too large.
        UsageError: The source is not of a supported type.
    """
    return _open(source, at_least=at_least, box=None, limits=limits, name=None)


def _open(
    source: Source, *, at_least: int | None, box: Box | None, limits: Limits, name: str | None
) -> tuple[Image.Image, tuple[int, int]]:
    """Open a photo; returns also its full size, upright."""
    if box is not None and not isinstance(box, Box):
        raise UsageError(f"expected a box as lookalike.Box(x1, y1, x2, y2), got {box!r}")
    name = name or name_of(source)
    if (picture := picture_of(source, limits=limits, name=name)) is not None:
        with _told_as_photo_error(name):
            return _finished(picture, picture.size, box, name)
    data = read_bytes(source, limits=limits, name=name)
    with _told_as_photo_error(name):
        file, size = _opened(data, at_least, box, limits, name)
        needed = decoded_bytes(file)
        if needed > limits.memory:
            raise PhotoError(name, f"decoding takes about {needed:,} bytes, more than the {limits.memory:,} allowed")
        with memory_for(needed, name=name):
            try:
                with (
                    no_warnings() if file.format == "TIFF" else nullcontext()
                ):  # its reader checks sizes while decoding
                    file.load()
            except OSError:
                whole = completed(data) if file.format == "JPEG" else None
                if whole is None:
                    raise
                file, _ = _opened(whole, at_least, box, limits, name)
                file.load()
            return _finished(file, size, box, name)


def _opened(
    data: bytes, at_least: int | None, box: Box | None, limits: Limits, name: str
) -> tuple[ImageFile, tuple[int, int]]:
    """Open a file and check its size. Returns it with its full size, since it may be set to a reduced scale."""
    with no_warnings():
        try:
            file = open_file(data, most_pixels=limits.pixels, name=name)
        except PhotoError:
            raise
        except Exception:
            if not data.startswith(b"\xff\xd8"):
                raise
            file = open_file(without_remarks(data), most_pixels=limits.pixels, name=name)
    size = file.size
    check_pixels(size, limits.pixels, name)
    if file.format in ("JPEG", "MPO"):
        check_scans(data, size, name)
    if at_least is not None:
        _reduce(file, data, at_least=at_least, box=box, name=name)
    return file, size


def check_scans(data: bytes, size: tuple[int, int], name: str) -> None:
    """Check the number of scans of a JPEG, each of which takes the time of all pixels.

    Raises:
        PhotoError: The JPEG has too many scans.
    """
    most = min(MOST_SCANS, MOST_SCANNED // (size[0] * size[1]))
    # Most files have few bytes that could be the marker of a scan, and counting these is fastest.
    if data.count(SCAN_MARKER) > most and scans(data, most=most + 1) > most:
        raise PhotoError(name, f"more than {most} scans of {size[0]}x{size[1]} pixels; save it as a plain JPEG")


def _finished(
    file: Image.Image, size: tuple[int, int], box: Box | None, name: str
) -> tuple[Image.Image, tuple[int, int]]:
    """Rotate a decoded photo upright, crop the box and convert to sRGB; returns also its full size, upright."""
    profile, way = file.info.get("icc_profile"), orientation(file)
    white = 65535 if file.format == "PPM" else None
    photo = file.transpose(UPRIGHT[way]) if way in UPRIGHT else file
    if box is not None:
        photo = _crop(photo, box, upright_size(size, way), name)
    photo = to_srgb(photo, profile, white=white)
    photo.info = {}
    return photo, upright_size(size, way)


@contextmanager
def _told_as_photo_error(name: str) -> Iterator[None]:
    """Turn exceptions of decoders, which can be of any class, into a PhotoError."""
    try:
        yield
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(name, "there is not enough memory to decode it") from error
    except Exception as error:
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower()
        raise PhotoError(name, "the file is cut short" if cut else "the file is damaged") from error


def _reduce(file: ImageFile, data: bytes, *, at_least: int, box: Box | None, name: str) -> None:
    """Set a file to the smallest scale at which the photo, or the box in it, keeps `at_least` pixels a side."""
    width, height = file.size
    side: float = min(width, height)
    if box is not None:
        left, top, right, bottom = _clipped(box, upright_size(file.size, orientation(file)), name)
        side = min(right - left, bottom - top)
    for times in (3, 2, 1):
        if side // 2**times >= max(at_least, 1):
            if file.format == "JPEG2000":
                file.reduce = halvings(file.size, times, levels(data))  # type: ignore[method-assign,assignment]
            else:
                file.draft(None, (width // 2**times, height // 2**times))  # has an effect on JPEG only
            return


def _clipped(box: Box, size: tuple[int, int], name: str) -> tuple[float, float, float, float]:
    """Clip a box to the photo that it was drawn on."""
    width, height = size
    if box.x1 >= width or box.y1 >= height:
        raise PhotoError(name, f"the box {box} lies outside the photo of {width}x{height} pixels")
    return box.x1, box.y1, min(box.x2, width), min(box.y2, height)


def _crop(photo: Image.Image, box: Box, full_size: tuple[int, int], name: str) -> Image.Image:
    """Crop a box, given in pixels of the full size; pixels that it touches are included."""
    left, top, right, bottom = _clipped(box, full_size, name)
    across, down = photo.width / full_size[0], photo.height / full_size[1]
    place = (
        math.floor(left * across),
        math.floor(top * down),
        min(math.ceil(right * across), photo.width),
        min(math.ceil(bottom * down), photo.height),
    )
    with no_warnings():  # Pillow warns about parts that exceed its own limit
        return photo.crop(place)
