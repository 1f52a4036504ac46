"""Text of any script in pictures, drawn with the installed fonts.

Pillow's own font has little more than the letters of English. Other characters are drawn with a font of the system. If
there is none, `writable` returns None, so that callers can show another text rather than empty boxes.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

from PIL import ImageDraw, ImageFont, features

Font = ImageFont.FreeTypeFont

FONTS: Final = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"),
    *("NotoSansCJK-Regular.ttc", "NotoSansCJKsc-Regular.otf", "wqy-zenhei.ttc", "DroidSansFallbackFull.ttf"),
    *("NotoSansArabic-Regular.ttf", "NotoNaskhArabic-Regular.ttf", "NotoSansHebrew-Regular.ttf"),
    *("NotoSansDevanagari-Regular.ttf", "Lohit-Devanagari.ttf", "NotoSansBengali-Regular.ttf"),
    *("NotoSansTamil-Regular.ttf", "NotoSansThai-Regular.ttf", "unifont.otf", "unifont.ttf"),
    *("Arial Unicode.ttf", "Arial.ttf", "Hiragino Sans GB.ttc", "AppleSDGothicNeo.ttc", "Kohinoor.ttc"),
    *("segoeui.ttf", "msgothic.ttc", "msyh.ttc", "malgun.ttf", "Nirmala.ttf", "Nirmala.ttc"),
)
"""Font files of common systems and distributions, in order of preference."""

NO_SIGN: Final = "\uffff"
"""A code point that is not a character: a font draws it like every character that it lacks."""

VARIANTS: Final = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Variation selectors, which change the look of the preceding character and can be left out."""


def writable(text: str) -> str | None:
    """Drawable part of a text, on one line; None if letters or digits would be missing.

    Accents and other characters that no font has, such as emoji, are left out.
    """
    line = ""
    for sign in unicodedata.normalize("NFC", " ".join(text.split())):
        plain = "".join(part for part in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(part))
        found = next((form for form in (sign, plain) if form and all(map(_font_of, form))), None)
        if found is None and unicodedata.category(sign)[0] in "LMN" and sign not in VARIANTS:
            return None
        line += found or ""
    return " ".join(line.split())


def length(text: str, *, size: int) -> float:
    """Width of a drawable text, in pixels."""
    return sum(font.getlength(run) for font, run in _runs(text, size))


def fitted(text: str, *, width: float, size: int) -> str:
    """Drawable form of a text on one line, truncated with an ellipsis if it is too wide.

    A text that cannot be drawn is given as its code points.
    """
    line = writable(text)
    line = ascii(text)[1:-1] if line is None else line
    if length(line, size=size) <= width:
        return line
    fits, too_long = 0, len(line)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        short_enough = length(line[:middle] + "…", size=size) <= width
        fits, too_long = (middle, too_long) if short_enough else (fits, middle)
    return line[:fits].rstrip() + "…"


def write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    size: int,
    color: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    """Draw a drawable text.

    Args:
        draw: Drawing context of the picture.
        place: Position of the anchor, in pixels.
        text: Text of one line.
        size: Font size, in pixels.
        color: RGB colour.
        anchor: Point of the text at `place`: horizontally `l`, `m` or `r`, then vertically `a` (ascender) or `m`.
    """
    ascent, descent = _loaded(size)[0].getmetrics()
    x = place[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * length(text, size=size)
    baseline = place[1] + (ascent if anchor[1] == "a" else (ascent - descent) / 2)
    for font, run in _runs(text, size):
        draw.text((x, baseline), run, fill=color, font=font, anchor="ls")
        x += font.getlength(run)


def _runs(text: str, size: int) -> Iterator[tuple[Font, str]]:
    """Parts of a text with their fonts; a single part if one font has all of it."""
    fonts = _loaded(size)
    for number, font in enumerate(fonts):
        if all(_has(number, sign) for sign in text):
            yield font, text
            return
    for chosen, signs in groupby(text, lambda sign: _font_of(sign) or 1):
        yield fonts[chosen - 1], "".join(signs)


@cache
def _font_of(sign: str) -> int:
    """Number, from 1, of the first font that has a character; 0 if none has it."""
    return next((number for number in range(1, len(_loaded(16)) + 1) if _has(number - 1, sign)), 0)


@cache
def _has(number: int, sign: str) -> bool:
    """Whether a font has a character that can be drawn: joining scripts need the library raqm."""
    if sign == " ":
        return True
    joins = unicodedata.bidirectional(sign) in ("R", "AL") or unicodedata.category(sign) in ("Mn", "Mc")
    if unicodedata.category(sign)[0] == "C" or (joins and not features.check("raqm")):
        return False
    font = _loaded(16)[number]
    return _drawn(font, sign) != _drawn(font, NO_SIGN)


def _drawn(font: Font, sign: str) -> tuple[tuple[int, int], bytes]:
    mask = font.getmask(sign)
    return mask.size, bytes(mask)


@cache
def _loaded(size: int) -> tuple[Font, ...]:
    """Pillow's own font and the installed ones of `FONTS`, in one size."""
    own = ImageFont.load_default(size)
    assert isinstance(own, Font), "Pillow comes with FreeType"
    return (own, *(ImageFont.truetype(path, size) for path in _files()))


@cache
def _files() -> tuple[Path, ...]:
    """Installed and readable files of `FONTS`."""
    if sys.platform == "darwin":
        folders = [Path("/System/Library/Fonts"), Path("/Library/Fonts"), Path.home() / "Library" / "Fonts"]
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        mine = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        folders = [Path(folder, "fonts") for folder in (mine, *shared.split(":"))]
    here = {path.name: path for folder in reversed(folders) for path in folder.rglob("*.[tToO]t[fFcC]")}
    return tuple(here[name] for name in FONTS if name in here and _can_be_read(here[name]))


def _can_be_read(path: Path) -> bool:
    try:
        ImageFont.truetype(path, 16)
    except OSError:
        return False
    return True
