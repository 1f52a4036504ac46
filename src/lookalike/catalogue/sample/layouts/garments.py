"""Garments of a layout, and shop and consumer photos of them from several sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from PIL import Image

from lookalike.catalogue.sample.drawing.categories import CATEGORIES, FULL, UPPER, Category
from lookalike.catalogue.sample.drawing.cloth import COMPANIONS
from lookalike.catalogue.sample.drawing.scene import BACKGROUNDS, Pose, free_pose, photograph_and_find, studio_pose
from lookalike.catalogue.sample.drawn import Product, Type

BY_NAME = {category.name: category for category in CATEGORIES}
VIEWS = ("front", "side", "back", "full", "additional")
LANDMARKS = {
    "upper": ((0.38, 0.02), (0.62, 0.02), (0.04, 0.5), (0.96, 0.5), (0.2, 0.98), (0.8, 0.98)),
    "lower": ((0.2, 0.02), (0.8, 0.02), (0.2, 0.98), (0.8, 0.98)),
    "full": (
        (0.38, 0.02),
        (0.62, 0.02),
        (0.04, 0.4),
        (0.96, 0.4),
        (0.3, 0.45),
        (0.7, 0.45),
        (0.1, 0.98),
        (0.9, 0.98),
    ),
}
"""Approximate positions of collar, sleeves, waistline and hem in a garment's box, left and right of each."""


@dataclass(frozen=True)
class Garment:
    """A garment to photograph."""

    category: Category
    color: str
    second: str
    pattern: str
    seed: str

    @property
    def clothes_type(self) -> str:
        """`upper`, `lower` or `full`."""
        return "upper" if self.category in UPPER else "full" if self.category in FULL else "lower"

    @property
    def in_other_color(self) -> Garment:
        """Return the same product in its other colour."""
        return replace(self, color=self.second, second=COMPANIONS[self.second][0])

    def paint(self) -> Image.Image:
        """Paint the garment: RGBA, without a background; this takes longer than photographing it."""
        kind = Type(self.category.name, self.category.draw, self.category.patterns, (1, 1))
        return Product("", kind, self.color, self.second, self.pattern, self.seed).paint()


@dataclass(frozen=True, slots=True)
class Marks:
    """Annotations of a photo.

    Attributes:
        box: Box of the garment: x1, y1, x2, y2 in whole pixels.
        landmarks: x, y and visibility (0 visible, 2 cut off) of each.
    """

    box: tuple[int, int, int, int]
    landmarks: list[tuple[int, int, int]]


Shot = tuple[Image.Image, Marks]
T = TypeVar("T")


def make_garments(categories: Sequence[Category], *, count: int, seed: int) -> list[Garment]:
    """Make garments, the categories in turn."""
    rng = Random(f"{seed}/garments")
    garments: list[Garment] = []
    for number in range(count):
        category = categories[number % len(categories)]
        color = rng.choice(category.colors)
        garments.append(
            Garment(category, color, rng.choice(COMPANIONS[color]), rng.choice(category.patterns), f"{seed}/{number}")
        )
    return garments


def of_each(garments: Sequence[Garment], draw: Callable[[int, Garment], list[T]]) -> list[T]:
    """Call `draw` with the number and the garment, in parallel; returns the results in the order of the garments."""
    with ThreadPoolExecutor(thread_name_prefix="draw") as pool:
        return [one for some in pool.map(draw, range(len(garments)), garments) for one in some]


def shop_shot(garment: Garment, number: int, *, picture: Image.Image) -> Shot:
    """Take a shop photo: from the front, side or back, far or near, depending on its number.

    Args:
        garment: The garment.
        number: Number of the photo, from 0; the same number gives the same photo.
        picture: The painted garment.
    """
    rng = Random(f"{garment.seed}/shop/{number}")
    pose = studio_pose(rng)
    view = VIEWS[number % len(VIEWS)]
    if view == "side":
        pose = replace(pose, tilt=(rng.choice([-1, 1]) * rng.uniform(0.15, 0.25), 0.0), shear=rng.uniform(-0.06, 0.06))
    elif view == "back":
        pose = replace(pose, mirrored=True, turn=pose.turn * 2)
    elif view == "full":
        pose = replace(pose, fill=rng.uniform(0.6, 0.7))
    elif view == "additional":
        pose = replace(pose, fill=rng.uniform(1.1, 1.25))
    return _shot(garment, rng, picture=picture, pose=pose, background="white" if number < 3 else "grey")


def consumer_shot(garment: Garment, number: int, *, picture: Image.Image) -> Shot:
    """Take a consumer photo, on any background; see `shop_shot`."""
    rng = Random(f"{garment.seed}/consumer/{number}")
    others = [name for name in BACKGROUNDS if name not in ("white", "grey")]
    return _shot(garment, rng, picture=picture, pose=free_pose(rng), background=rng.choice(others))


def _shot(garment: Garment, rng: Random, *, picture: Image.Image, pose: Pose, background: str) -> Shot:
    photo, box = photograph_and_find(picture, rng, pose=pose, background=background)
    landmarks: list[tuple[int, int, int]] = []
    for across, down in LANDMARKS[garment.clothes_type]:
        x = round(box[0] + across * (box[2] - box[0]))
        y = round(box[1] + down * (box[3] - box[1]))
        cut_off = (down > 0.9 and box[3] == photo.height) or (down < 0.1 and box[1] == 0)
        landmarks.append((x, y, 2 if cut_off else 0))
    return photo, Marks(box, landmarks)


def resized(shot: Shot, *, longest: int, square: bool = False) -> Shot:
    """Resize a shot with its box and landmarks.

    Args:
        shot: The shot.
        longest: Longer side, in pixels.
        square: Whether to pad it to a white square, as the published In-shop photos are.
    """
    photo, marks = shot
    scale = longest / max(photo.size)
    size = (round(photo.width * scale), round(photo.height * scale))
    photo = photo.resize(size, Image.Resampling.BILINEAR)
    left, top = ((longest - size[0]) // 2, (longest - size[1]) // 2) if square else (0, 0)
    if square:
        ground = Image.new("RGB", (longest, longest), (255, 255, 255))
        ground.paste(photo, (left, top))
        photo = ground
    x1, y1, x2, y2 = (round(corner * scale) for corner in marks.box)
    landmarks = [(round(x * scale) + left, round(y * scale) + top, seen) for x, y, seen in marks.landmarks]
    return photo, Marks((x1 + left, y1 + top, x2 + left, y2 + top), landmarks)
