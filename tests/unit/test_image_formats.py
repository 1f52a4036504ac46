"""Real and odd files of each format: what is beside the pixels never spoils them, and what tells their colours is used.

Expected values are computed here by the published formulas, or were drawn into the file.
"""

from __future__ import annotations

import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from lookalike.errors import PhotoError
from lookalike.images import content_type, open_image

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 160, 60), (30, 60, 190), (255, 255, 255)
SIGNATURE = b"\x89PNG\r\n\x1a\n"
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TO_XYZ = {  # linear RGB to XYZ under D65, by the primaries' chromaticities (H.273, table 2)
    "sRGB": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "P3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "BT.2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
CODES = {"sRGB": 1, "P3": 12, "BT.2020": 9}


def four_corners(width: int = 96, height: int = 64) -> Image.Image:
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def heic(image: Image.Image, **options: object) -> bytes:
    """A HEIC file, as phones write them; the writer is a tool of the tests alone."""
    file = io.BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=95, **options)
    return file.getvalue()


def avif(image: Image.Image, **options: object) -> bytes:
    return encoded(image, "AVIF", subsampling="4:4:4", **{"quality": 95, **options})


def chunk(name: bytes, body: bytes, *, broken: bool = False) -> bytes:
    return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body) ^ broken)


def png(
    rows: list[bytes],
    width: int,
    *,
    bits: int,
    kind: int,
    before: bytes = b"",
    after: bytes = b"",
    end: bytes | None = None,
) -> bytes:
    """A PNG of packed rows, with other chunks before and after its pixels."""
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, len(rows), bits, kind, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return SIGNATURE + header + before + pixels + after + (chunk(b"IEND", b"") if end is None else end)


def values(source: bytes) -> list[list[int]]:
    """The colours of a picture's first row."""
    return np.asarray(open_image(source))[0].tolist()


def assert_corners(image: Image.Image, *, within: int) -> None:
    pixels = np.asarray(image).astype(int)
    height, width = pixels.shape[:2]
    for x, y, color in ((1, 1, RED), (3, 1, GREEN), (1, 3, BLUE), (3, 3, WHITE)):
        assert np.abs(pixels[y * height // 4, x * width // 4] - color).max() <= within


def srgb_from_linear(linear: np.ndarray) -> np.ndarray:
    clipped = linear.clip(0, 1)
    return 255 * np.where(clipped <= 0.0031308, 12.92 * clipped, 1.055 * clipped ** (1 / 2.4) - 0.055)


def linear_from_srgb(code: np.ndarray) -> np.ndarray:
    part = code / 255
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def to_xyz(name: str) -> np.ndarray:
    x, y = np.array(TO_XYZ[name]).T
    columns = np.array([x / y, np.ones(3), (1 - x - y) / y])
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def expected_srgb(linear: np.ndarray, primaries: str) -> np.ndarray:
    """Linear colours of some primaries, as 8-bit sRGB."""
    return srgb_from_linear(linear @ (np.linalg.inv(to_xyz("sRGB")) @ to_xyz(primaries)).T)


TEXT = {
    "packed text of more than 2^20 bytes": chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**20 + 1))),
    "international text of more than 2^20 bytes": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(2**20 + 1))),
    "much text": b"".join(chunk(b"tEXt", b"k\0" + bytes(2**20)) for _ in range(3)),
    "text that is not packed as it says": chunk(b"zTXt", b"k\0\0nonsense"),
    "text packed in an unknown way": chunk(b"zTXt", b"k\0\7nonsense"),
    "a profile of more than 2^20 bytes": chunk(b"iCCP", b"p\0\0" + zlib.compress(SRGB + bytes(2**20))),
    "a profile that is not packed": chunk(b"iCCP", b"p\0\0nonsense"),
    "a profile packed in an unknown way": chunk(b"iCCP", b"p\0\7nonsense"),
    "a profile chunk of nothing": chunk(b"iCCP", b""),
    "a short physical size": chunk(b"pHYs", b"\0\0"),
    "a physical size of nothing": chunk(b"pHYs", b""),
    "a wrong checksum": chunk(b"pHYs", bytes(9), broken=True),
    "a wrong checksum of text": chunk(b"tEXt", b"k\0v", broken=True),
    "EXIF that is none": chunk(b"eXIf", b"nonsense"),
    "short code points": chunk(b"cICP", b"\1"),
    "a short gamma": chunk(b"gAMA", b"\0"),
    "a gamma of nothing": chunk(b"gAMA", bytes(4)),
    "chromaticities of nothing": chunk(b"gAMA", struct.pack(">L", 45455)) + chunk(b"cHRM", bytes(32)),
    "an unknown chunk": chunk(b"prVt", b"anything"),
    "animation control of nothing": chunk(b"acTL", b"") + chunk(b"fcTL", b"") + chunk(b"fdAT", b""),
    "a histogram and a time": chunk(b"hIST", b"") + chunk(b"tIME", b""),
}


