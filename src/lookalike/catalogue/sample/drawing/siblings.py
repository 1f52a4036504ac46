"""Near-duplicates: products that differ from another one in a single detail."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

from lookalike.catalogue.sample.drawing.cloth import COLORS, COMPANIONS, PATTERNS, PRINTS, Cloth, Color, shaded
from lookalike.catalogue.sample.drawing.painting import paint
from lookalike.catalogue.sample.drawing.shapes import Part, Point, Points, Shape, Stuff, disc
from lookalike.catalogue.sample.drawn import Product

Cut: TypeAlias = tuple[list[Shape], dict[Stuff, Cloth]]
"""Shapes from back to front, and the cloth of each kind of part."""

SEEN: Final = 0.02
"""Smallest fraction of a garment's pixels that a detail changes."""

CHANGED: Final = 24
"""Smallest difference of a channel that counts as a change, of 255."""

TRIES: Final = 40
ROUNDS: Final = 3
"""How often all details are tried."""


def siblings(product: Product, count: int) -> list[tuple[str, Image.Image]]:
    """Paint a product and its near-duplicates: the same cut, and all but one detail the same.

    Args:
        product: The product.
        count: How many to paint, with the product itself.

    Returns:
        The name of the detail and the painted garment of each; `none` for the product itself, which is the first. A
        garment that few details fit has one of them twice, drawn otherwise.
    """
    rng = Random(f"{product.seed}/siblings")
    original = paint(*product.parts())
    found = [("none", original)]
    names = list(DETAILS)
    rng.shuffle(names)
    for name in names * ROUNDS:
        if len(found) == count:
            break
        cut = DETAILS[name](product, rng)
        if cut is None:
            continue
        changed = paint(*cut)
        if changed_fraction(original, changed) >= SEEN:
            found.append((name, changed))
    return found


def changed_fraction(first: Image.Image, second: Image.Image) -> float:
    """Fraction of the pixels of a painted garment that differ in another one by `CHANGED` or more in a channel."""
    one, other = (np.asarray(picture, dtype=np.int16) for picture in (first, second))
    shown = one[:, :, 3] > 127
    changed = np.abs(one[:, :, :3] - other[:, :, :3]).max(axis=2) >= CHANGED
    return float((changed & shown).sum() / max(int(shown.sum()), 1))


def _badge(product: Product, rng: Random) -> Cut | None:
    """A small round badge."""
    radius = rng.uniform(0.13, 0.17)
    return _with_patch(product, rng, lambda middle: disc(middle, radius), reach=radius)


def _pocket(product: Product, rng: Random) -> Cut | None:
    """A patch pocket of another colour."""
    half = rng.uniform(0.15, 0.19)

    def outline(middle: Point) -> Points:
        x, y = middle
        corners = ((-half, -half), (half, -half), (half, half * 0.7), (0, half * 1.2), (-half, half * 0.7))
        return [(x + across, y + down) for across, down in corners]

    return _with_patch(product, rng, outline, reach=half * 1.3)


def _stripe(product: Product, rng: Random) -> Cut | None:
    """A short bar of another colour."""
    half, width = rng.uniform(0.2, 0.26), rng.uniform(0.05, 0.07)

    def outline(middle: Point) -> Points:
        x, y = middle
        return [(x - half, y - width), (x + half, y - width), (x + half, y + width), (x - half, y + width)]

    return _with_patch(product, rng, outline, reach=half)


def _with_patch(product: Product, rng: Random, outline: Callable[[Point], Points], *, reach: float) -> Cut | None:
    """Sew a patch on the largest part, where it fits; None if it does not."""
    shapes, stuffs = product.parts()
    largest = max((shape for shape in shapes if isinstance(shape, Part)), key=lambda part: _extent(part.outline))
    edge = largest.outline
    left, right = min(x for x, _ in edge), max(x for x, _ in edge)
    top, bottom = min(y for _, y in edge), max(y for _, y in edge)
    for _ in range(TRIES):
        middle = (rng.uniform(left + reach, right - reach), rng.uniform(top + reach, top + (bottom - top) * 0.7))
        corners = outline(middle)
        if all(_inside(corner, edge) for corner in corners):
            stuffs["detail"] = Cloth(_contrasting(stuffs["main"], product, rng))
            return [*shapes, Part(corners, "detail", depth=0.3)], stuffs
    return None


