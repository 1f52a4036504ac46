"""Opening photos: every format gives an upright sRGB image, or one clear error."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, features

from lookalike.errors import PhotoError, UsageError
from lookalike.images import Limits, open_image
from lookalike.types import Box

RED, GREEN, BLUE, WHITE = (200, 30, 40), (20, 160, 60), (30, 60, 190), (255, 255, 255)
CORNERS = {"top left": RED, "top right": GREEN, "bottom left": BLUE, "bottom right": WHITE}
HEIC = b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"


def four_corners(width: int = 96, height: int = 64) -> Image.Image:
    """A picture whose quarters are red, green, blue and white."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def corners_of(image: Image.Image) -> dict[str, np.ndarray]:
    pixels = np.asarray(image).astype(int)
    height, width = pixels.shape[:2]
    top, bottom, left, right = height // 4, 3 * height // 4, width // 4, 3 * width // 4
    return {
        "top left": pixels[top, left],
        "top right": pixels[top, right],
        "bottom left": pixels[bottom, left],
        "bottom right": pixels[bottom, right],
    }


def assert_corners(image: Image.Image, *, within: int) -> None:
    assert image.mode == "RGB"
    for place, pixel in corners_of(image).items():
        assert np.abs(pixel - CORNERS[place]).max() <= within, (place, pixel)


def refused(source: object, **options: object) -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        open_image(source, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return caught.value


FORMATS: dict[str, tuple[dict[str, object], int]] = {  # options of the writer, how far a colour may be off
    "JPEG": ({"quality": 95}, 6),
    "PNG": ({}, 0),
    "WEBP": ({"lossless": True}, 0),
    "AVIF": ({"quality": 95}, 6),
    "GIF": ({}, 0),
    "BMP": ({}, 0),
    "TIFF": ({"compression": "tiff_lzw"}, 0),
    "JPEG2000": ({"irreversible": False}, 0),
    "PPM": ({}, 0),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_known_by_its_content(kind: str, tmp_path: Path) -> None:
    options, within = FORMATS[kind]
    path = tmp_path / "photo.txt"
    path.write_bytes(encoded(four_corners(), kind, **options))
    image = open_image(path)
    assert image.size == (96, 64)
    assert_corners(image, within=within)


def test_every_kind_of_source_gives_the_same_picture(tmp_path: Path) -> None:
    data = encoded(four_corners(), "JPEG")
    path = tmp_path / "a photo.jpg"
    path.write_bytes(data)
    with path.open("rb") as file:
        pictures = [open_image(source) for source in (data, path, str(path), io.BytesIO(data), file)]
    for picture in pictures[1:]:
        assert np.array_equal(np.asarray(picture), np.asarray(pictures[0]))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_all_eight_orientations_stand_upright(kind: str, orientation: int) -> None:
    stored = {
        1: lambda image: image,
        2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
        4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
        7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
        8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
    }[orientation](four_corners())
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, kind, exif=exif)
    image = open_image(data)
    assert image.size == (96, 64)
    assert_corners(image, within=30)
    corner = open_image(data, box=Box(48, 0, 96, 32))
    assert corner.size == (48, 32)
    assert np.abs(np.asarray(corner).astype(int).mean(axis=(0, 1)) - GREEN).max() <= 30


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\x00\x00",
        b"Exif\x00\x00II*\x00\xff\xff\xff\xff",
        b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff\x01",
        b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x63\x00\x00\x00",
        b"no exif at all",
    ],
)
def test_broken_exif_leaves_the_photo_as_it_is(exif: bytes) -> None:
    data = encoded(four_corners(), "JPEG", exif=exif)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert_corners(open_image(data), within=30)
    assert not warned