class TestPng:
    @pytest.mark.parametrize("name", TEXT)
    @pytest.mark.parametrize("place", ["before", "after"])
    def test_what_is_beside_the_pixels_never_spoils_them(self, name: str, place: str) -> None:
        data = png([bytes([1, 2, 3, 250, 251, 252])], 2, bits=8, kind=2, **{place: TEXT[name]})
        assert values(data) == [[1, 2, 3], [250, 251, 252]]

    def test_the_smallest_example(self) -> None:
        data = png([b"\x07"], 1, bits=8, kind=0, before=chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(2**20 + 1), 9)))
        assert len(data) < 1200
        assert values(data) == [[7, 7, 7]]

    @pytest.mark.parametrize(("bits", "stored"), [(1, [0, 1]), (2, [0, 1, 2, 3]), (4, [0, 5, 10, 15])])
    def test_one_grey_of_few_bits_is_transparent(self, bits: int, stored: list[int]) -> None:
        row = sum(value << (8 - bits * (place + 1)) for place, value in enumerate(stored)) if bits < 4 else None
        packed = (
            bytes([row])
            if row is not None
            else bytes(a << 4 | b for a, b in zip(stored[::2], stored[1::2], strict=True))
        )
        greys = [value * 255 // (2**bits - 1) for value in stored]
        for transparent in stored:
            data = png([packed], len(stored), bits=bits, kind=0, before=chunk(b"tRNS", struct.pack(">H", transparent)))
            shown = [255 if value == transparent else grey for value, grey in zip(stored, greys, strict=True)]
            assert values(data) == [[grey] * 3 for grey in shown]

    def test_one_grey_of_sixteen_bits_is_transparent(self) -> None:
        row = struct.pack(">3H", 0x4000, 0x4001, 0xFFFF)
        data = png([row], 3, bits=16, kind=0, before=chunk(b"tRNS", struct.pack(">H", 0x4001)))
        assert values(data) == [[64] * 3, [255] * 3, [255] * 3]

    def test_one_color_of_sixteen_bits_is_transparent(self) -> None:
        row = struct.pack(">9H", *(0x1234, 0x5678, 0x9ABC), *(0x1234, 0x5678, 0x9ABD), *(0x1235, 0x5678, 0x9ABC))
        data = png([row], 3, bits=16, kind=2, before=chunk(b"tRNS", struct.pack(">3H", 0x1234, 0x5678, 0x9ABC)))
        assert values(data) == [[255] * 3, [0x12, 0x56, 0x9A], [0x12, 0x56, 0x9A]]

    def test_sixteen_bits_of_grey_keep_their_range(self) -> None:
        stored = [0, 1000, 20_000, 40_000, 65_535]
        got = [pixel[0] for pixel in values(png([struct.pack(">5H", *stored)], 5, bits=16, kind=0))]
        assert got == [round(value * 255 / 65_535) for value in stored]

    def test_damaged_pixels_are_refused(self) -> None:
        data = bytearray(png([bytes(range(99))], 33, bits=8, kind=2))
        data[data.index(b"IDAT") + 30] ^= 1
        with pytest.raises(PhotoError, match="the file is damaged"):
            open_image(bytes(data))

    def test_only_the_end_is_missing(self) -> None:
        data = png([bytes(range(99))], 33, bits=8, kind=2)
        whole = values(data)
        for cut in (12, 14, 16):  # the end chunk, its neighbour's checksum in part and in whole
            assert values(data[:-cut]) == whole
        with pytest.raises(PhotoError, match="cut short"):
            open_image(data[:-40])

    def test_orientation_after_the_pixels(self) -> None:
        data = png([b"\0\xff"], 2, bits=8, kind=0, after=chunk(b"eXIf", exif(6, kind=3, order=">")))
        assert open_image(data).size == (1, 2)


def exif(value: int, *, kind: int, order: str) -> bytes:
    """EXIF with an orientation of some type: 1 BYTE, 3 SHORT, 4 LONG, 6 SBYTE, 8 SSHORT, 9 SLONG."""
    letter = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}[kind]
    body = struct.pack(order + letter, value).ljust(4, b"\0")
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "LHHHL", 8, 1, 0x0112, kind, 1) + body + bytes(4)


