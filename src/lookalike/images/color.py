"""Conversion of decoded images of any mode and colour profile to 8-bit sRGB."""

from __future__ import annotations

from functools import cache, lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from PIL import ImageCms

_BAND_PIXELS: Final = 2**20


def to_srgb(image: Image.Image, profile: bytes | None, *, white: int | None = None) -> Image.Image:
    """Convert a decoded image to sRGB, with transparency onto white.

    Large images are converted in bands of rows, so that copies stay small.

    Args:
        image: Image of any Pillow mode.
        profile: ICC colour profile; broken ones, and ones of other colour spaces, are ignored.
        white: Value of white in an image of more than 8 bits, if the file gives it.
    """
    if image.mode == "RGB" and not image.has_transparency_data and (not profile or not _changes_rgb(profile)):
        return image
    levels = _levels(image, white)
    rows = max(1, _BAND_PIXELS // image.width)
    if rows >= image.height:
        return _band_to_srgb(image, profile, levels)
    photo = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        photo.paste(_band_to_srgb(band, profile, levels), (0, top))
    return photo


def _band_to_srgb(image: Image.Image, profile: bytes | None, levels: float) -> Image.Image:
    alpha = None
    if image.mode == "F" or image.mode.startswith("I"):
        image, alpha = _eight_bits(image, levels)
    elif image.mode == "LA":
        image, alpha = image.getchannel("L"), image.getchannel("A")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image, alpha = image.convert("RGB"), image.getchannel("A")
    elif image.mode == "LAB":
        image = _lab_transform().apply(image)
    elif image.mode not in ("RGB", "L", "CMYK"):
        image = image.convert("RGB")
    if profile:
        image = _apply_profile(image, profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    if alpha is None:
        return image
    photo = Image.new("RGB", image.size, "white")
    photo.paste(image, mask=alpha)
    return photo


def _levels(image: Image.Image, white: int | None) -> float:
    """Value of white in an image of 16 or 32 bits or of floating point; 255 for all others.

    Sixteen bits are 0..65535. For wider modes, white is the first of the usual values that no pixel exceeds.
    """
    if image.mode.startswith("I;16"):
        return 65535.0
    if image.mode not in ("I", "F"):
        return 255.0
    if white is not None:
        return float(white)
    usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0, 2.0**31)
    values = np.asarray(image)
    peak = float(np.max(values, where=np.isfinite(values), initial=0.0))
    return next((value for value in usual if peak <= value), peak)


def _eight_bits(image: Image.Image, levels: float) -> tuple[Image.Image, Image.Image | None]:
    """Scale grey of more than 8 bits to 8, with an alpha channel if one value is transparent."""
    stored = np.asarray(image)
    values = np.nan_to_num(stored.astype(np.float32), posinf=levels).clip(0.0, levels)
    transparent = image.info.get("transparency")
    alpha = None if transparent is None else Image.fromarray(np.where(stored == transparent, 0, 255).astype(np.uint8))
    return Image.fromarray((values * (255.0 / levels) + 0.5).astype(np.uint8)), alpha


@cache
def _lab_transform() -> ImageCms.ImageCmsTransform:
    from PIL import ImageCms

    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")


def _changes_rgb(profile: bytes) -> bool:
    """Whether a profile changes any RGB colour visibly."""
    return profile[16:20] == b"RGB " and _profile_transform(profile, "RGB") is not None


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert an image by a colour profile; return it unchanged if the profile is broken or of another mode."""
    mode = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20])
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if image.mode != mode:
        return image
    transform = _profile_transform(profile, mode)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)
def _profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Transform from a profile to sRGB; None if the profile is broken or makes no visible change.

    Cached, since the photos of a catalogue share a few profiles, and making a transform takes longer than converting a
    photo. Transforms can be applied in several threads at once.
    """
    from PIL import ImageCms

    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(BytesIO(profile)), ImageCms.createProfile("sRGB"), mode, "RGB"
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError):
        return None
    if mode == "RGB":
        levels = np.linspace(0, 255, 9).round()
        swatches = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3).astype(np.uint8)
        converted = np.asarray(transform.apply(Image.fromarray(swatches)))
        if np.abs(converted.astype(int) - swatches).max() <= 1:
            return None
    return transform
