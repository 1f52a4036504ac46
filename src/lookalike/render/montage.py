"""An answer as one picture: the query and its matches."""

from __future__ import annotations

import logging
import textwrap
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw

from lookalike.answers import Answer, Match
from lookalike.errors import UsageError
from lookalike.render import lettering
from lookalike.render.captions import item_title, query_title, variants_text, weights_line
from lookalike.render.regions import CAPTION, marked, match_regions, query_regions
from lookalike.render.saving import save_image
from lookalike.render.thumbnails import Thumbnail, item_thumbnail, query_thumbnail
from lookalike.types import Item

FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}

TILE = (216, 288)
TEXT_HEIGHT = 76
GAP = 20
MARGIN = 28
CORNER = 10
CARD_COLUMNS, CARD_LINES = 18, 8
"""Largest number of letters in a line, and of lines, of words on a card."""
MOST_MATCHES = 1000
"""Largest number of matches of a montage, which then has 100 million pixels."""

MATCHES_IN_A_ROW = 6
"""Largest number of matches in a single row; more are laid out in rows of five."""

PAPER = (246, 246, 243)
CARD = (255, 255, 255)
INK = (28, 30, 34)
QUIET = (104, 108, 116)
HAIRLINE = (222, 222, 217)
ACCENT = (196, 64, 42)


def image_format(path: Path) -> str:
    """Image format by the ending of a file name.

    Raises:
        UsageError: The ending is unknown.
    """
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise UsageError(f"{path}: a montage is written as {', '.join(FORMATS)}, not as {path.suffix!r}") from None


def write_montage(path: Path, query: Image.Image | Item | None, *, answer: Answer) -> None:
    """Draw a montage and write it in the format of the file's ending; see `montage`.

    Raises:
        UsageError: The ending is unknown, the file cannot be written, or there are too many matches for it.
        LookalikeError: The disk is full, damaged or read-only.
    """
    image_format(path)
    save_image(montage(query, answer), path, what="the montage")