TURNED = {  # what a viewer shows of a stored picture
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels, 2).swapaxes(0, 1),
    8: lambda pixels: np.rot90(pixels, 1),
}


class TestOrientation:
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
    @pytest.mark.parametrize("value", range(1, 9))
    def test_of_every_whole_type(self, value: int, kind: int, order: str) -> None:
        block = exif(value, kind=kind, order=order)
        stored = four_corners()
        shown = TURNED[value](np.asarray(stored))
        assert np.array_equal(np.asarray(open_image(encoded(stored, "PNG", exif=block))), shown)
        assert np.array_equal(np.asarray(open_image(encoded(stored, "WEBP", exif=block, lossless=True))), shown)
        got = np.asarray(open_image(encoded(stored, "JPEG", exif=b"Exif\0\0" + block, quality=95))).astype(int)
        assert got.shape == shown.shape and np.abs(got - shown).mean() < 3

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
    @pytest.mark.parametrize("value", [1, 3, 6, 8])
    def test_in_tiff(self, value: int, kind: int, order: str) -> None:
        stored = np.asarray(four_corners())
        shown = np.asarray(open_image(tiff(stored, order=order, orientation=(kind, value))))
        assert np.array_equal(shown, TURNED[value](stored))

    @pytest.mark.parametrize("value", [0, 9, 255])
    def test_what_it_cannot_be_is_ignored(self, value: int) -> None:
        stored = four_corners()
        data = encoded(stored, "PNG", exif=exif(value, kind=3, order="<"))
        assert np.array_equal(np.asarray(open_image(data)), np.asarray(stored))
        told = np.asarray(open_image(tiff(np.asarray(stored), order="<", orientation=(3, value))))
        assert np.array_equal(told, np.asarray(stored))

    @pytest.mark.parametrize("value", range(1, 9))
    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_turned_once_where_the_decoder_turns(self, kind: str, value: int) -> None:
        """AVIF and HEIC say it by boxes (irot, imir), and mostly in EXIF too."""
        stored = four_corners()
        block = exif(value, kind=3, order="<")
        if kind == "AVIF":
            data = avif(stored, exif=block)
        else:
            file = io.BytesIO()
            stored.info["exif"] = b"Exif\0\0" + block
            pillow_heif.register_heif_opener()
            stored.save(file, "HEIF", quality=95, exif=stored.info["exif"])
            data = file.getvalue()
        got = np.asarray(open_image(data)).astype(int)
        shown = TURNED[value](np.asarray(four_corners()))
        assert got.shape == shown.shape and np.abs(got - shown).mean() < 3


