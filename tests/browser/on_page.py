"""User actions on the page, and checks of what it shows."""

from __future__ import annotations

import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from live_page import Server
from playwright.sync_api import Page, expect

import lookalike


def drop(page: Page, photo: Path) -> None:
    """Drop a file as a person would, by the browser's own drag and drop."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(photo)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 200, "y": 300, "data": data})


def choose(page: Page, photo: Path) -> None:
    page.set_input_files("#choose", photo)
    settled(page)


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
    for _ in range(100):
        if wanted(shown(page)):
            settled(page)
            return shown(page)
        page.wait_for_timeout(50)
    raise AssertionError(f"the cards are still {shown(page)}")


def answer(server: Server, **query: Any) -> list[str]:
    """The ids that Python finds."""
    with lookalike.open(server.gallery) as shop:
        return [match.item.id for match in shop.search(**query).matches]


def query_of(page: Page) -> dict[str, list[str]]:
    return urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)
