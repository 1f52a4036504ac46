"""What drawn pictures share, and the plainest of them: noise, gradients, flat colours, surfaces.

Each generator takes a random generator, the size and a style, and returns an RGB image; what a style sets is different
for training and for measuring.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Color = tuple[int, int, int]
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Style:
    """What training and measuring pictures differ in.

    Attributes:
        syllables: What words of documents and screens are made of, separated by spaces.
        letters: Smallest and largest height of text, as fractions of the shorter side.
        spectra: Exponents of the power spectra of noise: 0 is white, 1 pink, 2 brown.
        cells: Smallest and largest number of rows and columns of tables, charts and tiles.
        vivid: Smallest and largest saturation of colours.
        tilt: Largest rotation of photographed papers and screens, in degrees.
    """

    syllables: str
    letters: tuple[float, float]
    spectra: tuple[float, ...]
    cells: tuple[int, int]
    vivid: tuple[float, float]
    tilt: float


STYLES = {
    "train": Style(
        syllables="in voi to tal date or der pay ment tax item the of and is",
        letters=(0.02, 0.05),
        spectra=(0.0, 1.0, 2.0),
        cells=(3, 9),
        vivid=(0.1, 0.9),
        tilt=12.0,
    ),
    "dev": Style(
        syllables="Rech nung be trag sum me kun und das zu mit ei ne wer sch",
        letters=(0.028, 0.07),
        spectra=(0.5, 1.5, 3.0),
        cells=(4, 13),
        vivid=(0.2, 0.75),
        tilt=20.0,
    ),
}

Generator = Callable[[np.random.Generator, Size, Style], Image.Image]


def color(random: np.random.Generator, style: Style, *, value: tuple[float, float] = (0.2, 1.0)) -> Color:
    """Random colour."""
    low, high = style.vivid
    saturation = low + (high - low) * random.random() ** 2  # rooms and landscapes are mostly pale
    red, green, blue = colorsys.hsv_to_rgb(random.random(), saturation, random.uniform(*value))
    return int(red * 255), int(green * 255), int(blue * 255)


def grey(random: np.random.Generator, low: int, high: int) -> Color:
    """Random grey with a slight tint."""
    level = random.integers(low, high)
    red, green, blue = np.clip(level + random.integers(-6, 7, 3), 0, 255).tolist()
    return red, green, blue


def whole(random: np.random.Generator, bounds: tuple[int, int]) -> int:
    """Random integer, bounds included."""
    return int(random.integers(bounds[0], bounds[1] + 1))


def shaded(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Darken a picture towards one side."""
    across, down = np.meshgrid(np.linspace(-1, 1, picture.width), np.linspace(-1, 1, picture.height))
    angle = random.uniform(0, 2 * math.pi)
    light = 1 + random.uniform(0, 0.35) * (across * math.cos(angle) + down * math.sin(angle)) - random.uniform(0, 0.3)
    return of_array(np.asarray(picture, dtype=np.float64) * light[..., None])


def of_array(values: np.ndarray) -> Image.Image:
    """Image of an array (H, W, 3) with values from 0 to 255, which are clipped."""
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def clouds(random: np.random.Generator, size: Size, exponent: float) -> np.ndarray:
    """Noise (H, W) with a power spectrum that falls with the frequency to the exponent, of mean 0 and deviation 1."""
    width, height = size
    down, across = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
    frequency = np.hypot(down, across)
    frequency[0, 0] = 1
    wave = np.fft.rfft2(random.normal(size=(height, width))) / frequency ** (exponent / 2)
    wave[0, 0] = 0
    noise = np.fft.irfft2(wave, (height, width))
    return noise / noise.std()


def noise(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Noise of several spectra, grey or coloured, fine or in blocks."""
    block = int(random.choice([1, 1, 2, 4, 8]))
    small = (max(8, size[0] // block), max(8, size[1] // block))
    exponent = float(random.choice(style.spectra))
    channels = 3 if random.random() < 0.6 else 1
    values = np.stack([clouds(random, small, exponent) for _ in range(channels)], axis=-1)
    if random.random() < 0.2:
        values = np.where(values > random.uniform(-1.5, 1.5), 1.5, -1.5)
    base, strength = random.uniform(70, 190, 3), random.uniform(15, 80)
    picture = of_array(base + strength * np.broadcast_to(values, (*values.shape[:2], 3)))
    return picture.resize(size, Image.Resampling.NEAREST if random.random() < 0.5 else Image.Resampling.BILINEAR)


def gradient(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """A gradient of two to four colours: straight, round, or around a point."""
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    x, y = random.random(2)
    angle = random.uniform(0, 2 * math.pi)
    ways = (
        across * math.cos(angle) + down * math.sin(angle),
        np.hypot(across - x, down - y),
        np.arctan2(down - y, across - x),
    )
    way = ways[random.integers(3)]
    way = (way - way.min()) / (way.max() - way.min())
    stops = np.array([color(random, style) for _ in range(whole(random, (2, 4)))], dtype=np.float64)
    places = np.linspace(0, 1, len(stops))
    return of_array(np.stack([np.interp(way, places, stops[:, channel]) for channel in range(3)], axis=-1))


def flat(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """One colour, perfectly even or as a camera sees a wall."""
    picture = Image.new("RGB", size, color(random, style) if random.random() < 0.6 else grey(random, 0, 256))
    if random.random() < 0.3:
        return picture
    grain = random.normal(0, random.uniform(0, 6), (size[1], size[0], 1))
    return shaded(of_array(np.asarray(picture) + grain), random)


def surface(random: np.random.Generator, size: Size, style: Style) -> Image.Image:
    """Wood, stone, tiles, bricks or grass."""
    width, height = size
    sort = random.integers(5)
    base = np.array(color(random, style, value=(0.3, 0.95)), dtype=np.float64) * 0.5 + random.uniform(40, 120)
    if sort == 0:  # wood
        down, across = np.mgrid[:height, :width] / min(size)
        rings = np.sin(2 * math.pi * random.uniform(4, 18) * (across + 0.06 * clouds(random, size, 3.0) + 0.15 * down))
        return of_array(base + random.uniform(6, 22) * rings[..., None] + 5 * clouds(random, size, 1.0)[..., None])
    if sort == 1:  # stone
        return of_array(base + random.uniform(10, 35) * clouds(random, size, random.uniform(0.8, 2.2))[..., None])
    if sort == 4:  # grass
        green = np.array([random.uniform(50, 110), random.uniform(90, 150), random.uniform(20, 60)])
        return of_array(green + 28 * clouds(random, size, 0.8)[..., None] + 12 * clouds(random, size, 2.5)[..., None])
    picture = of_array(base + 6 * clouds(random, size, 1.5)[..., None])
    draw, joint = ImageDraw.Draw(picture), grey(random, 60, 230)
    tall = height / whole(random, style.cells)
    wide = tall * (random.uniform(1.8, 3.2) if sort == 2 else 1.0)
    thick = max(1, int(tall * random.uniform(0.03, 0.12)))
    for row in range(math.ceil(height / tall) + 1):
        draw.line((0, row * tall, width, row * tall), joint, thick)
        for column in range(-1, math.ceil(width / wide) + 1):
            x = (column + (row % 2) / 2 * (sort == 2)) * wide
            draw.line((x, row * tall, x, (row + 1) * tall), joint, thick)
    return picture


PLAIN: dict[str, Generator] = {"noise": noise, "gradient": gradient, "flat": flat, "surface": surface}
"""Generators by name."""