def montage(query: Image.Image | Item | None, answer: Answer) -> Image.Image:
    """Draw the query on the left, and beside it the matches with rank, score and name.

    Args:
        query: Whole query photo, upright, or the query item; None for words alone.
        answer: Answer, whose `read_photo` reads the photos; one that cannot be read is replaced by a placeholder.

    Returns:
        RGB image.

    Raises:
        UsageError: There are more than `MOST_MATCHES` matches.
    """
    count = len(answer.matches)
    if count > MOST_MATCHES:
        raise UsageError(f"a montage shows at most {MOST_MATCHES:,} matches, and there are {count:,}; ask for fewer")
    columns = max(1, count if count <= MATCHES_IN_A_ROW else 5)
    rows = max(1, -(-count // columns))
    step = (TILE[0] + GAP, TILE[1] + TEXT_HEIGHT + GAP)
    first_match = MARGIN + step[0] + GAP
    size = (first_match + columns * step[0] - GAP + MARGIN, MARGIN * 2 + rows * step[1] - GAP)
    picture = Image.new("RGB", size, PAPER)

    regions = query_regions(answer.matches)
    asked = marked(query_thumbnail(query, answer.query.part, size=TILE, read_photo=answer.read_photo), regions)
    _draw_tile(picture, (MARGIN, MARGIN), asked, is_query=True, words="" if query else query_title(answer.query))
    took = f"{sum(answer.took_ms.values()):.1f} ms, {answer.query.index} index"
    lines = [query_title(answer.query), weights_line(answer.query), CAPTION if regions else took]
    _write(picture, (MARGIN, MARGIN + TILE[1] + 12), "Query", size=19, color=ACCENT)
    for number, line in enumerate(lines):
        _write(picture, (MARGIN, MARGIN + TILE[1] + 37 + 17 * number), line, size=13, color=QUIET)
    rule = first_match - GAP - GAP // 2
    ImageDraw.Draw(picture).line([(rule, MARGIN), (rule, size[1] - MARGIN)], fill=HAIRLINE)

    for number, match in enumerate(answer.matches):
        corner = (first_match + number % columns * step[0], MARGIN + number // columns * step[1])
        shown = item_thumbnail(match.item, match.part, size=TILE, read_photo=answer.read_photo)
        _draw_tile(picture, corner, marked(shown, match_regions(match)))
        _write_match(picture, (corner[0], corner[1] + TILE[1] + 12), match)
    if not answer.matches:
        _write(picture, (first_match, MARGIN + TILE[1] // 2), "No item was found", size=17, color=QUIET)
    return picture


def _draw_tile(
    picture: Image.Image, corner: tuple[int, int], shown: Thumbnail, *, is_query: bool = False, words: str = ""
) -> None:
    """Draw a card with a centred photo, or with words, or with the reason why there is no photo."""
    tile = Image.new("RGB", TILE, CARD)
    draw = ImageDraw.Draw(tile)
    if words:
        _draw_words(draw, words)
    elif shown.image is None:
        _draw_placeholder(draw, shown.reason)
    else:
        photo = shown.image
        left, top = (TILE[0] - photo.width) // 2, (TILE[1] - photo.height) // 2
        tile.paste(photo, (left, top))
        if shown.frame:
            x1, y1, x2, y2 = shown.frame
            frame = [left + x1 * photo.width, top + y1 * photo.height, left + x2 * photo.width, top + y2 * photo.height]
            draw.rectangle([frame[0] - 1, frame[1] - 1, frame[2], frame[3]], outline=CARD, width=4)
            draw.rectangle([frame[0], frame[1], frame[2] - 1, frame[3] - 1], outline=ACCENT, width=2)
    picture.paste(tile, corner, _rounded())
    edge = (corner[0] - 1, corner[1] - 1, corner[0] + TILE[0], corner[1] + TILE[1])
    frame_color, width = (ACCENT, 3) if is_query else (HAIRLINE, 1)
    grown = (edge[0] - width + 1, edge[1] - width + 1, edge[2] + width - 1, edge[3] + width - 1)
    ImageDraw.Draw(picture).rounded_rectangle(grown, CORNER + width, outline=frame_color, width=width)


def _draw_words(draw: ImageDraw.ImageDraw, words: str) -> None:
    """Write the words of a query on their card, in lines that fit."""
    lines = textwrap.wrap(words, CARD_COLUMNS)[:CARD_LINES]
    top = TILE[1] // 2 - 13 * (len(lines) - 1)
    for number, line in enumerate(lines):
        fitted = lettering.fitted(line, width=TILE[0] - 24, size=20)
        lettering.write(draw, (TILE[0] // 2, top + 26 * number), fitted, size=20, color=INK, anchor="mm")


def _draw_placeholder(draw: ImageDraw.ImageDraw, reason: str) -> None:
    """Draw an empty hanger and the reason."""
    draw.rectangle([0, 0, *TILE], fill=(238, 238, 234))
    x, y = TILE[0] // 2, TILE[1] // 2 - 16
    draw.arc([x - 11, y - 46, x + 11, y - 24], 160, 90, fill=QUIET, width=3)
    draw.line([(x, y - 25), (x, y - 14)], fill=QUIET, width=3)
    draw.line([(x - 56, y + 22), (x, y - 14), (x + 56, y + 22), (x - 56, y + 22)], fill=QUIET, width=3, joint="curve")
    for line, (text, size) in enumerate([("Photo not available", 14), (reason, 12)]):
        fitted = lettering.fitted(text, width=TILE[0] - 24, size=size)
        lettering.write(draw, (x, y + 50 + 20 * line), fitted, size=size, color=QUIET, anchor="mm")


def _write_match(picture: Image.Image, place: tuple[int, int], match: Match) -> None:
    """Write rank and score, the name of the item, and the value of each space."""
    x, y = place
    rank = str(match.rank)
    _write(picture, (x, y), rank, size=19, color=INK)
    _write(picture, (x + TILE[0], y), f"{match.score:.3f}", size=19, color=INK, anchor="ra")
    _write(picture, (x, y + 26), _writable_name(match.item), size=14, color=INK)
    parts = [f"{space} {value:.2f}" for space, value in match.scores.items()]
    if match.garment is not None:
        parts.insert(0, match.garment.kind)
    if variants := variants_text(match):
        parts.insert(0, variants)
    _write(picture, (x, y + 46), ", ".join(parts), size=13, color=QUIET)


def _writable_name(item: Item) -> str:
    """Title of an item; its product or id if no installed font has the letters of the title."""
    names = (item_title(item), item.product or "", item.id)
    writable = next((name for name in names if name and lettering.writable(name)), item.id)
    if writable != names[0]:
        _warn_about_fonts()
    return writable


@cache
def _warn_about_fonts() -> None:
    """Log once that a font is missing."""
    logging.getLogger(__name__).warning(
        "no installed font has the letters of some titles, so the product or id is shown; install Noto Sans"
    )


def _write(
    picture: Image.Image,
    place: tuple[int, int],
    text: str,
    *,
    size: int,
    color: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    line = lettering.fitted(text, width=TILE[0], size=size)
    lettering.write(ImageDraw.Draw(picture), place, line, size=size, color=color, anchor=anchor)


@cache
def _rounded() -> Image.Image:
    """Mask of a tile with round corners."""
    large = Image.new("L", (TILE[0] * 3, TILE[1] * 3), 0)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, large.width - 1, large.height - 1), CORNER * 3, fill=255)
    return large.reduce(3)
