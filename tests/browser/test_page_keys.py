"""A server that asks for keys: the page asks for one, keeps it, and sends it in a header only."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import answer, choose, query_of, settled, shown, violations
from playwright.sync_api import Page, Request, expect

from lookalike.server.keys import Key, KeyFile, digest
from lookalike.server.page_settings import LANGUAGES

WIDTHS = (360, 768, 1440)
REFUSED = "Failed to load"
VISITOR, SLOW, ELSEWHERE, BAGS = (f"lk_{letter * 43}" for letter in "vseb")
TOKEN = "t" * 40


@dataclass
class Closed:
    """A server that nobody searches without a key."""

    server: Server
    keys: Path

    def write(self, **keys: Key) -> None:
        self.keys.write_text(KeyFile(keys).to_toml(), encoding="utf-8")

    def reload(self) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        request = urllib.request.Request(f"{self.server.url}v1/admin/reload", b"", headers)
        with urllib.request.urlopen(request, timeout=30) as told:
            assert json.load(told)["closed"] == []


def known() -> dict[str, Key]:
    return {
        "visitor": Key(digest(VISITOR.encode()).hex()),
        "slow": Key(digest(SLOW.encode()).hex(), rate="30/h"),
        "elsewhere": Key(digest(ELSEWHERE.encode()).hex(), origins=("https://shop.example",)),
        "bags": Key(digest(BAGS.encode()).hex(), galleries=("bags",)),
    }


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, drawn_gallery: Path) -> Iterator[Closed]:
    folder = tmp_path_factory.mktemp("closed")
    for name in ("shop", "bags"):
        shutil.copytree(drawn_gallery, folder / f"{name}.gallery")
    (folder / "page.toml").write_text('open = false\nevents = true\n[page]\ngroup = "photo"\n')
    (folder / "token").write_text(TOKEN)
    keys = folder / "keys.toml"
    keys.write_text(KeyFile(known()).to_toml(), encoding="utf-8")
    options = [
        "--gallery",
        f"bags={folder / 'bags.gallery'}",
        "--keys",
        str(keys),
        "--token-file",
        str(folder / "token"),
    ]
    running = start_server(folder / "shop.gallery", config=folder / "page.toml", options=options)
    yield Closed(running, keys)
    running.stop()


def listen(page: Page) -> list[Request]:
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    return asked


def give(page: Page, key: str, *, keep: bool = False) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    if keep:
        page.get_by_label("Keep it in this browser").check()
    page.get_by_role("button", name="Continue").click()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_key_is_asked_for_and_never_in_an_address(
    closed: Closed, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(closed.server, "docs", width=width, reduced_motion="reduce")
    asked = listen(page)
    page.goto(closed.server.url)
    field = page.get_by_label("Key", exact=True)
    expect(field).to_be_focused()
    expect(page.get_by_role("heading", name="A key is needed here")).to_be_visible()
    expect(page.get_by_role("heading", name="Find it by its looks")).to_be_hidden()
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert [request.url for request in asked if "/v1/" in request.url] == []
    give(page, VISITOR)
    expect(page.get_by_role("heading", name="Or begin with one of 36 items")).to_be_visible()
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    assert violations(page) == []
    choose(page, query_photo)
    assert shown(page) == answer(closed.server, photo=query_photo, k=24)
    expect(page.locator("#grid img.there").first).to_be_visible()
    page.locator("#grid .about .icon-button").first.click()
    expect(page.locator(".details-photo img.there")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Find similar").click()
    settled(page)
    page.reload()
    settled(page)
    for request in asked:
        assert VISITOR not in request.url
        if "/v1/" in request.url and "/photo?" not in request.url:
            assert request.headers["authorization"] == f"Bearer {VISITOR}", request.url
        elif "/photo?" in request.url:
            assert "ticket=" in request.url
    assert VISITOR not in page.url
    assert VISITOR not in page.evaluate("JSON.stringify(history.state)")
    assert VISITOR not in page.evaluate("JSON.stringify(localStorage)")  # only what the window forgets


def test_a_key_is_kept_if_the_visitor_says_so_and_forgotten_on_demand(closed: Closed, open_page: OpenPage) -> None:
    page = open_page(closed.server, "?item=d013-1&is.type=Jacket")
    give(page, VISITOR, keep=True)
    settled(page)
    assert query_of(page) == {"item": ["d013-1"], "is.type": ["Jacket"]}
    again = page.context.new_page()
    again.goto(closed.server.url)
    expect(again.locator("#begin-list img.there").first).to_be_visible()
    again.get_by_role("button", name="Forget it").click()
    expect(again.get_by_label("Key", exact=True)).to_be_visible()
    assert VISITOR not in again.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")


def test_a_key_that_is_not_taken_is_told_so(closed: Closed, open_page: OpenPage, complaints: Complaints) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(closed.server, width=360)
    alert = page.locator("#key-problem")
    give(page, "clé")
    expect(alert).to_contain_text("This key is not valid")
    give(page, f"lk_{'x' * 43}")
    expect(alert).to_contain_text("This key is not valid")
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    assert violations(page) == []
    give(page, ELSEWHERE)
    expect(alert).to_have_text("This key is for other web pages.")
    give(page, VISITOR)
    expect(page.locator("#begin-list img.there").first).to_be_visible()


def test_a_key_for_one_gallery_opens_that_one(closed: Closed, open_page: OpenPage) -> None:
    page = open_page(closed.server)
    give(page, BAGS)
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Catalogue")).to_have_count(0)
    page.goto(f"{closed.server.url}?gallery=default")
    expect(page.get_by_role("heading", name="There is no catalogue “default” here")).to_be_visible()
    page.goto(f"{closed.server.url}?gallery=bags&item=d013-1")
    settled(page)


def test_a_key_used_too_often_is_told_when_to_go_on(
    closed: Closed, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(closed.server, "?item=d013-1")
    give(page, SLOW)
    settled(page)
    for _ in range(30):
        status = page.evaluate(
            "key => fetch('v1/info', {headers: {Authorization: `Bearer ${key}`}}).then(answer => answer.status)", SLOW
        )
        if status == 429:
            break
    page.locator("#grid .into").nth(3).click()
    expect(page.get_by_role("heading", name="This key was used too often")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("Please wait for 1")
    expect(page.locator("#notice")).to_contain_text("seconds.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_a_key_that_is_withdrawn_is_asked_for_again(
    closed: Closed, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(closed.server, "?item=d013-1")
    give(page, VISITOR)
    settled(page)
    keys = known()
    visitor = keys.pop("visitor")
    closed.write(**keys)
    closed.reload()
    try:
        page.locator("#grid .into").nth(3).click()
        expect(page.locator("#key-problem")).to_contain_text("This key is not valid")
        closed.write(**keys, visitor=visitor)
        closed.reload()
        give(page, VISITOR)
        settled(page)
        assert query_of(page)["item"] != ["d013-1"]
    finally:
        closed.write(**known())
        closed.reload()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_question_for_a_key_fits_in_every_language(closed: Closed, open_page: OpenPage, language: str) -> None:
    page = open_page(closed.server, width=320, locale=language)
    expect(page.locator("#key-field")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") == 320
