"""Augmented training pictures of the finder: crops, pasted garments, and their boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from lookalike.finding.boxes import areas, shared_areas
from lookalike.images import open_image
from lookalike.training.data.augmentation import SPOILS, foreground
from lookalike.training.finder.labelled_photos import UNKNOWN, LabelledPhoto
from lookalike.training.finder.settings import SceneSettings
from lookalike.types import Bool, Float32, Int64

BILINEAR = Image.Resampling.BILINEAR

SEEN, GLIMPSED = 0.35, 0.1
"""Visible fractions of a box: at least the first makes it a label, less than the second removes it."""

SINGLE_MARGIN = 0.04
"""Assumed margin around a garment that nearly fills its photo, as a fraction of each side."""

ROUGHLY = 0.2
"""Weight of the box loss for such an assumed box."""


@dataclass(frozen=True, slots=True)
class Scene:
    """Picture with labels.

    Attributes:
        picture: RGB image.
        boxes: (G, 4) float32, in its pixels.
        kinds: (G,) int64; -1 marks an ambiguous or barely visible garment.
        exact: (G,) float32 in [0, 1], weight of the box loss.
        known: (K,) bool, kinds that are labelled wherever they occur.
    """

    picture: Image.Image
    boxes: Float32
    kinds: Int64
    exact: Float32
    known: Bool


class Scenes:
    """Factory of training pictures.

    Args:
        settings: Augmentation settings.
        worn: Photos of people; also used as backgrounds.
        white: Photos of one garment on white.
    """

    def __init__(
        self, settings: SceneSettings, *, worn: Sequence[LabelledPhoto], white: Sequence[LabelledPhoto]
    ) -> None:
        self.settings, self.worn, self.white = settings, worn, white

    def scene(self, photo: LabelledPhoto, *, size: tuple[int, int], random: np.random.Generator) -> Scene:
        """Make a training picture from a photo.

        Args:
            photo: Labelled photo.
            size: (height, width) of the picture, in pixels.
            random: Generator of all random choices.

        Raises:
            PhotoError: A photo cannot be read.
        """
        settings = self.settings
        if photo.shown == "white":
            made = self._of_white(photo, size=size, random=random)
        elif photo.shown == "single":
            made = self._part_of(self._single(photo), size=size, random=random, smallest=0.75)
        elif size[1] >= size[0] and random.random() < 2 * settings.beside:
            made = self._beside(photo, size=size, random=random)
        else:
            made = self._part_of(opened(photo), size=size, random=random, smallest=settings.smallest)
        if photo.shown == "worn" and self.white and random.random() < settings.add:
            made = self._with_garment(made, self._any(self.white, random), random=random)
        if random.random() < 0.5:
            made = _mirrored(made)
        return replace(made, picture=self._spoilt(made.picture, random=random))

    def _any(self, photos: Sequence[LabelledPhoto], random: np.random.Generator) -> LabelledPhoto:
        return photos[int(random.integers(len(photos)))]

    def _single(self, photo: LabelledPhoto) -> Scene:
        scene = opened(photo)
        inner = np.array([SINGLE_MARGIN, SINGLE_MARGIN, 1 - SINGLE_MARGIN, 1 - SINGLE_MARGIN], dtype=np.float32)
        return replace(scene, boxes=scene.boxes * inner, exact=np.full(1, ROUGHLY, dtype=np.float32))

    def _of_white(self, photo: LabelledPhoto, *, size: tuple[int, int], random: np.random.Generator) -> Scene:
        """A garment on white, or pasted on a part of another photo."""
        scene = opened(photo)
        cut = cut_out(scene.picture)
        if cut is None:  # worn by a person or cut at an edge: the box is not known
            rough = np.full(1, ROUGHLY, dtype=np.float32)
            others = np.zeros_like(scene.known)
            others[scene.kinds] = True
            return self._part_of(replace(scene, exact=rough, known=others), size=size, random=random, smallest=0.8)
        if not self.worn or random.random() >= self.settings.paste:
            scene = replace(scene, boxes=cut[1][None])
            return self._part_of(scene, size=size, random=random, smallest=0.8)
        behind = opened(self._any(self.worn, random))
        strip = _beside_people(behind) if random.random() < 0.6 else None
        behind = strip or self._part_of(behind, size=size, random=random, smallest=self.settings.smallest)
        behind = self._part_of(behind, size=size, random=random, smallest=0.5) if strip else behind
        return self._with_garment(behind, photo, random=random, largest=0.95 if strip else 0.7)

    def _with_garment(
        self, scene: Scene, photo: LabelledPhoto, *, random: np.random.Generator, largest: float = 0.5
    ) -> Scene:
        """Cut a garment out of its white photo and paste it; returns the scene unchanged if it cannot be cut out."""
        cut = cut_out(opened(photo).picture)
        if cut is None:
            return scene
        garment, (left, top, right, bottom), mask = cut
        box = (math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom))
        garment, mask = garment.crop(box), mask.crop(box)
        width, height = scene.picture.size
        scale = random.uniform(0.12, largest) * min(width / garment.width, height / garment.height)
        stretch = math.exp(random.uniform(-0.15, 0.15))
        sides = (max(6, round(garment.width * scale * stretch)), max(6, round(garment.height * scale / stretch)))
        garment, mask = garment.resize(sides, BILINEAR, reducing_gap=2.0), mask.resize(sides, BILINEAR)
        sides = (min(sides[0], width), min(sides[1], height))
        x, y = int(random.integers(0, width - sides[0] + 1)), int(random.integers(0, height - sides[1] + 1))
        picture = scene.picture.copy()
        picture.paste(garment, (x, y), mask)
        mine = np.array([[x, y, x + sides[0], y + sides[1]]], dtype=np.float32)
        hidden = shared_areas(scene.boxes, mine)[:, 0] / np.maximum(areas(scene.boxes), 1)
        kinds = np.where(hidden > 0.5, UNKNOWN, scene.kinds)
        stays = hidden < 0.9
        return Scene(
            picture,
            np.concatenate([scene.boxes[stays], mine]),
            np.concatenate([kinds[stays], photo.kinds]),
            np.concatenate([scene.exact[stays], np.ones(1, dtype=np.float32)]),
            scene.known,
        )

    def _beside(self, photo: LabelledPhoto, *, size: tuple[int, int], random: np.random.Generator) -> Scene:
        """Two photos of people side by side."""
        height, width = size
        half = (height, width // 2)
        other = self._any(self.worn, random)
        left, right = (
            self._part_of(opened(each), size=half, random=random, smallest=self.settings.smallest)
            for each in (photo, other)
        )
        picture = Image.new("RGB", (width, height))
        picture.paste(left.picture, (0, 0))
        picture.paste(right.picture, (width // 2, 0))
        shift = np.array([width // 2, 0, width // 2, 0], dtype=np.float32)
        return Scene(
            picture,
            np.concatenate([left.boxes, right.boxes + shift]),
            np.concatenate([left.kinds, right.kinds]),
            np.concatenate([left.exact, right.exact]),
            left.known & right.known,
        )

    def _part_of(self, scene: Scene, *, size: tuple[int, int], random: np.random.Generator, smallest: float) -> Scene:
        """Random crop of a scene, possibly with a margin, at the size of the input."""
        settings, (height, width) = self.settings, size
        area = math.exp(random.uniform(math.log(smallest), math.log(settings.largest)))
        stretch = math.exp(random.uniform(-1, 1) * math.log(settings.stretch))
        shape = width / height * stretch
        full = scene.picture.width * scene.picture.height * area
        across, down = math.sqrt(full * shape), math.sqrt(full / shape)
        left, top = (
            random.uniform(min(0, side - window), max(0, side - window))
            for side, window in ((scene.picture.width, across), (scene.picture.height, down))
        )
        return window(scene, (left, top, left + across, top + down), size=size, random=random)

    def _spoilt(self, picture: Image.Image, *, random: np.random.Generator) -> Image.Image:
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = change(picture).enhance(1.0 + random.uniform(-1, 1) * self.settings.light)
        for spoil in SPOILS:
            if random.random() < self.settings.spoil:
                picture = spoil(picture, random=random)
        return picture


def opened(photo: LabelledPhoto) -> Scene:
    """Open a photo with its labels.

    Raises:
        PhotoError: The photo cannot be read.
    """
    picture = open_image(photo.photo)
    scale = np.array([*picture.size, *picture.size], dtype=np.float32)
    return Scene(picture, photo.boxes * scale, photo.kinds, np.ones(len(photo.kinds), dtype=np.float32), photo.known)


def window(
    scene: Scene, corners: tuple[float, float, float, float], *, size: tuple[int, int], random: np.random.Generator
) -> Scene:
    """Crop and resize a scene.

    Args:
        scene: Picture with labels.
        corners: Left, top, right and bottom of the crop, in pixels of the scene; may lie outside of it.
        size: (height, width) of the result, in pixels.
        random: Generator for the color outside of the scene.
    """
    left, top, right, bottom = corners
    height, width = size
    across, down = (right - left) / width, (bottom - top) / height
    picture = scene.picture
    if max(across, down) > 1.5:  # the transformation does not average pixels
        shrunk = (max(1, round(picture.width / across)), max(1, round(picture.height / down)))
        factors = np.array([shrunk[0] / picture.width, shrunk[1] / picture.height] * 2)
        picture = picture.resize(shrunk, BILINEAR, reducing_gap=2.0)
        left, top, right, bottom = (np.array(corners) * factors).tolist()
        across, down = (right - left) / width, (bottom - top) / height
    edge = picture.getpixel((0, 0)) if random.random() < 0.5 else tuple(random.integers(0, 256, 3).tolist())
    shown = picture.transform(
        size[::-1], Image.Transform.AFFINE, (across, 0, left, 0, down, top), BILINEAR, fillcolor=edge
    )
    outer = np.array(corners, dtype=np.float32)
    scale = np.array([width, height], dtype=np.float32) / (outer[2:] - outer[:2])
    boxes = (scene.boxes - np.tile(outer[:2], 2)) * np.tile(scale, 2)
    limits = np.array([width, height, width, height], dtype=np.float32)
    clipped = boxes.clip(0, limits)
    part = areas(clipped) / np.maximum(areas(boxes), 1e-6)
    there = (part > GLIMPSED) & (clipped[:, 2:] - clipped[:, :2] >= 2).all(axis=1)
    kinds = np.where(part >= SEEN, scene.kinds, UNKNOWN)
    return Scene(shown, clipped[there], kinds[there], scene.exact[there], scene.known)


def cut_out(picture: Image.Image) -> tuple[Image.Image, Float32, Image.Image] | None:
    """Cut out the garment of a photo on white.

    Returns:
        The photo, the box (4,) of the garment in pixels, and a soft mask; None if white does not surround it.
    """
    mask = foreground(picture)
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.mean(axis=1) > 0.01), np.flatnonzero(mask.mean(axis=0) > 0.01)
    if not len(rows) or not len(columns):
        return None
    height, width = mask.shape
    if rows[0] == 0 or columns[0] == 0 or rows[-1] == height - 1 or columns[-1] == width - 1:
        return None
    soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.7))
    box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float32)
    return picture, box, soft


def _beside_people(scene: Scene) -> Scene | None:
    """The wider strip beside all boxes of a scene; None if it is narrow."""
    if not len(scene.boxes):
        return None
    width, height = scene.picture.size
    left, right = scene.boxes[:, 0].min() - 0.05 * width, scene.boxes[:, 2].max() + 0.05 * width
    edges = (0.0, float(left)) if left > width - right else (float(right), float(width))
    if edges[1] - edges[0] < 0.2 * width:
        return None
    strip = scene.picture.crop((math.floor(edges[0]), 0, math.floor(edges[1]), height))
    nothing = np.zeros((0, 4), dtype=np.float32)
    return Scene(strip, nothing, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32), scene.known)


def _mirrored(scene: Scene) -> Scene:
    width = scene.picture.width
    boxes = scene.boxes.copy()
    boxes[:, [0, 2]] = width - scene.boxes[:, [2, 0]]
    return replace(scene, picture=scene.picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), boxes=boxes)
