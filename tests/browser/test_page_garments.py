"""Garments on the page: outlined in the photo, chosen by tap and key, beside the drawn box and the whole photo."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import Finger, answer, become, choose, query_of, settled, shown, violations
from PIL import Image, ImageDraw
from playwright.sync_api import Locator, Page, expect

import lookalike
from lookalike.types import Garment

SIDE = 384  # of the photo, in pixels
RED, GREEN, BLUE = (220, 10, 10), (10, 200, 10), (10, 10, 220)


@pytest.fixture(scope="module")
def plain_gallery(tmp_path_factory: pytest.TempPathFactory, drawn_table: Path, tiny_model: Path) -> Path:
    """Drawn garments, described by a model without labels, for which coloured squares are no worse than garments."""
    gallery = tmp_path_factory.mktemp("plain") / "drawn.gallery"
    with lookalike.open(gallery, model=tiny_model) as shop:
        shop.index(drawn_table)
    return gallery


@pytest.fixture(scope="module")
def finding_server(plain_gallery: Path, tiny_finder: Path) -> Iterator[Server]:
    """Serves the drawn garments with a finder."""
    running = start_server(plain_gallery, finder=tiny_finder)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def server(plain_gallery: Path) -> Iterator[Server]:
    """Serves them without a finder."""
    running = start_server(plain_gallery)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def outfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of three garments: the skirt is the largest, and overlaps the others."""
    photo = Image.new("RGB", (SIDE, SIDE), "white")
    draw = ImageDraw.Draw(photo)
    for (column, row), color in {(0, 0): RED, (1, 2): GREEN, (3, 3): BLUE}.items():
        draw.rectangle((column * 96, row * 96, column * 96 + 95, row * 96 + 95), fill=color)
    path = tmp_path_factory.mktemp("outfit") / "outfit.png"
    photo.save(path)
    return path


@pytest.fixture(scope="module")
def found(outfit: Path, tiny_finder: Path) -> list[Garment]:
    garments = lookalike.find_garments(outfit, finder=tiny_finder)
    assert [garment.kind for garment in garments] == ["trousers", "top", "skirt"]
    return garments


def outline(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Garments in the photo").get_by_role("button", name=name)


def pressed(page: Page) -> list[str | None]:
    """Names of the garments that are looked at."""
    return [one.get_attribute("aria-label") for one in page.locator('.outline[aria-pressed="true"]').all()]


def middle(garment: Garment) -> tuple[float, float]:
    """As fractions of the sides of the photo."""
    box = garment.box
    return ((box.x1 + box.x2) / 2 / SIDE, (box.y1 + box.y2) / 2 / SIDE)


@pytest.mark.parametrize("width", [390, 1280])
def test_garments_are_outlined_by_the_first_search(
    finding_server: Server, open_page: OpenPage, outfit: Path, found: list[Garment], width: int
) -> None:
    page = open_page(finding_server, width=width)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.method == "POST" else None)
    choose(page, outfit)
    names = page.get_by_role("group", name="Garments in the photo").get_by_role("button")
    expect(names).to_have_count(3)
    assert asked == [f"{finding_server.url}v1/search"]
    assert [name.get_attribute("aria-label") for name in names.all()] == [
        f"{garment.kind.capitalize()}, {number} of 3" for number, garment in enumerate(found, start=1)
    ]
    page.wait_for_load_state("networkidle")
    photo = page.locator(".fit img").bounding_box()
    assert photo is not None
    for garment, name in zip(found, names.all(), strict=True):
        place = name.bounding_box()
        assert place is not None
        corners = (place["x"], place["y"], place["x"] + place["width"], place["y"] + place["height"])
        starts = (photo["x"], photo["y"]) * 2
        scale = SIDE / photo["width"]
        assert [(side - start) * scale for side, start in zip(corners, starts, strict=True)] == pytest.approx(
            garment.box.to_list(), abs=1
        )
    assert pressed(page) == ["Skirt, 3 of 3"]  # the most prominent
    expect(page.locator(".query-about .hint")).to_have_text("Only the skirt. Click another.")
    assert query_of(page).keys() == {"photo"}
    assert shown(page) == answer(finding_server, photo=outfit, garment="auto", k=24)
    assert page.evaluate("window.shifted") < 0.02


