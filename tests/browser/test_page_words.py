"""Words on the page, alone and beside a photo or an item: suggested, weighed, told how they were read; and kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server, start_server
from on_page import answer, become, choose, query_of, settled, shown, violations
from PIL import Image
from playwright.sync_api import Locator, Page, expect

import lookalike

RED, GREEN, BLUE = (220, 10, 10), (10, 200, 10), (10, 10, 220)


@pytest.fixture(scope="module")
def kinds_server(
    tmp_path_factory: pytest.TempPathFactory, drawn_table: Path, labelled_model: Path, tiny_finder: Path
) -> Iterator[Server]:
    """Serves drawn garments of which some have a kind, with a model that takes red for dresses and reads no words."""
    gallery = tmp_path_factory.mktemp("kinds") / "kinds.gallery"
    with lookalike.open(gallery, model=labelled_model) as shop:
        shop.index(drawn_table)
        for word, kind in {"Dress": "Dresses", "Trousers": "Jeans"}.items():
            for item in shop.gallery.list(where=f"type = '{word}'", limit=None)[1]:
                shop.gallery.override(item.id, {"kind": kind})
    running = start_server(gallery, finder=tiny_finder)
    yield running
    running.stop()


@pytest.fixture
def outfit(tmp_path: Path) -> Path:
    """A photo of a red top and a green skirt, as the finder sees it."""
    photo = Image.new("RGB", (384, 384), "white")
    photo.paste(RED, (0, 0, 150, 150))
    photo.paste(GREEN, (234, 234, 384, 384))
    photo.save(tmp_path / "outfit.png")
    return tmp_path / "outfit.png"


def field(page: Page) -> Locator:
    return page.locator("#words-field")


def ask(page: Page, words: str) -> None:
    field(page).fill(words)
    field(page).press("Enter")


@pytest.mark.parametrize(("width", "scheme"), [(320, "dark"), (1280, "light")])
def test_words_alone_are_a_search_and_a_link(server: Server, open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(server, width=width, color_scheme=scheme, reduced_motion="reduce")
    page.get_by_label("Or say what it looks like").fill("brown floral dres")
    field(page).press("Enter")
    dresses = answer(server, text="brown floral dres", k=24)
    assert become(page, lambda ids: ids == dresses)[0].startswith("d002-")
    assert query_of(page) == {"text": ["brown floral dres"]}
    expect(page.locator("#words-read")).to_have_text("“dres” read as “dress”.")
    expect(page.get_by_role("slider", name="Photo or words")).to_be_hidden()
    expect(page.locator("#stage")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page) == []
    ask(page, "yellow d011")
    become(page, lambda ids: ids == answer(server, text="yellow d011", k=24))
    expect(page.locator("#words-read")).to_have_text("“d011” is looked up in texts only.")
    page.reload()
    become(page, lambda ids: ids == answer(server, text="yellow d011", k=24))
    page.go_back()
    become(page, lambda ids: ids == dresses)
    expect(field(page)).to_have_value("brown floral dres")
    page.go_back()
    expect(page.get_by_role("heading", name="Find it by its looks")).to_be_visible()
    expect(page.get_by_label("Or say what it looks like")).to_have_value("")


def test_words_change_what_an_item_shows_and_are_weighed(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?item=d013-2")
    settled(page)
    alone = shown(page)
    assert page.get_by_label("This, but…").get_attribute("placeholder") == "but red"
    ask(page, "but red")
    become(page, lambda ids: ids == answer(server, item="d013-2", text="but red", k=24) != alone)
    expect(field(page)).to_be_focused()
    assert query_of(page) == {"item": ["d013-2"], "text": ["but red"]}
    page.locator("#grid .tile").first.hover()
    rows = page.locator("#grid .card").first.locator(".parts dt")
    assert rows.all_inner_texts() == ["Shape", "Colour", "Like the photo", "Like the words"]
    assert violations(page) == []
    slider = page.get_by_role("slider", name="Photo or words")
    expect(slider).to_have_value("0.5")
    slider.fill("0.9")
    become(page, lambda ids: ids == answer(server, item="d013-2", text="but red", text_weight=0.9, k=24))
    expect(slider).to_have_attribute("aria-valuetext", "Photo 10%, words 90%")
    assert query_of(page)["text_weight"] == ["0.9"]
    field(page).fill("")
    become(page, lambda ids: ids == alone)
    assert query_of(page) == {"item": ["d013-2"]}
    expect(slider).to_be_hidden()
    ask(page, "but red")
    page.get_by_role("button", name="Look at a part of it").click()
    page.locator(".crop").wait_for()
    assert query_of(page).keys() == {"photo", "text"}


def test_the_catalogue_suggests_words(server: Server, open_page: OpenPage, query_photo: Path) -> None:
    page = open_page(server, width=375, height=740, has_touch=True, is_mobile=True, reduced_motion="reduce")
    choose(page, query_photo)
    field(page).tap()
    suggestions = page.get_by_role("list", name="Suggestions").get_by_role("button")
    expect(suggestions).to_have_count(8)
    assert {"brown", "dress", "floral"} < set(suggestions.all_inner_texts())
    assert not {"men", "summer"} & set(suggestions.all_inner_texts())  # nothing that a garment shows
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(suggestions.first).to_be_hidden()
    field(page).fill("but red t")
    expect(suggestions).to_have_text(["t-shirt", "trousers", "tartan", "top"])
    field(page).fill("but re")
    suggestions.get_by_text("red", exact=True).tap()
    become(page, lambda ids: ids == answer(server, photo=query_photo, text="but red", k=24))
    expect(field(page)).to_have_value("but red")
    expect(suggestions.first).to_be_hidden()
    assert page.evaluate("document.activeElement === document.body")  # or the keyboard would cover the answer


def test_words_that_cannot_be_searched_are_told(
    kinds_server: Server, open_page: OpenPage, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load resource",)
    page = open_page(kinds_server)
    ask(page, "tartan jacket")
    become(page, lambda ids: ids == answer(kinds_server, text="tartan jacket", k=24))
    expect(page.locator("#words-read")).to_have_text("Looked up in the texts of the items.")
    expect(page.get_by_role("slider")).to_have_count(0)
    ask(page, "xyzzy")
    expect(page.get_by_role("heading", name="Nothing has these words")).to_be_visible()
    ask(page, "!?")
    expect(page.locator("#words-read")).to_have_text("There is no word in this. Write letters or digits.")
    expect(field(page)).to_have_attribute("aria-invalid", "true")
    page.get_by_role("link", name="Lookalike").click()
    expect(field(page)).to_have_value("")
    expect(page.locator("#words-read")).to_be_empty()


def test_the_probable_kind_alone_is_searched_until_that_is_taken_off(
    kinds_server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    Image.new("RGB", (60, 80), BLUE).save(tmp_path / "blue.png")
    page = open_page(kinds_server)
    choose(page, tmp_path / "blue.png")
    chip = page.get_by_role("button", name="Only trousers")
    expect(chip).to_have_attribute("aria-pressed", "true")
    probable = answer(kinds_server, photo=tmp_path / "blue.png", same_kind="auto", k=24)
    everything = answer(kinds_server, photo=tmp_path / "blue.png", k=24)
    assert shown(page) == probable != everything
    chip.click()
    become(page, lambda ids: ids == everything)
    assert query_of(page)["same_kind"] == ["0"]
    expect(chip).to_have_attribute("aria-pressed", "false")
    chip.click()
    trousers = answer(kinds_server, photo=tmp_path / "blue.png", same_kind=True, k=24)
    assert len(become(page, lambda ids: ids == trousers)) == 4
    assert query_of(page)["same_kind"] == ["1"]
    ask(page, "brown")
    become(page, lambda ids: set(ids) == set(trousers))
    chip.click()
    field(page).fill("")
    become(page, lambda ids: ids == everything)
    page.goto(kinds_server.url)
    choose(page, tmp_path / "blue.png")
    before = shown(page)
    page.goto(f"{page.url}&is.type=Dress")  # no trousers are: all kinds are searched
    become(
        page, lambda ids: ids == answer(kinds_server, photo=tmp_path / "blue.png", where="type = 'Dress'", k=24) != []
    )
    expect(chip).to_have_attribute("aria-pressed", "false")
    assert "same_kind" not in query_of(page)
    page.locator("#filters input[type=checkbox]:checked").first.click()
    become(page, lambda ids: ids == before)
    expect(chip).to_have_attribute("aria-pressed", "true")
    page.goto(f"{kinds_server.url}?item=d001-1&same_kind=1")  # it has no kind: all are searched
    become(page, lambda ids: ids == answer(kinds_server, item="d001-1", k=24))


def test_another_garment_drops_the_kind_of_the_first(kinds_server: Server, open_page: OpenPage, outfit: Path) -> None:
    page = open_page(kinds_server)
    page.set_input_files("#choose", outfit)
    garments = page.get_by_role("group", name="Garments in the photo")
    garments.get_by_role("button", name="Top").press("Enter")
    settled(page)
    page.locator("summary", has_text="Gender").click()
    page.get_by_role("group", name="Gender").get_by_label("Women").check()
    page.locator("summary", has_text="Kind").click()
    page.get_by_role("group", name="Kind").get_by_label("Dresses").check()
    become(page, lambda ids: len(ids) == 4)
    garments.get_by_role("button", name="Skirt").press("Enter")
    expect(page.get_by_role("button", name="Remove the filter Kind: Dresses")).to_be_hidden()
    settled(page)
    assert query_of(page).keys() == {"photo", "garment", "is.gender"}
