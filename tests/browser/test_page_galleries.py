"""Several galleries in one server, and servers that ask for keys."""

from __future__ import annotations

import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import LOADED, answer, become, choose, query_of, settled, shown, violations
from playwright.sync_api import Page, expect

import lookalike

WIDTHS = (360, 768, 1440)
SETTINGS = 'events = true\n[page]\ngroup = "photo"\n[page.sharing]\nfolder = "{folder}"\n'


@dataclass
class Galleries:
    """A server of two galleries, `shop` and `bags`; `bags` is another one by its products."""

    server: Server
    bags: Server


def two_galleries(folder: Path, drawn_gallery: Path, drawn_table: Path) -> tuple[Path, Path]:
    shop, bags = folder / "shop.gallery", folder / "bags.gallery"
    shutil.copytree(drawn_gallery, shop)
    rows = drawn_table.read_text(encoding="utf-8").splitlines()
    table = drawn_table.with_name("bags.csv")
    table.write_text("\n".join([rows[0], *(row for row in rows[1:] if row.split(",")[0] < "d010")]), encoding="utf-8")
    with lookalike.open(bags) as other:
        other.index(table)
    return shop, bags


@pytest.fixture(scope="module")
def galleries(tmp_path_factory: pytest.TempPathFactory, drawn_gallery: Path, drawn_table: Path) -> Iterator[Galleries]:
    """Open to everyone, with events, and photos that can be shared."""
    folder = tmp_path_factory.mktemp("galleries")
    shop, bags = two_galleries(folder, drawn_gallery, drawn_table)
    (folder / "page.toml").write_text(SETTINGS.format(folder=folder / "shared"))
    running = start_server(shop, config=folder / "page.toml", options=["--gallery", f"bags={bags}"])
    yield Galleries(running, Server(running.url, bags, running.process))
    running.stop()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_gallery_of_the_address_is_searched_and_stays_there(
    galleries: Galleries, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    server, bags = galleries.server, galleries.bags
    allowed = ["clipboard-read", "clipboard-write"]
    page = open_page(server, "?gallery=bags", width=width, permissions=allowed, reduced_motion="reduce")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/v1/" in request.url else None)
    expect(page.get_by_role("heading", name="Or begin with one of 18 items")).to_be_visible()
    choice = page.get_by_role("combobox", name="Catalogue")
    expect(choice).to_have_value("bags")
    assert violations(page) == []
    choose(page, query_photo)
    assert shown(page) == answer(bags, photo=query_photo, k=24)
    assert query_of(page)["gallery"] == ["bags"]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_role("button", name="Share").click()
    expect(page.get_by_role("alert")).to_contain_text("Link copied")
    link = page.evaluate("navigator.clipboard.readText()")
    page.locator("#grid .about .icon-button").first.click()
    expect(page.locator(".small-tile img.there").first).to_be_visible()
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"^(?!.*open=)"))
    settled(page)
    page.locator("#grid .into").nth(1).click()
    page.wait_for_function("() => location.search.includes('item=')")
    settled(page)
    assert query_of(page)["gallery"] == ["bags"]
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    assert [url for url in asked if "/v1/bags/" not in url and not url.endswith("/v1/galleries")] == []
    page.locator("[data-home]").click()
    assert query_of(page) == {"gallery": ["bags"]}
    other = open_page(server, link.removeprefix(server.url), width=width)
    other.wait_for_function("() => new URLSearchParams(location.search).has('photo')")
    settled(other)
    assert query_of(other)["gallery"] == ["bags"]
    assert set(shown(other)) <= set(answer(bags, photo=query_photo, k=24))


def test_another_gallery_is_chosen_with_the_same_query(
    galleries: Galleries, open_page: OpenPage, query_photo: Path
) -> None:
    page = open_page(galleries.server, width=360)
    expect(page.get_by_role("heading", name="Or begin with one of 36 items")).to_be_visible()
    choice = page.get_by_role("combobox", name="Catalogue")
    expect(choice).to_have_value("default")
    assert choice.locator("option").all_inner_texts() == ["default", "bags"]
    choose(page, query_photo)
    page.wait_for_load_state("networkidle")
    assert page.evaluate(LOADED) < 140_000
    page.locator("#words-field").fill("but red")
    page.locator("#words-field").press("Enter")
    page.wait_for_function("() => location.search.includes('text=')")
    settled(page)
    choice.select_option("bags")
    page.wait_for_function("() => location.search.includes('gallery=bags')")
    settled(page)
    assert query_of(page)["text"] == ["but red"]
    assert set(shown(page)) == set(answer(galleries.bags, photo=query_photo, text="but red", k=18))
    expect(page.locator(".query-name")).to_have_text("my jacket.jpg")
    page.go_back()
    settled(page)
    expect(page.get_by_role("combobox", name="Catalogue")).to_have_value("default")
    become(page, lambda ids: len(ids) == 24)


