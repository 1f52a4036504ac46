"""Answers that come late, in another order, or not at all: the page shows what was asked for last."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from live_page import Complaints, OpenPage, Server
from on_page import choose, query_of, settled, shown
from PIL import Image
from playwright.sync_api import Page, Route, expect

REFUSED = "Failed to load"


def hold(page: Page, pattern: str) -> list[Route]:
    """Hold requests back; they are in the list."""
    held: list[Route] = []
    page.route(pattern, lambda route: held.append(route))
    return held


def release(page: Page, pattern: str, held: list[Route]) -> None:
    for route in held:
        route.continue_()
    page.unroute(pattern)


def noise(path: Path, side: int) -> Path:
    """A photo that does not compress."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    return path


def test_details_that_load_slowly_are_of_the_item_that_was_opened_last(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?item=d013-1")
    settled(page)
    held = hold(page, "**/details.js")
    cards = page.locator("#grid .card")
    cards.nth(0).get_by_role("button", name=re.compile("^Details")).click()
    page.wait_for_function("() => location.search.includes('open=')")
    page.go_back()
    cards.nth(5).get_by_role("button", name=re.compile("^Details")).click()
    last = shown(page)[5]
    assert query_of(page)["open"] == [last]
    release(page, "**/details.js", held)
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".facts-table")).to_contain_text(last)
    expect(dialog.locator("#details-title")).to_have_text(cards.nth(5).locator(".name").inner_text())
    assert not re.search(r"^0$", dialog.inner_text(), re.MULTILINE)  # the number of variants is not told
    assert f"/{last}/" in (dialog.locator(".details-photo img").get_attribute("src") or "")