class TestColours:
    """Golden values: what a colour-managed program shows for these files."""

    def flat(self, image: Image.Image) -> tuple[int, ...]:
        assert image.mode == "RGB"
        pixels = np.asarray(image).reshape(-1, 3)
        assert (pixels == pixels[0]).all()
        return tuple(pixels[0].tolist())

    def test_grey_black_and_white(self) -> None:
        assert self.flat(open_image(encoded(Image.new("L", (8, 8), 77), "PNG"))) == (77, 77, 77)
        assert self.flat(open_image(encoded(Image.new("1", (8, 8), 1), "PNG"))) == (255, 255, 255)
        assert self.flat(open_image(encoded(Image.new("1", (8, 8), 0), "TIFF"))) == (0, 0, 0)

    @pytest.mark.parametrize(
        ("values", "kind", "expected"),
        [
            (np.full((8, 8), 0x8080, np.uint16), "PNG", 0x80),
            (np.full((8, 8), 0x8080, np.uint16), "TIFF", 0x80),
            (np.full((8, 8), 200, np.uint16), "PNG", 1),
            (np.full((8, 8), 65535, np.int32), "TIFF", 255),
            (np.full((8, 8), 2**30, np.int32), "TIFF", 128),
            (np.full((8, 8), 0.5, np.float32), "TIFF", 128),
            (np.full((8, 8), 51.0, np.float32), "TIFF", 51),
            (np.full((8, 8), np.nan, np.float32), "TIFF", 0),
        ],
    )
    def test_more_than_eight_bits_are_scaled(self, values: np.ndarray, kind: str, expected: int) -> None:
        assert self.flat(open_image(encoded(Image.fromarray(values), kind))) == (expected,) * 3

    def test_sixteen_bits_a_channel(self) -> None:
        def chunk(name: bytes, body: bytes) -> bytes:
            return struct.pack(">L", len(body)) + name + body + struct.pack(">L", zlib.crc32(name + body))

        row = b"\x00" + struct.pack(">HHH", 0x2000, 0x8080, 0xFFFF) * 4
        header = struct.pack(">LLBBBBB", 4, 4, 16, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row * 4))
        assert self.flat(open_image(data + chunk(b"IEND", b""))) == (0x20, 0x80, 0xFF)

    @pytest.mark.parametrize("alpha", [0, 128, 255])
    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
    def test_transparency_lies_on_white(self, kind: str, alpha: int) -> None:
        options = {"lossless": True} if kind == "WEBP" else {}
        got = self.flat(open_image(encoded(Image.new("RGBA", (8, 8), (*RED, alpha)), kind, **options)))
        share = alpha / 255
        assert got == pytest.approx([share * c + (1 - share) * 255 for c in RED], abs=1)

    def test_transparent_grey_and_palettes(self) -> None:
        assert self.flat(open_image(encoded(Image.new("LA", (8, 8), (0, 128)), "PNG"))) == (127, 127, 127)
        palette = Image.new("P", (8, 8), 1)
        palette.putpalette([*RED, *GREEN])
        assert self.flat(open_image(encoded(palette, "PNG"))) == GREEN
        assert self.flat(open_image(encoded(palette, "PNG", transparency=1))) == WHITE
        assert self.flat(open_image(encoded(palette, "PNG", transparency=b"\x00\x80"))) == pytest.approx(
            [(c + 255) / 2 for c in GREEN], abs=1
        )
        assert self.flat(open_image(encoded(palette, "GIF", transparency=1))) == WHITE
        assert self.flat(open_image(encoded(Image.new("RGB", (8, 8), RED), "PNG", transparency=RED))) == WHITE
        assert self.flat(open_image(encoded(Image.new("L", (8, 8), 9), "PNG", transparency=9))) == WHITE

    def test_palette_with_alpha(self) -> None:
        image = Image.new("PA", (8, 8), (0, 0))
        image.putpalette([*RED])
        assert self.flat(open_image(encoded(image, "TIFF"))) in {WHITE, RED}  # TIFF may drop the alpha

    def test_ink_without_a_profile(self) -> None:
        # (1 - C)(1 - K), the rule for ink of which nothing is known
        ink = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
        assert self.flat(open_image(encoded(ink, "TIFF"))) == (255, 0, 0)
        red, green, blue = self.flat(open_image(encoded(ink, "JPEG", quality=100)))  # stored upside down, as Adobe does
        assert red >= 253 and green <= 2 and blue <= 2

    def test_lab(self) -> None:
        lab = Image.new("LAB", (8, 8), (255, 128, 128))  # of a and b, 128 is neutral
        assert self.flat(open_image(encoded(lab, "TIFF"))) == pytest.approx([255, 255, 255], abs=2)

    def test_a_profile_is_obeyed(self) -> None:
        swapped = swapped_profile()
        assert self.flat(open_image(encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG", icc_profile=swapped))) == (
            pytest.approx([0, 255, 0], abs=2)
        )
        grey = Image.new("L", (8, 8), 128)
        assert self.flat(open_image(encoded(grey, "PNG", icc_profile=swapped))) == pytest.approx([128] * 3, abs=2)

    def test_a_profile_that_is_already_srgb_changes_no_bit(self) -> None:
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        image = open_image(encoded(Image.fromarray(pixels), "PNG", icc_profile=srgb))
        assert np.array_equal(np.asarray(image), pixels)

    @pytest.mark.parametrize("profile", [b"broken", b"\x00" * 200, b"\x00" * 16 + b"RGB " + b"\x00" * 200])
    @pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
    def test_a_broken_profile_is_ignored(self, profile: bytes, mode: str) -> None:
        image = Image.new(mode, (8, 8), "white")
        assert self.flat(open_image(encoded(image, "PNG", icc_profile=profile))) == WHITE

    def test_a_profile_for_other_colours_is_ignored(self) -> None:
        for image in (Image.new("CMYK", (8, 8), (0, 255, 255, 0)), Image.new("RGB", (8, 8), (255, 0, 0))):
            grey_for_red = bytearray(swapped_profile())
            grey_for_red[16:20] = b"GRAY"
            data = encoded(image, "TIFF", icc_profile=bytes(grey_for_red))
            assert self.flat(open_image(data)) == (255, 0, 0)


def swapped_profile() -> bytes:
    """An sRGB profile whose red and green primaries have changed places."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for entry in range(struct.unpack_from(">L", profile, 128)[0]):
        at = 132 + 12 * entry
        name = bytes(profile[at : at + 4])
        profile[at : at + 4] = {b"rXYZ": b"gXYZ", b"gXYZ": b"rXYZ"}.get(name, name)
    return bytes(profile)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.asarray(open_image(data))[8, 8].tolist() == list(RED)


def test_nothing_of_the_file_comes_along() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(four_corners(), "JPEG", exif=exif, icc_profile=swapped_profile(), comment=b"secret")
    assert open_image(data).info == {}


class TestReducedScale:
    """A JPEG comes at an eighth, a quarter or half its size, but never with a side shorter than asked for."""

    @pytest.mark.parametrize(
        ("at_least", "size"),
        [
            (None, (1600, 1200)),
            (601, (1600, 1200)),
            (600, (800, 600)),
            (224, (400, 300)),
            (150, (200, 150)),
            (1, (200, 150)),
        ],
    )
    def test_sizes(self, at_least: int | None, size: tuple[int, int]) -> None:
        image = open_image(encoded(four_corners(1600, 1200), "JPEG"), at_least=at_least)
        assert image.size == size
        assert_corners(image, within=6)

    @given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 400))
    @settings(max_examples=60, deadline=None)
    def test_never_below_what_was_asked_for(self, width: int, height: int, at_least: int) -> None:
        data = encoded(Image.new("RGB", (width, height), RED), "JPEG")
        image = open_image(data, at_least=at_least)
        assert min(image.size) >= min(at_least, width, height)

    @given(
        st.tuples(st.integers(64, 640), st.integers(64, 640)),
        st.tuples(st.floats(0, 0.9), st.floats(0, 0.9), st.floats(0.1, 1.5), st.floats(0.1, 1.5)),
        st.integers(1, 200),
        st.sampled_from([1, 6]),
    )
    @settings(max_examples=60, deadline=None)
    def test_a_box_keeps_its_pixels(
        self, size: tuple[int, int], part: tuple[float, float, float, float], at_least: int, orientation: int
    ) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.new("RGB", size, RED), "JPEG", exif=exif)
        width, height = size if orientation == 1 else size[::-1]
        x, y, across, down = part
        box = Box(x * width, y * height, (x + across) * width, (y + down) * height)
        visible = min(min(box.x2, width) - box.x1, min(box.y2, height) - box.y1)
        assert min(open_image(data, box=box, at_least=at_least).size) >= min(at_least, int(visible))

    def test_a_box_shows_the_same_part_at_every_scale(self) -> None:
        data = encoded(four_corners(1600, 1200), "JPEG")
        for at_least in (None, 100, 50):
            image = open_image(data, box=Box(800, 0, 1600, 600), at_least=at_least)
            assert np.abs(np.asarray(image).astype(int).mean(axis=(0, 1)) - GREEN).max() <= 2


class TestBox:
    def test_it_is_clipped(self) -> None:
        data = encoded(four_corners(), "PNG")
        assert open_image(data, box=Box(90, 60, 500, 500)).size == (6, 4)
        assert open_image(data, box=Box(0.5, 0.5, 1.5, 1.5)).size == (2, 2)

    def test_four_numbers_are_no_box(self) -> None:
        with pytest.raises(UsageError, match=r"expected a box as lookalike\.Box\(x1, y1, x2, y2\), got \(1, 2, 3, 4\)"):
            open_image(encoded(four_corners(), "PNG"), box=(1, 2, 3, 4))  # type: ignore[arg-type]

    def test_outside_it_is_refused(self) -> None:
        error = refused(encoded(four_corners(), "PNG"), box=Box(96, 0, 120, 10))
        assert error.reason == "the box 96,0,120,10 lies outside the photo of 96x64 pixels"


class TestRefusals:
    def test_names_and_reasons(self, tmp_path: Path) -> None:
        assert str(refused(tmp_path / "none.jpg")) == f"{tmp_path / 'none.jpg'}: no such file"
        assert refused(str(tmp_path)).reason == "this is a folder, not a photo"
        assert refused(f"file://{tmp_path}/none.jpg").reason.startswith("addresses that can be read begin with s3://")
        assert refused("strange://photo.jpg").reason.startswith("addresses that can be read begin with s3://")
        assert refused("null\x00byte").reason.startswith("cannot be read: ")
        assert refused(b"").reason == "the file is empty"
        assert str(refused(b"hello", name="upload 7")).startswith("upload 7: not a photo in a format")
        assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n").reason.startswith("not a photo in a format")
        assert refused(HEIC).reason == "the file is damaged"
        assert refused(io.BytesIO(b"")).source == "photo"

    @pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="the administrator may read everything")
    def test_no_permission(self, tmp_path: Path) -> None:
        path = tmp_path / "locked.jpg"
        path.touch(mode=0o000)
        assert refused(path).reason == "permission denied"

    @pytest.mark.parametrize("kind", FORMATS)
    def test_half_a_file(self, kind: str) -> None:
        rng = np.random.default_rng(0)
        data = encoded(Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)), kind, **FORMATS[kind][0])
        assert refused(data[: len(data) // 2]).reason in {"the file is cut short", "the file is damaged"}

    def test_a_cut_jpeg_says_so(self) -> None:
        data = encoded(four_corners(640, 640), "JPEG")
        assert refused(data[: len(data) // 2]).reason == "the file is cut short"
        assert refused(data[: len(data) // 2], at_least=64).reason == "the file is cut short"

    def test_too_many_bytes(self, tmp_path: Path) -> None:
        data = encoded(four_corners(), "PNG")
        path = tmp_path / "photo.png"
        path.write_bytes(data)
        for source in (lambda: data, lambda: path, lambda: io.BytesIO(data)):
            assert open_image(source(), limits=Limits(bytes=len(data))).size == (96, 64)
            reason = refused(source(), limits=Limits(bytes=len(data) - 1)).reason
            assert reason == f"the file is longer than the {len(data) - 1:,} bytes allowed"

    def test_no_more_is_read_than_allowed(self) -> None:
        class Endless(io.RawIOBase):
            taken = 0

            def read(self, size: int = -1) -> bytes:
                assert size >= 0
                self.taken += size
                return bytes(size)

        endless = Endless()
        refused(endless, limits=Limits(bytes=10**6))
        assert endless.taken == 10**6 + 1

    def test_a_pipe_is_refused_and_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        assert refused(tmp_path / "pipe").reason == "cannot be read: it is a pipe, and only files are read"

    @pytest.mark.parametrize("kind", FORMATS)
    def test_too_many_pixels_are_refused_before_decoding(self, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded(four_corners(), kind, **FORMATS[kind][0])
        assert open_image(data, limits=Limits(pixels=96 * 64)).size == (96, 64)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("it was decoded"))
        error = refused(data, limits=Limits(pixels=96 * 64 - 1))
        assert error.reason == "96x64 pixels are more than the 6,143 allowed"

    @pytest.mark.parametrize("side", [10_500, 60_000])
    def test_a_small_file_that_unpacks_to_gigabytes(self, side: int) -> None:
        header = b"\x89PNG\r\n\x1a\n" + struct.pack(">L4sLLBBBBB", 13, b"IHDR", side, 2 * side, 8, 2, 0, 0, 0)
        data = header + struct.pack(">L", zlib.crc32(header[12:])) + b"\x00\x00\x00\x00IDAT\x35\xaf\x06\x1e"
        assert "pixels are more than" in refused(data).reason


def test_a_damaged_tiff_is_one_error_and_no_other_word(tmp_path: Path) -> None:
    """The library for TIFF writes to C's standard error, which only another process can listen to."""
    random = np.random.default_rng(0)
    data = bytearray(
        encoded(Image.fromarray(random.integers(0, 256, (200, 300, 3), np.uint8)), "TIFF", compression="tiff_lzw")
    )
    data[2_000:60_000] = bytes(58_000)
    (tmp_path / "damaged.tif").write_bytes(data)
    code = "import sys; from lookalike.images import open_image; open_image(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "damaged.tif"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("damaged.tif: the file is damaged\n")
    assert "not yet in table" not in done.stderr


def test_threads_share_the_door() -> None:
    data = [encoded(four_corners(), kind, **options) for kind, (options, _) in FORMATS.items()]
    data.append(encoded(four_corners(), "JPEG", icc_profile=swapped_profile()))
    alone = [np.asarray(open_image(one)) for one in data]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda n: np.asarray(open_image(data[n % len(data)])), range(20 * len(data))))
    assert all(np.array_equal(picture, alone[n % len(data)]) for n, picture in enumerate(together))


