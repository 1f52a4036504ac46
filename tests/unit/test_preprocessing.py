"""Preprocessing of photos to a network's input size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.models.preprocessing import Fit, Preprocessing
from peak_memory import peak_memory, restart_peak


def noise(width: int, height: int) -> Image.Image:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 256, size=(9, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("size", [(480, 640), (300, 200), (256, 256), (97, 1001), (1, 1), (31, 224)])
def test_a_crop_is_the_centre_of_the_resized_photo(size: tuple[int, int]) -> None:
    photo = noise(*size)
    scale = 256 / min(size)
    whole = photo.resize(
        (max(224, round(size[0] * scale)), max(192, round(size[1] * scale))), Image.Resampling.BILINEAR
    )
    left, top = (whole.width - 224) // 2, (whole.height - 192) // 2
    expected = np.asarray(whole.crop((left, top, left + 224, top + 192)), dtype=np.int64)
    fitted = np.asarray(Preprocessing(192, 224, fit="crop", short_side=256).fitted(photo), dtype=np.int64)
    assert fitted.shape == (192, 224, 3)
    assert np.abs(fitted - expected).max() <= 1


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("size", [(60_000, 10), (10, 60_000), (1_000_000, 1)])
def test_a_photo_of_any_shape_takes_no_more_memory_than_its_input(fit: Fit, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing(224, 224, fit=fit, short_side=256)
    photo = Image.new("RGB", size, (10, 200, 30))
    restart_peak()
    before = peak_memory()
    fitted = preprocessing.fitted(photo)
    assert peak_memory() - before < 50_000_000
    assert fitted.size == (224, 224)
    assert fitted.getpixel((111, 111)) == (10, 200, 30)


def test_photos_are_normalised_channel_by_channel() -> None:
    preprocessing = Preprocessing(24, 18, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    photos = [noise(18, 24), noise(50, 31)]
    rows = preprocessing.normalised([preprocessing.pixels(photo) for photo in photos])
    assert rows.shape == (2, 3, 24, 18) and rows.dtype == np.float32
    for photo, row in zip(photos, rows, strict=True):
        values = np.asarray(photo.resize((18, 24), Image.Resampling.BILINEAR), dtype=np.float64) / 255
        expected = (values - [0.1, 0.2, 0.3]) / [0.5, 1.0, 2.0]
        np.testing.assert_allclose(row.transpose(1, 2, 0), expected, atol=1e-6)
        np.testing.assert_array_equal(preprocessing(photo), row)
