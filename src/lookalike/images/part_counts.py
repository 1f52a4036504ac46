"""Limits on the parts of a file, for which readers take time or memory out of proportion.

A file of some megabytes can have millions of segments, blocks or items, each of a few bytes. Pillow, libavif and
libheif read all of them before the first pixel; the time of some grows with the square of their number.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from lookalike.images.isobmff import boxes

MOST_PARTS: Final = 20_000
"""Largest number of segments of a JPEG, or blocks of a GIF, before the pixels; each stray byte between them counts."""

MOST_CHUNKS: Final = 100_000
"""Largest number of chunks of a PNG."""

MOST_TABLE: Final = 128 * 1024
"""Largest table of the items of an AVIF or HEIC, bytes: some 6,000 items, which take half a second."""

MOST_TRACKS: Final = 256 * 1024
"""Largest tables of the frames of an AVIF or HEIC sequence, bytes."""

MOST_BOXES: Final = 2048
"""Largest number of boxes of an AVIF or HEIC, and of the properties of its items."""

MOST_EXIF: Final = 32
"""Largest number of EXIF segments of a JPEG, which Pillow joins one by one."""

_TO_MARKER: Final = re.compile(rb"[^\xff]*\xff+")
_FIRST: Final = 0xC0  # markers below do not exist
_ALONE: Final = {0x00, *range(0xD0, 0xD9)}  # followed by no length
_SCAN: Final = 0xDA


def is_excessive(data: bytes, kind: str | None) -> bool:
    """Whether a file has more parts than a reader should be given.

    Args:
        data: Whole file.
        kind: Its format, as `formats.format_of` tells.
    """
    if kind == "jpeg":
        return _segments(data) > MOST_PARTS
    if kind == "gif":
        return _blocks(data) > MOST_PARTS
    if kind == "png":
        return _chunks(data) > MOST_CHUNKS
    return kind in ("avif", "heic") and _has_large_tables(data)


def _segments(data: bytes) -> int:
    """Segments, fill bytes and stray bytes of a JPEG before its first scan, counted up to more than the limit.

    Like Pillow, it skips stray bytes, and stops at a marker that does not exist.
    """
    at, count, exif = 2, 0, 0
    while count <= MOST_PARTS and exif <= MOST_EXIF and at < len(data):
        found = _TO_MARKER.match(data, at)
        if found is None:
            return count + len(data) - at
        end = found.end()
        if end == len(data):
            return count + end - at
        count += end - at
        marker, at = data[end], end + 1
        if marker == _SCAN or 0 < marker < _FIRST:
            break
        if marker not in _ALONE:
            exif += data.startswith(b"Exif\0\0", at + 2)
            at += int.from_bytes(data[at : at + 2], "big")
    return count if exif <= MOST_EXIF else MOST_PARTS + 1


def _blocks(data: bytes) -> int:
    """Blocks and stray bytes of a GIF before its first frame, counted up to one more than the limit."""
    at = 13 + (3 << (data[10] % 8 + 1) if len(data) > 10 and data[10] & 0x80 else 0)
    count = 0
    while count <= MOST_PARTS and at < len(data) and data[at] not in b",;":
        count += 1
        if data[at] != 0x21:
            at += 1
            continue
        at += 2
        while count <= MOST_PARTS and at < len(data) and data[at]:
            count += 1
            at += 1 + data[at]
        at += 1
    return count


def _chunks(data: bytes) -> int:
    """Chunks of a PNG, counted up to one more than the limit; as for its reader, a kind that is no letters ends it."""
    at, count = 8, 0
    while count <= MOST_CHUNKS and (kind := data[at + 4 : at + 8]) != b"IEND" and len(kind) == 4 and kind.isalpha():
        count += 1
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return count


def _has_large_tables(data: bytes) -> bool:
    """Whether an ISO base media file has more boxes, items, properties or frames than the limits allow."""
    outer = list(islice(boxes(data, 0, len(data)), MOST_BOXES + 1))
    if len(outer) > MOST_BOXES:
        return True
    for kind, start, stop in outer:
        if kind == b"moov" and stop - start > MOST_TRACKS:
            return True
        if kind == b"meta" and _is_large_meta(data, start + 4, stop):
            return True
    return False


def _is_large_meta(data: bytes, start: int, stop: int) -> bool:
    """Whether a `meta` box has large tables, or many boxes."""
    inner = list(islice(boxes(data, start, stop), MOST_BOXES + 1))
    for kind, first, last in list(inner):
        if kind == b"iprp":
            inner += islice(boxes(data, first, last), MOST_BOXES + 1)
    for kind, first, last in inner:
        if kind in (b"iinf", b"iloc", b"iref", b"ipma") and last - first > MOST_TABLE:
            return True
        if kind == b"ipco" and len(list(islice(boxes(data, first, last), MOST_BOXES + 1))) > MOST_BOXES:
            return True
    return len(inner) > MOST_BOXES
