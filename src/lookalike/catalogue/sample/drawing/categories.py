"""The fifty categories of DeepFashion as drawn garments: shapes, colours and patterns of each.

Source of names, order and types: README of the Category and Attribute Prediction Benchmark.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from random import Random

from lookalike.catalogue.sample.drawing import bottoms, outerwear, tops
from lookalike.catalogue.sample.drawing.shapes import Button, Line, Part, Points, Shape

Draw = Callable[[Random], list[Shape]]


@dataclass(frozen=True, slots=True)
class Category:
    """One category.

    Attributes:
        name: Published name.
        cut: Function that makes its shapes.
        width: Factor of the shapes' width.
        colors: Names in `sample.drawing.cloth.COLORS`; few, so that 50 categories look different.
        patterns: Names of patterns or prints, or `plain`.
        has_photos: Whether the release has photos of the category; four were merged into Dress.
    """

    name: str
    cut: Draw
    width: float
    colors: tuple[str, ...]
    patterns: tuple[str, ...]
    has_photos: bool = True

    def draw(self, rng: Random) -> list[Shape]:
        """Make the shapes of one garment."""
        return stretched(self.cut(rng), width=self.width * rng.uniform(0.96, 1.04))


def stretched(shapes: Iterable[Shape], *, width: float) -> list[Shape]:
    """Scale the width of shapes about the centre; buttons stay round."""

    def stretch(points: Points) -> Points:
        return [(x * width, y) for x, y in points]

    result: list[Shape] = []
    for shape in shapes:
        match shape:
            case Part():
                printed = (shape.printed[0] * width, shape.printed[1]) if shape.printed else None
                folds = [stretch(fold) for fold in shape.folds]
                result.append(replace(shape, outline=stretch(shape.outline), folds=folds, printed=printed))
            case Line():
                result.append(replace(shape, points=stretch(shape.points)))
            case Button():
                result.append(replace(shape, middle=(shape.middle[0] * width, shape.middle[1])))
    return result


_BRIGHT = ("red", "orange", "yellow")
_COOL = ("green", "teal", "blue")
_SOFT = ("pink", "white", "beige")
_DARK = ("black", "navy", "grey")
_EARTH = ("brown", "olive", "beige")
_BLUES = ("blue", "navy")

UPPER = (
    Category("Anorak", outerwear.jacket, 1.05, ("olive", "green"), ("plain",)),
    Category("Blazer", outerwear.coat, 1.6, _DARK, ("plain", "pinstriped")),
    Category("Blouse", tops.shirt, 1.0, _SOFT, ("floral", "dotted")),
    Category("Bomber", outerwear.jacket, 1.0, ("black", "navy"), ("plain", "floral")),
    Category("Button-Down", tops.shirt, 1.0, ("white", "blue"), ("plain", "pinstriped")),
    Category("Cardigan", outerwear.jacket, 0.85, ("grey", "beige", "pink"), ("striped", "plain")),
    Category("Flannel", tops.shirt, 1.05, ("red", "green", "navy"), ("tartan",)),
    Category("Halter", tops.long_sleeved_top, 0.6, _BRIGHT, ("plain", "floral")),
    Category("Henley", tops.polo, 0.9, ("grey", "olive", "brown"), ("plain",)),
    Category("Hoodie", outerwear.hoodie, 1.0, ("grey", "black", "red"), ("plain", "star", "mountains")),
    Category("Jacket", outerwear.jacket, 1.1, ("brown", "beige"), ("plain", "tartan")),
    Category("Jersey", tops.t_shirt, 1.1, ("red", "blue", "yellow"), ("band", "striped")),
    Category("Parka", outerwear.coat, 1.2, ("olive", "green"), ("plain",)),
    Category("Peacoat", outerwear.coat, 1.25, ("navy", "black"), ("plain",)),
    Category("Poncho", bottoms.skirt, 1.3, _EARTH, ("striped", "tartan")),
    Category("Sweater", tops.sweater, 1.0, ("beige", "teal", "red"), ("striped", "heart", "plain")),
    Category("Tank", tops.t_shirt, 0.62, _COOL, ("plain", "striped")),
    Category("Tee", tops.t_shirt, 1.0, ("white", "black", "grey"), ("star", "mountains", "rings", "heart")),
    Category("Top", tops.long_sleeved_top, 1.0, ("pink", "purple", "teal"), ("plain", "dotted")),
    Category("Turtleneck", tops.sweater, 0.78, _DARK, ("plain",)),
)
LOWER = (
    Category("Capris", bottoms.trousers, 1.25, ("white", "beige"), ("plain", "checked")),
    Category("Chinos", bottoms.trousers, 1.0, ("beige", "olive", "brown"), ("plain",)),
    Category("Culottes", bottoms.trousers, 1.6, ("teal", "purple", "green"), ("plain",)),
    Category("Cutoffs", bottoms.shorts, 0.9, ("blue",), ("plain",)),
    Category("Gauchos", bottoms.trousers, 1.9, _DARK, ("plain", "pinstriped")),
    Category("Jeans", bottoms.trousers, 1.0, _BLUES, ("plain",)),
    Category("Jeggings", bottoms.trousers, 0.62, _BLUES, ("plain",)),
    Category("Jodhpurs", bottoms.trousers, 1.35, ("brown", "beige"), ("plain",)),
    Category("Joggers", bottoms.trousers, 0.9, ("black", "grey"), ("striped", "plain")),
    Category("Leggings", bottoms.trousers, 0.58, ("black", "purple", "pink"), ("plain", "floral", "dotted")),
    Category("Sarong", bottoms.skirt, 0.8, _BRIGHT, ("floral",)),
    Category("Shorts", bottoms.shorts, 1.15, ("white", "olive", "red"), ("plain", "checked", "striped")),
    Category("Skirt", bottoms.skirt, 1.0, ("red", "black", "pink"), ("plain", "dotted", "tartan")),
    Category("Sweatpants", bottoms.trousers, 1.15, ("grey",), ("plain",)),
    Category("Sweatshorts", bottoms.shorts, 1.0, ("grey", "navy"), ("plain",)),
    Category("Trunks", bottoms.shorts, 1.05, _COOL, ("floral", "dotted")),
)
FULL = (
    Category("Caftan", bottoms.dress, 1.7, ("orange", "purple"), ("striped", "floral")),
    Category("Cape", outerwear.coat, 1.5, ("black", "red"), ("plain",), has_photos=False),
    Category("Coat", outerwear.coat, 1.0, ("beige", "brown", "grey"), ("plain", "checked")),
    Category("Coverup", bottoms.dress, 1.35, ("white", "teal"), ("plain", "dotted")),
    Category("Dress", bottoms.dress, 1.0, ("red", "navy", "pink", "yellow"), ("plain", "floral", "dotted")),
    Category("Jumpsuit", bottoms.trousers, 0.8, ("green", "red"), ("floral", "plain")),
    Category("Kaftan", bottoms.dress, 1.7, ("blue", "green"), ("floral", "striped")),
    Category("Kimono", outerwear.coat, 1.35, ("red", "purple", "teal"), ("floral",)),
    Category("Nightdress", bottoms.dress, 0.95, _SOFT, ("plain",), has_photos=False),
    Category("Onesie", outerwear.hoodie, 0.75, ("pink", "yellow"), ("dotted", "striped")),
    Category("Robe", outerwear.coat, 1.1, ("white", "pink"), ("plain", "striped")),
    Category("Romper", bottoms.shorts, 0.75, ("yellow", "orange"), ("floral", "plain")),
    Category("Shirtdress", tops.shirt, 0.8, ("blue", "white"), ("striped",), has_photos=False),
    Category("Sundress", bottoms.dress, 1.1, _BRIGHT, ("floral",), has_photos=False),
)
CATEGORIES = (*UPPER, *LOWER, *FULL)
