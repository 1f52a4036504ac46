"""Words of any script in a picture, written with what fonts there are.

Pillow's own font has the letters of English and little else. Whatever it lacks is written with a font of this system;
where that has none either, `writable` says so, and nobody is shown a row of empty boxes.
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
"""Fonts that systems come with, or whose free licence has brought them into every distribution, best first."""

NO_SIGN: Final = "\uffff"
"""Is no character: what a font draws for it is what it draws for all that it lacks."""

VARIANTS: Final = frozenset(map(chr, range(0xFE00, 0xFE10)))
"""Ask for a certain look of the sign before them, and mean nothing without it."""


def writable(text: str) -> str | None:
    """What of a text can be written here, on one line; None when letters or digits would be lacking.

    An accent that no font has is left away, and so are other signs, such as pictures of smiles.
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
    """How long a writable text is, in pixels."""
    return sum(font.getlength(run) for font, run in _runs(text, size))


def fitted(text: str, *, width: float, size: int) -> str:
    """Put a text on one line as it can be written, and cut it with an ellipsis where it is too long.

    What cannot be written at all is shown by its code points.
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
    """Write a writable text.

    Args:
        draw: Into what.
        place: In pixels.
        text: On one line.
        size: Of the letters, in pixels.
        color: RGB.
        anchor: What of the text is at the place: `l`, `m` or `r` across; `a`, the letters' top, or `m` down.
    """
    ascent, descent = _loaded(size)[0].getmetrics()
    x = place[0] - {"l": 0.0, "m": 0.5, "r": 1.0}[anchor[0]] * length(text, size=size)
    baseline = place[1] + (ascent if anchor[1] == "a" else (ascent - descent) / 2)
    for font, run in _runs(text, size):
        draw.text((x, baseline), run, fill=color, font=font, anchor="ls")
        x += font.getlength(run)


def _runs(text: str, size: int) -> Iterator[tuple[Font, str]]:
    """A text with the fonts to write it in: one for all of it where that is possible."""
    fonts = _loaded(size)
    for number, font in enumerate(fonts):
        if all(_has(number, sign) for sign in text):
            yield font, text
            return
    for chosen, signs in groupby(text, lambda sign: _font_of(sign) or 1):
        yield fonts[chosen - 1], "".join(signs)


@cache
def _font_of(sign: str) -> int:
    """The first font that has a sign, by its number from 1; 0 when none has it."""
    return next((number for number in range(1, len(_loaded(16)) + 1) if _has(number - 1, sign)), 0)


@cache
def _has(number: int, sign: str) -> bool:
    """Whether a font has a sign, and the sign can be written without knowing how it joins its neighbours."""
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
    """Pillow's own font, and those of `FONTS` that are here, in one size."""
    own = ImageFont.load_default(size)
    assert isinstance(own, Font), "Pillow comes with FreeType"
    return (own, *(ImageFont.truetype(path, size) for path in _files()))


@cache
def _files() -> tuple[Path, ...]:
    """Those of `FONTS` that this system has, and that can be read."""
    if sys.platform == "win32":
        folders = [Path(os.environ.get("WINDIR", r"C:\Windows"), "Fonts")]
    elif sys.platform == "darwin":
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
