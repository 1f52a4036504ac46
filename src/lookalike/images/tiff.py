"""TIFF and BigTIFF, decoded by Pillow; orientation and BigTIFF directories are read here."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Final

from PIL.TiffImagePlugin import TiffImageFile

_BIG: Final = (b"II+\0", b"MM\0+")
ORIENTATION: Final = 0x0112
_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_MOST_TAGS: Final = 4096
_PIXEL_TAGS: Final = {
    *range(254, 270),
    *range(273, 285),
    290,
    291,
    292,
    293,
    *range(317, 326),
    *range(338, 348),
    *range(512, 533),
    34675,
}
_SHORTER: Final = {16: 4, 17: 9, 18: 4}  # types of 8 bytes, and their classic TIFF types of 4
_WIDTH, _LENGTH, _TILE_WIDTH, _TILE_LENGTH = 256, 257, 322, 323


class TiffPhoto(TiffImageFile):
    """TIFF as stored, not rotated; `info["orientation"]` has the orientation.

    Attributes:
        tile_pixels: Pixels of one tile, which may be larger than the photo; 0 if the photo is stored in strips.
    """

    def __init__(self, file: BytesIO) -> None:
        """Read the first directory.

        Args:
            file: Whole file.
        """
        data = file.getvalue()
        super().__init__(BytesIO(as_classic(data)) if data[:4] in _BIG else file)
        self._size = self.tag_v2[_WIDTH], self.tag_v2[_LENGTH]
        value = self.tag_v2.get(ORIENTATION)
        self.info["orientation"] = value[0] if isinstance(value, bytes) and len(value) == 1 else value
        across, down = self.tag_v2.get(_TILE_WIDTH, 0), self.tag_v2.get(_TILE_LENGTH, 0)
        self.tile_pixels = across * down if isinstance(across, int) and isinstance(down, int) else 0

    def load_end(self) -> None:
        """Do not rotate the photo, and do not read the rest of its tags."""


def as_classic(data: bytes) -> bytes:
    """First picture of a BigTIFF as a classic TIFF of 32-bit offsets, which Pillow reads in both byte orders.

    Pixels stay in place; a new directory is appended.

    Raises:
        ValueError: A value lies outside the file.
        struct.error: The directory lies outside the file.
    """
    order = "<" if data.startswith(b"II") else ">"
    (start,) = struct.unpack_from(order + "Q", data, 8)
    (count,) = struct.unpack_from(order + "Q", data, start)
    directory = len(data) + len(data) % 2
    entries, beside, room = dict[int, tuple[int, int, bytes]](), bytearray(), len(data)
    for at in range(start + 8, start + 8 + 20 * min(count, _MOST_TAGS), 20):
        tag, kind, many = struct.unpack_from(order + "HHQ", data, at)
        if tag not in _PIXEL_TAGS or tag in entries:
            continue
        length = _SIZES.get(kind, 1) * many
        room -= length
        place = at + 12 if length <= 8 else struct.unpack_from(order + "Q", data, at + 12)[0]
        value = data[place : place + length]
        if len(value) < length or room < 0:
            raise ValueError(f"the value of tag {tag} lies outside the file")
        if kind in _SHORTER:
            long, short = ("q", "l") if kind == 17 else ("Q", "L")
            value = struct.pack(f"{order}{many}{short}", *struct.unpack(f"{order}{many}{long}", value))
            kind = _SHORTER[kind]
        entries[tag] = kind, many, value
    written = struct.pack(order + "H", len(entries))
    after = directory + 2 + 12 * len(entries) + 4
    for tag, (kind, many, value) in entries.items():
        field = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack(order + "L", after + len(beside))
        written += struct.pack(order + "HHL", tag, kind, many) + field
        beside += value if len(value) > 4 else b""
    head = data[:2] + struct.pack(order + "HL", 42, directory)
    return b"".join([head, data[8:], bytes(len(data) % 2), written, bytes(4), beside])
