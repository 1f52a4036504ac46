"""ISO base media files (AVIF, HEIC): coding, colour and metadata boxes.

Source: ISO/IEC 14496-12 (boxes) and 23008-12 (items and their properties).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_AVIF_BRANDS: Final = {b"avif", b"avis", b"avio"}
_HEIC_BRANDS: Final = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_CONTAINER_BRANDS: Final = {b"mif1", b"mif2", b"msf1", b"miaf"}
_CODINGS: Final = {b"av01": "avif", b"hvc1": "heic", b"hev1": "heic"}
_MOST_BRANDS: Final = 64
_MOST_INFO: Final = 128 * 1024  # bytes about items that are read
_PICTURES: Final = {*_CODINGS, b"grid", b"iden", b"iovl"}
_IN_SEQUENCES: Final = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")


def coding(data: bytes) -> str | None:
    """Coding of the photo in a file: `avif`, `heic`, or None for other files.

    The major and compatible brands decide; if none of them names a coding (`mif1` alone), the items do. For brands, the
    beginning of the file is enough.
    """
    if data[4:8] != b"ftyp":
        return None
    for brands in ({data[8:12]}, _brands(data)):
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & _HEIC_BRANDS:
            return "heic"
    return next((_CODINGS[kind] for _, kind, _ in _items(data) if kind in _CODINGS), None)


def is_container(data: bytes) -> bool:
    """Whether a file begins like an image container, of any coding."""
    return data[4:8] == b"ftyp" and data[8:12] in _CONTAINER_BRANDS


def for_avif_reader(data: bytes) -> bytes:
    """File that libavif accepts: branded `avif`, and without metadata, which it refuses if damaged."""
    if not _brands(data) & _AVIF_BRANDS:
        data = data[:8] + b"avif" + data[12:]
    return without_remarks(data)


def without_remarks(data: bytes) -> bytes:
    """File without its metadata: items that are not pictures, and the references from them.

    Orientation is given by irot and imir alone. Readers fail on damaged EXIF and XMP, and pi-heif crashes on an item
    whose type is not UTF-8. Types are overwritten, so that all offsets stay.
    """
    plain = bytearray(data)
    for _, kind, at in _items(data):
        if kind not in _PICTURES:
            plain[at : at + 4] = b"skip"
    data = bytes(plain)
    parts, done = list[bytes](), 0
    for kind, body, stop in boxes(data, 0, len(data)):
        if kind == b"mdat":  # pixels, in which the same four bytes mean nothing
            parts += (data[done:body].replace(b"cdsc", b"skip"), data[body:stop])
            done = stop
    return b"".join([*parts, data[done:].replace(b"cdsc", b"skip")])


def color_codes(data: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (H.273) of the photo; None if the file has none, or a profile instead."""
    try:
        found = _primary_colors(data) or _sequence_colors(data)
    except (struct.error, IndexError):
        return None
    if any(kind != b"nclx" for kind, _ in found):
        return None
    return next((struct.unpack_from(">HH", body) for _, body in found if len(body) >= 4), None)


def _brands(data: bytes) -> set[bytes]:
    """Major brand and compatible brands, at most `_MOST_BRANDS` of these."""
    end = min(int.from_bytes(data[:4], "big"), 16 + 4 * _MOST_BRANDS, len(data))
    return {data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))}


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield type, and start and end of the body, of each box, up to the first damaged one."""
    while start + 8 <= end:
        length, kind = struct.unpack_from(">L4s", data, start)
        body = start + 8
        if length == 1:
            if start + 16 > end:
                return
            (length,) = struct.unpack_from(">Q", data, body)
            body += 8
        stop = start + length if length else end
        if not body <= stop <= end:
            return
        yield kind, body, stop
        start = stop


def _inside(data: bytes, *path: bytes) -> tuple[int, int] | None:
    """Start and end of the body of a nested box; the version and flags of `meta` are skipped."""
    start, end = 0, len(data)
    for name in path:
        found = next(((body, stop) for kind, body, stop in boxes(data, start, end) if kind == name), None)
        if found is None:
            return None
        start, end = found
        start += 4 if name == b"meta" else 0
    return start, end


def _items(data: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Yield id, type, and offset of the type, of each item of a file."""
    place = _inside(data, b"meta", b"iinf")
    if place is None:
        return
    start, end = place
    end = min(end, start + _MOST_INFO)
    start += 6 if data[start : start + 1] == b"\0" else 8
    for kind, body, stop in boxes(data, start, end):
        if kind != b"infe" or data[body] not in (2, 3):
            continue
        wide = data[body] == 3
        at = body + (10 if wide else 8)
        if at + 4 <= stop:
            yield int.from_bytes(data[body + 4 : body + (8 if wide else 6)], "big"), data[at : at + 4], at


def _primary_colors(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and body of the colour properties of the primary item, or of any item if there is no primary one."""
    primary = _inside(data, b"meta", b"pitm")
    properties = _inside(data, b"meta", b"iprp", b"ipco")
    if primary is None or properties is None:
        return []
    wanted = int.from_bytes(data[primary[0] + 4 : primary[0] + (8 if data[primary[0]] else 6)], "big")
    found = list(boxes(data, *properties))
    own = [found[n - 1] for n in _associated(data, wanted) if 1 <= n <= len(found)]
    for some in (own, found):
        colors = [(data[body : body + 4], data[body + 4 : stop]) for kind, body, stop in some if kind == b"colr"]
        if colors:
            return colors
    return []


def _associated(data: bytes, item: int) -> list[int]:
    """Indexes, from 1, of the properties of an item."""
    place = _inside(data, b"meta", b"iprp", b"ipma")
    if place is None:
        return []
    at, end = place
    wide_items, wide_numbers = data[at] > 0, data[at + 3] & 1
    (count,) = struct.unpack_from(">L", data, at + 4)
    at += 8
    for _ in range(count):
        if at >= end:
            break
        number = int.from_bytes(data[at : at + (4 if wide_items else 2)], "big")
        at += 4 if wide_items else 2
        size, many = (2 if wide_numbers else 1), data[at]
        numbers = [int.from_bytes(data[at + 1 + n * size : at + 1 + (n + 1) * size], "big") for n in range(many)]
        if number == item:
            return [each & (0x7FFF if wide_numbers else 0x7F) for each in numbers]
        at += 1 + many * size
    return []


def _sequence_colors(data: bytes) -> list[tuple[bytes, bytes]]:
    """Type and body of the colour properties of the first track of an image sequence."""
    place = _inside(data, *_IN_SEQUENCES)
    if place is None:
        return []
    for _, body, stop in boxes(data, place[0] + 8, place[1]):  # the sample entry of a picture has 78 bytes of its own
        for kind, first, last in boxes(data, body + 78, stop):
            if kind == b"colr":
                return [(data[first : first + 4], data[first + 4 : last])]
    return []
