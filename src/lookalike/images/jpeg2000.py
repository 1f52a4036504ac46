"""JPEG 2000: how far its wavelets let a photo be decoded at a fraction of its size."""

from __future__ import annotations

from typing import Final

_START: Final = b"\xff\x4f\xff\x51"
_CODING, _CODING_OF_ONE, _FIRST_TILE = 0xFF52, 0xFF53, 0xFF90


def levels(data: bytes) -> int:
    """How often a file can be halved while it is decoded.

    Source: ISO/IEC 15444-1, annex A.
    """
    at = data.find(_START)
    if at < 0:
        return 0
    at, found, wide = at + 2, list[int](), False
    while at + 4 <= len(data):
        marker, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _FIRST_TILE or length < 2:
            break
        body = data[at + 4 : at + 2 + length]
        if marker == 0xFF51:
            wide = int.from_bytes(body[34:36], "big") > 256
        elif marker == _CODING:
            found += body[5:6]
        elif marker == _CODING_OF_ONE:
            found += body[4:5] if wide else body[2:3]
        at += 2 + length
    return min(found, default=0)


def halvings(size: tuple[int, int], most: int, possible: int) -> int:
    """The largest number of halvings up to `most` at which Pillow and its decoder agree about the size.

    Args:
        size: Width and height.
        most: Of the result; 3 is an eighth.
        possible: As `levels` tells.
    """
    for times in range(min(most, possible), 0, -1):
        power = 2**times
        if all((side + power // 2) // power == -(-side // power) for side in size):
            return times
    return 0
