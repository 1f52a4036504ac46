"""The page in a hand: camera, finger, small boxes, long filters, large photos, and slow connections."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import Finger, answer, become, choose, query_of, settled, violations
from PIL import Image
from playwright.sync_api import Page, expect

import lookalike

PHONE = {"width": 360, "height": 740, "has_touch": True, "is_mobile": True}
WIDTHS = (360, 768, 1440)
TYPES = 84


@pytest.fixture(scope="module")
def long_server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Server]:
    """Serves a catalogue with many types, whose server takes small photos only."""
    folder = tmp_path_factory.mktemp("long")
    with (folder / "catalogue.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "type"])
        for at in range(3 * TYPES):
            if at % 3 == 0:
                Image.new("RGB", (20, 30), (at % 256, 90, 200 - at % 200)).save(folder / f"{at}.png")
            word = "Écharpe" if at // 3 == 80 else f"Type {at // 3:02}"
            writer.writerow([f"i{at}", f"{at - at % 3}.png", word])
    with lookalike.open(folder / "long.gallery", model=tiny_model) as shop:
        shop.index(folder / "catalogue.csv")
    (folder / "page.toml").write_text('upload_bytes = 500_000\n[page]\ngroup = "photo"\n')
    running = start_server(folder / "long.gallery", config=folder / "page.toml")
    yield running
    running.stop()


def noise(path: Path, side: int) -> Path:
    """A photo that does not compress, in a format that the page cannot make smaller by turning it into JPEG."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)
    return path