def test_a_click_chooses_a_garment_and_back_returns(
    finding_server: Server, open_page: OpenPage, outfit: Path, found: list[Garment]
) -> None:
    page = open_page(finding_server)
    choose(page, outfit)
    auto = shown(page)
    place = page.locator(".crop").bounding_box()
    assert place is not None

    def click(x: float, y: float) -> None:
        page.mouse.click(place["x"] + x * place["width"], place["y"] + y * place["height"])

    click(*middle(found[1]))
    top = become(page, lambda ids: ids != auto)
    assert top == answer(finding_server, photo=outfit, garment="top", k=24)
    assert query_of(page)["garment"] == ["2"]
    assert pressed(page) == ["Top, 2 of 3"]
    expect(page.locator(".query-about .hint")).to_have_text("Only the top. Click another.")
    shared = (230 / SIDE, 230 / SIDE)  # in the trousers and in the skirt: the smaller ones are meant, then the others
    click(*shared)
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="trousers", k=24))
    click(*shared)
    become(page, lambda ids: ids == auto)
    assert query_of(page)["garment"] == ["3"]
    click(0.98, 0.2)  # no garment
    assert query_of(page)["garment"] == ["3"]
    page.go_back()
    page.go_back()
    assert become(page, lambda ids: ids == top) == top
    assert pressed(page) == ["Top, 2 of 3"]
    page.go_back()
    assert become(page, lambda ids: ids == auto) == auto
    assert pressed(page) == ["Skirt, 3 of 3"]


def test_the_whole_photo_is_a_choice_that_lasts(finding_server: Server, open_page: OpenPage, outfit: Path) -> None:
    page = open_page(finding_server)
    choose(page, outfit)
    page.get_by_role("button", name="Whole photo").click()
    whole = answer(finding_server, photo=outfit, garment="whole", k=24)
    become(page, lambda ids: ids == whole)
    assert query_of(page)["garment"] == ["whole"]
    assert pressed(page) == []
    page.reload()
    become(page, lambda ids: ids == whole)
    expect(page.locator(".outline")).to_have_count(3)  # though this search did not look for them
    expect(page.locator(".query-about .hint")).to_have_text("Click a garment, or drag over a part.")
    expect(page.get_by_role("button", name="Whole photo")).to_be_hidden()
    page.go_back()
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="auto", k=24))
    assert pressed(page) == ["Skirt, 3 of 3"]


def test_a_garment_is_chosen_with_the_keyboard(
    finding_server: Server, open_page: OpenPage, outfit: Path, found: list[Garment]
) -> None:
    page = open_page(finding_server)
    choose(page, outfit)
    expect(page.locator("#spoken")).to_have_text("3 garments found. Only the skirt. Click another.")
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == "Trousers, 1 of 3":
            break
    expect(outline(page, "Trousers, 1 of 3")).to_be_focused()
    expect(outline(page, "Trousers, 1 of 3").locator(".kind")).to_have_css("opacity", "1")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="2", k=24))
    expect(outline(page, "Top, 2 of 3")).to_be_focused()
    assert pressed(page) == ["Top, 2 of 3"]
    page.get_by_role("button", name="Bottom right corner of the box").focus()
    page.keyboard.press("ArrowRight")  # the box of the garment is a beginning
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    corners = [float(side) for side in query_of(page)["box"][0].split(",")]
    assert corners == pytest.approx(
        [*found[1].box.to_list()[:2], found[1].box.x2 + 0.02 * SIDE, found[1].box.y2], abs=1
    )
    assert pressed(page) == []
    outline(page, "Trousers, 1 of 3").press("Escape")
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="whole", k=24))
    expect(page.locator("#spoken")).to_have_text("Whole photo")


def test_a_box_is_drawn_across_the_outlines(finding_server: Server, open_page: OpenPage, outfit: Path) -> None:
    page = open_page(finding_server)
    choose(page, outfit)
    place = page.locator(".crop").bounding_box()
    assert place is not None

    def drag(start: tuple[float, float], end: tuple[float, float]) -> list[float]:
        page.mouse.move(place["x"] + start[0] * place["width"], place["y"] + start[1] * place["height"])
        page.mouse.down()
        page.mouse.move(place["x"] + end[0] * place["width"], place["y"] + end[1] * place["height"], steps=4)
        page.mouse.up()
        page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
        return [round(float(side) / SIDE, 2) for side in query_of(page)["box"][0].split(",")]

    assert drag((0.2, 0.2), (0.6, 0.5)) == [0.2, 0.2, 0.6, 0.5]  # from the top into the skirt
    assert drag((0.4, 0.4), (0.5, 0.5)) == [0.3, 0.3, 0.7, 0.6]  # a drawn box moves, wherever it is held
    assert pressed(page) == []
    assert "garment" not in query_of(page)
    expect(page.locator(".outline")).to_have_count(3)
    expect(page.locator(".query-about .hint")).to_have_text("Only what is in the box.")
    page.reload()
    settled(page)
    expect(page.locator(".outline")).to_have_count(3)
    page.mouse.click(place["x"] + 0.9 * place["width"], place["y"] + 0.9 * place["height"])
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="trousers", k=24))
    assert "box" not in query_of(page)


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_a_finger_taps_garments_and_draws_boxes(
    finding_server: Server, open_page: OpenPage, outfit: Path, found: list[Garment], width: int
) -> None:
    phone = {"width": width, "height": 740, "has_touch": True, "is_mobile": True}
    page = open_page(finding_server, **phone, reduced_motion="reduce")
    choose(page, outfit)
    expect(page.locator(".query-about .hint")).to_have_text("Only the skirt. Tap another.")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    finger = Finger(page, ".crop")
    finger.tap(middle(found[0]))
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="trousers", k=24))
    finger.tap((found[1].box.x2 / SIDE + 0.02, 0.02))  # beside the top
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="top", k=24))
    finger.drag((0.3, 0.6), (0.6, 0.2))
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    corners = [float(side) / SIDE for side in query_of(page)["box"][0].split(",")]
    assert corners == pytest.approx([0.3, 0.2, 0.6, 0.6], abs=0.02)
    assert page.evaluate("scrollY") == 0
    page.wait_for_load_state("networkidle")
    expect(page.locator("#grid.stale")).to_have_count(0)
    assert violations(page) == []


