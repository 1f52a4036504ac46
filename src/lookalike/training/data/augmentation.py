"""Augmentation of training photos: crop, rotation, light, degradation, and new backgrounds."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor
from torchvision.transforms import v2

from lookalike.errors import PhotoError, TrainingError
from lookalike.images import open_image
from lookalike.training.settings.photo_settings import AugmentationSettings
from lookalike.types import Bool, Box

BILINEAR = Image.Resampling.BILINEAR

LARGEST_JITTER = 0.3
"""Largest change of a side of a box, as a fraction of its width or height."""


class Augmentation:
    """Random augmentation of a photo to the size of the network's input.

    Args:
        settings: Strength of each change.
        size: (height, width) of the result, in pixels.
        backgrounds: Photos to paste on, as `open_image` takes them; needed when `settings.paste` is above 0.
    """

    def __init__(self, settings: AugmentationSettings, *, size: tuple[int, int], backgrounds: Sequence[str]) -> None:
        self.settings = settings
        self.height, self.width = size
        self.backgrounds = backgrounds
        self.largest_stretch = math.log(settings.stretch)
        light = settings.light
        self.light = v2.ColorJitter(brightness=light, contrast=light, saturation=light / 2, hue=settings.hue)
        self.drawn = v2.RandAugment(settings.randaugment, settings.magnitude) if settings.randaugment else None
        self.erasing = v2.RandomErasing(p=settings.erase) if settings.erase else None

    def __call__(self, photo: Image.Image, *, random: np.random.Generator) -> Image.Image:
        """Augment an RGB photo; the caller seeds torch's random numbers, which changes of torchvision use."""
        pasted = None
        if self.settings.paste and random.random() < self.settings.paste:
            pasted = self.on_background(photo, random=random)
        view = pasted or self._cropped(photo, random=random)
        if random.random() < 0.5:
            view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        view = self.light(view)
        if self.drawn is not None:
            view = self.drawn(view)
        for spoil in SPOILS:
            if random.random() < self.settings.spoil:
                view = spoil(view, random=random)
        return view

    def erased(self, photo: Tensor) -> Tensor:
        """Erase a rectangle of a normalised photo (3, H, W), which gets the mean colour; torch's random numbers decide.

        Source: Zhong et al. 2020, Random Erasing Data Augmentation, as in torchvision's RandomErasing.
        """
        changed: Tensor = photo if self.erasing is None else self.erasing(photo)
        return changed

    def varied_box(self, box: Box, *, random: np.random.Generator) -> Box:
        """Widen a box towards the input's aspect ratio, and move its sides as a finder errs."""
        if not self.settings.box_widen and not self.settings.box_jitter:
            return box
        corners = np.array(box.to_list())
        sides = np.tile(corners[2:] - corners[:2], 2)
        shape = self.width / self.height
        wider = np.maximum(sides[:2], [sides[1] * shape, sides[0] / shape]) - sides[:2]
        grown = random.uniform(0.0, self.settings.box_widen) * wider / 2
        moved = random.normal(0.0, self.settings.box_jitter, 4).clip(-LARGEST_JITTER, LARGEST_JITTER) * sides
        return Box(*(corners + moved + np.concatenate([-grown, grown])).clip(0.0, None).tolist())

    def on_background(self, photo: Image.Image, *, random: np.random.Generator) -> Image.Image | None:
        """Cut a garment out of a photo on white and paste it on a background; None if the photo is not on white.

        Raises:
            TrainingError: The background cannot be read.
        """
        whole = photo.resize((self.width, self.height), BILINEAR, reducing_gap=2.0)
        mask = foreground(whole)
        if mask is None:
            return None
        soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(3))
        soft = soft.filter(ImageFilter.GaussianBlur(0.7))
        scale = random.uniform(0.45, 1.0)
        size = (max(8, round(self.width * scale)), max(8, round(self.height * scale)))
        angle = random.uniform(-1.0, 1.0) * self.settings.rotation
        garment = whole.resize(size, BILINEAR).rotate(angle, BILINEAR)
        soft = soft.resize(size, BILINEAR).rotate(angle, BILINEAR)
        view = self._resized(self._background(random), area=random.uniform(0.15, 1.0), stretch=1.0, random=random)
        corner = (
            int(random.integers(0, self.width - size[0] + 1)),
            int(random.integers(0, self.height - size[1] + 1)),
        )
        view.paste(garment, corner, soft)
        return view

    def _background(self, random: np.random.Generator) -> Image.Image:
        """Open a random background; an unreadable one ends the run, since the training photo is not at fault."""
        chosen = self.backgrounds[int(random.integers(len(self.backgrounds)))]
        try:
            return open_image(chosen, at_least=max(self.height, self.width))
        except PhotoError as error:
            raise TrainingError(f"{error}; take this background out of the catalogue `backgrounds`") from None

    def _cropped(self, photo: Image.Image, *, random: np.random.Generator) -> Image.Image:
        if self.settings.crop == "input":
            view = self._cropped_like_input(photo, random=random)
        else:
            stretch = math.exp(random.uniform(-1.0, 1.0) * self.largest_stretch)
            area = random.uniform(self.settings.smallest_crop, 1.0)
            view = self._resized(photo, area=area, stretch=stretch, random=random)
        if not self.settings.rotation:
            return view
        angle = random.uniform(-1.0, 1.0) * self.settings.rotation
        if random.random() < 0.5:
            return view.rotate(angle, BILINEAR, fillcolor=view.getpixel((0, 0)))
        return view

    def _cropped_like_input(self, photo: Image.Image, *, random: np.random.Generator) -> Image.Image:
        """Crop a part of nearly the input's aspect ratio: 10 tries, then the largest such part in the centre.

        Source: Szegedy et al. 2015, Going Deeper with Convolutions, as in torchvision's RandomResizedCrop.
        """
        if self.settings.short_side:
            scale = self.settings.short_side / min(photo.size)
            photo = photo.resize((round(photo.width * scale), round(photo.height * scale)), BILINEAR)
        shape = self.width / self.height
        for _ in range(10):
            area = photo.width * photo.height * random.uniform(self.settings.smallest_crop, 1.0)
            ratio = shape * math.exp(random.uniform(-1.0, 1.0) * self.largest_stretch)
            width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < width <= photo.width and 0 < height <= photo.height:
                left = int(random.integers(0, photo.width - width + 1))
                top = int(random.integers(0, photo.height - height + 1))
                break
        else:
            factor = math.exp(self.largest_stretch)
            width = min(photo.width, round(photo.height * shape * factor))
            height = min(photo.height, round(photo.width / shape * factor))
            left, top = (photo.width - width) // 2, (photo.height - height) // 2
        return photo.crop((left, top, left + width, top + height)).resize((self.width, self.height), BILINEAR)

    def _resized(self, photo: Image.Image, *, area: float, stretch: float, random: np.random.Generator) -> Image.Image:
        """Crop a part with this fraction of the area, its aspect ratio changed by `stretch`, and resize it."""
        width = photo.width * min(1.0, math.sqrt(area * stretch))
        height = photo.height * min(1.0, math.sqrt(area / stretch))
        left, top = random.uniform(0, photo.width - width), random.uniform(0, photo.height - height)
        return photo.resize(
            (self.width, self.height), BILINEAR, box=(left, top, left + width, top + height), reducing_gap=2.0
        )


