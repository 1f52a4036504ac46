"""Estimated memory of decoding, from the header of a photo."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from PIL.ImageFile import ImageFile

from lookalike.images.jpeg2000 import sample_bytes
from lookalike.images.orientation import orientation

_ONE_BYTE: Final = {"1", "L", "P"}
_BAND: Final = 2**20
# Most bytes per pixel that a decoder holds beside the picture that it makes; measured on 8-megapixel files.
_DECODING: Final = {"WEBP": 18, "AVIF": 14, "HEIF": 8, "GIF": 5, "PPM": 8, "BMP": 0, "PNG": 0}


def decoded_bytes(file: ImageFile) -> int:
    """Estimate the peak memory, in bytes, of decoding a file, with all copies up to the sRGB picture.

    Args:
        file: Opened photo that is not decoded yet, at the scale that it was set to.
    """
    width, height = file.size
    pixels = width * height
    if file.format == "JPEG2000" and isinstance(halvings := file.reduce, int):
        pixels >>= 2 * halvings
    picture = 1 if file.mode in _ONE_BYTE else 2 if file.mode.startswith("I;16") else 4
    turned = picture if orientation(file) > 1 else 0
    shown = 4 if file.mode != "RGB" or file.info.get("icc_profile") or file.has_transparency_data else 0
    bands = 24 * min(pixels, _BAND) if shown else 0
    return round(pixels * (picture + _decoder(file) + turned + shown)) + bands + _beside(file)


def _decoder(file: ImageFile) -> float:
    """Bytes per pixel that the decoder holds beside the picture."""
    if file.format == "JPEG":  # a progressive one holds every coefficient
        return 0.5 + (2.0 * len(file.getbands()) if file.info.get("progressive") else 0)
    if file.format == "JPEG2000":
        return 5.5 * len(file.getbands())
    if file.format == "TIFF":
        return _tiff_sample_bytes(file)  # a strip may be the whole photo
    if file.format == "PNG" and file.mode == "RGB" and isinstance(file.info.get("transparency"), tuple):
        return 14.0
    return float(_DECODING.get(file.format or "", 20))


def _beside(file: ImageFile) -> int:
    """Bytes that a reduced scale does not save: copies of the file, and its division into tiles and blocks."""
    if file.format == "TIFF":
        tile: int = getattr(file, "tile_pixels", 0)
        return round(tile * _tiff_sample_bytes(file))
    if file.format not in ("PNG", "JPEG2000") or not isinstance(file.fp, BytesIO):
        return 0
    length = file.fp.getbuffer().nbytes
    if file.format == "PNG":
        return 2 * length
    return 2 * length + round(file.width * file.height * len(file.getbands()) * sample_bytes(file.fp.getvalue()))


def _tiff_sample_bytes(file: ImageFile) -> float:
    """Bytes per pixel as a TIFF stores it: at most 4 samples of 16 bits, or one of 64."""
    depths = getattr(file, "tag_v2", {}).get(258, (8,))
    samples = getattr(file, "tag_v2", {}).get(277, 1)
    bits = max(depths) if isinstance(depths, tuple) else depths
    return float(min(max(bits, 8) * max(samples, 3), 128)) / 8