def tiff(
    pixels: np.ndarray,
    *,
    order: str = "<",
    big: bool = False,
    orientation: tuple[int, int] | None = None,
    photometric: int = 2,
) -> bytes:
    """A TIFF or BigTIFF of one strip, 8 or 16 bits a sample."""
    height, width, samples = pixels.shape
    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    start = 16 if big else 8
    bits = 8 * pixels.dtype.itemsize
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, None),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, start),
        (277, 3, 1, samples),
        (278, 4, 1, height),
        (279, 4, 1, len(body)),
    ]
    if orientation is not None:
        tags.append((274, orientation[0], 1, orientation[1]))
    tags.sort()
    entry, number, room = (20, "Q", 8) if big else (12, "L", 4)
    directory = start + len(body)
    depths_at = directory + (8 if big else 2) + entry * len(tags) + room
    depths = struct.pack(order + f"{samples}H", *[bits] * samples)
    written = struct.pack(order + ("Q" if big else "H"), len(tags))
    for tag, kind, count, value in tags:
        letter = {1: "B", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l"}[kind]
        if value is not None:
            field = struct.pack(order + letter, value).ljust(room, b"\0")
        else:
            field = depths.ljust(room, b"\0") if len(depths) <= room else struct.pack(order + number, depths_at)
        written += struct.pack(order + "HH" + number, tag, kind, count) + field
    written += bytes(room) + depths
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, directory) if big else struct.pack(order + "HL", 42, directory)
    return mark + head + body + written


class TestTiff:
    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("big", [False, True])
    @pytest.mark.parametrize("depth", [np.uint8, np.uint16])
    def test_both_sizes_both_orders(self, order: str, big: bool, depth: type) -> None:
        pixels = np.asarray(four_corners())
        stored = pixels.astype(depth) * (1 if depth is np.uint8 else 257)
        data = tiff(stored, order=order, big=big)
        assert content_type(data[:64], name="x") == "image/tiff"
        assert np.array_equal(np.asarray(open_image(data)), pixels)

    def test_grey_of_sixteen_bits_where_0_is_white(self) -> None:
        stored = np.array([[[0], [65_535], [0x4000]]], np.uint16)
        assert values(tiff(stored, photometric=1)) == [[0] * 3, [255] * 3, [64] * 3]

    def test_lab(self) -> None:
        """L* 50 with a* 60, b* 40 is a red; the value is worked out by the formulas of CIE 15."""
        lab = Image.fromarray(np.full((8, 8, 3), (128, 128 + 60, 128 + 40), np.uint8))
        data = encoded(Image.merge("LAB", lab.split()), "TIFF")
        fy = (128 / 255 * 100 + 16) / 116
        f = np.array([fy + 60 / 500, fy, fy - 40 / 200])
        xyz = np.where(f > 6 / 29, f**3, (f - 4 / 29) * 3 * (6 / 29) ** 2) * [0.9642, 1, 0.8249]
        d50_to_linear = np.array(  # sRGB's matrix adapted to D50 by Bradford
            [
                [3.1338561, -1.6168667, -0.4906146],
                [-0.9787684, 1.9161415, 0.0334540],
                [0.0719453, -0.2289914, 1.4052427],
            ]
        )
        assert values(data)[0] == pytest.approx(srgb_from_linear(d50_to_linear @ xyz), abs=3)


