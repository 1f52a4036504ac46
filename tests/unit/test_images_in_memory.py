"""Pillow images and arrays give the same photos as their files."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lookalike.errors import PhotoError, UsageError
from lookalike.images import Limits, open_image
from lookalike.types import Box


def pixels(height: int = 40, width: int = 30) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, size=(height, width, 3), dtype=np.uint8)


def png(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("box", [None, Box(3, 5, 20, 31)])
def test_an_array_is_the_photo_of_a_file_with_its_pixels(box: Box | None) -> None:
    wanted = np.asarray(open_image(png(Image.fromarray(pixels())), box=box))
    strided = np.repeat(pixels(), 2, axis=1)[:, ::2]
    read_only = pixels()
    read_only.flags.writeable = False
    for source in (pixels(), strided, np.asfortranarray(pixels()), read_only, Image.fromarray(pixels())):
        assert np.array_equal(np.asarray(open_image(source, box=box)), wanted)


def test_what_comes_out_is_a_copy() -> None:
    array, image = pixels(), Image.fromarray(pixels())
    photos = open_image(array), open_image(image)
    array[:] = 0
    image.paste((0, 0, 0), (0, 0, *image.size))
    for photo in photos:
        assert np.array_equal(np.asarray(photo), pixels())


def test_a_pillow_image_of_a_file_stands_upright_and_on_white_like_the_file(tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = Image.fromarray(np.dstack([pixels(), np.full((40, 30), 100, np.uint8)]))
    plain = Image.fromarray(pixels())
    for name, image in {"a.jpg": plain, "b.png": clear, "c.jpg": plain.convert("CMYK")}.items():
        path = tmp_path / name
        image.save(path, exif=turned)
        with Image.open(path) as opened:
            info = dict(opened.info)
            photo = open_image(opened)
            assert opened.info == info
        assert photo.mode == "RGB" and not photo.info
        assert np.array_equal(np.asarray(photo), np.asarray(open_image(path)))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "CMYK", "L", "I;16"])
@pytest.mark.parametrize("kind", [1, 3, 4], ids=["BYTE", "SHORT", "LONG"])
def test_a_pillow_image_of_a_turned_tiff_is_the_photo_of_its_file(mode: str, kind: int, tmp_path: Path) -> None:
    """Pillow maps uncompressed TIFF of most modes into memory, by the size that they have once turned."""
    path, width = tmp_path / "a.tif", {"RGB": 3, "RGBA": 4, "CMYK": 4, "L": 1, "I;16": 2}[mode]
    stored = np.random.default_rng(1).integers(0, 256, size=(40, 30, width), dtype=np.uint8)
    for way in range(1, 9):
        tags = ImageFileDirectory_v2()
        tags.tagtype[0x0112], tags[0x0112] = kind, bytes([way]) if kind == 1 else way
        Image.frombytes(mode, (30, 40), stored.tobytes()).save(path, tiffinfo=tags)
        with Image.open(path) as opened:
            photo = open_image(opened)
            assert opened.filename == str(path)
        assert np.array_equal(np.asarray(photo), np.asarray(open_image(path))), way


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 30), np.uint8),
        np.zeros((40, 30, 4), np.uint8),
        np.zeros((3, 40, 30), np.uint8),
        np.zeros((2, 40, 30, 3), np.uint8),
        np.zeros((40, 30, 3), np.float32),
        np.zeros((40, 30, 3), np.int64),
        np.zeros(3, np.uint8),
    ],
    ids=str,
)
def test_other_arrays_are_refused_with_their_shape_and_type(array: np.ndarray) -> None:
    with pytest.raises(UsageError, match=re.escape(f"{array.shape} of {array.dtype}")) as caught:
        open_image(array)
    assert "(H, W, 3) of uint8" in str(caught.value)


@pytest.mark.parametrize("source", [np.zeros((0, 3, 3), np.uint8), Image.new("RGB", (0, 4))])
def test_no_pixels_are_no_photo(source: np.ndarray | Image.Image) -> None:
    with pytest.raises(PhotoError, match="no pixels"):
        open_image(source)


def test_the_limit_of_pixels_holds_in_memory_too() -> None:
    for source in (pixels(), Image.fromarray(pixels())):
        with pytest.raises(PhotoError, match="30x40 pixels are more than the 1,199 allowed"):
            open_image(source, limits=Limits(pixels=1199))


@pytest.mark.parametrize(
    "source", [7, 1.5, object(), {"photo": 1}, ["a.jpg"], (x for x in "ab")], ids=lambda x: type(x).__name__
)
def test_what_is_no_photo_is_named_by_its_type(source: object) -> None:
    with pytest.raises(UsageError, match=f"expected a photo as a path, .* got {type(source).__name__}"):
        open_image(source)  # type: ignore[arg-type]


def test_bytes_of_every_kind_are_the_bytes_of_a_file() -> None:
    data = png(Image.fromarray(pixels()))
    for source in (bytearray(data), memoryview(data)):
        assert np.array_equal(np.asarray(open_image(source)), pixels())


def test_a_file_in_text_mode_is_refused() -> None:
    with pytest.raises(PhotoError, match="open it in binary mode"):
        open_image(io.StringIO("text"))  # type: ignore[arg-type]


def test_a_pillow_image_whose_file_was_closed_is_refused(tmp_path: Path) -> None:
    Image.fromarray(pixels()).save(tmp_path / "a.png")
    opened = Image.open(tmp_path / "a.png")
    opened.close()
    with pytest.raises(PhotoError, match=r"a\.png: this Pillow image cannot be decoded"):
        open_image(opened)
