"""Several examples, to look more or less like, and the recent searches that a browser keeps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from live_page import OpenPage, Server
from on_page import answer, become, choose, query_of, settled, shown, violations
from playwright.sync_api import Page, expect

WIDTHS = (360, 768, 1440)


def example(page: Page, item: str, name: str) -> None:
    """Take an item as an example, in its details."""
    page.locator(f'#grid .card[data-id="{item}"] .about .icon-button').click()
    page.get_by_role("dialog").get_by_role("button", name=name).click()
    expect(page.get_by_role("dialog")).not_to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_examples_are_searched_beside_the_photo(
    server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(server, width=width, reduced_motion="reduce")
    choose(page, query_photo)
    alone = shown(page)
    more, less = alone[3], alone[6]
    example(page, more, "More like this")
    become(page, lambda ids: ids == answer(server, photo=query_photo, item=more, k=24))
    example(page, less, "Less like this")
    both = answer(server, photo=query_photo, item=more, unlike_item=less, k=24)
    become(page, lambda ids: ids == both)
    assert not {more, less} & set(both)
    assert (query_of(page)["like"], query_of(page)["unlike"]) == ([more], [less])
    chips = page.get_by_role("list", name="Examples beside it").get_by_role("button")
    expect(chips).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    page.reload()
    become(page, lambda ids: ids == both)
    expect(chips).to_have_count(2)
    chips.last.press("Enter")
    become(page, lambda ids: ids == answer(server, photo=query_photo, item=more, k=24))
    chips.first.press("Enter")
    become(page, lambda ids: ids == alone)
    expect(chips).to_have_count(0)
    page.go_back()
    expect(chips).to_have_count(1)


def test_an_item_with_examples_and_a_box(server: Server, open_page: OpenPage, query_photo: Path) -> None:
    page = open_page(server, "?item=d013-1&like=d002-1&unlike=d001-1&unlike=d003-2")
    settled(page)
    assert shown(page) == answer(server, item=["d013-1", "d002-1"], unlike_item=["d001-1", "d003-2"], k=24)
    page.goto(f"{server.url}?like=d002-1")  # examples of nothing
    expect(page.get_by_role("heading", name="Find it by its looks")).to_be_visible()
    choose(page, query_photo)
    example(page, shown(page)[4], "Less like this")
    page.locator(".grip.se").press("Shift+ArrowLeft")
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    settled(page)
    expect(page.locator("#notice")).to_be_hidden()


@pytest.mark.parametrize("width", WIDTHS)
def test_recent_searches_are_kept_on_the_device_until_they_are_cleared(
    server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(server, width=width, reduced_motion="reduce")
    expect(page.get_by_role("heading", name="Recent searches")).to_be_hidden()
    choose(page, query_photo)
    by_photo = shown(page)
    page.goto(f"{server.url}?text=brown+dress")
    settled(page)
    page.goto(f"{server.url}?item=d002-1")
    settled(page)
    expect(page).to_have_title(re.compile("Brown floral dress"))
    page.goto(server.url)
    expect(page.get_by_role("heading", name="Recent searches")).to_be_visible()
    tiles = page.locator("#recent-list").get_by_role("link")
    expect(tiles).to_have_count(3)
    labels = [tile.get_attribute("aria-label") for tile in tiles.all()]
    assert labels == ["Brown floral dress", "brown dress", "Your photo"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    assert violations(page) == []
    tiles.last.click()
    become(page, lambda ids: ids == by_photo)
    page.go_back()
    page.locator("#recent").get_by_role("button", name="Clear").click()
    expect(page.locator("#recent")).to_be_hidden()
    assert page.evaluate("localStorage.getItem('lookalike-searches')") is None
    page.reload()
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    expect(page.locator("#recent")).to_be_hidden()
    page.go_forward()
    expect(page.get_by_role("heading", name="This photo is not in this browser")).to_be_visible()
