"""The page in its languages: texts, plural forms, numbers; and that no text is left in its scripts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from live_page import Complaints, OpenPage, Server
from on_page import choose, query_of, settled, violations
from playwright.sync_api import Page, Route, expect

import lookalike
from lookalike.server.page_settings import LANGUAGES, PageSettings
from lookalike.server.page_texts import read_texts
from lookalike.server.routes.page import FOLDER, index_page

PARTS = {language: read_texts(language, FOLDER) for language in LANGUAGES}
TEXTS = {language: {**parts["html"], **parts["first"], **parts["later"]} for language, parts in PARTS.items()}
STARTS = {
    "de": ("de-AT", "Oder beginnen Sie mit einem von 36 Artikeln"),
    "fr": ("fr-FR", "Ou commencez par l\N{RIGHT SINGLE QUOTATION MARK}un des 36 articles"),
    "es": ("es-MX", "O empieza por uno de los 36 artículos"),
    "hi": ("hi-IN", "या 36 आइटम में से किसी एक से शुरू करें"),
}


def test_a_keyboard_scrolls_labels_in_a_wide_font(server: Server, open_page: OpenPage, query_photo: Path) -> None:
    def without_facets(route: Route) -> None:  # without which no label is a button
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "facets": []})

    page = open_page(server, width=320, reduced_motion="reduce")
    page.route("**/facets?*", without_facets)
    page.reload()
    page.evaluate(
        """() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync(".guesses .chip { letter-spacing: 1em; }");
            document.adoptedStyleSheets.push(sheet);
        }"""
    )
    choose(page, query_photo)
    page.wait_for_load_state("networkidle")
    expect(page.locator("#guesses[tabindex='0']")).to_have_count(1)
    assert page.locator("#guesses").evaluate("list => list.scrollWidth > list.clientWidth")
    assert page.locator("#guesses button").count() == 0
    assert violations(page) == []


@pytest.mark.parametrize("language", STARTS)
@pytest.mark.parametrize("width", [320, 360, 768, 1440])
def test_the_page_speaks_the_language_of_the_browser(
    server: Server, open_page: OpenPage, query_photo: Path, language: str, width: int
) -> None:
    locale, begin = STARTS[language]
    texts = TEXTS[language]
    page = open_page(server, locale=locale, width=width, reduced_motion="reduce")
    assert page.evaluate("document.documentElement.lang") == language
    expect(page.get_by_role("heading", name=texts["start_title"])).to_be_visible()
    expect(page.get_by_role("heading", name=begin)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert violations(page) == []
    choose(page, query_photo)
    bar = page.locator(".thumb-bar").bounding_box()
    assert width > 900 or (bar is not None and bar["x"] >= 8 and bar["x"] + bar["width"] <= width - 8)
    expect(page.locator("#status")).to_have_text(texts["most_similar_shown"]["other"].replace("{count}", "24"))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    assert [url.rpartition("/")[2] for url in loaded if "/texts/" in url] == [f"{language}.json"]
    page.wait_for_load_state("networkidle")
    assert violations(page) == []


def test_the_address_may_name_the_language(server: Server, open_page: OpenPage) -> None:
    page = open_page(server, "?lang=fr&item=d013-1", locale="de-DE")
    settled(page)
    expect(page.get_by_role("heading", name="Articles similaires")).to_be_visible()
    page.locator("#grid .tile").nth(2).click()
    page.wait_for_function("() => !location.search.includes('d013-1')")
    assert query_of(page)["lang"] == ["fr"]
    page.locator("[data-home]").click()
    assert query_of(page) == {"lang": ["fr"]}


def test_plural_forms_and_numbers_are_those_of_the_language(server: Server, open_page: OpenPage) -> None:
    page = open_page(server)
    categories = page.evaluate(
        """languages => languages.map(language =>
            [language, new Intl.PluralRules(language).resolvedOptions().pluralCategories])""",
        list(LANGUAGES),
    )
    for language, wanted in categories:
        for key, text in TEXTS[language].items():
            if isinstance(text, dict):
                assert sorted(text) == sorted(wanted), f"{key} in {language}"
    said = {}
    for language in LANGUAGES:
        page.goto(f"{server.url}?lang={language}")
        said[language] = page.evaluate(
            """async () => {
                const {message} = await import("./settings.js");
                return [0, 1, 2, 12345.6].map(count => message("garments_found", {count}));
            }"""
        )
    assert said["en"] == ["0 garments found.", "1 garment found.", "2 garments found.", "12,345.6 garments found."]
    assert said["de"][3] == "12.345,6 Kleidungsstücke gefunden."
    assert said["fr"][:2] == ["0 vêtement trouvé.", "1 vêtement trouvé."]
    assert said["fr"][3] == "12\N{NARROW NO-BREAK SPACE}345,6 vêtements trouvés."
    assert said["es"][1:3] == ["1 prenda encontrada.", "2 prendas encontradas."]
    assert said["hi"][:2] == ["0 कपड़ा मिला।", "1 कपड़ा मिला।"]


def test_a_page_whose_texts_are_missing_says_so(server: Server, open_page: OpenPage, complaints: Complaints) -> None:
    complaints.expected = ("Failed to load", "uncaught")
    page = open_page(server, "docs")
    page.route("**/texts/es.json", lambda route: route.fulfill(status=503, body=""))
    page.goto(f"{server.url}?lang=es")
    expect(page.get_by_role("alert")).to_have_text(TEXTS["es"]["not_loaded"])


def marked(text: object) -> object:
    """A text between marks, as a translation that shows which texts are translated."""
    return {form: marked(one) for form, one in text.items()} if isinstance(text, dict) else f"⟦{text}⟧"


ALL_TEXTS = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        if (node.parentElement.closest("noscript")) continue;
        if (node.nodeType === 3) found.push(node.data);
        else for (const name of ["aria-label", "title", "alt", "placeholder", "aria-valuetext"])
            if (node.hasAttribute(name)) found.push(node.getAttribute(name));
    }
    return [document.title, ...found];
}"""