class TestJpeg:
    def photo(self, **options: object) -> bytes:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (12, 17, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        return encoded(Image.fromarray(pixels), "JPEG", quality=80, **options)

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_blocks": 7}])
    @pytest.mark.parametrize("at_least", [None, 20])
    def test_only_the_end_marker_is_missing(self, options: dict[str, object], at_least: int | None) -> None:
        data = self.photo(**options)
        whole = np.asarray(open_image(data, at_least=at_least))
        for end in (b"", b"\xff"):
            assert np.array_equal(np.asarray(open_image(data[:-2] + end, at_least=at_least)), whole)
        assert np.array_equal(np.asarray(open_image(data + b"anything" * 99, at_least=at_least)), whole)

    @pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 7}])
    def test_where_pixels_are_missing_it_is_cut_short(self, options: dict[str, object]) -> None:
        data = self.photo(**options)
        for missing in (5, 9, 40, len(data) // 3):
            with pytest.raises(PhotoError, match="cut short"):
                open_image(data[:-missing])

    def test_a_progressive_file_cut_between_scans_is_cut_short(self) -> None:
        data = self.photo(progressive=True)
        scans = [at for at in range(len(data)) if data[at : at + 2] == b"\xff\xda"]
        assert len(scans) > 3
        for scan in scans[2:]:
            start = data.rindex(b"\xff\xc4", 0, scan)  # a scan begins with its tables
            with pytest.raises(PhotoError, match="cut short"):
                open_image(data[:start])

    @pytest.mark.parametrize(
        "segment",
        [
            b"\xff\xe0\x00\x08JFIF\x00\x01",
            b"\xff\xe0\x00\x07JFIF\x00",
            b"\xff\xee\x00\x07Adobe",
            b"\xff\xed\x00\x1aPhotoshop 3.0\x008BIM\x03\xed\x09\x00\x00\x00",
            b"\xff\xed\x00\x16Photoshop 3.0\x008BIM\x03\xed",
            b"\xff\xe1\x00\x0aExif\x00\x00MM",
            b"\xff\xe1\x00\x05Exi",
            b"\xff\xe2\x00\x10ICC_PROFILE\x00\x07\x07",
            b"\xff\xe2\x00\x0eICC_PROFILE\x00",
            b"\xff\xe2\x00\x06MPF\x00",
            b"\xff\xfe\x00\x02",
        ],
    )
    def test_damaged_remarks_are_passed_over(self, segment: bytes) -> None:
        data = self.photo()
        expected = np.asarray(open_image(data))
        assert np.array_equal(np.asarray(open_image(data[:2] + segment + data[2:])), expected)
        after = 4 + int.from_bytes(data[4:6], "big")
        assert np.array_equal(np.asarray(open_image(data[:after] + segment + data[after:])), expected)

    def test_parts_of_a_profile_in_any_order(self) -> None:
        swapped = exchanged_profile()
        parts = [swapped[:300], swapped[300:]]
        segments = [
            b"\xff\xe2" + struct.pack(">H", 16 + len(part)) + b"ICC_PROFILE\0" + bytes([place, 2]) + part
            for place, part in enumerate(parts, 1)
        ]
        data = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "JPEG", quality=100)
        for both in (segments, segments[::-1]):
            assert values(data[:2] + b"".join(both) + data[2:])[0] == pytest.approx([0, 255, 0], abs=3)
        assert values(data[:2] + segments[0] + data[2:])[0] == pytest.approx([255, 0, 0], abs=3)


def exchanged_profile() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    profile = bytearray(SRGB)
    for entry in range(struct.unpack_from(">L", profile, 128)[0]):
        at = 132 + 12 * entry
        name = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(name, name)
    return bytes(profile)


