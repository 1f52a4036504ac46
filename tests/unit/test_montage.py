"""The montage: positions, aspect ratios and captions of its photos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.answers import Answer, Match, Query
from lookalike.errors import PhotoError, UsageError
from lookalike.render import lettering, montage, write_montage
from lookalike.render.montage import ACCENT, CARD, GAP, MARGIN, TEXT_HEIGHT, TILE
from lookalike.render.saving import save_image
from lookalike.types import Box, Item

COLORS = [(200, 30, 30), (30, 160, 40), (40, 60, 190), (220, 190, 30), (150, 40, 170), (30, 170, 170), (90, 90, 90)]
STEP = (TILE[0] + GAP, TILE[1] + TEXT_HEIGHT + GAP)
FIRST_MATCH = MARGIN + STEP[0] + GAP


def plain(item: Item) -> Image.Image:
    return Image.new("RGB", (300, 400), COLORS[int(item.id) % len(COLORS)])


def answer_of(
    count: int,
    *,
    box: Box | None = None,
    titles: Sequence[str] = (),
    read_photo: Callable[[Item], Image.Image] | None = plain,
) -> Answer:
    matches = []
    for number in range(count):
        attributes = {"title": titles[number]} if number < len(titles) else {}
        item = Item(str(number), f"{number}.jpg", product=f"p{number}", attributes=attributes)
        matches.append(Match(number + 1, item, 0.9 - number / 100, {"deep": 0.95, "color": 0.5}))
    query = Query("phone/q.jpg", None, box, "m@1", {"deep": 1.0, "color": 0.3}, None, "exact")
    return Answer(query, {"embed": 9.0}, matches, read_photo)


def middle_of_match(number: int, columns: int) -> tuple[int, int]:
    x = FIRST_MATCH + number % columns * STEP[0] + TILE[0] // 2
    return x, MARGIN + number // columns * STEP[1] + TILE[1] // 2


def is_near(pixel: object, color: tuple[int, int, int]) -> bool:
    return bool(np.abs(np.array(pixel) - np.array(color)).max() <= 3)


@pytest.mark.parametrize(("count", "columns", "rows"), [(1, 1, 1), (5, 5, 1), (6, 6, 1), (7, 5, 2), (12, 5, 3)])
def test_the_query_is_first_and_the_matches_follow_in_rows(count: int, columns: int, rows: int) -> None:
    picture = montage(Image.new("RGB", (300, 400), "black"), answer_of(count))
    width = FIRST_MATCH + columns * STEP[0] - GAP + MARGIN
    assert picture.size == (width, MARGIN * 2 + rows * STEP[1] - GAP)
    assert is_near(picture.getpixel((MARGIN + TILE[0] // 2, MARGIN + TILE[1] // 2)), (0, 0, 0))
    for number in range(count):
        assert is_near(picture.getpixel(middle_of_match(number, columns)), COLORS[number % len(COLORS)])


def test_an_answer_without_matches_is_still_a_picture() -> None:
    picture = montage(Image.new("RGB", (300, 400), "black"), answer_of(0))
    assert picture.width > TILE[0] * 2


def test_a_wide_photo_keeps_its_shape() -> None:
    picture = montage(Image.new("RGB", (400, 100), "black"), answer_of(1))
    tile = np.asarray(picture.crop((MARGIN, MARGIN, MARGIN + TILE[0], MARGIN + TILE[1])), dtype=np.int64)
    dark = (tile.max(axis=2) < 40)[:, TILE[0] // 2]
    assert abs(int(dark.sum()) - TILE[0] // 4) <= 1
    assert is_near(tile[20, TILE[0] // 2], CARD)


def test_the_box_is_drawn_where_it_is() -> None:
    box = Box(100, 100, 200, 300)  # of a photo of 400 x 400, which is shown 216 x 216, 36 pixels below the tile's top
    picture = montage(Image.new("RGB", (400, 400), "black"), answer_of(1, box=box))
    scale = TILE[0] / 400
    top = MARGIN + (TILE[1] - TILE[0]) // 2
    left_edge = (MARGIN + round(100 * scale), top + round(200 * scale))
    upper_edge = (MARGIN + round(150 * scale), top + round(100 * scale))
    assert is_near(picture.getpixel(left_edge), ACCENT)
    assert is_near(picture.getpixel(upper_edge), ACCENT)
    assert is_near(picture.getpixel((MARGIN + round(150 * scale), top + round(200 * scale))), (0, 0, 0))


def test_a_missing_photo_leaves_a_placeholder_and_the_others_stay() -> None:
    def second_is_gone(item: Item) -> Image.Image:
        if item.id == "1":
            raise PhotoError(item.photo, "no such file")
        return plain(item)

    query = Image.new("RGB", (300, 400), "black")
    whole, partly = (montage(query, answer_of(3, read_photo=reader)) for reader in (plain, second_is_gone))
    x, y = middle_of_match(1, 3)
    tile = (x - TILE[0] // 2, y - TILE[1] // 2, x + TILE[0] // 2, y + TILE[1] // 2)
    shown = np.asarray(partly.crop(tile), dtype=np.int64)
    assert is_near(np.median(shown.reshape(-1, 3), axis=0), (238, 238, 234))
    assert (shown.max(axis=2) < 140).any(), "the hanger and the reason are drawn"
    for number in (0, 2):
        assert partly.getpixel(middle_of_match(number, 3)) == whole.getpixel(middle_of_match(number, 3))


def test_photos_are_opened_where_their_items_say(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40), COLORS[1]).save(tmp_path / "a.png")
    item = Item("a", "a.png", root=str(tmp_path), box=Box(0, 0, 15, 20))
    answer = Answer(answer_of(0).query, {}, [Match(1, item, 0.5, {"deep": 0.5})])
    picture = montage(Image.new("RGB", (300, 400)), answer)
    x, y = middle_of_match(0, 1)
    assert is_near(picture.getpixel((x + 40, y + 40)), COLORS[1])


def test_long_words_are_cut_to_the_tile_and_short_ones_are_kept() -> None:
    long = "a very long title of a garment that nobody will ever read to its end"
    fitted = lettering.fitted(long, width=TILE[0], size=14)
    assert fitted.endswith("…")
    assert long.startswith(fitted[:-1])
    assert lettering.length(fitted, size=14) <= TILE[0] < lettering.length(long, size=14)
    assert lettering.fitted("short\n title", width=TILE[0], size=14) == "short title"


def test_an_item_that_was_asked_with_may_have_lost_its_photo(tmp_path: Path) -> None:
    Image.new("RGB", (30, 40), COLORS[1]).save(tmp_path / "a.png")
    middle = (MARGIN + TILE[0] // 2 + 40, MARGIN + TILE[1] // 2 + 100)
    there, gone = (
        montage(Item("q", name, root=str(tmp_path)), answer_of(1, read_photo=None)) for name in ("a.png", "b.png")
    )
    assert is_near(there.getpixel(middle), COLORS[1])
    assert is_near(gone.getpixel(middle), (238, 238, 234))


def test_text_of_a_catalogue_does_not_leave_its_tile() -> None:
    query = Image.new("RGB", (300, 400), "black")
    short = montage(query, answer_of(2, titles=["T", "T"]))
    long = montage(query, answer_of(2, titles=["W" * 500, "T"]))
    second = (FIRST_MATCH + STEP[0] - 4, 0, short.width, short.height)
    assert short.crop(second).tobytes() == long.crop(second).tobytes()
    assert short.tobytes() != long.tobytes()


@pytest.mark.parametrize(("ending", "kind"), [("png", "PNG"), ("JPG", "JPEG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
def test_the_ending_of_the_file_decides_its_kind(tmp_path: Path, ending: str, kind: str) -> None:
    path = tmp_path / f"m.{ending}"
    write_montage(path, Image.new("RGB", (30, 40)), answer=answer_of(1))
    with Image.open(path) as written:
        assert written.format == kind


@pytest.mark.parametrize("name", ["m.gif", "m", "m.png.txt"])
def test_an_unknown_ending_is_refused_before_anything_is_drawn(tmp_path: Path, name: str) -> None:
    def must_not_be_opened(item: Item) -> Image.Image:
        raise AssertionError(item)

    with pytest.raises(UsageError, match=r"a montage is written as \.png, \.jpg, \.jpeg, \.webp"):
        write_montage(tmp_path / name, Image.new("RGB", (3, 4)), answer=answer_of(1, read_photo=must_not_be_opened))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be written: No such file or directory$"):
        write_montage(tmp_path / "no" / "m.png", Image.new("RGB", (3, 4)), answer=answer_of(1))


@pytest.mark.parametrize(("ending", "longest"), [("jpg", 65_500), ("webp", 16_383)])
def test_a_picture_that_is_too_long_for_its_format_says_so(tmp_path: Path, ending: str, longest: int) -> None:
    path = tmp_path / f"picture.{ending}"
    save_image(Image.new("RGB", (8, longest)), path)
    with Image.open(path) as written:
        assert written.size == (8, longest)
    with pytest.raises(UsageError, match=rf"has 8 x {longest + 1:,} pixels, .* at most {longest:,} a side; write it"):
        save_image(Image.new("RGB", (8, longest + 1)), path)
    save_image(Image.new("RGB", (8, longest + 1)), tmp_path / "picture.png")


def test_more_matches_than_a_picture_can_show_are_refused() -> None:
    with pytest.raises(UsageError, match="at most 1,000 matches, and there are 1,001"):
        montage(Image.new("RGB", (30, 40)), answer_of(1001))
