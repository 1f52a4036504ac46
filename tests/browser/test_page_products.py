"""Cards that are products: their best photo, their variants, and the way to these by mouse, finger and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from live_page import OpenPage, Server, start_server
from on_page import answer, choose, query_of, settled, shown, violations
from playwright.sync_api import expect

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn

WIDTHS = (360, 768, 1440)


@pytest.fixture(scope="module")
def product_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serves products of four photos each, with the settings that a page has by itself."""
    folder = tmp_path_factory.mktemp("products")
    (folder / "page.toml").write_text("")
    with lookalike.open(folder / "products.gallery") as shop:
        shop.index(write_drawn(folder / "catalogue", products=15, photos=4))
    running = start_server(folder / "products.gallery", config=folder / "page.toml")
    yield running
    running.stop()


@pytest.mark.parametrize("width", WIDTHS)
def test_cards_are_products_with_their_variants(
    product_server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(product_server, width=width, reduced_motion="reduce")
    choose(page, query_photo)
    assert shown(page) == answer(product_server, photo=query_photo, k=24, group="product")
    assert len(shown(page)) == 15
    first = page.locator("#grid .card").first
    group = first.get_by_role("group", name="Variants of Green tartan jacket")
    expect(group.get_by_role("button")).to_have_count(3)
    expect(group.get_by_role("button", name="1 more variant")).to_have_text("+1")
    for button in group.get_by_role("button").all():
        place = button.bounding_box()
        assert place is not None
        assert min(place["width"], place["height"]) >= 40
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_variants_are_reached_with_the_keyboard(product_server: Server, open_page: OpenPage, query_photo: Path) -> None:
    page = open_page(product_server)
    choose(page, query_photo)
    with lookalike.open(product_server.gallery) as shop:
        best = shop.search(query_photo, garment="whole", group="product", k=1).matches[0]
    others = [variant.item.id for variant in best.variants]
    assert len(others) == 3
    page.locator("#grid .into").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("dt", has_text="Id").locator("+ dd")).to_have_text(others[1])
    variants = dialog.get_by_role("region", name="Other variants").get_by_role("link")
    expect(variants).to_have_count(3)
    hrefs = [link.get_attribute("href") for link in variants.all()]
    assert hrefs == [f"?item={item}" for item in (best.item.id, others[0], others[2])]
    variants.first.press("Enter")
    expect(dialog.locator("dt", has_text="Id").locator("+ dd")).to_have_text(best.item.id)
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()
    assert "open" not in query_of(page)


def test_what_is_similar_to_an_item_is_another_product(product_server: Server, open_page: OpenPage) -> None:
    page = open_page(product_server, "?item=d013-1")
    settled(page)
    assert shown(page) == answer(product_server, item="d013-1", k=24, group="product")
    assert not any(item.startswith("d013") for item in shown(page))