class TestWideColors:
    """Eight colours, encoded in the wide space from their linear values, and the sRGB that the formulas give."""

    COLORS = np.array(
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 30, 40), (20, 160, 60), (90, 90, 90), WHITE, (0, 0, 0)]
    )

    def stored(self, primaries: str) -> np.ndarray:
        """Codes, in a wide space with the curve of sRGB, of colours that sRGB has too; (8, 3) uint8."""
        linear = linear_from_srgb(self.COLORS) @ (np.linalg.inv(to_xyz(primaries)) @ to_xyz("sRGB")).T
        return srgb_from_linear(linear).round().astype(np.uint8)

    @pytest.mark.parametrize("primaries", CODES)
    def test_png(self, primaries: str) -> None:
        cicp = chunk(b"cICP", bytes([CODES[primaries], 13, 0, 1]))
        wrong = chunk(b"iCCP", b"p\0\0" + zlib.compress(exchanged_profile()))  # cICP goes before
        data = png([self.stored(primaries).tobytes()], 8, bits=8, kind=2, before=wrong + cicp)
        assert np.abs(np.array(values(data)) - self.COLORS).max() <= 4

    @pytest.mark.parametrize("primaries", CODES)
    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_boxed(self, kind: str, primaries: str) -> None:
        pixels = self.stored(primaries)[None].repeat(16, 0).repeat(16, 1)
        image = Image.fromarray(pixels)
        data = bytearray(avif(image, quality=100) if kind == "AVIF" else heic(image, chroma=444))
        at = data.index(b"nclx")
        data[at + 4 : at + 6] = struct.pack(">H", CODES[primaries])
        pillow_heif.register_heif_opener()
        stored = np.asarray(Image.open(io.BytesIO(data)))[8, 8::16]
        got = np.asarray(open_image(bytes(data)))[8, 8::16].astype(int)
        assert np.abs(got - expected_srgb(linear_from_srgb(stored), primaries)).max() <= 4
        assert np.abs(got - self.COLORS).max() <= 16  # what coding lost, the dark red beside green most

    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_a_profile_goes_before_code_points(self, kind: str) -> None:
        image = Image.new("RGB", (64, 64), (255, 0, 0))
        image.info["icc_profile"] = exchanged_profile()
        data = avif(image, icc_profile=exchanged_profile()) if kind == "AVIF" else heic(image)
        assert np.asarray(open_image(data))[30, 30].tolist() == pytest.approx([0, 255, 0], abs=6)

    @pytest.mark.parametrize("primaries", CODES)
    @pytest.mark.parametrize("transfer", [16, 18])
    def test_high_dynamic_range(self, primaries: str, transfer: int) -> None:
        """White is 203 cd/m2 and what is brighter. PQ by ST 2084, HLG by BT.2100 at 1,000 cd/m2."""
        nits = np.array([(0, 0, 0), (20.3,) * 3, (101.5,) * 3, (203,) * 3, (1000,) * 3, (150, 20, 20), (10, 90, 30)])
        if transfer == 16:
            power = (nits / 10_000) ** (2610 / 16384)
            signal = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
        else:
            scene = (nits / 1000) ** (1 / 1.2)
            signal = np.where(
                scene <= 1 / 12,
                np.sqrt(3 * scene),
                0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
            )
        row = (signal * 65_535).round().astype(">u2").tobytes()
        data = png([row], len(nits), bits=16, kind=2, before=chunk(b"cICP", bytes([CODES[primaries], transfer, 0, 1])))
        expected = expected_srgb((nits / 203).clip(0, 1), primaries)
        assert np.abs(np.array(values(data)) - expected).max() <= 5

    def test_measured_gamma_and_primaries(self) -> None:
        linear = np.array([(0.0, 0, 0), (0.2, 0.5, 0.8), (1, 1, 1), (0.5, 0.5, 0.5)])
        xy = [0.3127, 0.3290, *(number for pair in TO_XYZ["P3"] for number in pair)]
        chromaticities = chunk(b"cHRM", struct.pack(">8L", *(round(number * 100_000) for number in xy)))
        gamma = chunk(b"gAMA", struct.pack(">L", 100_000))
        row = (linear * 255).round().astype(np.uint8)
        data = png([row.tobytes()], 4, bits=8, kind=2, before=gamma + chromaticities)
        assert np.abs(np.array(values(data)) - expected_srgb(row / 255, "P3")).max() <= 3
        plain = png([row.tobytes()], 4, bits=8, kind=2, before=chunk(b"sRGB", b"\0") + gamma + chromaticities)
        assert values(plain) == row.tolist()


