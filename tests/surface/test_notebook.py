"""HTML of results in notebooks: embedded thumbnails, and escaped text of catalogues."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

from PIL import Image
from small_shop import Shop

import lookalike


class Tags(HTMLParser):
    """All tags of a piece of HTML, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_an_answer_shows_its_pictures(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        answer = opened.search(item="red-1", k=3)
    html = answer._repr_html_()
    pictures = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(pictures) == 3
    for data in pictures:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert picture.width <= 112 and picture.height <= 150
    assert re.findall(r"(?:src|href)=\"(?!data:)", html) == []
    text = Tags(html).text
    for match in answer.matches:
        assert match.item.id in text and f"{match.score:.3f}" in text
    assert len(html) < 60_000


def test_all_examples_of_a_query_are_named(shop: Shop) -> None:
    photo = shop.photo("blue-0")
    with lookalike.open(shop.gallery, model=shop.model) as opened:
        for answer, title in (
            (opened.search(item="red-1"), "Looks like item red-1 ("),
            (opened.search(photo), f"Looks like {photo.name} ("),
            (
                opened.search(photo, item=["red-1", "red-2"], unlike_item="white-0"),
                f"Looks like {photo.name}, item red-1, item red-2, unlike item white-0 (",
            ),
            (
                opened.search(item=["red-1", "red-2", "blue-1", "blue-2", "white-0"]),
                "Looks like item red-1, item red-2, item blue-1 and 2 more (",
            ),
        ):
            assert Tags(answer._repr_html_()).text.startswith(title)


def test_text_of_a_catalogue_stays_text(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        answer = opened.search(item="red-1", k=1)
    [match] = answer.matches
    bad = '"><script>alert(1)</script>&<img src=x onerror=y>'
    item = replace(match.item, id=bad, photo=bad, product=bad, attributes={"title": bad})
    answer = replace(answer, query=replace(answer.query, item=bad), matches=[replace(match, item=item)])
    shown = Tags(answer._repr_html_())
    assert "script" not in shown.tags and "img" not in shown.tags
    assert shown.text.count(bad) >= 3


def test_photos_that_are_gone_leave_their_reason(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        answer = opened.search(item="red-1", k=2)
    gone = [replace(match, item=replace(match.item, photo="gone.png", box=None)) for match in answer.matches]
    html = replace(answer, matches=gone)._repr_html_()
    assert "<img" not in html
    assert html.count("No photo: no such file") == 2
    assert "No item was found" in replace(answer, matches=[])._repr_html_()


def test_a_long_answer_shows_its_best(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        answer = opened.search(item="red-1", k=2)
    gone = replace(answer.matches[0], item=replace(answer.matches[0].item, photo="gone.png"))
    html = replace(answer, matches=[gone] * 1234)._repr_html_()
    assert html.count("<figure") == 50 and "and 1,184 more" in html


def test_an_evaluation_shows_its_figures(shop: Shop) -> None:
    found = lookalike.evaluate(shop.table, gallery=shop.gallery, protocol="product")
    text = Tags(found._repr_html_()).text
    for name, value in found.figures.items():
        assert f"{name}{value:.4f}" in text