def _extent(outline: Points) -> float:
    """Area of the box around an outline."""
    across, down = [x for x, _ in outline], [y for _, y in outline]
    return (max(across) - min(across)) * (max(down) - min(down))


def _inside(point: Point, outline: Points) -> bool:
    """Whether a point is inside a closed outline, by the parity of the edges to its right."""
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in zip(outline, [*outline[1:], outline[0]], strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            inside = not inside
    return inside


def _trim(product: Product, rng: Random) -> Cut | None:
    """Collar, cuffs or edges of another colour."""
    shapes, stuffs = product.parts()
    stuffs["trim"] = Cloth(_contrasting(stuffs["trim"], product, rng))
    return shapes, stuffs


def _parts(product: Product, rng: Random) -> Cut | None:
    """Sleeves, yoke or flap of another colour."""
    shapes, stuffs = product.parts()
    stuffs["second"] = Cloth(_contrasting(stuffs["second"], product, rng))
    return shapes, stuffs


def _drawing(product: Product, rng: Random) -> Cut | None:
    """Pattern or print in another colour; None for plain cloth."""
    shapes, stuffs = product.parts()
    if stuffs["main"].pattern == "plain" and not stuffs["main"].print_shape:
        return None
    other = _contrasting(Cloth(stuffs["main"].second), product, rng)
    for name in ("main", "second"):
        stuffs[name] = replace(stuffs[name], second=other)
    return shapes, stuffs


def _repeat(product: Product, rng: Random) -> Cut | None:
    """Pattern of another size, or another print; None for plain cloth."""
    shapes, stuffs = product.parts()
    main = stuffs["main"]
    if main.pattern in PATTERNS:
        factor = rng.choice((0.62, 1.6))
        for name in ("main", "second"):
            stuffs[name] = replace(stuffs[name], size=stuffs[name].size * factor)
    elif main.print_shape:
        others = [name for name in PRINTS if name not in (main.print_shape, "band")]
        stuffs["main"] = replace(main, print_shape=rng.choice(others))
    else:
        return None
    return shapes, stuffs


def _dye(product: Product, rng: Random) -> Cut | None:
    """The main colour a little different: its hue, or for greys its lightness."""
    shapes, stuffs = product.parts()
    before = stuffs["main"].color
    after = _dyed(before, rng)
    for name, cloth in stuffs.items():
        if cloth.color == before:
            stuffs[name] = replace(cloth, color=after)
    stuffs["lining"], stuffs["dark"] = Cloth(shaded(after, 0.55)), Cloth(shaded(after, 0.38))
    return shapes, stuffs


def _dyed(color: Color, rng: Random) -> Color:
    hue, lightness, saturation = colorsys.rgb_to_hls(*(channel / 255 for channel in color))
    way = rng.choice((-1, 1))
    if saturation < 0.2:
        lightness += 0.16 * (-1 if lightness > 0.75 else 1 if lightness < 0.3 else way)
    else:
        hue = (hue + 0.09 * way) % 1.0
    r, g, b = (round(channel * 255) for channel in colorsys.hls_to_rgb(hue, lightness, saturation))
    return r, g, b


def _contrasting(cloth: Cloth, product: Product, rng: Random) -> Color:
    """A colour that goes with the product's, and is far from that of a cloth and from the main colour."""
    main = product.parts()[1]["main"].color
    fitting = [COLORS[name] for name in (*COMPANIONS[product.color], *COLORS)]
    far = [color for color in fitting if min(_distance(color, cloth.color), _distance(color, main)) > 110]
    return rng.choice(far[:4])


def _distance(first: Color, second: Color) -> int:
    return sum(abs(one - other) for one, other in zip(first, second, strict=True))


DETAILS: Final[Mapping[str, Callable[[Product, Random], Cut | None]]] = {
    "badge": _badge,
    "pocket": _pocket,
    "stripe": _stripe,
    "trim": _trim,
    "parts": _parts,
    "drawing": _drawing,
    "repeat": _repeat,
    "dye": _dye,
}
"""What tells a near-duplicate from its product; each gives None for a garment that cannot have it."""
