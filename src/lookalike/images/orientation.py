"""EXIF orientation, and the transposition that makes a photo upright."""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image

_ORIENTATION_TAG: Final = 0x0112
UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS: Final = {5, 6, 7, 8}
_WHOLE_TYPES: Final = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}


def orientation(file: Image.Image) -> int:
    """Orientation of a photo, 1 to 8, from the first directory of its EXIF; 1 if there is none.

    A reader that has it from elsewhere stores it in `info["orientation"]`. The number may be of any integer type of
    EXIF: cameras write SHORT, programs also LONG, BYTE and signed types. Pillow's own reader is slower, and warns about
    the damaged EXIF that many cameras write.
    """
    if (known := file.info.get("orientation")) is not None:
        return known if known in UPRIGHT else 1
    exif: bytes = (file.info.get("exif") or b"").removeprefix(b"Exif\x00\x00")
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, entry)
            if tag == _ORIENTATION_TAG and kind in _WHOLE_TYPES:
                (value,) = struct.unpack_from(f"{order}{_WHOLE_TYPES[kind]}", exif, entry + 8)
                return value if value in UPRIGHT else 1
    except struct.error:
        pass
    return 1


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Upright width and height of a photo of a stored size."""
    return (size[1], size[0]) if orientation in _SIDEWAYS else size
