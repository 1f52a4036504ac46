"""Decoded pictures of every mode and colour profile become 8-bit RGB in sRGB; `images` is the only caller."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Turn a decoded picture into RGB in sRGB, on white where it is transparent.

    Args:
        image: Of any mode that Pillow decodes to.
        profile: The colour profile (ICC) that came with it; one that is broken, or for other colours, is ignored.
    """
    alpha = None
    if image.mode == "F" or image.mode.startswith("I"):
        image = _eight_bits(image)
    elif image.mode == "LA":
        image, alpha = image.getchannel("L"), image.getchannel("A")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image, alpha = image.convert("RGB"), image.getchannel("A")
    elif image.mode == "LAB":
        image = ImageCms.buildTransform(
            ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB"
        ).apply(image)
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


def _eight_bits(image: Image.Image) -> Image.Image:
    """Scale 16-bit, 32-bit and floating-point grey to 8 bits.

    Sixteen bits are 0..65535. The wider kinds do not say what white is: it is taken to be the first of the usual
    values that no pixel exceeds.
    """
    values = np.nan_to_num(np.asarray(image).astype(np.float32)).clip(min=0.0)
    usual = (1.0, 255.0, 65535.0) if image.mode == "F" else (65535.0, 2.0**31)
    peak = float(values.max())
    white = next((value for value in usual if peak <= value), peak)
    return Image.fromarray((values * (255.0 / white) + 0.5).astype(np.uint8))


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert by a colour profile; leave the picture as it is when the profile is broken or for other colours."""
    mode = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}.get(profile[16:20])
    if image.mode == "L" and mode == "RGB":
        image = image.convert("RGB")
    if image.mode != mode:
        return image
    transform = _profile_transform(profile, mode)
    return image if transform is None else transform.apply(image)


@lru_cache(maxsize=16)
def _profile_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """The way from a profile to sRGB; None when it is broken, or changes nothing that can be seen.

    Kept, because a catalogue's photos share a few profiles and a transform costs more than a photo. Applying one is
    safe in several threads at once.
    """
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
