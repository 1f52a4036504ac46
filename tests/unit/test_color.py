"""The colour descriptor depends on the garment, not on the background."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from lookalike.embedding.color import LEVELS, SIDE, Color, bins, oklab, trained_parameters
from lookalike.types import Float32

COLORS = {
    "black": (25, 24, 26),
    "white": (244, 243, 240),
    "grey": (128, 130, 131),
    "red": (190, 30, 40),
    "maroon": (95, 20, 35),
    "blue": (40, 80, 190),
    "navy": (25, 32, 70),
    "green": (40, 130, 60),
    "yellow": (235, 205, 50),
    "pink": (235, 130, 170),
    "purple": (105, 50, 135),
    "brown": (95, 60, 40),
}
SKIN = (224, 172, 140)


@pytest.fixture(scope="module")
def color() -> Color:
    return Color()


def shirt(tone: tuple[int, int, int], *, on: tuple[int, int, int] = (255, 255, 255), light: float = 1.0) -> Image.Image:
    """A shirt with a head above it, both a little noisy, on a plain background."""
    image = Image.new("RGB", (180, 240), on)
    draw = ImageDraw.Draw(image)
    draw.ellipse((72, 18, 108, 62), fill=SKIN)
    draw.polygon([(60, 66), (120, 66), (158, 110), (138, 130), (126, 116), (126, 214), (54, 214), (54, 116)], fill=tone)
    draw.polygon([(54, 116), (42, 130), (22, 110), (60, 66)], fill=tone)
    noise = np.random.default_rng(sum(tone)).normal(0, 4, (240, 180, 1))
    return Image.fromarray((np.asarray(image) * light + noise).clip(0, 255).astype(np.uint8))


def test_rows_are_of_unit_length_and_always_the_same(color: Color) -> None:
    photo = shirt(COLORS["red"])
    row = color.embed(photo)
    assert row.dtype == np.float32 and row.shape == (color.space.dimension,)
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-6)
    with ThreadPoolExecutor(4) as threads:
        assert all(np.array_equal(row, other) for other in threads.map(color.embed, [photo] * 40))
    assert np.array_equal(row, Color().embed(photo))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**24 - 1), st.integers(0, 2**24 - 1))
@settings(max_examples=50, deadline=None)
def test_any_picture_has_a_row(width: int, height: int, first: int, second: int) -> None:
    image = Image.new("RGB", (width, height), f"#{first:06x}")
    image.putpixel((width // 2, height // 2), (second >> 16, second >> 8 & 255, second & 255))
    row = Color().embed(image)
    assert np.linalg.norm(row) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", COLORS)
@pytest.mark.parametrize("light", [0.93, 1.05])
def test_the_same_colour_in_other_light_is_nearest(color: Color, name: str, light: float) -> None:
    gallery = np.stack([color.embed(shirt(tone)) for tone in COLORS.values()])
    likeness = gallery @ color.embed(shirt(COLORS[name], light=light))
    assert list(COLORS)[int(likeness.argmax())] == name


@pytest.mark.parametrize("name", ["red", "blue", "green", "black", "yellow", "purple"])
@pytest.mark.parametrize("background", [(150, 145, 138), (60, 95, 75), (200, 175, 150), (70, 75, 120)])
def test_the_background_does_not_hide_the_colour(color: Color, name: str, background: tuple[int, int, int]) -> None:
    gallery = np.stack([color.embed(shirt(tone)) for tone in COLORS.values()])
    likeness = gallery @ color.embed(shirt(COLORS[name], on=background))
    assert list(COLORS)[int(likeness.argmax())] == name


def test_the_garment_gets_the_weight(color: Color) -> None:
    for tone, background in ((COLORS["blue"], (255, 255, 255)), (COLORS["green"], (150, 120, 100))):
        weights = color.weigh(shirt(tone, on=background))
        assert weights.shape == (SIDE, SIDE) and weights.min() > 0 and weights.max() < 1
        chest, corner, face = weights[28:50, 24:40].mean(), weights[:10, :10].mean(), weights[7:14, 29:35].mean()
        assert chest > 0.5
        assert corner < 0.05
        assert face < 0.8 * chest


def test_white_on_white_keeps_the_weight_of_its_place(color: Color) -> None:
    weights = color.weigh(Image.new("RGB", (64, 64), "white"))
    assert weights[24:44, 24:40].mean() > 10 * weights[:4].mean()


class TestBins:
    def test_oklab_is_as_published(self) -> None:
        # computed with the reference code of Ottosson 2020, to five digits
        published = {
            (1.0, 1.0, 1.0): (1.0, 0.0, 0.0),
            (0.0, 0.0, 0.0): (0.0, 0.0, 0.0),
            (1.0, 0.0, 0.0): (0.62796, 0.22486, 0.12585),
            (0.0, 1.0, 0.0): (0.86644, -0.23389, 0.17950),
            (0.0, 0.0, 1.0): (0.45201, -0.03246, -0.31153),
        }
        assert oklab(np.array(list(published))) == pytest.approx(np.array(list(published.values())), abs=2e-5)

    def test_every_colour_is_shared_out_whole(self) -> None:
        grid = bins()
        assert grid.numbers.shape == grid.shares.shape == (LEVELS**3, 8)
        assert grid.shares.min() >= 0
        assert grid.shares.sum(axis=1) == pytest.approx(1.0, abs=1e-6)
        assert np.unique(grid.numbers).tolist() == list(range(grid.count))

    def test_the_histogram_is_the_sum_pixel_by_pixel(self, color: Color) -> None:
        photo = shirt(COLORS["pink"], on=(90, 140, 160)).resize((SIDE, SIDE), Image.Resampling.BOX)
        weights, grid = color.weigh(photo), bins()
        slowly = np.zeros(grid.count)
        for row in range(SIDE):
            for column in range(SIDE):
                red, green, blue = (value // 16 for value in photo.getpixel((column, row)))  # type: ignore[union-attr]
                number = red * 256 + green * 16 + blue
                for place in range(8):
                    slowly[grid.numbers[number, place]] += grid.shares[number, place] * weights[row, column]
        assert color.histogram(photo) == pytest.approx(slowly / slowly.sum(), abs=1e-6)

    def test_values_go_back_to_colours_by_their_shares(self) -> None:
        grid = bins()
        values: Float32 = np.random.default_rng(0).random(grid.count, dtype=np.float32)
        expected = [
            sum(grid.shares[c, place] * values[grid.numbers[c, place]] for place in range(8)) for c in (7, 4095)
        ]
        assert grid.among(np.array([7, 4095])).spread(values[None]) == pytest.approx(expected, abs=1e-6)

    def test_a_photo_has_the_same_row_in_any_batch(self, color: Color) -> None:
        photos = [color.colors(shirt(tone)) for tone in COLORS.values()]
        together = color.embed_colors(photos)
        assert together.shape == (len(COLORS), color.space.dimension) and together.dtype == np.float32
        for photo, row in zip(photos, together, strict=True):
            np.testing.assert_array_equal(color.embed_colors([photo])[0], row)


def test_the_maker_names_what_was_learned(color: Color) -> None:
    file = files("lookalike.embedding").joinpath("color.npz").read_bytes()
    assert color.space.name == "color"
    assert color.space.model_id == f"color@{hashlib.sha256(file).hexdigest()[:8]}"
    assert len(file) < 200_000
    known = trained_parameters()
    assert known.mapping.shape == (color.space.dimension, bins().count)
    assert np.array_equal(known.place, known.place[:, ::-1])
