"""The page of a shop: its name, logo and colours, prices, sales, stock, and cards that lead to the product."""

from __future__ import annotations

from pathlib import Path

import pytest
from live_page import OpenPage, Server, start_server
from on_page import choose, query_of, settled, shown, violations
from playwright.sync_api import Page, expect

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn

WIDTHS = (360, 768, 1440)
JACKET = "d013-1"
LOGO = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">
    <path d="M20 4c9 6 12 14 0 30C8 18 11 10 20 4z"/>
</svg>"""
SETTINGS = """
[page]
name = "Maison Tilleul"
logo = "{logo}"
currency = "EUR"
scores = false
group = "photo"
[page.light]
accent = "#1a6b54"
[page.columns]
link = "url"
in_stock = "availability"
card = ["brand", "colour"]
details = ["brand", "margin", "colour"]
filters = ["colour", "type", "margin"]
hidden = ["margin", "id"]
[page.labels.any]
brand = "Made by"
"""
MORE = {
    "d013-2": {"sale_price": 100, "price": 125},
    "d002-1": {"price": "1299.50 INR", "availability": "out of stock"},
    "d011-1": {"url": "javascript:window.hurt=1"},
    "d011-2": {"url": "/relative"},
    "d001-1": {"price": "on request", "availability": "maybe"},
    "d003-1": {"currency": "JPY", "price": 12000},
}


@pytest.fixture(scope="module")
def shop_server(tmp_path_factory: pytest.TempPathFactory, drawn_gallery: Path) -> object:
    """Serves the drawn garments as a shop would."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "logo.svg").write_text(LOGO)
    (folder / "shop.toml").write_text(SETTINGS.format(logo=folder / "logo.svg"))
    table = write_drawn(folder / "catalogue", products=18, photos=2)
    with lookalike.open(folder / "shop.gallery") as shop:
        shop.index(table)
        for item in shop.gallery.list(limit=None)[1]:
            own = {
                "url": f"https://tilleul.example/{item.id}",
                "brand": "Tilleul",
                "margin": 5,
                "availability": "in_stock",
            }
            shop.gallery.override(item.id, {**own, **MORE.get(item.id, {})})
    running = start_server(folder / "shop.gallery", config=folder / "shop.toml")
    yield running
    running.stop()


def card(page: Page, item: str) -> object:
    return page.locator(f'#grid .card[data-id="{item}"]')


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_the_shop_s(shop_server: Server, open_page: OpenPage, width: int, scheme: str) -> None:
    page = open_page(shop_server, width=width, color_scheme=scheme, reduced_motion="reduce")
    expect(page).to_have_title("Maison Tilleul")
    expect(page.locator(".mark")).to_have_text("Maison Tilleul")
    assert page.locator(".logo").evaluate("image => image.decode().then(() => image.naturalHeight)") > 0
    accent = {"light": "rgb(26, 107, 84)", "dark": None}[scheme]
    if accent:
        expect(page.locator(".button.main").first).to_have_css("background-color", accent)
    assert violations(page) == []
    page.goto(f"{shop_server.url}?item={JACKET}")
    settled(page)
    expect(page).to_have_title("Green tartan jacket \N{EN DASH} Maison Tilleul")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
    page.locator("#grid .icon-button:not(.similar)").first.click()
    expect(page.get_by_role("link", name="View product")).to_be_focused()
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_card_leads_to_the_product(shop_server: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(shop_server, f"?item={JACKET}&k=48", width=width)
    settled(page)
    page.context.route("https://tilleul.example/**", lambda route: route.fulfill(body="<title>Bought</title>"))
    first = page.locator("#grid .card").first
    link = first.get_by_role("link")
    assert link.get_attribute("href") == f"https://tilleul.example/{shown(page)[0]}"
    assert (link.get_attribute("target"), link.get_attribute("rel")) == ("_blank", "noopener")
    with page.expect_popup() as opened:
        first.locator(".name").click()
    assert opened.value.evaluate("window.opener") is None
    expect(opened.value).to_have_title("Bought")
    for item in ("d011-1", "d011-2"):  # what is no address of the web is searched by, as without a link
        assert card(page, item).get_by_role("link").get_attribute("href") == f"?item={item}"
    first.get_by_role("button", name="Find what looks like").click()
    page.wait_for_function("() => new URLSearchParams(location.search).get('item') !== 'd013-1'")
    assert query_of(page) == {"item": ["d013-2"]}
    assert page.evaluate("window.hurt ?? null") is None


@pytest.mark.parametrize("width", WIDTHS)
def test_prices_sales_and_stock_are_told(shop_server: Server, open_page: OpenPage, width: int) -> None:
    page = open_page(shop_server, f"?item={JACKET}&k=48", width=width)
    settled(page)
    sale = card(page, "d013-2")
    expect(sale.locator(".price")).to_have_text("€100instead of €125")
    expect(sale.locator(".mark-sale")).to_have_text("-20%")
    expect(sale.locator(".facts")).to_have_text("Tilleul · Green")
    expect(sale.locator(".score, .parts")).to_have_count(0)
    gone = card(page, "d002-1")
    expect(gone.locator(".price")).to_have_text("₹1,299.50")
    expect(gone.locator(".mark-sold")).to_have_text("Sold out")
    expect(card(page, "d001-1").locator(".price, .mark-sold")).to_have_count(0)
    expect(card(page, "d003-1").locator(".price")).to_have_text("¥12,000")
    for text in page.locator("#grid .card").all_inner_texts():
        assert "margin" not in text.lower()
        assert "d0" not in text
    gone.get_by_role("button", name="Details of").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".stock")).to_have_text("Sold out")
    assert dialog.locator("dt").all_inner_texts() == ["Made by", "Colour"]
    expect(dialog.get_by_role("button", name="Copy id")).to_have_count(0)


@pytest.mark.parametrize("width", WIDTHS)
def test_filters_are_those_of_the_settings(
    shop_server: Server, open_page: OpenPage, query_photo: Path, width: int
) -> None:
    page = open_page(shop_server, width=width)
    choose(page, query_photo)
    if width < 900:
        page.get_by_role("button", name="Adjust").click()
    expect(page.locator("#filters summary")).to_have_text(["Colour", "Type"])
