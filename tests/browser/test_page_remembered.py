"""What a server that learns remembers of a visit to the page: what the visitor searched for, and nothing beside it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("playwright")

from live_page import OpenPage, start_server
from on_page import choose, settled, shown
from playwright.sync_api import Page, expect

from lookalike.usage.events_file import EventsFile
from lookalike.usage.report import report_of


def dragged(page: Page, selector: str, steps: Callable[[float], tuple[float, float]]) -> int:
    """Move a pointer over an element, slowly, and return the number of searches until all is at rest."""
    place = page.locator(selector).bounding_box()
    assert place is not None
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/v1/search") else None)
    for step in range(400):
        done = 1 - abs(step % 16 - 8) / 8  # there and back, until searches follow
        across, down = steps(done)
        page.mouse.move(place["x"] + across * place["width"], place["y"] + down * place["height"])
        if step == 0:
            page.mouse.down()
        page.wait_for_timeout(60)
        if done == 1 and len(asked) >= 2:
            break
    page.mouse.up()
    page.wait_for_load_state("networkidle")
    settled(page)
    return len(asked)


def test_only_what_a_visitor_searched_for_is_remembered(
    drawn_gallery: Path, tmp_path: Path, open_page: OpenPage, query_photo: Path
) -> None:
    gallery = shutil.copytree(drawn_gallery, tmp_path / "shop.gallery")
    (tmp_path / "page.toml").write_text("events = true\n", encoding="utf-8")
    server = start_server(gallery, config=tmp_path / "page.toml")
    try:
        page = open_page(server)
        choose(page, query_photo)
        page.wait_for_function("performance.getEntriesByType('resource').some(one => one.name.endsWith('/tells.js'))")
        page.wait_for_load_state("networkidle")
        opened = shown(page)[1]
        page.locator("#grid .card").nth(1).get_by_role("button", name=re.compile("^Details")).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Why similar?").click()
        expect(dialog.get_by_role("button", name="Brighter: agrees more")).to_be_visible()
        expect(dialog.locator(".small-tile img.there").first).to_be_visible()
        page.keyboard.press("Escape")
        assert dragged(page, ".crop", lambda done: (0.02 + 0.4 * done, 0.02 + 0.5 * done)) >= 2
        assert dragged(page, "#weights input", lambda done: (0.3 + 0.5 * done, 0.5)) >= 2
        wanted = shown(page)[2]
        with page.expect_response(re.compile("/v1/events$")) as told:
            page.locator(f'#grid .card[data-id="{wanted}"] a').first.click()
        assert told.value.status == 202
        page.goto("about:blank")
    finally:
        server.stop()
    with closing(EventsFile(gallery / "events.sqlite", is_writable=False)) as file:
        searches = [*file.searches()]
    whole, boxed, weighed, *others = [one for one in searches if one.search.kind == "photo"]
    assert others == [] and whole.search.weights == boxed.search.weights != weighed.search.weights
    assert ("click", wanted, 3) in weighed.events and ("click", opened, 2) in whole.events
    report = report_of(searches, since=0.0, until=1.0)
    assert (report.chosen.count, report.chosen.total, len(report.unchosen)) == (2, len(searches), len(searches) - 2)
    assert report.kinds["photo"] == 3 and report.kinds.get("item", 0) <= 1  # the clicked card is searched by