@pytest.mark.parametrize("width", [320, *WIDTHS])
def test_camera_query_and_results_are_in_view(
    server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(server, width=width, height=640, has_touch=True, is_mobile=True, reduced_motion="reduce")
    expect(page.get_by_role("button", name="Take a photo")).to_be_in_viewport()
    choose(page, query_photo)
    camera = page.get_by_role("button", name="Take a photo")
    expect(camera).to_be_in_viewport()
    with page.expect_file_chooser() as asked:
        camera.tap()
    assert asked.value.element.get_attribute("capture") == "environment"
    expect(page.locator(".fit img")).to_be_in_viewport(ratio=0.9)
    expect(page.locator("#grid .card img").first).to_be_in_viewport()
    page.locator("#more button").scroll_into_view_if_needed()
    page.locator("#grid .into").nth(20).tap()
    page.wait_for_function("() => location.search.includes('item=')")
    settled(page)
    expect(page.locator(".fit img")).to_be_in_viewport(ratio=0.9)
    expect(page.locator("#grid .card img").first).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_small_box_is_moved_and_made_larger(
    server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(server, **{**PHONE, "width": width})
    choose(page, query_photo)
    finger = Finger(page, ".crop")
    place = page.locator(".crop").bounding_box()
    assert place is not None

    def drag(start: tuple[float, float], end: tuple[float, float]) -> list[float]:
        before = page.url
        finger.drag(start, end)
        page.wait_for_function("before => location.href !== before", arg=before)
        pixels = page.locator(".fit img").evaluate("image => [image.naturalWidth, image.naturalHeight]")
        return [float(side) / pixels[at % 2] for at, side in enumerate(query_of(page)["box"][0].split(","))]

    box = drag((0.45, 0.45), (0.55, 0.55))
    assert box == pytest.approx([0.45, 0.45, 0.55, 0.55], abs=0.02)
    for part in ("move", "nw", "ne", "sw", "se"):
        grip = page.locator(f".grip.{part}").bounding_box()
        assert grip is not None
        assert min(grip["width"], grip["height"]) >= 44
    box = drag((0.5, 0.5), (0.3, 0.4))  # held in the middle
    assert box == pytest.approx([0.25, 0.35, 0.35, 0.45], abs=0.02)
    beside = (0.35 + 15 / place["width"], 0.45 + 15 / place["height"])
    larger = drag(beside, (beside[0] + 0.4, beside[1] + 0.3))
    assert larger == pytest.approx([0.25, 0.35, 0.75, 0.75], abs=0.02)
    assert page.evaluate("scrollY") == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_every_value_of_a_filter_is_found(long_server: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(long_server, "?item=i0", width=width, reduced_motion="reduce")
    settled(page)
    if width < 900:
        page.get_by_role("button", name="Adjust").click()
    group = page.get_by_role("group", name="Type")
    expect(group.get_by_role("checkbox")).to_have_count(7)
    group.get_by_role("button", name=f"Show all {TYPES}").click()
    expect(group.get_by_role("checkbox")).to_have_count(TYPES)
    search = group.get_by_role("searchbox", name="Search: Type")
    search.fill("ech")  # without its accent
    expect(group.get_by_role("checkbox")).to_have_count(1)
    expect(search).to_be_focused()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    group.get_by_label("Écharpe").check()
    become(page, lambda ids: ids == answer(long_server, item="i0", where="type = 'Écharpe'", k=24))
    search.fill("nothing at all")
    expect(group).to_contain_text("Nothing like that here")
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photo_that_is_too_large_is_not_sent(
    long_server: Server, open_page: OpenPage, tmp_path: Path, width: int
) -> None:
    page = open_page(long_server, **{**PHONE, "width": width})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    photo = noise(tmp_path / "noise.png", 500)
    page.set_input_files("#choose", photo)
    told = f"This photo has {photo.stat().st_size / 1e6:.1f}MB, and 0.4MB is the most. Choose a smaller one."
    expect(page.get_by_role("alert")).to_have_text(told.replace("MB", " MB"))
    assert asked == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("width", WIDTHS)
def test_focus_returns_to_where_it_was(server: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(server, "?item=d013-1", **{**PHONE, "width": width})
    settled(page)
    button = page.locator("#grid .about .icon-button").nth(3)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).not_to_be_visible()
    expect(button).to_be_focused()
    if width >= 900:  # weights and filters are beside the results
        expect(page.get_by_role("button", name="Adjust")).to_be_hidden()
        return
    adjust = page.get_by_role("button", name="Adjust")
    adjust.press("Enter")
    page.keyboard.press("Escape")
    expect(adjust).to_be_focused()


@pytest.mark.parametrize("width", WIDTHS)
def test_a_slow_upload_is_told_as_such(server: Server, open_page: OpenPage, tmp_path: Path, width: int) -> None:
    page = open_page(server, **{**PHONE, "width": width})
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    slow = {"offline": False, "latency": 10, "downloadThroughput": -1, "uploadThroughput": 150_000}
    session.send("Network.emulateNetworkConditions", slow)
    page.set_input_files("#choose", noise(tmp_path / "noise.png", 560))
    expect(page.get_by_role("status")).to_contain_text("Sending the photo…", timeout=20_000)  # on a busy machine
    expect(page.get_by_role("progressbar", name="Sending the photo")).to_be_visible()
    page.wait_for_timeout(2500)  # longer than an answer may take before the server is called slow
    expect(page.get_by_role("status")).to_contain_text("Sending the photo…")
    session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    expect(page.get_by_role("status")).to_have_text("No good match")  # it shows no garment
    expect(page.get_by_role("progressbar")).to_be_hidden()


def test_the_server_s_patience_with_a_slow_upload_is_not_its_fault(
    server: Server, open_page: OpenPage, query_photo: Path, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load",)
    page = open_page(server, **PHONE)
    body = '{"error": {"code": "too_slow", "message": "the body did not arrive within 30 s", "limit": 30}}'
    refuse = {"status": 408, "content_type": "application/json", "body": body}
    page.route("**/v1/search", lambda route: route.fulfill(**refuse))
    page.set_input_files("#choose", query_photo)
    expect(page.get_by_role("heading", name="Your connection is slow")).to_be_visible()
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").tap()
    settled(page)
    page.route("**/v1/search", lambda route: route.abort())
    page.set_input_files("#choose", query_photo)
    expect(page.get_by_role("heading", name="The connection broke off while the photo was sent")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_texts_grow_with_the_font_size_of_the_browser(server: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(server, "?item=d013-1", width=width)
    settled(page)

    def size(page: Page, selector: str) -> float:
        return float(page.locator(selector).first.evaluate("element => parseFloat(getComputedStyle(element).fontSize)"))

    before = [size(page, selector) for selector in (".name", ".facts", ".status", ".mark", ".words input")]
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    after = [size(page, selector) for selector in (".name", ".facts", ".status", ".mark", ".words input")]
    assert after == pytest.approx([2 * one for one in before])
    assert page.evaluate("document.documentElement.scrollWidth") == width
