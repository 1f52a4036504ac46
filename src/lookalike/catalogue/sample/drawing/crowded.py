"""Hard photos: any pose, other garments around and in front, hands, cards and leaves, bad light, a poor camera."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookalike.catalogue.sample.drawing.cloth import Color, shaded
from lookalike.catalogue.sample.drawing.scene import BACKGROUNDS, PHOTO_SIZE, Pose, laid_on, lit, posed

MOST_COVERED: Final = 0.35
"""Largest fraction of a garment that is hidden by what is in front of it."""

OVERSAMPLING: Final = 2
TRIES: Final = 6
SKIN: Final[tuple[Color, ...]] = ((236, 196, 170), (214, 162, 128), (168, 116, 84), (112, 74, 54))
LEAVES: Final[tuple[Color, ...]] = ((74, 116, 66), (104, 138, 82), (132, 120, 60))
CARDS: Final[tuple[Color, ...]] = ((244, 240, 230), (196, 172, 136), (62, 70, 84), (178, 60, 54), (222, 200, 96))


def crowded_pose(rng: Random) -> Pose:
    """A pose far from the frontal one."""
    return Pose(
        turn=rng.choice((rng.uniform(-35, 35), rng.uniform(-12, 12))),
        fill=rng.uniform(0.75, 1.15),
        shear=rng.uniform(-0.12, 0.12),
        tilt=(rng.uniform(-0.18, 0.18), rng.uniform(-0.16, 0.16)),
        wobble=rng.uniform(0.0, 0.05),
        mirrored=rng.random() < 0.2,
    )


def crowded_photo(garment: Image.Image, rng: Random, *, others: Sequence[Image.Image]) -> tuple[bytes, float]:
    """Take a hard photo of a painted garment.

    Args:
        garment: RGBA, as `lookalike.catalogue.sample.drawing.painting.paint` makes it.
        rng: Random generator of all else.
        others: Painted garments that may lie around it or in front of it.

    Returns:
        The photo as a JPEG of `PHOTO_SIZE`, and the fraction of the garment in the photo that is covered.
    """
    photo = BACKGROUNDS[rng.choice([name for name in BACKGROUNDS if name != "white"])](rng)
    for _ in range(rng.choice((0, 1, 2))):
        photo = laid_on(photo, _aside(rng.choice(others), rng), rng)
    laid = posed(garment, crowded_pose(rng), rng)
    photo = laid_on(photo, laid, rng)
    shown = laid.getchannel("A")
    open_part = shown
    for _ in range(rng.choice((0, 1, 1, 2))):
        for _ in range(TRIES):
            front = FRONTS[rng.choice(list(FRONTS))](rng, others)
            left = ImageChops.multiply(open_part, ImageChops.invert(front.getchannel("A")))
            if _covered(shown, left) <= MOST_COVERED:
                photo, open_part = laid_on(photo, front, rng), left
                break
    return _developed(lit(photo, rng), rng), _covered(shown, open_part)


def _covered(shown: Image.Image, left: Image.Image) -> float:
    """Fraction of a mask that is not in another one, which is part of it."""
    whole = float(np.asarray(shown, dtype=np.float64).sum())
    return 1.0 - float(np.asarray(left, dtype=np.float64).sum()) / whole if whole else 0.0


def _developed(photo: Image.Image, rng: Random) -> bytes:
    """Make the photo that a poor camera takes: its exposure, its focus, its compression."""
    exposure, contrast = rng.uniform(0.8, 1.12), rng.uniform(0.85, 1.1)
    table = [max(0, min(255, round((value * exposure - 128) * contrast + 128))) for value in range(256)]
    photo = photo.point(table * 3)
    if rng.random() < 0.3:
        photo = photo.filter(ImageFilter.BoxBlur(rng.uniform(0.4, 1.2)))
    kept = io.BytesIO()
    photo.save(kept, "JPEG", quality=rng.randint(50, 88))
    return kept.getvalue()


def _aside(garment: Image.Image, rng: Random) -> Image.Image:
    """Another garment beside the middle, smaller."""
    way = rng.uniform(0, 2 * math.pi)
    place = (0.85 * math.cos(way), 1.1 * math.sin(way))
    return posed(garment, replace(crowded_pose(rng), fill=rng.uniform(0.4, 0.8), place=place), rng)


def _garment(rng: Random, others: Sequence[Image.Image]) -> Image.Image:
    """A garment that reaches into the photo from one side."""
    way = rng.uniform(0, 2 * math.pi)
    place = (1.0 * math.cos(way), 1.3 * math.sin(way))
    return posed(rng.choice(others), replace(crowded_pose(rng), fill=rng.uniform(0.6, 1.0), place=place), rng)


def _hand(rng: Random, others: Sequence[Image.Image]) -> Image.Image:
    """A hand with its arm, from the edge of the photo."""
    layer, draw = _layer()
    color = rng.choice(SKIN)
    way = rng.uniform(0, 2 * math.pi)
    turn = way + math.pi + rng.uniform(-0.35, 0.35)
    reach = rng.uniform(0.16, 0.42) * PHOTO_SIZE[1]
    x, y = PHOTO_SIZE[0] / 2 + reach * math.cos(way), PHOTO_SIZE[1] / 2 + reach * math.sin(way)
    size = rng.uniform(0.8, 1.25)

    def at(along: float, across: float) -> tuple[float, float]:
        return (
            x + size * (along * math.cos(turn) - across * math.sin(turn)),
            y + size * (along * math.sin(turn) + across * math.cos(turn)),
        )

    _limb(draw, at(-420, 0), at(-30, 0), width=46 * size, color=shaded(color, 0.93))
    _limb(draw, at(-16, 20), at(26, 40), width=17 * size, color=shaded(color, 0.9))
    _limb(draw, at(-24, 0), at(10, 0), width=56 * size, color=color)
    for number, length in enumerate((44, 56, 52, 40)):
        across = -21 + 14 * number
        _limb(draw, at(8, across), at(8 + length, across * 1.2), width=15 * size, color=shaded(color, 0.8))
        _limb(draw, at(8, across), at(8 + length, across * 1.2), width=12 * size, color=color)
    return _flattened(layer)


def _card(rng: Random, others: Sequence[Image.Image]) -> Image.Image:
    """A card, a label or a book with lines of writing."""
    layer, draw = _layer()
    color, ink = rng.choice(CARDS), rng.choice(CARDS)
    turn = rng.uniform(0, 2 * math.pi)
    x, y = rng.uniform(0.1, 0.9) * PHOTO_SIZE[0], rng.uniform(0.1, 0.9) * PHOTO_SIZE[1]
    wide, high = rng.uniform(32, 70), rng.uniform(24, 48)

    def at(across: float, down: float) -> tuple[float, float]:
        return (
            x + across * math.cos(turn) - down * math.sin(turn),
            y + across * math.sin(turn) + down * math.cos(turn),
        )

    corners = [at(-wide, -high), at(wide, -high), at(wide, high), at(-wide, high)]
    draw.polygon(_scaled(corners), fill=(*color, 255))
    for line in range(rng.randint(2, 4)):
        down = -high * 0.6 + line * high * 0.4
        _limb(draw, at(-wide * 0.75, down), at(wide * rng.uniform(0.1, 0.75), down), width=4, color=ink)
    return _flattened(layer)


def _leaves(rng: Random, others: Sequence[Image.Image]) -> Image.Image:
    """A twig with leaves."""
    layer, draw = _layer()
    color = rng.choice(LEAVES)
    way = rng.uniform(0, 2 * math.pi)
    start = (PHOTO_SIZE[0] / 2 + 260 * math.cos(way), PHOTO_SIZE[1] / 2 + 260 * math.sin(way))
    end = (PHOTO_SIZE[0] * rng.uniform(0.3, 0.7), PHOTO_SIZE[1] * rng.uniform(0.3, 0.7))
    _limb(draw, start, end, width=4, color=shaded(color, 0.55))
    along = math.atan2(end[1] - start[1], end[0] - start[0])
    for number in range(9):
        t = 0.3 + 0.7 * number / 8
        x, y = start[0] + (end[0] - start[0]) * t, start[1] + (end[1] - start[1]) * t
        turn = along + (-1 if number % 2 else 1) * rng.uniform(0.5, 1.0)
        long, wide = rng.uniform(34, 56), rng.uniform(8, 14)
        points = []
        for step in range(17):
            s = step / 8 if step <= 8 else (16 - step) / 8
            side = (1 if step <= 8 else -1) * wide * math.sin(math.pi * s)
            points.append(
                (
                    x + long * s * math.cos(turn) - side * math.sin(turn),
                    y + long * s * math.sin(turn) + side * math.cos(turn),
                )
            )
        draw.polygon(_scaled(points), fill=(*shaded(color, rng.uniform(0.8, 1.15)), 255))
    return _flattened(layer)


def _layer() -> tuple[Image.Image, ImageDraw.ImageDraw]:
    layer = Image.new("RGBA", (PHOTO_SIZE[0] * OVERSAMPLING, PHOTO_SIZE[1] * OVERSAMPLING))
    return layer, ImageDraw.Draw(layer)


def _flattened(layer: Image.Image) -> Image.Image:
    """Reduce a layer to the photo's size."""
    return layer.reduce(OVERSAMPLING)


def _scaled(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in points]


def _limb(
    draw: ImageDraw.ImageDraw,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    width: float,
    color: Color,
) -> None:
    """Draw a line with round ends."""
    draw.line(_scaled([start, end]), fill=(*color, 255), width=round(width * OVERSAMPLING))
    radius = width * OVERSAMPLING / 2
    for x, y in _scaled([start, end]):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(*color, 255))


FRONTS: Final[dict[str, Callable[[Random, Sequence[Image.Image]], Image.Image]]] = {
    "garment": _garment,
    "hand": _hand,
    "card": _card,
    "leaves": _leaves,
}
"""What is in front of a garment: each draws RGBA of `PHOTO_SIZE`."""
