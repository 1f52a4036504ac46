"""Memory of decoding: estimates against the measured peak of a process."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images import Limits, open_image
from lookalike.images.jpeg2000 import sample_bytes

WIDTH, HEIGHT = 1600, 1200
DECODE = """
import re, sys
from pathlib import Path
from lookalike.images import Limits, open_image
from lookalike.images.memory_estimate import decoded_bytes
from lookalike.images.formats import open_file
data = Path(sys.argv[1]).read_bytes()
open_image(Path(sys.argv[2]))  # loads the decoder
needed = decoded_bytes(open_file(data, most_pixels=2**40, name=""))
held = int(Path("/proc/self/statm").read_text().split()[1]) * 4096
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
open_image(data)
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
sys.stdout.write(f"{needed} {peak - held}")
"""


def noise(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(0)
    return Image.fromarray(rng.integers(0, 256, (height // 16, width // 16, 3), np.uint8)).resize((width, height))


def saved(kind: str, **options: object) -> Callable[[Image.Image], bytes]:
    def write(image: Image.Image) -> bytes:
        pillow_heif.register_heif_opener()
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return write


def with_alpha(write: Callable[[Image.Image], bytes]) -> Callable[[Image.Image], bytes]:
    def wrapped(image: Image.Image) -> bytes:
        image.putalpha(100)
        return write(image)

    return wrapped


TURNED = Image.Exif()
TURNED[0x0112] = 6
KINDS = {
    "JPEG": saved("JPEG"),
    "progressive JPEG": saved("JPEG", progressive=True, subsampling=0, exif=TURNED),
    "PNG": saved("PNG", compress_level=1),
    "PNG with alpha": with_alpha(saved("PNG", compress_level=1, exif=TURNED)),
    "lossy WebP": saved("WEBP", method=0),
    "lossless WebP": with_alpha(saved("WEBP", lossless=True, quality=0, method=0)),
    "AVIF": with_alpha(saved("AVIF", speed=10, subsampling="4:4:4", exif=TURNED)),
    "HEIC": saved("HEIF", quality=10),
    "TIFF of one strip": saved("TIFF", compression="tiff_lzw", strip_size=2**30),
    "JPEG 2000": saved("JPEG2000"),
    "JPEG 2000 of small blocks": saved("JPEG2000", codeblock_size=(4, 4)),
    "JPEG 2000 of small precincts": saved("JPEG2000", precinct_size=(32, 32)),
    "GIF": saved("GIF"),
    "BMP": saved("BMP"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="it reads the peak of a process from Linux's /proc")
@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_is_not_exceeded(kind: str, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(KINDS[kind](noise(WIDTH, HEIGHT)))
    (tmp_path / "small").write_bytes(KINDS[kind](noise(64, 64)))
    command = [sys.executable, "-c", DECODE, tmp_path / "large", tmp_path / "small"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    needed, taken = map(int, done.stdout.split())
    assert taken <= needed + 2**22
    assert needed <= 4 * taken + 2**25


@cache
def bombs() -> dict[str, bytes]:
    """Small files that unpack to much, or say that they do."""
    side = 12_000

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

    rows = zlib.compress(bytes((side + 1) * 9))
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", side, side, 8, 0, 0, 0, 0))
    flat = Image.new("L", (64, 64), 9)
    jp2 = bytearray(saved("JPEG2000", no_jp2=True)(flat))
    for at in (8, 12, 24, 28):  # the sizes of the photo and of its one tile
        jp2[at : at + 4] = side.to_bytes(4, "big")
    canvas = b"VP8X" + struct.pack("<L", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    tiff = saved("TIFF")(flat)
    gif = bytearray(saved("GIF")(flat))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    big_heic = bytearray(saved("HEIF")(noise(64, 64)))
    at = big_heic.index(b"ispe")
    big_heic[at + 8 : at + 16] = struct.pack(">LL", side, side)
    return {
        "PNG": b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""),
        "JPEG 2000": bytes(jp2),
        "WebP": b"RIFF" + struct.pack("<L", 4 + len(canvas)) + b"WEBP" + canvas,
        "GIF": bytes(gif),
        "TIFF": tiff.replace(struct.pack("<HHLL", 256, 4, 1, 64), struct.pack("<HHLL", 256, 4, 1, side)).replace(
            struct.pack("<HHLL", 257, 4, 1, 64), struct.pack("<HHLL", 257, 4, 1, side)
        ),
        "HEIC": bytes(big_heic),
        "PGM": b"P5 12000 12000 255\n",
        "BMP": b"BM" + bytes(8) + struct.pack("<LLllHHLLllLL", 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0),
    }


@pytest.mark.parametrize("kind", bombs())
def test_pixels_are_counted_before_memory_is_taken(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(PhotoError, match="pixels are more than the 120,000,000 allowed"):
        open_image(bombs()[kind])


def test_memory_is_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved("JPEG2000")(noise(640, 480))
    divided = 3 * (450 / 64**2 + 3 * 300 / 2**30) * sum(0.25**level for level in range(6))
    taken = 640 * 480 * (4 + 16.5) + 2 * len(data) + round(640 * 480 * divided)
    assert open_image(data, limits=Limits(memory=round(taken))).size == (640, 480)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(PhotoError, match=f"decoding takes about {round(taken):,} bytes, more than the"):
        open_image(data, limits=Limits(memory=round(taken) - 1))


def test_blocks_of_a_single_tile_count() -> None:
    """A tile may be divided otherwise than the file's header says."""
    data = saved("JPEG2000", no_jp2=True)(noise(640, 480))
    at, end = data.index(b"\xff\x52"), data.index(b"\xff\x90")
    coding = bytearray(data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")])
    coding[10:12] = 0, 0  # blocks of 4 x 4
    tile = data[end : end + 6] + (len(data) - end - 2 + len(coding)).to_bytes(4, "big") + data[end + 10 : end + 12]
    changed = data[:end] + tile + bytes(coding) + data[end + 12 :]
    assert open_image(changed[:-2] + data[-2:]).size == (640, 480)
    assert 200 < sample_bytes(changed) / sample_bytes(data) < 300


def progressive(side: int, *, scans: int) -> bytes:
    """A grey photo whose last scan comes again and again, in 75 bytes or fewer each."""
    file = io.BytesIO()
    Image.new("L", (side, side), 200).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * scans + data[-2:]


@pytest.mark.parametrize(("side", "scans"), [(64, 1000), (7000, 60)])
def test_a_jpeg_of_very_many_scans_is_refused(side: int, scans: int) -> None:
    """Each takes as long as all pixels do: 400 scans of 49 megapixels are 222 KB, and took 24 s."""
    began = time.monotonic()
    with pytest.raises(PhotoError, match="scans of"):
        open_image(progressive(side, scans=scans))
    with pytest.raises(PhotoError, match="scans of"):
        open_image(progressive(side, scans=scans)[:-2])  # which is decoded several times to see whether it is whole
    assert time.monotonic() - began < 5


def test_scans_are_those_before_the_end_marker() -> None:
    data = progressive(64, scans=20)
    remark = b"\xff\xe5" + (2 + 4 * 300).to_bytes(2, "big") + b"\xff\xda\0\2" * 300
    assert open_image(data[:2] + remark + data[2:] + b"\xff\xda\0\2" * 300).size == (64, 64)


def test_a_tile_larger_than_the_photo_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = tiled_tiff(2**16 - 16)
    monkeypatch.setattr("PIL.TiffImagePlugin.TiffImageFile.load", lambda self: pytest.fail("it was decoded"))
    with pytest.raises(PhotoError, match="decoding takes about"):
        open_image(data)


def tiled_tiff(side: int) -> bytes:
    """A photo of 64 x 64 pixels whose one tile is said to be larger."""
    values = {256: 64, 257: 64, 258: 8, 259: 5, 262: 1, 277: 1, 322: side, 323: side, 324: 8, 325: 4}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in values.items())
    return b"II*\0" + struct.pack("<L", 12) + bytes(4) + struct.pack("<H", len(values)) + entries + bytes(4)


class TestReducedJpeg2000:
    @pytest.mark.parametrize(
        ("size", "at_least", "expected"),
        [
            ((1600, 1200), None, (1600, 1200)),
            ((1600, 1200), 150, (200, 150)),
            ((1600, 1200), 601, (1600, 1200)),
            ((1600, 1200), 300, (400, 300)),
            ((101, 97), 10, (51, 49)),  # at a quarter, Pillow and its decoder round otherwise
        ],
    )
    def test_sizes(self, size: tuple[int, int], at_least: int | None, expected: tuple[int, int]) -> None:
        image = Image.new("RGB", size, (20, 160, 60))
        image.paste((200, 30, 40), (0, 0, size[0] // 2, size[1]))
        small = np.asarray(open_image(saved("JPEG2000")(image), at_least=at_least)).astype(int)
        assert small.shape == (expected[1], expected[0], 3)
        assert np.abs(small[:, : expected[0] // 2 - 4].mean(axis=(0, 1)) - (200, 30, 40)).max() <= 2
        assert np.abs(small[:, expected[0] // 2 + 4 :].mean(axis=(0, 1)) - (20, 160, 60)).max() <= 2