def foreground(photo: Image.Image) -> Bool | None:
    """Segment the garment of a photo on a white background.

    Args:
        photo: RGB.

    Returns:
        (H, W) bool, true on the garment; None when the border is not nearly all white, or the garment is
        less than a thirtieth or more than nine tenths of the picture.
    """
    pixels = np.asarray(photo)
    lowest = pixels.min(axis=2)
    white = (lowest >= 232) & (pixels.max(axis=2) - lowest <= 16)
    border = np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]])
    if border.mean() < 0.85:
        return None
    seeds = np.zeros_like(white)
    seeds[0], seeds[-1], seeds[:, 0], seeds[:, -1] = white[0], white[-1], white[:, 0], white[:, -1]
    shown: Bool = ~ndimage.binary_propagation(seeds, mask=white)
    return shown if 1 / 30 <= shown.mean() <= 0.9 else None


def _blurred(view: Image.Image, *, random: np.random.Generator) -> Image.Image:
    return view.filter(ImageFilter.GaussianBlur(random.uniform(0.4, 1.6)))


def _coarse(view: Image.Image, *, random: np.random.Generator) -> Image.Image:
    scale = random.uniform(0.35, 0.8)
    return view.resize((round(view.width * scale), round(view.height * scale)), BILINEAR).resize(view.size, BILINEAR)


def _compressed(view: Image.Image, *, random: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    view.save(buffer, "JPEG", quality=int(random.integers(25, 75)))
    return open_image(buffer.getvalue())


SPOILS = (_blurred, _coarse, _compressed)
"""Degradations of a photo; each takes the photo and a random generator of its strength."""
