"""Colours, patterns and prints of cloth."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from PIL import Image, ImageDraw

from lookalike.catalogue.sample.drawing.shapes import Points, disc

Color: TypeAlias = tuple[int, int, int]
PixelBox: TypeAlias = tuple[int, int, int, int]

SCALE = 240
"""Pixels of the canvas per unit of a shape's coordinates."""
OVERSAMPLING = 2

COLORS: Mapping[str, Color] = {
    "white": (240, 238, 233),
    "black": (43, 42, 46),
    "grey": (142, 145, 149),
    "beige": (212, 191, 160),
    "brown": (116, 77, 52),
    "red": (190, 42, 46),
    "pink": (232, 150, 170),
    "orange": (226, 122, 50),
    "yellow": (239, 196, 70),
    "green": (52, 132, 84),
    "olive": (112, 114, 66),
    "teal": (36, 126, 134),
    "blue": (66, 122, 194),
    "navy": (38, 50, 92),
    "purple": (120, 80, 152),
}

COMPANIONS: Mapping[str, tuple[str, ...]] = {
    "white": ("navy", "red", "black", "blue", "green"),
    "black": ("white", "red", "beige", "yellow"),
    "grey": ("white", "navy", "black", "pink"),
    "beige": ("brown", "white", "navy", "olive"),
    "brown": ("beige", "orange", "white"),
    "red": ("white", "navy", "beige", "black"),
    "pink": ("white", "red", "grey", "purple"),
    "orange": ("white", "navy", "brown"),
    "yellow": ("white", "grey", "navy", "brown"),
    "green": ("white", "beige", "navy", "yellow"),
    "olive": ("beige", "black", "orange"),
    "teal": ("white", "yellow", "navy"),
    "blue": ("white", "navy", "yellow", "beige"),
    "navy": ("white", "red", "beige", "yellow"),
    "purple": ("white", "pink", "yellow"),
}
"""Colours that are combined with each colour."""


def shaded(color: Color, factor: float) -> Color:
    """Make a colour darker (a factor below 1) or lighter (above)."""
    if factor <= 1:
        r, g, b = (round(channel * factor) for channel in color)
    else:
        r, g, b = (round(channel + (255 - channel) * min(factor - 1, 1.0)) for channel in color)
    return r, g, b


