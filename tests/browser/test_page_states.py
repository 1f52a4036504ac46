"""States of the page: missing, wrong, slow or unreachable data; and accessibility."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import Finger, choose, query_of, settled, shown, violations
from PIL import Image
from playwright.sync_api import Route, expect

import lookalike

REFUSED = "Failed to load resource"

HOSTILE = {
    "plain": "Plain shirt",
    "<script>alert(1)</script>": "<script>window.hurt = 1</script>",
    "a/b?c=d&e#f %2F": "<img src=x onerror='window.hurt = 2'>",
    "'; drop table items; --": '" autofocus onfocus="window.hurt = 3',
    "../../../etc/passwd": "javascript:window.hurt=4",
    "шорты ☃ 👗": "\u202eright to left\u202c and back",
    "long": "A very long name " * 40,
    "empty": " ",
}


@pytest.fixture(scope="module")
def hostile_server(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A catalogue made to attack the page."""
    folder = tmp_path_factory.mktemp("hostile")
    with (folder / "catalogue.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        attribute = "<b onmouseover='window.hurt=5'>colour\"</b>"
        writer.writerow(["id", "image", "product", "title", attribute, "__proto__"])
        for at, (item, title) in enumerate(HOSTILE.items()):
            Image.new("RGB", (60, 80), (30 * at, 120, 200)).save(folder / f"{at}.png")
            value = "O'Neill <i>" if at % 2 else "</script>"
            writer.writerow([item, f"{at}.png", "<u>product</u>", title, value, "<p>"])
    with lookalike.open(folder / "hostile.gallery") as shop:
        shop.index(folder / "catalogue.csv")
    running = start_server(folder / "hostile.gallery")
    yield running
    running.stop()


def test_a_hostile_catalogue_stays_text(hostile_server: Server, open_page: OpenPage) -> None:
    page = open_page(hostile_server, "?item=plain")
    settled(page)
    assert sorted(shown(page)) == sorted(set(HOSTILE) - {"plain"})
    names = page.locator("#grid .name").all_text_contents()
    assert sorted(names) == sorted(
        title.strip() or "<u>product</u>" for item, title in HOSTILE.items() if item != "plain"
    )
    for card in page.locator("#grid .tile").all():
        card.hover()
    page.get_by_role("checkbox", name="O'Neill <i>").check()
    expect(page.locator("#grid .card")).to_have_count(4)
    for item in HOSTILE:
        page.goto(f"{hostile_server.url}?item=plain")
        settled(page)
        if item != "plain":
            page.locator("#grid .card").nth(shown(page).index(item)).get_by_role("button").click()
            expect(page.get_by_role("dialog").locator(".facts-table")).to_contain_text(item)
            expect(page.locator(".details-photo img.there")).to_be_visible()
            page.get_by_role("button", name="Find similar").click()
            expect(page.locator(".query-about .hint")).not_to_be_empty()
            settled(page)
            assert query_of(page)["item"] == [item]
            assert item not in shown(page)
    assert page.evaluate("window.hurt") is None
    assert page.locator("script").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_axe_finds_nothing(
    server: Server, open_page: OpenPage, query_photo: Path, scheme: str, width: int, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)  # the item that is not there
    page = open_page(server, width=width, color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    assert violations(page) == []
    choose(page, query_photo)
    page.locator(".crop").wait_for()
    if width >= 900:
        expect(page.locator("#filters .group").first).to_be_attached()
    page.locator("#grid .tile").first.hover()
    assert violations(page) == []
    page.locator("#grid .icon-button").first.click()
    expect(page.locator(".small-tile img.there").first).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.wait_for_url(re.compile(r"^(?!.*open=)"))  # closing goes back in the history: it must be over before the next
    if width < 900:
        page.get_by_role("button", name="Adjust").click()
        expect(page.get_by_role("heading", name="Adjust")).to_be_in_viewport()
        assert violations(page) == []
    page.goto(f"{server.url}?item=d001-1&is.type=Nothing")
    expect(page.get_by_role("heading", name="Nothing passes these filters")).to_be_visible()
    assert violations(page) == []
    page.goto(f"{server.url}?item=nowhere")
    expect(page.get_by_role("heading", name="This item is not in the catalogue")).to_be_visible()
    assert violations(page) == []


def test_a_narrow_screen_has_everything_within_reach(server: Server, open_page: OpenPage, query_photo: Path) -> None:
    page = open_page(server, width=360, height=740, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.get_by_role("button", name="Take a photo")).to_be_visible()
    choose(page, query_photo)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.locator("#grid .card").first).to_be_in_viewport()
    page.get_by_role("button", name="Adjust").tap()
    expect(page.get_by_role("button", name="Close")).to_be_focused()
    page.get_by_role("group", name="Type").get_by_label("Dress").tap()
    expect(page.locator("#adjust-count")).to_have_text("1")
    expect(page.locator("#grid .card").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Adjust")).to_be_focused()
    expect(page.get_by_role("slider")).to_have_count(0)
    box = page.locator(".grip.se").bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44


@pytest.mark.parametrize("wide", [360, 768, 1440])
def test_a_finger_moves_the_corners_of_the_box(
    server: Server, open_page: OpenPage, query_photo: Path, wide: int
) -> None:
    page = open_page(server, width=wide, height=740, has_touch=True, is_mobile=True)
    choose(page, query_photo)
    Finger(page, ".crop").drag((0.98, 0.98), (0.58, 0.58))
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    width, height = page.locator(".fit img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
    x1, y1, x2, y2 = (float(side) for side in query_of(page)["box"][0].split(","))
    assert (x1, y1) == (0, 0)
    assert (x2 / width, y2 / height) == (pytest.approx(0.6, abs=0.02), pytest.approx(0.6, abs=0.02))
    settled(page)


def test_a_photo_that_cannot_be_read_says_why(
    server: Server, open_page: OpenPage, tmp_path: Path, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    (tmp_path / "letter.txt").write_text("Dear reader")
    page = open_page(server)
    page.set_input_files("#choose", tmp_path / "letter.txt")
    expect(page.get_by_role("heading", name="This photo cannot be read")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("not a photo in a format that can be read")
    expect(page.get_by_role("button", name="Choose another photo")).to_be_visible()


def test_a_photo_of_another_browser_is_not_there(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?photo=0123456789ab")
    expect(page.get_by_role("heading", name="This photo is not in this browser")).to_be_visible()
    page.get_by_role("button", name="Start again").click()
    expect(page.get_by_role("heading", name="Find it by its looks")).to_be_visible()


def test_filters_that_nothing_passes_can_be_cleared(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?item=d001-1&is.type=Hat&is.colour=Ultraviolet")
    expect(page.get_by_role("heading", name="Nothing passes these filters")).to_be_visible()
    page.get_by_role("button", name="Clear the filters").click()
    settled(page)
    assert len(shown(page)) == 24


def test_waiting_is_told_and_a_busy_server_is_asked_again(
    server: Server, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(server)
    held: list[Route] = []
    page.route("**/v1/search", lambda route: route.continue_() if held else held.append(route))
    page.goto(f"{server.url}?item=d001-1")
    expect(page.locator("#grid .waiting").first).to_be_visible()
    expect(page.locator("#status")).to_have_text(re.compile("ooking…"))
    expect(page.locator("#status")).to_have_text(re.compile("Still"))
    body = '{"error": {"code": "busy", "message": "72 searches are running or waiting"}}'
    held[0].fulfill(status=429, headers={"Retry-After": "1"}, content_type="application/json", body=body)
    settled(page)
    assert len(shown(page)) == 24


def test_a_server_that_goes_away_is_waited_for(
    drawn_gallery: Path, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    server = start_server(drawn_gallery)
    try:
        page = open_page(server, "?item=d013-2")
        settled(page)
        before = shown(page)
        server.stop()
        page.get_by_role("group", name="Type").get_by_label("Dress").check()
        expect(page.get_by_role("alert")).to_contain_text("The server does not answer")
        expect(page.locator("#status")).to_have_text("Results of the previous search.")
        assert shown(page) == before
        server = start_server(drawn_gallery, port=int(server.url.rstrip("/").rpartition(":")[2]))
        expect(page.get_by_role("alert")).to_be_hidden(timeout=10_000)
        expect(page.locator("#grid .card .name", has_text=re.compile("dress", re.IGNORECASE)).first).to_be_visible()
    finally:
        server.stop()


def test_being_offline_is_said(server: Server, open_page: OpenPage, complaints: Complaints) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(server, "?item=d013-2")
    settled(page)
    page.context.set_offline(True)
    expect(page.get_by_role("alert")).to_contain_text("You are offline")
    page.locator("#grid .tile").nth(1).click()
    expect(page.get_by_role("heading", name="You are offline.")).to_be_visible()
    page.context.set_offline(False)
    settled(page)
    expect(page.get_by_role("alert")).to_be_hidden()
