"""Marks of regions on photos: where they are, and that what agrees is shown as it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from lookalike.answers import Explanation, Match, Regions
from lookalike.render.regions import DARKEST, WHOLE, agreement_of_pixels, marked, match_regions, query_regions
from lookalike.render.thumbnails import Thumbnail
from lookalike.types import Item

Area = tuple[float, float, float, float]
ALL: Area = (0.0, 0.0, 1.0, 1.0)


def regions(rows: list[list[float]], area: Area = ALL) -> Regions:
    return Regions(np.array(rows, dtype=np.float32), area)


def test_what_agrees_is_shown_as_it_is_and_the_rest_grey_and_dark() -> None:
    photo = Thumbnail(Image.new("RGB", (40, 20), (200, 100, 0)))
    shown = marked(photo, regions([[1.0, 1.0, 0.0, 0.0]])).image
    assert shown is not None and shown.getpixel((2, 10)) == (200, 100, 0)
    grey = round((0.299 * 200 + 0.587 * 100) * DARKEST)
    assert np.abs(np.array(shown.getpixel((37, 10))) - grey).max() <= 1
    halfway = marked(photo, regions([[WHOLE / 2]])).image
    assert halfway is not None
    assert np.abs(np.array(halfway.getpixel((20, 10))) - (np.array([200, 100, 0]) + grey) / 2).max() <= 1
    assert marked(photo, None) is photo
    nothing = Thumbnail(None, reason="gone")
    assert marked(nothing, regions([[1.0]])) is nothing


@pytest.mark.parametrize(
    ("frame", "area", "bright"),
    [
        (None, ALL, (0, 0, 80, 60)),
        ((0.25, 0.5, 0.75, 1.0), ALL, (20, 30, 60, 60)),
        (None, (0.25, 0.0, 0.75, 1.0), (20, 0, 60, 60)),  # a centre crop
        (None, (-0.5, 0.0, 1.5, 1.0), (0, 0, 80, 60)),  # filled up to the left and right
        ((0.5, 0.0, 1.0, 1.0), (0.5, 0.0, 1.0, 0.5), (60, 0, 80, 30)),
        ((0.5, 0.0, 1.0, 1.0), (-0.5, 0.0, 1.5, 1.0), (40, 0, 80, 60)),  # nothing beyond the part that was seen
    ],
)
def test_cells_lie_where_the_model_saw_them(frame: Area | None, area: Area, bright: tuple[int, int, int, int]) -> None:
    shown = agreement_of_pixels((80, 60), frame, regions([[1.0, 1.0], [1.0, 1.0]], area))
    expected = np.zeros((60, 80))
    expected[bright[1] : bright[3], bright[0] : bright[2]] = 1
    np.testing.assert_array_equal(shown, expected)


def test_each_cell_keeps_its_place() -> None:
    cells = np.zeros((3, 4), dtype=np.float32)
    cells[2, 1] = 1
    shown = agreement_of_pixels((80, 60), None, Regions(cells))
    assert np.unravel_index(shown.argmax(), shown.shape) == pytest.approx((50, 30), abs=2)
    padded = agreement_of_pixels((40, 60), None, Regions(cells, (-0.5, 0.0, 1.5, 1.0)))
    assert np.unravel_index(padded.argmax(), padded.shape) == pytest.approx((50, 10), abs=2)


def test_the_query_shows_the_mean_of_its_matches() -> None:
    rows = ([[1.0, 0.0]], [[0.5, 0.5]], None)
    matches = [
        Match(rank, Item(str(rank), "a.jpg"), 0.5, {}, explanation=row and Explanation(regions(row), regions([[rank]])))
        for rank, row in enumerate(rows, start=1)
    ]
    mean = query_regions(matches)
    assert mean is not None and mean.agreement.tolist() == [[0.75, 0.25]]
    assert query_regions(matches[2:]) is None
    own = match_regions(matches[1])
    assert own is not None and own.agreement.tolist() == [[2.0]] and match_regions(matches[2]) is None
