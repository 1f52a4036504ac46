"""Preprocessing of photos for a network; shared by training and search, without torch."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal, cast, get_args

import numpy as np
from PIL import Image

from lookalike.errors import ModelError, UnknownNameError, short_reason
from lookalike.types import Float32, UInt8

Fit = Literal["stretch", "crop", "pad"]
Interpolation = Literal["bilinear", "bicubic"]
LARGEST_INPUT = 8192
"""Largest side of an input, in pixels."""

LONGEST = 8
"""Largest aspect ratio of a photo that is resized as a whole before the centre crop."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """Preprocessing of an upright RGB photo to (C, H, W) float32; stored in the model's file.

    Attributes:
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        fit: `stretch` changes the aspect ratio to the input's; `crop` resizes the short side to `short_side` and takes
            the centre, as ImageNet models and the original system do; `pad` keeps the whole photo and fills with white.
        short_side: Short side before a `crop`, in pixels.
        mean: Mean of each channel, for values in [0, 1].
        std: Standard deviation of each channel, for values in [0, 1].
        interpolation: Filter of resizing; CLIP models take `bicubic`.
    """

    height: int
    width: int
    fit: Fit = "stretch"
    short_side: int = 0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"

    def __post_init__(self) -> None:
        sides, scales = (self.height, self.width, self.short_side), (*self.mean, *self.std)
        known = self.fit in get_args(Fit) and self.interpolation in get_args(Interpolation)
        known &= all(isinstance(side, int) and 0 <= side <= LARGEST_INPUT for side in sides)
        known &= len(self.mean) == len(self.std) == 3 and all(isinstance(one, int | float) for one in scales)
        if not known or min(self.height, self.width) < 1 or min(self.std) < 1e-6 or not np.isfinite(scales).all():
            raise ModelError(f"a model's preprocessing is invalid: {self}")
        if self.fit == "crop" and self.short_side < max(self.height, self.width):
            raise ModelError(f"a centre crop of {self.height}x{self.width} needs a short side of at least that: {self}")

    @property
    def wanted_size(self) -> int:
        """Smallest side in pixels that photos may be decoded at."""
        return max(self.height, self.width, self.short_side)

    @property
    def _filter(self) -> Image.Resampling:
        return Image.Resampling.BICUBIC if self.interpolation == "bicubic" else Image.Resampling.BILINEAR

    def fitted(self, photo: Image.Image) -> Image.Image:
        """Fit an RGB photo to the input's size, as an image."""
        size = (self.width, self.height)
        if self.fit == "stretch":
            return photo.resize(size, self._filter)
        if self.fit == "crop":
            return self._centre(photo)
        scale = min(self.width / photo.width, self.height / photo.height)
        inner = photo.resize((max(1, round(photo.width * scale)), max(1, round(photo.height * scale))), self._filter)
        canvas = Image.new("RGB", size, "white")
        canvas.paste(inner, ((self.width - inner.width) // 2, (self.height - inner.height) // 2))
        return canvas

    def _centre(self, photo: Image.Image) -> Image.Image:
        """Resize the short side to `short_side` and take the centre.

        Sizes and offsets are rounded as in torchvision, so the pixels are the same.
        """
        short = min(photo.size)
        across, down = (int(self.short_side * side / short) for side in photo.size)
        left, top = round((across - self.width) / 2), round((down - self.height) / 2)
        if max(across, down) <= LONGEST * self.short_side:
            inner = photo.resize((across, down), self._filter)
            return inner.crop((left, top, left + self.width, top + self.height))
        # A photo of 60,000 x 10 pixels, resized as a whole to a height of 256, would take gigabytes of memory.
        right, bottom = (left + self.width) * photo.width / across, (top + self.height) * photo.height / down
        box = (
            left * photo.width / across,
            top * photo.height / down,
            min(right, photo.width),  # rounding may exceed the width by one
            min(bottom, photo.height),
        )
        return photo.resize((self.width, self.height), self._filter, box=box)

    def area(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the input, as fractions of a photo: beyond [0, 1] where it is filled.

        Args:
            width: Width of the photo, in pixels.
            height: Height of the photo, in pixels.
        """
        if self.fit == "stretch":
            return 0.0, 0.0, 1.0, 1.0
        if self.fit == "crop":
            scale = self.short_side / min(width, height)
        else:
            scale = min(self.width / width, self.height / height)
        across, down = self.width / (width * scale), self.height / (height * scale)
        return (1 - across) / 2, (1 - down) / 2, (1 + across) / 2, (1 + down) / 2

    def pixels(self, photo: Image.Image) -> UInt8:
        """Fit an RGB photo to the input's size: (3, H, W) uint8."""
        # Channels first: one factor per contiguous channel is four times as fast.
        return np.ascontiguousarray(np.asarray(self.fitted(photo)).transpose(2, 0, 1))

    def normalised(self, photos: Sequence[UInt8]) -> Float32:
        """Normalise the `pixels` of B photos: (B, 3, H, W) float32."""
        scale = np.float32(1.0) / (np.float32(255.0) * np.asarray(self.std, dtype=np.float32))
        shift = np.divide(self.mean, self.std, dtype=np.float32)
        normalised = np.empty((len(photos), 3, self.height, self.width), dtype=np.float32)
        for pixels, row in zip(photos, normalised, strict=True):  # one after the other stays in the processor's cache
            row[...] = pixels
            row *= scale[:, None, None]
            row -= shift[:, None, None]
        return normalised

    def __call__(self, photo: Image.Image) -> Float32:
        """Turn an RGB photo into a normalised (3, H, W) float32 array."""
        normalised: Float32 = self.normalised([self.pixels(photo)])[0]
        return normalised

    def to_json(self) -> str:
        """Return the JSON that a model's file stores.

        Bilinear interpolation is left out: fingerprints depend on this text, and older models keep theirs.
        """
        fields = asdict(self)
        if self.interpolation == "bilinear":
            del fields["interpolation"]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Parse the JSON of `to_json`.

        Raises:
            ModelError: The text is malformed.
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ModelError(f"a model's preprocessing cannot be read: {short_reason(error)}") from None


@dataclass(frozen=True, slots=True)
class PreprocessingChanges:
    """Changes of a model's own preprocessing; None leaves what it has.

    Attributes:
        size: Side of the input, or height and width, in pixels; the short side before a crop grows with it.
        fit: `crop`, `stretch` or `pad`.
        short_side: Short side before a crop, in pixels.
        mean: Mean of each channel, or of all, for values in [0, 1].
        std: Standard deviation of each channel, or of all, for values in [0, 1].
        interpolation: `bilinear` or `bicubic`.
    """

    size: int | Sequence[int] | None = None
    fit: Fit | None = None
    short_side: int | None = None
    mean: float | Sequence[float] | None = None
    std: float | Sequence[float] | None = None
    interpolation: Interpolation | None = None

    def applied(self, described: Preprocessing) -> Preprocessing:
        """Return a model's preprocessing with the changes.

        Raises:
            UnknownNameError: There is no such fit or interpolation.
            ModelError: A value is of another form, or out of range.
        """
        fit = self.fit or described.fit
        size = (described.height, described.width) if self.size is None else self.size
        changed = make_preprocessing(
            size=list(size) if isinstance(size, Sequence) else size,
            fit=fit,
            mean=described.mean if self.mean is None else self.mean,
            std=described.std if self.std is None else self.std,
            interpolation=self.interpolation or described.interpolation,
            short_side=self.short_side or 0,
        )
        if self.short_side or fit != "crop" or described.fit != "crop":
            return changed
        share = max(changed.height, changed.width) / max(described.height, described.width)
        return replace(changed, short_side=math.floor(described.short_side * share))


def make_preprocessing(
    *,
    size: object,
    fit: str,
    mean: object,
    std: object,
    interpolation: str = "bilinear",
    short_side: int = 0,
) -> Preprocessing:
    """Make a preprocessing of values that a file or a user gives.

    Args:
        size: Side of a square input, or height and width, in pixels.
        fit: `stretch`, `crop` or `pad`.
        mean: Mean of each channel, or one of all, for values in [0, 1].
        std: Standard deviation of each channel, or one of all, for values in [0, 1].
        interpolation: `bilinear` or `bicubic`.
        short_side: Short side before a crop, in pixels; 0 is the longer side of the input.

    Raises:
        UnknownNameError: There is no such fit or interpolation.
        ModelError: A value is of another form, or out of range.
    """
    for kind, name, known in (("fit", fit, get_args(Fit)), ("interpolation", interpolation, get_args(Interpolation))):
        if name not in known:
            raise UnknownNameError(kind, str(name), known)
    height, width = (int(side) for side in _numbers(size, 2, what="size"))
    red, green, blue = _numbers(mean, 3, what="mean")
    red_std, green_std, blue_std = _numbers(std, 3, what="std")
    if short_side and fit != "crop":
        raise ModelError(f"a short side is for the fit 'crop', and this one is {fit!r}")
    if fit == "crop":
        short_side = short_side or max(height, width)
    return Preprocessing(
        height,
        width,
        cast(Fit, fit),
        short_side,
        (red, green, blue),
        (red_std, green_std, blue_std),
        cast(Interpolation, interpolation),
    )


def _numbers(value: object, number: int, *, what: str) -> list[float]:
    """Several finite numbers; a single one stands for all."""
    values = list(value) if isinstance(value, list | tuple) else [value] * number
    numbers = [float(one) for one in values if isinstance(one, int | float) and math.isfinite(one)]
    if len(values) != number or len(numbers) != number:
        raise ModelError(f"the {what} of a model's input: expected one number, or {number}, got {value!r:.200}")
    return numbers
