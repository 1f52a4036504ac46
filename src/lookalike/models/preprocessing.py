"""How a photo becomes a network's input; the same code for training and for search, and free of torch."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from lookalike.errors import ModelError
from lookalike.types import Float32

Fit = Literal["stretch", "crop", "pad"]


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The way from an upright RGB photo to (C, H, W) float32; it travels inside the model's file.

    Attributes:
        height: Of the input, in pixels.
        width: Of the input, in pixels.
        fit: `stretch` gives the photo the input's shape; `crop` resizes the short side to `short_side` and cuts the
            centre out, as ImageNet models and the original system do; `pad` fits all of it in and fills with white.
        short_side: For `crop`, in pixels.
        mean: Of each channel, for values in [0, 1].
        std: Of each channel, for values in [0, 1].
    """

    height: int
    width: int
    fit: Fit = "stretch"
    short_side: int = 0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.fit not in get_args(Fit) or min(self.height, self.width) < 1 or min(self.std) <= 0:
            raise ModelError(f"a model's pre-processing makes no sense: {self}")
        if self.fit == "crop" and self.short_side < max(self.height, self.width):
            raise ModelError(f"a centre crop of {self.height}x{self.width} needs a short side of at least that: {self}")

    def fitted(self, photo: Image.Image) -> Image.Image:
        """Give an RGB photo the input's size, still as a picture."""
        size = (self.width, self.height)
        if self.fit == "stretch":
            return photo.resize(size, Image.Resampling.BILINEAR)
        if self.fit == "crop":
            return self._centre(photo)
        scale = min(self.width / photo.width, self.height / photo.height)
        inner = photo.resize(
            (max(1, round(photo.width * scale)), max(1, round(photo.height * scale))), Image.Resampling.BILINEAR
        )
        canvas = Image.new("RGB", size, "white")
        canvas.paste(inner, ((self.width - inner.width) // 2, (self.height - inner.height) // 2))
        return canvas

    def _centre(self, photo: Image.Image) -> Image.Image:
        """What is left of a photo when its short side is resized to `short_side` and the centre is cut out.

        Only the centre is ever resized, with what the filter reaches around it: all of a photo of 60,000 x 10 pixels
        at a height of 256 pixels would fill the memory. Sizes and places are rounded as torchvision does.
        """
        short = min(photo.size)
        spans = [
            _span(length, int(self.short_side * length / short), wanted)
            for length, wanted in zip(photo.size, (self.width, self.height), strict=True)
        ]
        across, down = spans
        inner = photo.resize(
            (across.size, down.size),
            Image.Resampling.BILINEAR,
            box=(across.start, down.start, across.end, down.end),
        )
        return inner.crop((across.skip, down.skip, across.skip + self.width, down.skip + self.height))

    def __call__(self, photo: Image.Image) -> Float32:
        """Turn an RGB photo into a normalised (3, H, W) float32 array."""
        pixels = np.asarray(self.fitted(photo), dtype=np.float32)
        scale = np.float32(1.0) / (np.float32(255.0) * np.asarray(self.std, dtype=np.float32))
        shift = np.asarray(self.mean, dtype=np.float32) / np.asarray(self.std, dtype=np.float32)
        return np.ascontiguousarray((pixels * scale - shift).transpose(2, 0, 1))

    def to_json(self) -> str:
        """As it is written into a model's file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Preprocessing:
        """Read what `to_json` wrote.

        Raises:
            ModelError: It is something else.
        """
        try:
            fields = json.loads(text)
            return cls(**{**fields, "mean": tuple(fields["mean"]), "std": tuple(fields["std"])})
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"a model's pre-processing cannot be read: {error}") from None


class _Span(NamedTuple):
    """A stretch of one side of a photo, in its own pixels, and what becomes of it."""

    start: float
    end: float
    size: int
    skip: int


def _span(length: int, resized: int, wanted: int) -> _Span:
    """The middle of a side that is resized, with a margin for the filter where there is more of the photo.

    Args:
        length: Of the side, in pixels.
        resized: Of all of it, after resizing.
        wanted: Pixels after resizing that are kept.
    """
    first = round((resized - wanted) / 2)
    margin = math.ceil(max(1.0, resized / length)) + 1
    begin, end = max(0, first - margin), min(resized, first + wanted + margin)
    return _Span(begin * length / resized, min(end * length / resized, length), end - begin, first - begin)
