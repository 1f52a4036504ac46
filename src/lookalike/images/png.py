"""PNG: chunks of pixels for Pillow, and the chunks beside them that are used.

Pillow refuses a photo for one damaged chunk of metadata, so it gets only those that hold pixels. Intact chunks of
colour, transparency and orientation are read here; damaged ones, text, physical sizes and animation are ignored.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from lookalike.images.profiles import cicp_profile, measured_profile

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PIXELS: Final = (b"IHDR", b"PLTE", b"IDAT")
_KEPT: Final = (b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"eXIf")
_GREY, _RGB, _PALETTE = 0, 2, 3
_LONGEST_PROFILE: Final = 8 * 2**20


@dataclass(frozen=True, slots=True)
class Chunks:
    """Chunks of a PNG file.

    Attributes:
        pixels: PNG file with only the chunks that hold pixels.
        kept: Bodies of the other chunks that are used and intact, by name; the first of each name.
    """

    pixels: bytes
    kept: dict[bytes, bytes]

    @classmethod
    def of(cls, data: bytes) -> Chunks:
        """Read the chunks of a file.

        A chunk of pixels that is cut off by the end of the file is kept as far as it goes: if only checksums and the
        end chunk are missing, the photo is complete.

        Raises:
            ValueError: A chunk that holds pixels is damaged.
        """
        parts: list[bytes | memoryview] = [_SIGNATURE]
        kept, view, at = dict[bytes, bytes](), memoryview(data), len(_SIGNATURE)
        while at + 8 <= len(data):
            length, kind = struct.unpack_from(">L4s", data, at)
            if kind == b"IEND" or not (kind.isalpha() and kind.isascii()):
                break
            end = at + 12 + length
            body = view[at + 8 : end - 4]
            sound = end <= len(data) and zlib.crc32(view[at + 4 : end - 4]) == _number(data, end - 4)
            if kind in _PIXELS:
                if sound:
                    parts.append(view[at:end])
                elif kind == b"IDAT" and end > len(data):
                    parts.append(_chunk(kind, bytes(body[:length])))
                else:
                    raise ValueError(f"broken PNG chunk {kind!r}")
            elif sound and kind in _KEPT:
                kept.setdefault(kind, bytes(body))
            at = end
        return cls(b"".join([*parts, _chunk(b"IEND", b"")]), kept)


class PngPhoto(PngImageFile):
    """PNG whose pixels are read by Pillow, and the rest by `Chunks`."""

    def __init__(self, file: BytesIO) -> None:
        """Read the header.

        Args:
            file: Whole file.
        """
        chunks = Chunks.of(file.getvalue())
        super().__init__(BytesIO(chunks.pixels))
        self._pixels = chunks.pixels
        bits, kind = chunks.pixels[24], chunks.pixels[25]
        self._transparent = _transparency(chunks.kept.get(b"tRNS"), kind)
        if self._transparent is not None:
            self.info["transparency"] = _as_pillow_keeps(self._transparent, kind=kind, bits=bits)
        self._is_deep_rgb = (bits, kind) == (16, _RGB)
        self.info["icc_profile"] = _profile(chunks.kept)
        self.info["exif"] = chunks.kept.get(b"eXIf", b"")

    def load(self) -> PixelAccess | None:
        """Decode. The transparent colour is compared at all 16 bits, of which Pillow keeps 8."""
        is_new = bool(self.tile)
        loaded = super().load()
        if is_new and self._is_deep_rgb and isinstance(self._transparent, tuple):
            self.info.pop("transparency")
            color = np.array(self._transparent, np.uint16)
            opaque = (np.asarray(self) != color >> 8).any(axis=-1) | (self._low_bytes() != color & 255).any(axis=-1)
            self.putalpha(Image.fromarray(opaque.astype(np.uint8) * 255))
        return loaded

    def _low_bytes(self) -> np.ndarray:
        """Lower 8 of each 16 bits, (H, W, 3) uint8."""
        low = PngImageFile(BytesIO(self._pixels))
        tile = low.tile[0]
        low.tile = [tile._replace(args=("RGB;16L", *tile.args[1:]) if isinstance(tile.args, tuple) else "RGB;16L")]
        return np.asarray(low)


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def _transparency(body: bytes | None, kind: int) -> int | tuple[int, ...] | bytes | None:
    """Transparent colour as stored, or the alpha of each palette entry; None if there is none."""
    if body is None:
        return None
    if kind == _PALETTE:
        return body[:256]
    if kind == _GREY and len(body) >= 2:
        return int(struct.unpack_from(">H", body)[0])
    if kind == _RGB and len(body) >= 6:
        return struct.unpack_from(">HHH", body)
    return None


def _as_pillow_keeps(transparent: int | tuple[int, ...] | bytes, *, kind: int, bits: int) -> object:
    """Transparent colour in Pillow's scale, which spreads 2 and 4 bits of grey over 8."""
    if kind == _GREY and isinstance(transparent, int) and bits < 8:
        levels = 2**bits - 1
        return (transparent & levels) * 255 // levels
    return transparent


def _profile(kept: dict[bytes, bytes]) -> bytes | None:
    """ICC profile of a file, from the first intact colour chunk in the order of precedence of the PNG standard."""
    cicp = kept.get(b"cICP", b"")
    if len(cicp) == 4 and cicp[2] == 0:
        return cicp_profile(cicp[0], cicp[1])
    if b"iCCP" in kept and (profile := _inflated(kept[b"iCCP"])):
        return profile
    gamma, chromaticities = kept.get(b"gAMA", b""), kept.get(b"cHRM", b"")
    if b"sRGB" in kept or len(gamma) != 4:
        return None
    xy = struct.unpack(">8L", chromaticities) if len(chromaticities) == 32 else None
    return measured_profile(_number(gamma, 0) / 100_000, tuple(value / 100_000 for value in xy) if xy else None)


def _inflated(body: bytes) -> bytes | None:
    """Profile of an iCCP chunk: name, zero byte, compression method (0: zlib), compressed bytes."""
    name, _, packed = body.partition(b"\x00")
    if not 1 <= len(name) <= 79 or packed[:1] != b"\x00":
        return None
    inflating = zlib.decompressobj()
    try:
        profile = inflating.decompress(packed[1:], _LONGEST_PROFILE)
    except zlib.error:
        return None
    return profile if inflating.eof else None
