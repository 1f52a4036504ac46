"""User actions on the page, and checks of what it shows."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from live_page import Server
from playwright.sync_api import Page, expect

import lookalike

LOADED = r"""() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({name, entryType}) => entryType === "navigation" || /\.(js|css|json|svg)$/.test(name))
    .reduce((bytes, {decodedBodySize}) => bytes + decodedBodySize, 0)"""
"""Bytes of the page that were loaded, without photos and answers."""


def drop(page: Page, photo: Path) -> None:
    """Drop a file as a person would, by the browser's own drag and drop."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(photo)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 300, "data": data})


def choose(page: Page, photo: Path) -> None:
    page.set_input_files("#choose", photo)
    settled(page)


class Finger:
    """A finger on an element; places are fractions of its sides."""

    def __init__(self, page: Page, selector: str) -> None:
        place = page.locator(selector).bounding_box()
        assert place is not None
        self._place = place
        self._session = page.context.new_cdp_session(page)

    def drag(self, start: tuple[float, float], end: tuple[float, float], *, steps: int = 5) -> None:
        """Put it down, move it, and lift it."""
        self._send("touchStart", start)
        for step in range(1, steps + 1):
            x, y = (a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            self._send("touchMove", (x, y))
        self._send("touchEnd")

    def tap(self, place: tuple[float, float]) -> None:
        self.drag(place, place, steps=0)

    def _send(self, kind: str, *places: tuple[float, float]) -> None:
        left, top, width, height = (self._place[side] for side in ("x", "y", "width", "height"))
        points = [{"x": left + x * width, "y": top + y * height} for x, y in places]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def settled(page: Page) -> None:
    """Wait until what is shown is the answer to what was asked."""
    expect(page.locator("#grid .card:not(.waiting)").first).to_be_visible()
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")


def shown(page: Page) -> list[str]:
    """The ids of the cards, in their order."""
    ids: list[str] = page.locator("#grid .card").evaluate_all("cards => cards.map((card) => card.dataset.id)")
    return ids


def become(page: Page, wanted: Callable[[list[str]], bool]) -> list[str]:
    """Wait until the cards are as wanted."""
    for _ in range(400):
        if wanted(shown(page)):
            settled(page)
            return shown(page)
        page.wait_for_timeout(50)
    raise AssertionError(f"the cards are still {shown(page)}")


def answer(server: Server, **query: Any) -> list[str]:
    """The ids that Python finds, in the same part of a photo."""
    if server.finder is None and "photo" in query and "box" not in query:
        query["garment"] = "whole"
    with lookalike.open(server.gallery, finder=server.finder) as shop:
        return [match.item.id for match in shop.search(**query).matches]


def violations(page: Page) -> list[str]:
    """What axe finds, a line each."""
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def query_of(page: Page) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)
