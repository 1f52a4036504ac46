"""Painting of shapes as an image of a garment, with light, creases and seams."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from lookalike.catalogue.sample.drawing.cloth import OVERSAMPLING, SCALE, Cloth, PixelBox, shaded
from lookalike.catalogue.sample.drawing.shapes import Button, Line, Part, Points, Shape, Stuff, band, dashes, disc
from lookalike.types import Float32

CANVAS = (2 * SCALE, 8 * SCALE // 3)


def paint(shapes: Iterable[Shape], stuffs: Mapping[Stuff, Cloth]) -> Image.Image:
    """Paint shapes over each other.

    Args:
        shapes: Shapes from back to front.
        stuffs: Cloth of each kind of part.

    Returns:
        RGBA of size `CANVAS`; transparent pixels have the colour of the garment, so that scaling leaves no fringe.
    """
    picture = Image.new("RGB", CANVAS, stuffs["main"].color)
    cover = Image.new("L", CANVAS, 0)
    for shape in shapes:
        if isinstance(shape, Part):
            _paint_part(picture, cover, shape, stuffs[shape.stuff])
        elif isinstance(shape, Line):
            _paint_line(picture, shape, stuffs[shape.stuff])
        else:
            _paint_button(picture, shape, stuffs[shape.stuff])
    picture.putalpha(cover)
    return picture


def _paint_part(picture: Image.Image, cover: Image.Image, part: Part, cloth: Cloth) -> None:
    box = _box_around(part.outline, margin=10)
    mask = _mask([part.outline], box)
    soft = _blurred(mask, 9)
    below = picture.crop(box)
    shadow = ImageChops.offset(soft, 2, 4).point([value * 9 // 32 for value in range(256)])
    below.paste(shaded(cloth.color, 0.25), (0, 0), shadow)
    sewn = np.asarray(cloth.spread(box, angle=part.angle, middle=part.printed), dtype=np.float32)
    sewn *= _light(soft, _creases(part, box), depth=part.depth)[:, :, None]
    below.paste(Image.fromarray(np.minimum(sewn, 255.0).astype(np.uint8)), (0, 0), mask)
    edge = _mask([band([*part.outline, part.outline[0]], 0.009)], box)
    below.paste(shaded(cloth.color, 0.5), (0, 0), ImageChops.multiply(edge.point(_HALF), mask))
    picture.paste(below, box[:2])
    cover.paste(ImageChops.lighter(cover.crop(box), mask), box[:2])


_HALF = [value * 5 // 8 for value in range(256)]


def _light(soft: Image.Image, creases: Float32, *, depth: float) -> Float32:
    """Brightness factor of each pixel of a part, (H, W); 1 keeps the colour.

    Parts look round at their edges: the slopes of the blurred mask are lit from the upper left.
    """
    height = np.asarray(soft, dtype=np.float32) / np.float32(255.0)
    slope = np.zeros_like(height)
    slope[4:-4, 4:-4] = height[8:, 8:] - height[:-8, :-8]
    rim = np.minimum(height, np.float32(0.95))
    light: Float32 = np.float32(1.0) + np.float32(depth) * (
        slope * np.float32(0.30) - (np.float32(0.95) - rim) * np.float32(0.34)
    )
    light += creases
    light += np.resize(_grain(), height.shape)
    return light


@cache
def _grain() -> Float32:
    """Noise of woven cloth, in [-0.016, 0.016]; the number of values is prime, so that rows do not repeat."""
    noise = np.frombuffer(Random(7).randbytes(9973), dtype=np.uint8)
    return (noise.astype(np.float32) - np.float32(127.5)) * np.float32(0.032 / 255)


def _creases(part: Part, box: PixelBox) -> Float32:
    """Dark and light sides of the creases, (H, W), to add to the brightness."""
    size = ((box[2] - box[0]) // 2, (box[3] - box[1]) // 2)
    if not part.folds:
        return np.zeros((box[3] - box[1], box[2] - box[0]), dtype=np.float32)
    relief = Image.new("L", size, 128)
    draw = ImageDraw.Draw(relief)
    for fold in part.folds:
        for aside, value in ((-0.018, 186), (0.018, 62)):
            lens = band([(x + aside, y + aside / 3) for x, y in fold], 0.045, tapered=True)
            draw.polygon([(x / 2, y / 2) for x, y in _pixels(lens, box)], fill=value)
    relief = relief.filter(ImageFilter.BoxBlur(2)).filter(ImageFilter.BoxBlur(2))
    relief = relief.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR)
    return (np.asarray(relief, dtype=np.float32) - np.float32(128.0)) * np.float32(0.0026)


def _paint_line(picture: Image.Image, line: Line, cloth: Cloth) -> None:
    pieces = dashes(line.points, line.dash) if line.dash else [line.points]
    box = _box_around(line.points, margin=4)
    if _is_empty(box):
        return
    strength = [round(value * line.strength) for value in range(256)]
    mask = _mask([band(piece, line.width) for piece in pieces], box).point(strength)
    picture.paste(cloth.color, box, mask)


def _paint_button(picture: Image.Image, button: Button, cloth: Cloth) -> None:
    (x, y), radius = button.middle, button.radius
    for dx, dy, size, color, strength in (
        (0.006, 0.010, 1.05, (0, 0, 0), 90),
        (0.0, 0.0, 1.0, shaded(cloth.color, 0.72), 255),
        (-0.002, -0.003, 0.82, shaded(cloth.color, 1.12), 255),
        (0.0, 0.0, 0.2, shaded(cloth.color, 0.45), 255),
    ):
        outline = disc((x + dx, y + dy), radius * size)
        box = _box_around(outline, margin=3)
        if _is_empty(box):
            continue
        picture.paste(color, box, _mask([outline], box).point([value * strength // 255 for value in range(256)]))


def _box_around(points: Points, *, margin: int) -> PixelBox:
    """Bounding box of points with a margin, in pixels of the canvas."""
    pixels = [(x * SCALE + CANVAS[0] / 2, y * SCALE + CANVAS[1] / 2) for x, y in points]
    left, right = min(x for x, _ in pixels), max(x for x, _ in pixels)
    top, bottom = min(y for _, y in pixels), max(y for _, y in pixels)
    return (
        max(0, int(left) - margin),
        max(0, int(top) - margin),
        min(CANVAS[0], int(right) + 1 + margin),
        min(CANVAS[1], int(bottom) + 1 + margin),
    )


def _is_empty(box: PixelBox) -> bool:
    """Whether a box is of points that are all outside of the canvas, as at the ends of the widest sleeves."""
    return box[2] <= box[0] or box[3] <= box[1]


def _pixels(points: Points, box: PixelBox) -> Points:
    return [(x * SCALE + CANVAS[0] / 2 - box[0], y * SCALE + CANVAS[1] / 2 - box[1]) for x, y in points]


def _mask(outlines: Iterable[Points], box: PixelBox) -> Image.Image:
    """Antialiased mask of the inside of outlines."""
    large = Image.new("L", ((box[2] - box[0]) * OVERSAMPLING, (box[3] - box[1]) * OVERSAMPLING), 0)
    draw = ImageDraw.Draw(large)
    for outline in outlines:
        draw.polygon([(x * OVERSAMPLING, y * OVERSAMPLING) for x, y in _pixels(outline, box)], fill=255)
    return large.reduce(OVERSAMPLING)


def _blurred(mask: Image.Image, radius: int) -> Image.Image:
    """Blur a mask at half its size, which is faster and looks the same."""
    small = mask.reduce(2).filter(ImageFilter.BoxBlur(radius / 2)).filter(ImageFilter.BoxBlur(radius / 2))
    return small.resize(mask.size, Image.Resampling.BILINEAR)
