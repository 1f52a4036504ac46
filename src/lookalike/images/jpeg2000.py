"""JPEG 2000: wavelet levels, blocks and precincts, which decide reduced sizes and memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_START: Final = b"\xff\x4f\xff\x51"
_SIZE, _CODING, _CODING_OF_ONE, _TILE, _PIXELS, _END = 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_BLOCK_BYTES: Final = 450
_PRECINCT_BYTES: Final = 300
"""Bytes that OpenJPEG holds for each code block, and for each precinct of a subband; measured at 4 megapixels."""


@dataclass(frozen=True, slots=True)
class Coding:
    """Coding parameters of one or all components.

    Attributes:
        levels: Number of decomposition levels.
        block: Binary logarithms of the width and height of a code block.
        precincts: Binary logarithms of the width and height of the precincts of each resolution, smallest first; empty
            if there is a single precinct.
    """

    levels: int
    block: tuple[int, int]
    precincts: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, body: bytes, *, divided: bool) -> Coding:
        """Read the parameters of a COD or COC segment; missing ones are 0."""
        levels, across, down = body[:3].ljust(3, b"\0")
        sides = body[5 : 6 + levels] if divided else b""
        return cls(levels, (across % 16 + 2, down % 16 + 2), tuple((side & 15, side >> 4) for side in sides))

    @property
    def sample_bytes(self) -> float:
        """Bytes for each sample of the photo that the division into blocks and precincts takes."""
        total = 0.0
        for at, (across, down) in enumerate(self.precincts or ((15, 15),) * (self.levels + 1)):
            block = min(self.block[0], max(across - 1, 0)) + min(self.block[1], max(down - 1, 0))
            total += (_BLOCK_BYTES / 2**block + 3 * _PRECINCT_BYTES / 2 ** (across + down)) / 4 ** (self.levels - at)
        return total


def levels(data: bytes) -> int:
    """Number of times a file can be halved while decoding."""
    return min((coding.levels for coding in _codings(data)), default=0)


def sample_bytes(data: bytes) -> float:
    """Bytes for each sample at full size that the division into blocks and precincts takes, over all components."""
    return max((coding.sample_bytes for coding in _codings(data)), default=0.0)


def _codings(data: bytes) -> Iterator[Coding]:
    """Yield the codings of the main header and of the tile headers.

    Source: ISO/IEC 15444-1, annex A.
    """
    at, after, wide = data.find(_START) + 2, 0, False
    while 2 <= at <= len(data) - 4:
        marker, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == _PIXELS:
            if after <= at:
                return
            at = after
            continue
        if length < 2 or marker == _END:
            return
        body = data[at + 4 : at + 2 + length]
        if marker == _TILE:  # length of the tile; 0 for the rest of the file
            after = at + int.from_bytes(body[2:6], "big")
        elif marker == _SIZE:
            wide = int.from_bytes(body[34:36], "big") > 256
        elif marker == _CODING:
            yield Coding.read(body[5:], divided=bool(body[:1] and body[0] & 1))
        elif marker == _CODING_OF_ONE:
            body = body[2:] if wide else body[1:]
            yield Coding.read(body[1:], divided=bool(body[:1] and body[0] & 1))
        at += 2 + length


def halvings(size: tuple[int, int], most: int, possible: int) -> int:
    """Largest number of halvings, up to `most`, at which Pillow and its decoder agree on the size.

    Args:
        size: Width and height.
        most: Largest result; 3 is an eighth.
        possible: Result of `levels`.
    """
    for times in range(min(most, possible), 0, -1):
        power = 2**times
        if all((side + power // 2) // power == -(-side // power) for side in size):
            return times
    return 0