def varied(color: Color, rng: Random) -> Color:
    """Vary the lightness and hue of a colour slightly."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in color))
    hue = (hue + rng.uniform(-0.012, 0.012)) % 1.0
    lightness = min(max(lightness * rng.uniform(0.9, 1.1), 0.1), 0.95)
    saturation = min(saturation * rng.uniform(0.85, 1.1), 1.0)
    r, g, b = (round(channel * 255) for channel in colorsys.hls_to_rgb(hue, lightness, saturation))
    return r, g, b


@dataclass(frozen=True, slots=True)
class Cloth:
    """Cloth with a pattern.

    Attributes:
        color: Colour of the ground.
        second: Colour of the pattern.
        third: Colour of small parts of the pattern.
        pattern: A name in `PATTERNS`, or plain.
        size: Size of the pattern's repeat, in units of the canvas.
        print_shape: A name in `PRINTS`, or none.
    """

    color: Color
    second: Color = (255, 255, 255)
    third: Color = (255, 255, 255)
    pattern: str = "plain"
    size: float = 0.16
    print_shape: str = ""

    def spread(self, box: PixelBox, *, angle: float = 0.0, middle: tuple[float, float] | None = None) -> Image.Image:
        """Paint the cloth over a part of the canvas.

        Args:
            box: Left, top, right and bottom, in pixels of the canvas.
            angle: Angle of the pattern, in degrees.
            middle: Centre of the print, in units of the canvas; None for no print.

        Returns:
            RGB image of the box's size.
        """
        stuff = Image.new("RGB", (box[2] - box[0], box[3] - box[1]), self.color)
        if self.pattern in PATTERNS:
            ground = _Ground(box, angle)
            PATTERNS[self.pattern](ground, self.size)
            for color, mask in ((self.second, ground.second), (self.third, ground.third)):
                stuff.paste(color, (0, 0), mask.reduce(OVERSAMPLING))
        if self.print_shape and middle:
            ground = _Ground(box, 0.0, middle=middle)
            PRINTS[self.print_shape](ground)
            for color, mask in ((self.second, ground.second), (self.third, ground.third)):
                stuff.paste(color, (0, 0), mask.reduce(OVERSAMPLING))
        return stuff


class _Ground:
    """Masks of the two colours of a pattern, in coordinates that are rotated with the cloth."""

    def __init__(self, box: PixelBox, angle: float, *, middle: tuple[float, float] = (0.0, 0.0)) -> None:
        self.box, self.middle = box, middle
        size = ((box[2] - box[0]) * OVERSAMPLING, (box[3] - box[1]) * OVERSAMPLING)
        self.second, self.third = Image.new("L", size, 0), Image.new("L", size, 0)
        self.cos, self.sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        corners = [self.turned_back(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
        self.left, self.right = min(u for u, _ in corners), max(u for u, _ in corners)
        self.top, self.bottom = min(v for _, v in corners), max(v for _, v in corners)

    def turned_back(self, x: float, y: float) -> tuple[float, float]:
        dx, dy = x / SCALE - 1 - self.middle[0], y / SCALE - 4 / 3 - self.middle[1]
        return dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin

    def fill(self, mask: Image.Image, points: Points, value: int = 255) -> None:
        ImageDraw.Draw(mask).polygon(self.pixels(points), fill=value)

    def pixels(self, points: Points) -> list[tuple[float, float]]:
        result = []
        for u, v in points:
            x = u * self.cos - v * self.sin + 1 + self.middle[0]
            y = u * self.sin + v * self.cos + 4 / 3 + self.middle[1]
            result.append(((x * SCALE - self.box[0]) * OVERSAMPLING, (y * SCALE - self.box[1]) * OVERSAMPLING))
        return result

    def across(self, mask: Image.Image, v: float, width: float, value: int = 255) -> None:
        self.fill(mask, [(self.left, v), (self.right, v), (self.right, v + width), (self.left, v + width)], value)

    def down(self, mask: Image.Image, u: float, width: float, value: int = 255) -> None:
        self.fill(mask, [(u, self.top), (u + width, self.top), (u + width, self.bottom), (u, self.bottom)], value)

    def rows(self, step: float) -> list[float]:
        return [step * n for n in range(math.floor(self.top / step) - 1, math.ceil(self.bottom / step) + 1)]

    def columns(self, step: float) -> list[float]:
        return [step * n for n in range(math.floor(self.left / step) - 1, math.ceil(self.right / step) + 1)]


def _stripes(ground: _Ground, size: float) -> None:
    for v in ground.rows(size):
        ground.across(ground.second, v, size * 0.42)


def _pinstripes(ground: _Ground, size: float) -> None:
    for u in ground.columns(size * 0.6):
        ground.down(ground.second, u, size * 0.07)


def _checks(ground: _Ground, size: float) -> None:
    """Gingham: half opacity where one band passes, full opacity where two cross."""
    crossing = ground.second.copy()
    for v in ground.rows(size):
        ground.across(ground.second, v, size / 2, 120)
    for u in ground.columns(size):
        ground.down(crossing, u, size / 2, 120)
    ground.second = Image.blend(ground.second, crossing, 0.5).point([min(255, 2 * value) for value in range(256)])


def _tartan(ground: _Ground, size: float) -> None:
    _checks(ground, size * 1.9)
    for v in ground.rows(size * 1.9):
        ground.across(ground.third, v + size * 1.3, size * 0.09, 200)
    for u in ground.columns(size * 1.9):
        ground.down(ground.third, u + size * 1.3, size * 0.09, 200)


def _dots(ground: _Ground, size: float) -> None:
    for row, v in enumerate(ground.rows(size * 0.6)):
        for u in ground.columns(size):
            ground.fill(ground.second, disc((u + (row % 2) * size / 2, v), size * 0.19, corners=16))


def _flowers(ground: _Ground, size: float) -> None:
    """Flowers of five petals, and leaves between them; positions and angles depend on row and column."""
    for row, v in enumerate(ground.rows(size * 1.1)):
        for column, u in enumerate(ground.columns(size * 1.5)):
            x = u + (row % 2) * size * 0.75 + size * 0.1 * ((row * 7 + column * 3) % 5 - 2)
            y = v + size * 0.1 * ((row * 3 + column * 5) % 5 - 2)
            turn = (row * 5 + column * 3) % 7
            scale = size * (0.8 + 0.12 * ((row + 2 * column) % 4))
            for petal in range(5):
                way = 2 * math.pi * (petal + turn / 7) / 5
                ground.fill(
                    ground.second,
                    disc((x + 0.25 * scale * math.cos(way), y + 0.25 * scale * math.sin(way)), scale * 0.2, corners=14),
                )
            ground.fill(ground.third, disc((x, y), scale * 0.13, corners=12))
            leaf_x, leaf_y = x + scale * 0.72, y + scale * 0.28
            ground.fill(ground.third, [(leaf_x + dx * scale, leaf_y + dy * scale) for dx, dy in _LEAF])


_LEAF: Points = [(-0.2, 0.0), (-0.08, -0.09), (0.06, -0.08), (0.2, 0.02), (0.06, 0.09), (-0.1, 0.07)]


def _star(ground: _Ground) -> None:
    turns = [math.pi * (number / 5 - 0.5) for number in range(10)]
    radii = [0.3 if number % 2 == 0 else 0.125 for number in range(10)]
    ground.fill(ground.second, [(r * math.cos(t), r * math.sin(t)) for r, t in zip(radii, turns, strict=True)])


def _mountains(ground: _Ground) -> None:
    """A sun above two peaks, in a disc."""
    ground.fill(ground.second, disc((0, 0), 0.3, corners=44))
    ground.fill(ground.third, disc((0.1, -0.12), 0.065, corners=20))
    ground.fill(ground.third, [(-0.27, 0.13), (-0.09, -0.1), (0.02, 0.04), (0.1, -0.03), (0.27, 0.13)])
    ground.fill(ground.third, _bar(0.24, 0.155, 0.025))
    ground.fill(ground.third, _bar(0.18, 0.205, 0.025))


def _heart(ground: _Ground) -> None:
    turns = [2 * math.pi * number / 40 for number in range(40)]
    points = []
    for t in turns:
        x = 16 * math.sin(t) ** 3
        y = -(13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t))
        points.append((x * 0.0165, y * 0.0165))
    ground.fill(ground.second, points)


def _rings(ground: _Ground) -> None:
    for number, radius in enumerate((0.3, 0.235, 0.17, 0.105)):
        ground.fill(ground.second, disc((0, 0), radius, corners=44), 255 if number % 2 == 0 else 0)
    ground.fill(ground.third, disc((0, 0), 0.06))


def _block(ground: _Ground) -> None:
    """A wide band of the second colour across the chest, above a narrow one of the third."""
    ground.fill(ground.second, _bar(2.0, -0.12, 0.3))
    ground.fill(ground.third, _bar(2.0, 0.24, 0.05))


def _bar(half: float, v: float, height: float) -> Points:
    return [(-half, v), (half, v), (half, v + height), (-half, v + height)]


PATTERNS: Mapping[str, Callable[[_Ground, float], None]] = {
    "striped": _stripes,
    "pinstriped": _pinstripes,
    "checked": _checks,
    "tartan": _tartan,
    "dotted": _dots,
    "floral": _flowers,
}
PRINTS: Mapping[str, Callable[[_Ground], None]] = {
    "star": _star,
    "mountains": _mountains,
    "heart": _heart,
    "rings": _rings,
    "band": _block,
}