SEEDS: list[bytes] = [encoded(four_corners(24, 16), kind, **options) for kind, (options, _) in FORMATS.items()]


def more_seeds() -> list[bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = four_corners(24, 16)
    frames = [small, small.transpose(Image.Transpose.ROTATE_180)]
    return [
        encoded(small, "JPEG", exif=exif, icc_profile=swapped_profile(), progressive=True),
        encoded(small.convert("CMYK"), "JPEG"),
        encoded(small.convert("P"), "PNG", transparency=3, icc_profile=swapped_profile()),
        encoded(small, "PNG", save_all=True, append_images=frames[1:]),
        encoded(small, "GIF", save_all=True, append_images=frames[1:]),
        encoded(small, "WEBP", save_all=True, append_images=frames[1:]),
        encoded(small.convert("1"), "TIFF", compression="group4"),
        encoded(small, "TIFF", compression="jpeg", exif=exif),
        encoded(Image.fromarray(np.full((16, 24), 999, np.uint16)), "TIFF"),
        encoded(Image.fromarray(np.full((16, 24), 0.3, np.float32)), "TIFF"),
        encoded(small.convert("RGBA"), "JPEG2000"),
    ]


SEEDS += more_seeds()


@given(st.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_hostile_bytes_raise_nothing_but_the_one_error(data: st.DataObject) -> None:
    seed = bytearray(data.draw(st.sampled_from(SEEDS)))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(seed), 400) - 1) | st.integers(0, len(seed) - 1))
        change: Callable[[], bytes] = data.draw(
            st.sampled_from(
                [
                    lambda: data.draw(st.binary(min_size=1, max_size=8)),
                    lambda: b"\xff\xff\xff\xff",
                    lambda: b"\x00\x00\x00\x00",
                ]
            )
        )
        piece = change()
        seed[at : at + len(piece)] = piece
        if data.draw(st.integers(0, 9)) == 0 and at > 0:
            del seed[at:]
    try:
        image = open_image(bytes(seed), limits=Limits(pixels=2**20), at_least=data.draw(st.sampled_from([None, 4])))
    except PhotoError as error:
        assert error.reason
    else:
        assert image.mode == "RGB" and min(image.size) >= 1


def test_this_pillow_reads_the_modern_formats() -> None:
    assert features.check("webp") and features.check("avif")