def test_outfits_name_the_garment_that_was_found(
    open_page: OpenPage, outfit: Path, tiny_model: Path, tiny_finder: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, sides in {"upright": 0, "turned": 180}.items():
        Image.open(outfit).rotate(sides).save(photos / f"{name}.png")
    Image.new("RGB", (SIDE, SIDE), "white").save(photos / "nothing.png")
    with lookalike.open(tmp_path / "outfits.gallery", model=tiny_model, finder=tiny_finder) as shop:
        shop.index(photos, garments=True)
    server = start_server(tmp_path / "outfits.gallery", finder=tiny_finder)
    try:
        page = open_page(server)
        choose(page, outfit)
        chip = page.get_by_role("button", name="Only skirts")
        expect(chip).to_have_attribute("aria-pressed", "true")
        assert shown(page) == answer(server, photo=outfit, garment="auto", same_kind="auto", k=24)
        chip.click()
        everything = answer(server, photo=outfit, garment="auto", k=24)
        assert len(become(page, lambda ids: ids == everything)) == 3
        expect(page.locator(".facts").first).to_have_text(re.compile("^Skirt"))
        chip.click()
        skirts = answer(server, photo=outfit, garment="auto", same_kind=True, k=24)
        assert len(become(page, lambda ids: ids == skirts)) == 2
        outline(page, "Top, 2 of 3").press("Enter")
        expect(page.get_by_role("button", name="Only tops")).to_have_attribute("aria-pressed", "true")
        become(page, lambda ids: ids == answer(server, photo=outfit, garment="2", same_kind=True, k=24))
    finally:
        server.stop()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_outlines(finding_server: Server, open_page: OpenPage, outfit: Path, scheme: str) -> None:
    page = open_page(finding_server, color_scheme=scheme, reduced_motion="reduce")
    choose(page, outfit)
    outline(page, "Top, 2 of 3").hover(position={"x": 5, "y": 5})
    expect(outline(page, "Top, 2 of 3").locator(".kind")).to_have_css("opacity", "1")
    assert violations(page) == []


def test_a_garment_that_is_not_there_is_not_asked_for(
    finding_server: Server, open_page: OpenPage, outfit: Path, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource",)
    page = open_page(finding_server)
    choose(page, outfit)
    page.goto(f"{page.url}&garment=9")
    become(page, lambda ids: ids == answer(finding_server, photo=outfit, garment="auto", k=24))
    assert "garment" not in query_of(page)
    page.goto(f"{page.url}&garment=dress")
    settled(page)
    assert pressed(page) == ["Skirt, 3 of 3"]


def test_without_a_finder_the_photo_is_as_before(server: Server, open_page: OpenPage, outfit: Path) -> None:
    page = open_page(server, width=390, height=740, has_touch=True, is_mobile=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or "") if request.method == "POST" else None)
    choose(page, outfit)
    assert len(asked) == 1
    assert 'name="garment"' not in asked[0]
    assert shown(page) == answer(server, photo=outfit, k=24)
    expect(page.locator(".outlines")).to_be_hidden()
    expect(page.locator(".query-about .hint")).to_have_text("Drag over a part to look only there.")
    finger = Finger(page, ".crop")
    finger.tap((0.5, 0.5))
    assert query_of(page).keys() == {"photo"}
    finger.drag((0.3, 0.8), (0.7, 0.2))
    page.wait_for_function("() => new URLSearchParams(location.search).has('box')")
    assert [round(float(side) / SIDE, 1) for side in query_of(page)["box"][0].split(",")] == [0.3, 0.2, 0.7, 0.8]


def test_the_server_may_lose_its_finder(
    finding_server: Server, open_page: OpenPage, outfit: Path, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource",)
    page = open_page(finding_server)
    refusals = []

    def refuse_garments(route: object) -> None:
        if 'name="garment"' not in (route.request.post_data or ""):
            return route.continue_()
        refusals.append(route)
        body = '{"error": {"code": "no_finder", "message": "no finder of garments is installed"}}'
        return route.fulfill(status=422, content_type="application/json", body=body)

    page.route("**/v1/search", refuse_garments)
    choose(page, outfit)
    assert shown(page) == answer(finding_server, photo=outfit, k=24)
    assert len(refusals) == 1
    expect(page.locator("#notice")).to_be_hidden()
