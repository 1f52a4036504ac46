"""Settings of the photos of a training run: the network's input, and the augmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from lookalike.config import Length, Range
from lookalike.models.preprocessing import Fit, Preprocessing
from lookalike.training.settings.limits import HARMLESS, Fraction, InputSide, SideOrZero

Crop = Literal["photo", "input"]


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Settings of the network's input.

    Attributes:
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        fit: How a photo is brought to that size: `stretch` changes its aspect ratio; `crop` resizes the short side to
            `short_side` and takes the centre; `pad` keeps the whole photo and fills with white.
        short_side: Short side before a `crop`, in pixels, at least height and width.
        mean: Mean of the channels red, green, blue of values in [0, 1]; the default is ImageNet's.
        std: Standard deviation of the channels; the default is ImageNet's.
    """

    height: InputSide = 224
    width: InputSide = 224
    fit: Fit = "stretch"
    short_side: SideOrZero = 0
    mean: Annotated[tuple[Fraction, ...], Length(least=3, most=3)] = (0.485, 0.456, 0.406)
    std: Annotated[tuple[Annotated[float, Range(least=0.001, most=10)], ...], Length(least=3, most=3)] = (
        0.229,
        0.224,
        0.225,
    )

    def short_side_at(self, height: int, width: int) -> int:
        """Return the short side before a crop at the input size of a stage, in pixels."""
        return round(self.short_side * min(height, width) / min(self.height, self.width))

    def at(self, height: int, width: int) -> Preprocessing:
        """Return the preprocessing at the input size of a stage, in pixels."""
        (red, green, blue), (red_std, green_std, blue_std) = self.mean, self.std
        return Preprocessing(
            height,
            width,
            fit=self.fit,
            short_side=self.short_side_at(height, width),
            mean=(red, green, blue),
            std=(red_std, green_std, blue_std),
        )


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """Settings of the augmentation of training photos.

    Attributes:
        crop: Aspect ratio of a crop: that of the `photo` (for `fit = "stretch"`) or of the network's `input` (as in
            the training of ImageNet models; for `fit = "crop"`).
        smallest_crop: Smallest area of a crop, as a fraction of the photo's.
        stretch: Largest change of a crop's aspect ratio, as a factor.
        short_side: Short side that photos are resized to first, in pixels; 0 leaves them as they are.
        light: Largest relative change of brightness and contrast; saturation changes half as much.
        hue: Largest rotation of the hue, as a fraction of the circle.
        rotation: Largest rotation, in degrees.
        spoil: Probability of each of blur, lower resolution and strong JPEG compression.
        randaugment: Number of changes of each photo that RandAugment draws from 14 kinds; 0 for none.
        magnitude: Strength of these changes, from 0 to 30.
        erase: Probability that a rectangle of the photo is erased (random erasing).
        mixup: Parameter of the beta distribution by which two photos of a batch are mixed; 0 for none. Mixed photos
            have the labels of both, so mixing is for class heads without metric losses.
        cutmix: The same, for a rectangle of another photo; a batch is mixed in one of the two ways.
        paste: Probability that a photo on white is cut out and pasted on a background.
        box_widen: Largest part of the way from the box of a photo to the smallest box around it that has the aspect
            ratio of the input, from 0 to 1; each view goes a random part of it.
        box_jitter: Standard deviation of each side of a box, as a fraction of its width or height.
        backgrounds: Catalogue of background photos, relative to the TOML file; if it has the attribute `split`, its
            dev photos are reserved for the dev measure.
        background_columns: Columns of `backgrounds` by the standard names.
    """

    crop: Crop = "photo"
    smallest_crop: Annotated[float, Range(least=0.001, most=1)] = 0.5
    stretch: Annotated[float, Range(least=1, most=10)] = 1.2214
    short_side: SideOrZero = 0
    light: Fraction = 0.3
    hue: Annotated[float, Range(least=0, most=0.5)] = 0.02
    rotation: Annotated[float, Range(least=0, most=180)] = 10.0
    spoil: Fraction = 0.15
    randaugment: Annotated[int, Range(least=0, most=14)] = 0
    magnitude: Annotated[int, Range(least=0, most=30)] = 9
    erase: Fraction = 0.0
    mixup: Annotated[float, Range(least=0, most=100)] = 0.0
    cutmix: Annotated[float, Range(least=0, most=100)] = 0.0
    paste: Fraction = 0.0
    box_widen: Fraction = 0.0
    box_jitter: Annotated[float, Range(least=0, most=0.3)] = 0.0
    backgrounds: Annotated[str, HARMLESS] = ""
    background_columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def mixes(self) -> bool:
        """Whether photos of a batch are mixed."""
        return self.mixup > 0 or self.cutmix > 0
