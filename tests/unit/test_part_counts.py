"""Photos of few pixels and very many parts are refused before a reader takes seconds, or memory, for them."""

from __future__ import annotations

import io
import struct
import time
import zlib

import pytest
from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images.opening import open_image


def encoded(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def jpeg(*segments: bytes) -> bytes:
    data = encoded("JPEG")
    return data[:2] + b"".join(segments) + data[2:]


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def gif(extensions: bytes) -> bytes:
    data = encoded("GIF")
    at = 13 + (3 << (data[10] % 8 + 1))
    return data[:at] + extensions + data[at:]


def png(chunk: bytes, count: int) -> bytes:
    data = encoded("PNG")
    return data[:33] + (struct.pack(">L", 0) + chunk + struct.pack(">L", zlib.crc32(chunk))) * count + data[33:]


def box(kind: bytes, *body: bytes) -> bytes:
    whole = b"".join(body)
    return struct.pack(">L4s", 8 + len(whole), kind) + whole


def avif(path: tuple[bytes, ...], more: bytes) -> bytes:
    """A small AVIF with more bytes at the end of a box."""

    def extended(data: bytes, path: tuple[bytes, ...]) -> bytes:
        if not path:
            return data + more
        start, found = (4 if data[:4] == bytes(4) else 0), b""
        found += data[:start]
        while start < len(data):
            length, kind = struct.unpack_from(">L4s", data, start)
            body = data[start + 8 : start + length]
            found += box(kind, extended(body, path[1:]) if kind == path[0] else body)
            start += length
        return found

    return extended(encoded("AVIF"), path)


ITEM = box(b"infe", b"\2\0\0\0" + struct.pack(">HH4s", 9, 0, b"Exif"), b"\0")
EXCESSIVE = {
    "segments": jpeg(segment(0xE5, b"") * 200_000),
    "comments": jpeg(segment(0xFE, b"") * 200_000),
    "EXIF": jpeg(segment(0xE1, b"Exif\0\0" + bytes(1000)) * 3000),
    "fill bytes": jpeg(b"\xff" * 1_000_000),
    "fill bytes to the end": encoded("JPEG")[:20] + b"\xff" * 1_000_000,
    "segments after a stray byte": jpeg(segment(0xE5, b""), b"\0", segment(0xE5, b"") * 200_000),
    "EXIF after a stray byte": jpeg(segment(0xE5, b""), b"\0", segment(0xE1, b"Exif\0\0" + bytes(1000)) * 3000),
    "stray bytes between segments": jpeg(segment(0xE5, b""), bytes(1_000_000)),
    "blocks of a comment": gif(b"!\xfe" + b"\x01a" * 200_000 + b"\0"),
    "extensions": gif(b"!\xfe\x01a\0" * 100_000),
    "stray bytes": gif(bytes(100_000)),
    "items": avif((b"meta", b"iinf"), ITEM * 20_000),
    "properties": avif((b"meta", b"iprp", b"ipco"), box(b"free") * 20_000),
    "references": avif((b"meta",), box(b"iref", bytes(200_000))),
    "frames": avif((), box(b"moov", bytes(300_000))),
    "boxes": avif((), box(b"free") * 20_000),
}


@pytest.mark.parametrize("name", EXCESSIVE)
def test_very_many_parts_are_refused(name: str) -> None:
    began = time.process_time()
    with pytest.raises(PhotoError, match="more segments, blocks, chunks or items than a photo needs"):
        open_image(EXCESSIVE[name])
    assert time.process_time() - began < 1


def test_very_many_chunks_are_refused() -> None:
    with pytest.raises(PhotoError, match="more segments, blocks, chunks or items than a photo needs"):
        open_image(png(b"teXt", 200_000))


@pytest.mark.parametrize(
    "data",
    [
        jpeg(segment(0xE2, b"x" * 500) * 2000, b"\xff" * 500, segment(0xE1, b"Exif\0\0II*\0") * 8),
        gif(b"!\xff\x0bXMP DataXMP" + (b"\xff" + b"a" * 255) * 4000 + b"\0"),
        png(b"teXt", 20_000),
        png(b"teXt", 1)[:-12] + b"\0" * 2_000_000,
        avif((), box(b"free") * 100),
    ],
)
def test_photos_of_many_parts_are_read(data: bytes) -> None:
    assert open_image(data).size == (64, 64)
