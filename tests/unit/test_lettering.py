"""Text in images: all scripts with a font, and no boxes for missing glyphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from lookalike.answers import Answer, Match, Query
from lookalike.render import lettering, montage
from lookalike.types import Item

BLACK = (0, 0, 0)


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system without fonts: there is Pillow's own, which has the letters of English."""
    with_fonts(monkeypatch, ())
    yield
    forget()


@pytest.fixture
def dejavu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A system with one font, which has Latin, Greek and Cyrillic letters, and no Chinese ones."""
    matplotlib = pytest.importorskip("matplotlib")
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    with_fonts(monkeypatch, (path,))
    yield path
    forget()


def with_fonts(monkeypatch: pytest.MonkeyPatch, files: tuple[Path, ...]) -> None:
    forget()
    monkeypatch.setattr(lettering, "_files", lambda: files)


def forget() -> None:
    for remembered in (lettering._loaded, lettering._has, lettering._font_of):
        remembered.cache_clear()


def drawn(text: str) -> bytes:
    picture = Image.new("RGB", (200, 30), "white")
    lettering.write(ImageDraw.Draw(picture), (4, 4), text, size=16, color=BLACK)
    return picture.tobytes()


def test_letters_that_pillow_lacks_are_written_with_another_font(dejavu: Path) -> None:
    for text in ("Платье летнее", "Φόρεμα θερινό", "Crème brûlée — „Größe“"):
        assert lettering.writable(text) == text
        picture = Image.new("RGB", (200, 30), "white")
        font = ImageFont.truetype(dejavu, 16)
        own = ImageFont.load_default(16)
        assert isinstance(own, ImageFont.FreeTypeFont)
        ImageDraw.Draw(picture).text((4, 4 + own.getmetrics()[0]), text, BLACK, font=font, anchor="ls")
        assert drawn(text) == picture.tobytes()
        assert lettering.length(text, size=16) == font.getlength(text)


def test_english_stays_in_pillows_own_letters(dejavu: Path) -> None:
    own = ImageFont.load_default(16)
    assert isinstance(own, ImageFont.FreeTypeFont)
    assert lettering.length("Blue dress", size=16) == own.getlength("Blue dress")


def test_what_no_font_has_is_left_away_if_it_is_no_letter(dejavu: Path) -> None:
    assert lettering.writable("Dress \N{DRESS} red") == "Dress red"
    assert lettering.writable("two\n  lines\x00") == "two lines"
    assert lettering.writable("连衣裙") is None
    assert lettering.writable("Dress 连衣裙") is None


@pytest.mark.usefixtures("no_fonts")
def test_without_fonts_accents_go_and_other_scripts_are_refused() -> None:
    assert lettering.writable("Crème brûlée") == "Creme brulee"
    assert lettering.writable("Платье") is None
    assert lettering.fitted("фото.jpg", width=500, size=13) == r"\u0444\u043e\u0442\u043e.jpg"


@pytest.mark.usefixtures("no_fonts")
def test_an_item_whose_name_cannot_be_written_shows_its_product_or_id() -> None:
    def picture(name: str, *, product: str | None) -> bytes:
        item = Item("d7", "d7.jpg", product=product, attributes={"title": name})
        answer = Answer(Query("q.jpg", None, None, "m", {"deep": 1.0}, None, "exact"), {}, [Match(1, item, 0.5, {})])
        return montage(Image.new("RGB", (30, 40)), answer).tobytes()

    assert picture("Платье", product=None) == picture("d7", product=None)
    assert picture("Платье", product="p 12") == picture("p 12", product="p 12")
    assert picture("Платье", product="платье") == picture("d7", product=None)
    assert picture("Dress", product=None) != picture("d7", product=None)


@pytest.mark.parametrize("width", [0, 5, 60, 216])
def test_a_line_is_never_wider_than_its_place(dejavu: Path, width: int) -> None:
    for text in ("WWWWWW" * 20, "Платье " * 20, "a" + "\N{COMBINING ACUTE ACCENT}" * 300, "", "中" * 50):
        fitted = lettering.fitted(text, width=width, size=14)
        assert lettering.length(fitted, size=14) <= width or fitted == "…"


def test_files_that_are_no_fonts_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fonts").mkdir()
    (tmp_path / "fonts" / "DejaVuSans.ttf").write_bytes(b"no font")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "none"))
    monkeypatch.setattr("sys.platform", "linux")
    lettering._files.cache_clear()
    try:
        assert lettering._files() == ()
    finally:
        lettering._files.cache_clear()
