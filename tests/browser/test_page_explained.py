"""The page marks where a match agrees with the query."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

import numpy as np
from live_page import OpenPage, Server
from on_page import choose, settled
from playwright.sync_api import Page, expect

import lookalike
from lookalike.render.regions import WHOLE

SHADES = """(veil) => {
    const {data, width, height} = veil.getContext('2d').getImageData(0, 0, veil.width, veil.height);
    const at = (row, column) => data[4 * (Math.floor(row * height) * width + Math.floor(column * width)) + 3] / 255;
    return Array.from({length: 6}, (_, y) => Array.from({length: 5}, (_, x) => at((y + 0.5) / 6, (x + 0.5) / 5)));
}"""


def shades(page: Page) -> Any:
    """Ask why the second match is similar; opacity of the veil in the middle of each cell."""
    page.locator("#grid .card").nth(1).get_by_role("button", name=re.compile("^Details")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".details-photo img.there")).to_be_visible()
    dialog.get_by_role("button", name="Why similar?").click()
    expect(dialog.get_by_role("button", name="Brighter: agrees more")).to_be_disabled()
    return np.array(dialog.locator(".veil").evaluate(SHADES))


@pytest.mark.parametrize("by_photo", [True, False])
def test_what_agrees_is_bright(server: Server, open_page: OpenPage, query_photo: Path, by_photo: bool) -> None:
    page = open_page(server, "" if by_photo else "?item=d013-1")
    choose(page, query_photo) if by_photo else settled(page)
    with lookalike.open(server.gallery) as shop:
        found = (
            shop.search(query_photo, k=2, explain=True) if by_photo else shop.search(item="d013-1", k=2, explain=True)
        )
    assert found.matches[1].explanation is not None
    agreement = found.matches[1].explanation.match.agreement
    np.testing.assert_allclose(shades(page), 0.75 * (1 - np.minimum(agreement / WHOLE, 1)), atol=0.05)


def test_words_alone_have_no_regions(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?text=dress")
    settled(page)
    page.locator("#grid .card").first.get_by_role("button", name=re.compile("^Details")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Find similar")).to_be_visible()
    expect(dialog.get_by_role("button", name="Why similar?")).to_have_count(0)