def test_recent_searches_are_those_of_a_gallery(galleries: Galleries, open_page: OpenPage) -> None:
    page = open_page(galleries.server, "?item=d013-1")
    settled(page)
    expect(page).to_have_title(re.compile("Green tartan jacket"))
    page.goto(f"{galleries.server.url}?gallery=bags&item=d002-1")
    settled(page)
    expect(page).to_have_title(re.compile("Brown floral dress"))
    page.goto(f"{galleries.server.url}?gallery=bags")
    tiles = page.locator("#recent-list").get_by_role("link")
    expect(tiles).to_have_count(1)
    expect(tiles).to_have_attribute("aria-label", "Brown floral dress")
    assert "gallery=bags" in (tiles.get_attribute("href") or "")
    page.goto(galleries.server.url)
    expect(tiles).to_have_count(1)
    expect(tiles).to_have_attribute("aria-label", "Green tartan jacket")
    page.locator("#recent").get_by_role("button", name="Clear").click()
    page.goto(f"{galleries.server.url}?gallery=bags")
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    expect(page.locator("#recent")).to_be_hidden()


@pytest.mark.parametrize("name", ["hats", "search", "..%2Fitems", "a b"])
def test_an_unknown_gallery_is_told_so(
    galleries: Galleries, open_page: OpenPage, name: str, complaints: Complaints
) -> None:
    page = open_page(galleries.server, f"?gallery={name}&item=d013-1", width=360)
    heading = page.get_by_role("heading", name="There is no catalogue")
    expect(heading).to_contain_text(f"“{urllib.request.unquote(name)}”")
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    expect(page.get_by_role("button")).to_have_text(["Start again"])
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_role("heading", name="Or begin with one of 36 items")).to_be_visible()
    assert complaints.heard == []  # nothing was asked for that is not there


def told(server: Server, gallery: str) -> dict[str, int]:
    """Events of a gallery that the server has counted, by their type."""
    with urllib.request.urlopen(f"{server.url}metrics", timeout=10) as metrics:
        found = re.findall(
            rf'lookalike_events_total{{gallery="{gallery}",type="(\w+)"}} (\d+)', metrics.read().decode()
        )
    return {name: int(count) for name, count in found}


def until(page: Page, server: Server, gallery: str, wanted: dict[str, int]) -> dict[str, int]:
    for _ in range(40):
        if wanted.items() <= told(server, gallery).items():
            break
        page.wait_for_timeout(250)
    return told(server, gallery)


def test_views_and_choices_are_told_to_a_server_that_remembers(
    galleries: Galleries, open_page: OpenPage, query_photo: Path
) -> None:
    server = galleries.server
    page = open_page(server, "?gallery=bags&item=d002-1")
    settled(page)
    expect(page.locator("#grid img.there").first).to_be_visible()
    before = told(server, "bags")
    in_view = page.locator("#grid .card").evaluate_all(
        """cards => cards.filter(card => {
            const {top, height} = card.getBoundingClientRect();
            return top + height / 2 < innerHeight;
        }).length"""
    )
    assert until(page, server, "bags", {"view": before.get("view", 0) + in_view})["view"] >= in_view > 2
    page.locator("#grid .about .icon-button").nth(1).click()
    clicks = before.get("click", 0) + 1
    assert until(page, server, "bags", {"click": clicks})["click"] == clicks
    page.get_by_role("dialog").get_by_role("button", name="Less like this").click()
    assert until(page, server, "bags", {"less": 1})["less"] == 1
    settled(page)
    page.locator("#grid .about .icon-button").nth(2).click()
    page.get_by_role("dialog").get_by_role("button", name="More like this").click()
    assert until(page, server, "bags", {"like": 1})["like"] == 1


def test_nothing_is_told_to_a_server_that_does_not(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?item=d013-1")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    settled(page)
    page.locator("#grid .into").nth(1).click()
    page.wait_for_timeout(1500)
    assert [url for url in asked if re.search("events|tells", url)] == []
