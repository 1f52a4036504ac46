"""The way a photo was held: EXIF's orientation, and the turn that stands the photo upright."""

from __future__ import annotations

import struct
from typing import Final

from PIL import Image
from PIL.ImageFile import ImageFile

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


def orientation(file: ImageFile) -> int:
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


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of a photo of a stored size once it stands upright."""
    return (size[1], size[0]) if orientation in _SIDEWAYS else size