class TestBoxed:
    """AVIF and HEIC."""

    @pytest.mark.parametrize("brand", [b"mif1", b"msf1", b"miaf"])
    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_compatible_brands_decide(self, kind: str, brand: bytes) -> None:
        data = avif(four_corners()) if kind == "AVIF" else heic(four_corners())
        own, end = data[8:12], int.from_bytes(data[:4], "big")
        renamed = data[:8] + brand + data[12:]
        if own not in renamed[16:end]:
            renamed = renamed[:16] + own + renamed[20:]
        assert content_type(renamed[:64], name="x") == f"image/{kind.lower()}"
        assert_corners(open_image(renamed), within=8)
        items_alone = data[:8] + brand + data[12:16] + b"mif1" * ((end - 16) // 4) + data[end:]
        assert content_type(items_alone[:64], name="x") == "image/heif"
        assert_corners(open_image(items_alone), within=8)

    def test_a_phone_photo(self) -> None:
        """As phones write: HEVC, turned by a box and by EXIF, with a profile, and a thumbnail."""
        stored = four_corners(640, 480)
        stored.info["icc_profile"] = SRGB
        file = io.BytesIO()
        block = b"Exif\0\0" + exif(6, kind=3, order=">")
        pillow_heif.register_heif_opener()
        stored.save(file, "HEIF", quality=90, exif=block, thumbnails=[128])
        image = open_image(file.getvalue())
        assert image.size == (480, 640) and image.mode == "RGB" and image.info == {}
        shown = np.rot90(np.asarray(four_corners(640, 480)), -1)
        assert np.abs(np.asarray(image).astype(int) - shown).mean() < 2
        assert content_type(file.getvalue()[:64], name="x") == "image/heic"

    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_transparency_lies_on_white(self, kind: str) -> None:
        image = Image.new("RGBA", (64, 64), (*RED, 128))
        got = np.asarray(open_image(avif(image) if kind == "AVIF" else heic(image)))[30, 30]
        assert got.tolist() == pytest.approx([(c + 255) / 2 for c in RED], abs=6)

    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    def test_damaged_exif_and_xmp_are_passed_over(self, kind: str) -> None:
        told = Image.Exif()
        told[0x010E] = "a description of the photo"
        options = {"exif": told.tobytes(), "xmp": b"<x:xmpmeta/>"}
        data = avif(four_corners(), **options) if kind == "AVIF" else heic(four_corners(), **options)
        at = max(data.find(b"II*\0"), data.find(b"MM\0*"))  # the writer may turn its order
        assert at > 0
        assert_corners(open_image(data[:at] + b"\xff" * 26 + data[at + 26 :]), within=8)

    @pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
    @pytest.mark.parametrize("name", [b"Exi\xff", b"\xff\xfe\xfd\xfc", b"mime", b"uri ", b"what"])
    def test_items_of_odd_kinds_are_passed_over(self, kind: str, name: bytes) -> None:
        """Reading the list of them crashed the process when a kind was not UTF-8."""
        told = Image.Exif()
        told[0x010E] = "a description of the photo"
        data = (
            avif(four_corners(), exif=told.tobytes()) if kind == "AVIF" else heic(four_corners(), exif=told.tobytes())
        )
        assert b"Exif\0" in data
        assert_corners(open_image(data.replace(b"Exif\0", name + b"\0", 1)), within=8)

    @pytest.mark.parametrize("depth", [10, 12])
    def test_more_bits(self, depth: int) -> None:
        pixels = np.asarray(four_corners()).astype(np.uint16) * 257
        file = io.BytesIO()
        pillow_heif.options.SAVE_HDR_TO_12_BIT = depth == 12
        pillow_heif.from_bytes("RGB;16", (96, 64), pixels.tobytes()).save(file, quality=95)
        assert_corners(open_image(file.getvalue()), within=8)

    def test_sizes_of_a_cut_file(self) -> None:
        data = heic(four_corners())
        for end in range(0, len(data), 97):
            with pytest.raises(PhotoError):
                open_image(data[:end] or b"x")


def test_files_that_are_taken_for_photos_are_named() -> None:
    for start, kind in (
        (b"\xff\x0a\xfa\x7f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
    ):
        with pytest.raises(PhotoError, match=f"not a photo in a format that can be read, but {kind}; save it as JPEG"):
            open_image(start + bytes(64))


def test_numbers_of_more_than_eight_bits_keep_their_order() -> None:
    for stored in (
        np.array([[0, 100, 255]], np.int32),
        np.array([[0, 9_000, 65_535]], np.int32),
        np.array([[-5.0, 0.2, 1.0]], np.float32),
    ):
        shown = [pixel[0] for pixel in values(encoded(Image.fromarray(stored), "TIFF"))]
        assert shown[0] == 0 and shown[-1] == 255 and all(a < b for a, b in pairwise(shown))
