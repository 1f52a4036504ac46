"""The web component in a shop's own page, which comes from another origin than the server."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from axe_playwright_python.sync_playwright import Axe
from live_page import PATIENCE_MS, Server, start_server
from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

import lookalike
from lookalike.cli import main

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop"
WIDTHS = (360, 768, 1440)
PLAIN = """<!doctype html><html lang="{lang}"><meta name="viewport" content="width=device-width"><title>Shop</title>
<link rel="icon" href="data:,">
<main><h1>Shop</h1><lookalike-search {attributes}></lookalike-search></main>
<script type="module" src="{server}component/lookalike.js"></script></html>"""


class ShopPages(http.server.SimpleHTTPRequestHandler):
    """The files of the example, and documents of the tests."""

    documents: ClassVar[dict[str, str]] = {}

    def do_GET(self) -> None:
        document = self.documents.get(self.path.partition("?")[0])
        if document is None:
            super().do_GET()
            return
        body = document.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def shop_url() -> Iterator[str]:
    """Address of the shop's web server."""
    handler = functools.partial(ShopPages, directory=str(EXAMPLE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/"
        serving.shutdown()


@pytest.fixture(scope="module")
def search_server(
    tmp_path_factory: pytest.TempPathFactory, drawn_table: Path, shop_url: str, tiny_finder: Path
) -> Iterator[Server]:
    """A server that the shop's pages may use; its garments have titles, prices and links."""
    folder = tmp_path_factory.mktemp("component")
    with lookalike.open(folder / "shop.gallery") as shop:
        shop.index(drawn_table)
        for at, item in enumerate(shop.gallery.list(limit=None)[1]):
            facts = {"title": f"Title of {item.id}", "price": 10 + at, "link": f"{shop_url}?id={item.id}"}
            if at % 3 == 0:
                facts |= {"sale_price": 5.5, "in_stock": False, "currency": "GBP"}
            shop.gallery.override(item.id, facts)
        shop.gallery.override("d001-1", {"link": "javascript:alert(1)"})
    settings = folder / "serve.toml"
    settings.write_text(f'origins = ["{shop_url.rstrip("/")}"]\nevents = true\n')
    running = start_server(folder / "shop.gallery", finder=tiny_finder, config=settings)
    yield running
    running.stop()


@dataclass
class Shop:
    """A page of the shop.

    Attributes:
        page: In a window of its own.
        component: The component on it.
        said: Errors and warnings of the console.
    """

    page: Page
    component: Locator
    said: list[str]

    def cards(self) -> Locator:
        return self.component.locator(".card")

    def status(self) -> Locator:
        return self.component.get_by_role("status")

    def ask(self, words: str) -> None:
        self.component.get_by_role("searchbox").fill(words)
        self.component.get_by_role("searchbox").press("Enter")

    def choose(self, photo: Path) -> None:
        self.component.locator("input[type=file]").first.set_input_files(photo)

    def ids(self) -> list[str]:
        found: list[str] = self.component.evaluate("element => element.answer.matches.map(match => match.id)")
        return found


class Shops:
    """Opens pages of the shop."""

    def __init__(self, browser: Browser, shop_url: str, server: Server) -> None:
        self._browser, self._shop_url, self._server = browser, shop_url, server
        self.opened: list[Shop] = []

    def open(self, attributes: str | None = None, *, lang: str = "en", width: int = 768, **options: object) -> Shop:
        """Open a page with a component of these attributes; None is the example."""
        window = self._browser.new_context(viewport={"width": width, "height": 900}, **options)  # type: ignore[arg-type]
        window.set_default_timeout(PATIENCE_MS)
        page, said = window.new_page(), list[str]()

        def hear(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                said.append(message.text)

        page.on("console", hear)
        page.on("pageerror", lambda error: said.append(str(error)))
        ShopPages.documents["/shop.html"] = self._document(attributes, lang)
        page.goto(f"{self._shop_url}shop.html")
        shop = Shop(page, page.locator("lookalike-search"), said)
        expect(shop.component.get_by_role("searchbox")).to_be_visible()
        self.opened.append(shop)
        return shop

    def _document(self, attributes: str | None, lang: str) -> str:
        server = self._server.url
        if attributes is None:
            example = (EXAMPLE / "index.html").read_text()
            return example.replace("http://127.0.0.1:8000/", server).replace('"http://127.0.0.1:8000"', f'"{server}"')
        return PLAIN.format(attributes=f'endpoint="{server}" {attributes}', lang=lang, server=server)


@pytest.fixture
def shops(browser: Browser, shop_url: str, search_server: Server) -> Iterator[Shops]:
    """Pages that must leave nothing in the browser's console."""
    shops = Shops(browser, shop_url, search_server)
    yield shops
    for shop in shops.opened:
        shop.page.context.close()
    assert [text for shop in shops.opened for text in shop.said] == []


def violations(page: Page) -> list[str]:
    return [each["id"] for each in Axe().run(page).response["violations"]]


@pytest.mark.parametrize("width", WIDTHS)
def test_words_find_products_with_price_and_link(shops: Shops, shop_url: str, width: int) -> None:
    shop = shops.open('k="4" currency="EUR"', width=width)
    shop.ask("brown floral dress")
    expect(shop.cards()).to_have_count(4)
    expect(shop.status()).to_have_text("4 results")
    best = shop.ids()[0]
    card = shop.cards().first
    expect(card.locator(".title")).to_have_text(f"Title of {best}")
    expect(card).to_have_attribute("href", f"{shop_url}?id={best}")
    assert card.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    shop.component.get_by_role("button", name="Show more").click()
    expect(shop.cards()).to_have_count(8)
    assert shop.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert violations(shop.page) == []


def test_prices_are_written_in_the_language_of_the_page(shops: Shops) -> None:
    shop = shops.open('item="d002-1" k="30" currency="EUR"', lang="de")
    expect(shop.cards()).to_have_count(30)
    texts = dict(zip(shop.ids(), shop.cards().all_inner_texts(), strict=True))
    assert "5,50\N{NO-BREAK SPACE}£" in texts["d001-1"] and "10\N{NO-BREAK SPACE}£" in texts["d001-1"]
    assert "Nicht vorrätig" in texts["d001-1"]
    assert "11\N{NO-BREAK SPACE}€" in texts["d001-2"]
    assert "vorrätig" not in texts["d001-2"]
    script = shop.cards().filter(has_text="Title of d001-1")
    assert script.evaluate("card => card.tagName") == "BUTTON"  # its link is a script


def test_products_come_once_with_their_variants(shops: Shops) -> None:
    shop = shops.open('item="d002-1" k="5" group="product"')
    expect(shop.cards()).to_have_count(5)
    products = shop.component.evaluate("element => element.answer.matches.map(match => match.product)")
    assert len(set(products)) == 5 and "d002" not in products
    assert all("2 variants" in text for text in shop.cards().all_inner_texts())


@pytest.mark.parametrize("width", WIDTHS)
def test_a_photo_shows_its_garments_and_one_is_chosen(shops: Shops, tmp_path: Path, width: int) -> None:
    outfit = Image.new("RGB", (384, 384), "white")
    outfit.paste((220, 10, 10), (0, 0, 150, 150))
    outfit.paste((10, 200, 10), (234, 234, 384, 384))
    outfit.save(tmp_path / "outfit.png")
    shop = shops.open('k="3"', width=width)
    shop.choose(tmp_path / "outfit.png")
    names = shop.component.get_by_role("group", name="Garments in the photo").get_by_role("button")
    expect(names).to_have_count(3)
    expect(shop.component.locator(".outline")).to_have_count(2)
    chosen = shop.component.evaluate("element => element.answer.query.garment.number")
    other = 3 - chosen
    names.nth(other - 1).click()
    expect(names.nth(other - 1)).to_have_attribute("aria-pressed", "true")
    assert shop.component.evaluate("element => element.answer.query.garment.number") == other
    names.nth(2).click()
    expect(shop.component.locator(".outline[aria-pressed=true]")).to_have_count(0)
    shop.component.get_by_role("button", name="Remove the photo").click()
    expect(shop.cards()).to_have_count(0)
    assert shop.component.evaluate("element => element.answer") is None


def test_a_photo_is_dropped_and_words_change_it(shops: Shops, query_photo: Path) -> None:
    shop = shops.open('k="3"')
    place = shop.component.bounding_box()
    assert place is not None
    session = shop.page.context.new_cdp_session(shop.page)
    data = {"items": [], "files": [str(query_photo)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": place["x"] + 60, "y": place["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})
    expect(shop.cards()).to_have_count(3)
    assert shop.ids()[0].startswith("d013-")
    shop.ask("but green")
    shop.page.wait_for_function("document.querySelector('lookalike-search').answer?.query.text != null")
    assert shop.component.locator(".stage img").count() == 1


def test_the_page_hears_of_searches_and_may_take_over(shops: Shops) -> None:
    shop = shops.open('k="2"')
    shop.component.evaluate("""element => {
        window.heard = [];
        for (const name of ["search", "results", "select", "error"])
            element.addEventListener(`lookalike-${name}`, event => {
                heard.push(name);
                if (name === window.taken) event.preventDefault();
            });
    }""")
    shop.ask("dress")
    expect(shop.cards()).to_have_count(2)
    shop.page.evaluate("window.taken = 'select'")
    before = shop.page.url
    shop.cards().first.click()
    assert shop.page.url == before
    shop.page.evaluate("window.taken = 'results'")
    shop.ask("shirt")
    expect(shop.cards()).to_have_count(0)
    shop.page.evaluate("window.taken = 'search'")
    shop.ask("trousers")
    heard = shop.page.evaluate("heard")
    assert heard == ["search", "results", "select", "search", "results", "search"]


def test_a_server_that_asks_for_keys_answers_the_shops_page(
    browser: Browser, drawn_gallery: Path, shop_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its photos too, for which an element cannot send a key."""
    keys = str(tmp_path / "keys.toml")
    assert main(["keys", "add", "page", "--file", keys, "--origin", shop_url.rstrip("/"), "--rate", "50/s"]) == 0
    key = capsys.readouterr().out.strip()
    shutil.copytree(drawn_gallery, tmp_path / "closed.gallery")
    (tmp_path / "closed.toml").write_text("open = false\n")
    running = start_server(tmp_path / "closed.gallery", config=tmp_path / "closed.toml", options=["--keys", keys])
    shops = Shops(browser, shop_url, running)
    try:
        shop = shops.open(f'k="2" key="{key}"')
        shop.ask("blue shirt")
        expect(shop.cards()).to_have_count(2)
        width = "image => image.decode().then(() => image.naturalWidth)"
        assert shop.cards().first.locator("img").evaluate(width) > 0
        assert shop.said == []
        stranger = shops.open(f'k="2" key="{key[:-4]}none"')
        stranger.ask("blue shirt")
        expect(stranger.status()).to_have_text("The search failed. Please try again.")
    finally:
        for shop in shops.opened:
            shop.page.context.close()
        running.stop()


def test_what_goes_wrong_is_said_in_the_language_of_the_page(shops: Shops, tmp_path: Path) -> None:
    shop = shops.open("", lang="fr")
    (tmp_path / "no.jpg").write_bytes(b"no photo")
    shop.choose(tmp_path / "no.jpg")
    expect(shop.status()).to_have_text("Cette photo est illisible. Veuillez en choisir une autre.")
    shop.component.evaluate("element => element.setAttribute('max-mb', '0.000001')")
    (tmp_path / "other.jpg").write_bytes(b"no photo either")
    shop.choose(tmp_path / "other.jpg")
    expect(shop.status()).to_contain_text("0 Mo au maximum")
    shop.component.evaluate("element => element.removeAttribute('max-mb')")
    shop.component.evaluate("element => element.setAttribute('endpoint', 'http://127.0.0.1:9/')")
    shop.ask("robe")
    expect(shop.status()).to_have_text("La recherche est injoignable. Veuillez réessayer.")
    assert [text for text in shop.said if "Failed to load resource" not in text] == []
    shop.said.clear()  # what the browser says of the answers that were provoked


@pytest.mark.parametrize("width", WIDTHS)
def test_the_example_has_the_shops_own_cards(shops: Shops, width: int) -> None:
    shop = shops.open(width=width)
    shop.ask("red shirt")
    products = shop.page.locator("lookalike-search > [slot] .product")
    expect(products).to_have_count(12)
    expect(products.first.locator("h2")).to_contain_text("Title of")
    products.first.get_by_role("button", name="Add to basket").click()
    expect(shop.page.locator("#basket")).to_contain_text("is in the basket.")
    assert shop.page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(shop.page) == []


def test_a_page_of_another_origin_may_not_use_it(browser: Browser, search_server: Server, shop_url: str) -> None:
    ShopPages.documents["/stranger.html"] = PLAIN.format(attributes="", lang="en", server=search_server.url)
    window = browser.new_context()
    page = window.new_page()
    page.goto(shop_url.replace("127.0.0.1", "localhost") + "stranger.html")
    assert page.evaluate("customElements.get('lookalike-search') === undefined")
    window.close()


def test_it_is_small() -> None:
    """Under 40 kB even before compression."""
    folder = Path(lookalike.__file__).parent / "component"
    assert sum(file.stat().st_size for file in folder.glob("*.js")) < 40_000


def told(server: Server, type: str, *, at_least: int) -> int:
    """New events of a type that the server has counted, once there are as many."""
    counted = 0
    for _ in range(40):
        with urllib.request.urlopen(f"{server.url}metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(rf'lookalike_events_total{{gallery="default",type="{type}"}} ([0-9.]+)', text)
        counted = int(float(found[1])) if found else 0
        if counted >= at_least:
            break
        time.sleep(0.25)
    return counted


def test_views_and_clicks_are_told_where_the_page_says_so(shops: Shops, search_server: Server) -> None:
    before, chosen = (told(search_server, type, at_least=0) for type in ("view", "click"))
    silent = shops.open("k=3")
    silent.ask("red")
    expect(silent.cards()).to_have_count(3)
    silent.page.wait_for_timeout(1500)
    assert told(search_server, "view", at_least=0) == before
    shop = shops.open("events k=3")
    shop.ask("red")
    expect(shop.cards()).to_have_count(3)
    assert told(search_server, "view", at_least=before + 3) == before + 3
    shop.page.route("**/?id=*", lambda route: route.fulfill(body="<title>Product</title>", content_type="text/html"))
    shop.cards().nth(1).click()
    expect(shop.page).to_have_title("Product")
    assert told(search_server, "click", at_least=chosen + 1) == chosen + 1
