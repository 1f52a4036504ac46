"""Memory that a photo takes while it is decoded, told by its header."""

from __future__ import annotations

from typing import Final

from PIL.ImageFile import ImageFile

# Bytes for each pixel at the peak: what the decoder holds, Pillow's picture (4 bytes for every mode but grey),
# a turned copy and the sRGB picture.
_PER_PIXEL: Final = {
    "JPEG": 12,
    "MPO": 12,
    "PNG": 12,
    "WEBP": 24,
    "AVIF": 24,
    "GIF": 12,
    "TIFF": 20,
    "JPEG2000": 32,
    "PPM": 12,
    "BMP": 12,
}


def decoded_bytes(file: ImageFile) -> int:
    """Estimate the memory, in bytes, that decoding a file takes at its peak, with all copies up to its sRGB picture.

    Args:
        file: An opened photo that is not decoded yet; a scale that was set by `draft` counts.
    """
    width, height = file.size
    return width * height * _PER_PIXEL.get(file.format or "", 32)
