"""The HTML page of an answer: self-contained, escaped and accessible."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.answers import Answer, Match, Query
from lookalike.errors import PhotoError, UsageError
from lookalike.render import html_page, write_html
from lookalike.types import JSON, Box, Item

EVIL = "<script>alert('x')</script>"
QUOTES = '" onerror="alert(1)'


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text in each kind of element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self.texts.append((self._open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def text(self, tag: str) -> list[str]:
        return [text for name, text in self.texts if name == tag]


def answer_of(*items: Item, scores: tuple[float, float] = (0.9, 0.25), box: Box | None = None) -> Answer:
    deep, color = scores
    matches = [Match(n + 1, item, 0.8 - n / 10, {"deep": deep, "color": color}) for n, item in enumerate(items)]
    query = Query(f"dir/{EVIL[1:8]}.jpg", None, box, "m@1", {"deep": 1.0, "color": 0.3}, "price < 80", "exact")
    return Answer(query, {"decode": 1.25, "embed": 9.0, "search": 0.0}, matches)


def garment(number: int, **attributes: JSON) -> Item:
    return Item(f"i{number}", f"{number}.jpg", product=f"p{number}", attributes=attributes)


def teal(item: Item) -> Image.Image:
    return Image.new("RGB", (300, 400), (0, 128, 128))


def page_of(answer: Answer, query_size: tuple[int, int] = (300, 400)) -> Elements:
    return Elements(html_page(Image.new("RGB", query_size, "black"), replace(answer, read_photo=teal)))


def test_each_match_is_an_entry_of_an_ordered_list() -> None:
    page = page_of(answer_of(garment(1, title="Teal shirt", price=20, new=True), garment(2), garment(3)))
    assert len(page.all("ol")) == 1
    assert len(page.all("li")) == 3
    assert page.text("h1") == ["3 matches"]
    assert page.text("h2") == ["Teal shirt", "p2", "p3"]
    assert page.text("b") == ["0.800", "0.700", "0.600"]
    assert [card["tabindex"] for card in page.all("article")] == ["0"] * 3
    known = page.text("dt") + page.text("dd")
    assert {"price", "20", "new", "yes", "Weights", "deep 1, color 0.3", "Filter", "price < 80"} <= set(known)
    assert "decode 1.2, embed 9.0 ms" in known


def test_nothing_is_fetched_and_nothing_runs() -> None:
    page = page_of(answer_of(garment(1), garment(2)))
    assert not {tag for tag, _ in page.found} & {"script", "link", "iframe", "object", "base"}
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:image/jpeg;base64,") or name not in attributes
    style = " ".join(page.text("style"))
    assert "url(" not in style
    assert "@import" not in style


def test_photos_are_in_the_page_at_a_small_size() -> None:
    page = page_of(answer_of(garment(1)), query_size=(3000, 1000))
    sizes, colors = [], []
    for image in page.all("img"):
        source = image["src"]
        assert source is not None
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as photo:
            sizes.append(photo.size)
            colors.append(np.asarray(photo, dtype=np.float64).mean(axis=(0, 1)))
    assert sizes == [(320, 107), (320, 427)]
    np.testing.assert_allclose(colors, [(0, 0, 0), (0, 128, 128)], atol=2)


def test_what_a_catalogue_says_is_text_and_never_markup() -> None:
    item = Item(EVIL, "1.jpg", product=EVIL, attributes={EVIL: f"{QUOTES}!", "note": [EVIL, 1], "title": QUOTES})
    page = page_of(answer_of(item))
    assert "script" not in {tag for tag, _ in page.found}
    assert page.text("h2") == [QUOTES]
    assert EVIL in page.text("dt")
    assert {f"{QUOTES}!", f"{EVIL}, 1"} <= set(page.text("dd"))
    assert f"id {EVIL} · product {EVIL}" in page.text("p")
    assert {image["alt"] for image in page.all("img")} == {f"The query: {EVIL[1:8]}.jpg", QUOTES}
    assert all("onerror" not in attributes for _, attributes in page.found)


def test_a_product_called_script_is_shown_by_its_name() -> None:
    page = page_of(answer_of(Item("1", "1.jpg", product=EVIL)))
    assert page.text("h2") == [EVIL]


def test_bars_show_cosines_and_stay_empty_for_distances() -> None:
    assert [bar["style"] for bar in page_of(answer_of(garment(1))).all("i")] == ["width:90.0%", "width:25.0%"]
    assert [bar["style"] for bar in page_of(answer_of(garment(1), scores=(-14.5, 1.0000001))).all("i")] == [
        "width:0.0%",
        "width:100.0%",
    ]


def test_the_box_is_marked_in_parts_of_the_photo() -> None:
    page = page_of(answer_of(garment(1), box=Box(50, 100, 150, 800)), query_size=(200, 400))
    (mark,) = [span for span in page.all("span") if span.get("class") == "box"]
    assert mark["style"] == "left:25.00%;top:25.00%;width:50.00%;height:75.00%"


def test_a_missing_photo_is_said_and_the_page_goes_on() -> None:
    def gone(item: Item) -> Image.Image:
        raise PhotoError(item.photo, "no such <file>")

    page = Elements(html_page(Image.new("RGB", (3, 4)), replace(answer_of(garment(1), garment(2)), read_photo=gone)))
    assert page.text("span").count("No photo: no such <file>") == 2
    assert len(page.all("img")) == 1
    assert len(page.all("li")) == 2


def test_without_matches_it_says_so() -> None:
    page = page_of(answer_of())
    assert page.text("h1") == ["0 matches"]
    assert "No item was found." in page.text("p")
    assert page.all("ol") == []


def test_the_page_is_written_as_utf8(tmp_path: Path) -> None:
    item = garment(1, title="Überwurf 連衣裙")
    write_html(tmp_path / "page.html", Image.new("RGB", (3, 4)), answer=replace(answer_of(item), read_photo=teal))
    page = Elements((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert page.text("h2") == ["Überwurf 連衣裙"]
    assert page.all("meta")[0] == {"charset": "utf-8"}


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the page cannot be written: No such file or directory$"):
        write_html(tmp_path / "no" / "page.html", Image.new("RGB", (3, 4)), answer=answer_of())
