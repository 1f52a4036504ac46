"""The corpus of the fuzzing suite, undamaged: the same image in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.images import open_image

CORPUS = Path(__file__).parents[1] / "corpus" / "images"
WIDTH, HEIGHT = 24, 16
LOSSY = {".jpg", ".heic", ".avif"}


def drawn() -> np.ndarray:
    """The picture of the corpus: red along, green down, blue by a hard edge."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 255 // WIDTH, y * 255 // HEIGHT, np.where(x > y, 200, 40)], axis=-1).astype(float)


def grey(pixels: np.ndarray) -> np.ndarray:
    """Luma by Rec. 601."""
    return (pixels @ [0.299, 0.587, 0.114])[..., None].repeat(3, axis=-1)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
def test_each_file_shows_what_was_drawn(path: Path) -> None:
    got = np.asarray(open_image(path)).astype(float)
    if (path.suffix == ".png" and path.name != "animated.png") or path.name == "lab.tif":
        assert sorted(got.shape) == sorted((HEIGHT, WIDTH, 3))  # noise, whose values other tests know
        return
    expected = drawn()
    if path.name.startswith(("l", "grey", "16", "deep.pgm", "float", "int")) and path.suffix != ".webp":
        expected = grey(expected)
    if path.name.startswith("rgba") or path.name == "lossless.webp":
        alpha = 255 * np.linspace(0, 1, HEIGHT)[:, None, None] * np.ones((1, WIDTH, 1)) / 255
        expected = alpha * expected + (1 - alpha) * 255
    if got.shape[0] > got.shape[1]:
        got = np.rot90(got, 1)  # it was told to stand on its side
    assert got.shape == expected.shape
    if path.name == "1.tif":  # black and white dots
        assert abs(got.mean() - grey(expected).mean()) < 8
    else:
        assert np.abs(got - expected).mean() < (
            14 if path.suffix in LOSSY or path.name.startswith(("rgba", "p.")) else 6
        )