def test_details_that_were_left_do_not_open(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?item=d013-1")
    settled(page)
    held = hold(page, "**/details.js")
    page.locator("#grid .about .icon-button").first.click()
    page.wait_for_function("() => location.search.includes('open=')")
    page.go_back()
    release(page, "**/details.js", held)
    page.wait_for_load_state("networkidle")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_going_back_while_a_photo_is_sent_hides_its_progress(
    server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    page = open_page(server, "?item=d013-1")
    settled(page)
    before = shown(page)
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 10, "downloadThroughput": -1, "uploadThroughput": 100_000}
    session.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("#choose", noise(tmp_path / "noise.png", 560))
    expect(page.get_by_role("progressbar", name="Sending the photo")).to_be_visible()
    page.go_back()
    settled(page)
    assert shown(page) == before
    expect(page.get_by_role("progressbar", name="Sending the photo")).to_be_hidden()


def test_the_photo_that_was_given_last_is_searched_with(
    server: Server, open_page: OpenPage, query_photo: Path, tmp_path: Path
) -> None:
    page = open_page(server)
    page.evaluate(
        """() => {
            const decode = createImageBitmap;
            window.held = [];
            window.createImageBitmap = photo => new Promise(done => held.push(() => done(decode(photo))));
        }"""
    )
    page.set_input_files("#choose", noise(tmp_path / "large.png", 700))  # above 1 MB, so it is decoded first
    page.wait_for_function("() => window.held.length === 1")
    choose(page, query_photo)
    page.evaluate("Promise.all(held.map(one => one())).then(() => new Promise(done => setTimeout(done, 300)))")
    settled(page)
    expect(page.locator(".query-name")).to_have_text("my jacket.jpg")


def test_suggestions_that_come_after_the_search_stay_closed(server: Server, open_page: OpenPage) -> None:
    page = open_page(server)
    expect(page.locator("#begin-list img.there").first).to_be_visible()
    held = hold(page, "**/v1/facets*")
    field = page.locator("#words-field")
    field.fill("re")
    page.wait_for_function("() => performance.getEntriesByName(new URL('suggestions.js', location).href).length")
    field.fill("red dress")
    field.press("Enter")
    settled(page)
    release(page, "**/v1/facets*", held)
    page.wait_for_load_state("networkidle")
    expect(page.locator(".suggestions")).to_be_hidden()
    expect(field).to_be_focused()


def test_suggestions_are_asked_for_again_after_a_failure(
    server: Server, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(server)
    page.route("**/v1/facets*", lambda route: route.abort())
    field = page.locator("#words-field")
    with page.expect_event("requestfailed"):
        field.fill("re")
    page.unroute("**/v1/facets*")
    field.fill("dre")
    expect(page.locator(".suggestions").get_by_role("button").first).to_be_visible()


def test_what_is_told_for_a_moment_does_not_hide_an_outage(
    server: Server, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = (REFUSED,)
    page = open_page(server, "docs")
    page.clock.install()
    page.goto(server.url)
    expect(page.locator("#begin-title")).not_to_be_empty()
    paste = (
        "document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: new DataTransfer(), bubbles: true}))"
    )
    banner = page.get_by_role("alert")
    page.evaluate(paste)
    expect(banner).to_contain_text("There is no picture on the clipboard")
    page.clock.run_for(4000)
    page.evaluate(paste)  # told anew, for as long
    page.clock.run_for(4000)
    expect(banner).to_contain_text("There is no picture on the clipboard")
    page.context.set_offline(True)
    expect(banner).to_contain_text("There is no picture on the clipboard")
    page.clock.run_for(2500)
    expect(banner).to_contain_text("You are offline")
    page.evaluate(paste)
    expect(banner).to_contain_text("There is no picture on the clipboard")
    page.clock.run_for(6500)
    expect(banner).to_contain_text("You are offline")
    page.context.set_offline(False)
    expect(banner).to_be_hidden()


def test_a_search_that_was_given_up_before_it_began_is_not_sent(server: Server, open_page: OpenPage) -> None:
    page = open_page(server)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/search") else None)
    said = page.evaluate(
        """async () => {
            const {search} = await import("./api.js");
            const photo = new Blob(["x".repeat(1000)], {type: "image/jpeg"});
            return search({photo, k: 1}, AbortSignal.abort(), () => {}).then(() => "sent", error => error.name);
        }"""
    )
    assert (said, asked) == ("AbortError", [])


def test_a_page_left_before_its_item_has_come_is_remembered_all_the_same(server: Server, open_page: OpenPage) -> None:
    page = open_page(server)
    held = hold(page, "**/v1/items/d002-1")
    page.goto(f"{server.url}?item=d002-1")
    settled(page)
    assert len(held) == 1
    page.goto(server.url)
    tiles = page.locator("#recent-list").get_by_role("link")
    expect(tiles).to_have_count(1)
    expect(tiles).to_have_attribute("aria-label", "d002-1")
    page.unroute("**/v1/items/d002-1")
    tiles.click()
    expect(page).to_have_title(re.compile("Brown floral dress"))
    settled(page)  # a search is remembered when its answer has come
    page.goto(server.url)
    expect(tiles).to_have_count(1)
    expect(tiles).to_have_attribute("aria-label", "Brown floral dress")


def test_photos_of_recent_searches_are_let_go_even_if_they_cannot_be_shown(
    server: Server, open_page: OpenPage, query_photo: Path
) -> None:
    page = open_page(server)
    choose(page, query_photo)
    page.wait_for_function("() => localStorage.getItem('lookalike-searches')?.includes('photo=')")
    page.evaluate(
        """() => new Promise(done => {
            indexedDB.open("lookalike", 1).onsuccess = ({target}) => {
                const store = target.result.transaction("photos", "readwrite").objectStore("photos");
                store.getAll().onsuccess = ({target: {result}}) => {
                    store.put({...result[0], blob: new Blob(["no photo"])}).onsuccess = done;
                };
            };
        })"""
    )
    page.add_init_script(
        """
        window.urls = new Set();
        const {createObjectURL: make, revokeObjectURL: revoke} = URL;
        URL.createObjectURL = blob => { const url = make.call(URL, blob); urls.add(url); return url; };
        URL.revokeObjectURL = url => { urls.delete(url); revoke.call(URL, url); };
        """
    )
    page.goto(server.url)
    expect(page.locator("#recent-list .missing")).to_be_visible()
    assert page.evaluate("urls.size") == 0
