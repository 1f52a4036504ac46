"""JPEG: removal of metadata, repair of a missing end marker, and the number of scans."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Final

from PIL.JpegImagePlugin import JpegImageFile

from lookalike.images.formats import no_warnings

_END: Final = b"\xff\xd9"
_TAILS: Final = (b"", b"\x5a\xa5\x3c" * 32, b"\xaa" * 96)
_ALONE: Final = {0x01, *range(0xD0, 0xDA)}  # markers without a segment
_PROGRESSIVE: Final = {0xC2, 0xCA}
_SCAN, _COMMENT, _LAST = 0xDA, 0xFE, 0xD9
SCAN_MARKER: Final = bytes((0xFF, _SCAN))
_MARKER: Final = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
"""A marker with a segment, or the end marker."""

_USED: Final = (
    (b"JFIF\0", 14),
    (b"Exif\0\0", 6),
    (b"ICC_PROFILE\0", 15),
    (b"Adobe", 12),
)  # metadata segments, and their least length
_REMARKS: Final = {*range(0xE0, 0xF0), _COMMENT}


def without_remarks(data: bytes) -> bytes:
    """File without application segments and comments, except EXIF, profiles and the colour transform."""
    parts, at = [data[:2]], 2
    for start, marker, end in _segments(data):
        body = data[start + 4 : end]
        kept = marker not in _REMARKS or any(body.startswith(word) and len(body) >= least for word, least in _USED)
        if kept:
            parts.append(data[start:end])
        at = end
        if marker == _SCAN:
            break
    return b"".join([*parts, data[at:]])


def completed(data: bytes) -> bytes | None:
    """Add the end marker to a file that lacks only that.

    The file is decoded with several endings; it is complete if its pixels do not depend on them.

    Returns:
        The completed file; None if pixels are missing.
    """
    data = without_remarks(data).removesuffix(b"\xff")
    if not _has_all_scans(data):
        return None
    pictures = set()
    for tail in _TAILS:
        with no_warnings():
            file = JpegImageFile(BytesIO(data + tail + _END))
        pictures.add(hashlib.sha256(file.tobytes()).digest())
    return data + _END if len(pictures) == 1 else None


def scans(data: bytes, *, most: int) -> int:
    """Number of scans of a file, counted up to `most`.

    A progressive photo has about ten. Each takes the time of all pixels, however few bytes it has.
    """
    at, count = 2, 0
    while count < most and (found := _MARKER.search(data, at)) and data[found.end() - 1] != _LAST:
        count += data[found.end() - 1] == _SCAN
        at = found.end() + int.from_bytes(data[found.end() : found.end() + 2], "big")
    return count


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield start, marker and end of each segment; the data between scans is skipped."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF) or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end > len(data):
            return
        yield at, marker, end
        at = end


def _has_all_scans(data: bytes) -> bool:
    """Whether the scans that have begun code every coefficient of every component to its last bit."""
    missing: dict[int, set[int]] = {}
    progressive = False
    for start, marker, end in _segments(data):
        body = data[start + 4 : end]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            progressive = marker in _PROGRESSIVE
            missing = {number: set(range(64)) if progressive else {0} for number in body[6::3]}
        elif marker == _SCAN:
            count = body[0]
            first, last, bits = body[1 + 2 * count : 4 + 2 * count]
            if progressive and bits & 15:
                continue
            for number in body[1 : 1 + 2 * count : 2]:
                missing.get(number, set()).difference_update(range(first, last + 1))
    return bool(missing) and not any(missing.values())