def left_over(page: Page, data: set[str]) -> set[str]:
    """Words of the page that are neither between marks nor data."""
    found = set()
    for text in page.evaluate(ALL_TEXTS):
        rest, before = text, ""
        for known in sorted(data, key=len, reverse=True):
            rest = rest.replace(known, "")
        while rest != before:
            rest, before = re.sub(r"⟦[^⟦⟧]*⟧", "", rest), rest
        if re.search(r"[^\W\d_]{2,}", rest):
            found.add(text)
    return found


def test_no_text_is_left_in_the_scripts(
    server: Server, open_page: OpenPage, query_photo: Path, tmp_path: Path, complaints: Complaints
) -> None:
    complaints.expected = ("Failed to load",)
    shutil.copytree(FOLDER, tmp_path / "page")
    translated = {part: {key: marked(text) for key, text in texts.items()} for part, texts in PARTS["en"].items()}
    (tmp_path / "page" / "texts" / "en.json").write_text(json.dumps(translated))
    page = open_page(server, "docs")
    page.route("**/texts/en.json", lambda route: route.fulfill(json=translated["first"]))
    page.route("**/texts/en-later.json", lambda route: route.fulfill(json=translated["later"]))
    html = index_page(PageSettings(), "en", tmp_path / "page").decode()

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html; charset=utf-8")

    page.route(re.compile(re.escape(server.url) + r"(\?.*)?$"), answer)
    data = {"Lookalike", query_photo.name, "Id", "Product"}
    with lookalike.open(server.gallery) as shop:
        for item in shop.gallery.list(limit=None)[1]:
            data |= {item.id, item.product or "", *map(str, item.attributes.values())}
            data |= {name.capitalize() for name in item.attributes}
        data |= {word.capitalize() for words in shop.embedder.labels.values() for word in words}
    data -= {""}

    page.goto(server.url)
    expect(page.locator("#begin-title")).not_to_be_empty()
    assert left_over(page, data) == set()
    choose(page, query_photo)
    page.locator(".crop").wait_for()
    page.locator(".grip.se").press("Shift+ArrowLeft")
    page.locator("#filters input[type=checkbox]").first.check()
    settled(page)
    assert left_over(page, data) == set()
    page.locator("#words-field").fill("but dred xyzzyq")
    page.locator("#words-field").press("Enter")
    page.locator("#words-read:not(:empty)").wait_for()
    assert left_over(page, data | {"dred", "red", "xyzzyq", "but "}) == set()
    page.goto(f"{server.url}?item=d013-1&open=d001-1")
    page.locator(".neighbours img").first.wait_for()
    assert left_over(page, data) == set()
    for address in (
        "?item=nowhere",
        "?photo=0123456789ab",
        "?item=d001-1&is.type=Dress&is.colour=Ultraviolet",
        "?text=!",
    ):
        page.goto(f"{server.url}{address}")
        page.wait_for_load_state("networkidle")
        assert left_over(page, data | {"nowhere", "Ultraviolet"}) == set()
    page.context.set_offline(True)
    expect(page.locator("#banner")).to_be_visible()
    assert left_over(page, data) == set()
