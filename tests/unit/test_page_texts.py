"""Texts of the page: the same in every language, all of them used, and none left in the code."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

import lookalike
from lookalike.kinds import KINDS
from lookalike.server.page_settings import LANGUAGES, PageSettings
from lookalike.server.page_texts import language_of, read_texts
from lookalike.server.routes.page import page_router
from lookalike.server.settings import Settings

PAGE = Path(lookalike.__file__).parent / "page"
PARTS = {language: read_texts(language, PAGE) for language in LANGUAGES}
TEXTS = {language: {**parts["html"], **parts["first"], **parts["later"]} for language, parts in PARTS.items()}
SPOKEN = re.compile(r"^(?:attribute|word)_")
"""Keys for names of attributes and words of the model, which are English themselves."""

BUILT = ("kind_", "word_", "attribute_", "space_", "part_", "box_", "tap_", "click_")
"""Beginnings of keys that scripts complete."""


def places(text: str | dict[str, str]) -> set[str]:
    """Names in braces."""
    return set(re.findall(r"\{(\w+)\}", text if isinstance(text, str) else " ".join(text.values())))


def test_every_language_has_every_text_with_the_same_places() -> None:
    assert sorted(path.stem for path in (PAGE / "texts").iterdir()) == sorted(LANGUAGES)
    english = TEXTS["en"]
    for parts in PARTS.values():
        assert [*parts] == ["html", "first", "later"]
        assert len({key for part in parts.values() for key in part}) == sum(map(len, parts.values()))
    for language in LANGUAGES[1:]:
        texts = TEXTS[language]
        assert PARTS[language]["html"].keys() == PARTS["en"]["html"].keys()
        assert PARTS[language]["later"].keys() == PARTS["en"]["later"].keys()
        assert {key for key in texts if not SPOKEN.match(key)} == english.keys()
        assert {key for key in texts if SPOKEN.match(key)} == {key for key in TEXTS["de"] if SPOKEN.match(key)}
        assert [key for key in english if isinstance(texts[key], str) != isinstance(english[key], str)] == []
        assert [key for key in english if places(texts[key]) != places(english[key])] == []
        same = [key for key in english if texts[key] == english[key]]
        assert [key for key in same if len(re.sub(r"\{\w+\}", "", str(texts[key]))) > 30] == []
    for texts in TEXTS.values():
        for text in texts.values():
            for form in [text] if isinstance(text, str) else text.values():
                assert form.strip() == form != ""
                assert not re.search(r"[<>]|\.\.\.|\s{2}| ['\"]", form)


def test_every_kind_has_a_name() -> None:
    for texts in TEXTS.values():
        assert {f"kind_{kind}" for kind in KINDS} == {key for key in texts if key.startswith("kind_")}


def test_every_text_is_used() -> None:
    code = "\n".join(path.read_text() for path in (*PAGE.glob("*.js"), PAGE / "index.html"))
    used = set(re.findall(r'["$](\w+)\b', code))
    unused = [
        key for key in TEXTS["en"] if re.sub(r"_(text|remove)$", "", key) not in used and not key.startswith(BUILT)
    ]
    assert unused == []
    asked = set(re.findall(r'message\(\s*"(\w+)"', code))
    assert asked <= TEXTS["en"].keys()


AT_ONCE = r'^import [^;]*?"\./(\w+\.js)";'


def modules_of(module: str, found: set[str], imports: str = AT_ONCE) -> set[str]:
    """Modules that a module imports, by default before it runs, and those that they import; the module too."""
    if module not in found:
        found.add(module)
        for name in re.findall(imports, (PAGE / module).read_text(), re.MULTILINE):
            modules_of(name, found, imports)
    return found


def keys_in(modules: set[str]) -> set[str]:
    """Texts of the page in some modules."""
    return {key for name in modules for key in re.findall(r'"(\w+)"', (PAGE / name).read_text()) if key in TEXTS["en"]}


def test_every_visitor_loads_the_texts_that_every_visitor_may_see() -> None:
    first = modules_of("main.js", set())
    few = {path.name for path in PAGE.glob("*.js")} - first - {"types.js"}
    assert {"details.js", "failures.js", "share.js"} <= few
    later = PARTS["en"]["later"].keys()
    assert keys_in(first) & later == {"drop_a_file", "paste_a_picture", "photo_too_large"}  # which `refusals.js` tells
    html = PARTS["en"]["html"].keys()
    assert html & (keys_in(first) | keys_in(few)) == set()
    placed = set(re.findall(r"\$(\w+)", (PAGE / "index.html").read_text()))
    assert html <= placed
    # what only some visitors see is not in the way of the others, but for filters and sliders, which wide screens show
    shown_wide = ("filters.js", "weights.js", "chips.js", "sheet.js", "galleries.js")
    adjusting = set[str]().union(*(modules_of(name, set()) for name in shown_wide))
    waiting = {key for key in PARTS["en"]["first"] if not key.startswith(BUILT)} - keys_in(first)
    assert waiting <= keys_in(adjusting)
    code = "\n".join((PAGE / name).read_text() for name in sorted(first))
    with_texts: set[str] = set()
    for name in re.findall(r'withTexts\(import\("\./(\w+\.js)"\)\)', code):
        modules_of(name, with_texts, r'^(?:import |.* import\(|.*\(import\()[^;]*?"\./(\w+\.js)"')
    assert {name for name in few if keys_in({name}) & later} <= with_texts


class Words(HTMLParser):
    """Texts of HTML that are no places for texts."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found += re.findall(r"(?<!\$)\b[A-Za-z]{2,}", data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("alt", "title", "placeholder", "aria-label"):
                self.handle_data(value or "")


def test_the_html_has_no_text_of_its_own() -> None:
    words = Words()
    words.feed((PAGE / "index.html").read_text())
    assert words.found == []


@pytest.mark.parametrize(
    ("accepted", "asked", "wanted"),
    [
        ("", None, "en"),
        ("de-AT,de;q=0.9,en;q=0.8", None, "de"),
        ("nl,fi;q=0.9", None, "en"),
        ("nl, hi-IN ;q=0.7, fr; q=0.4", None, "hi"),
        ("en;q=0.2,ES-419;q=0.21", None, "es"),
        ("de;q=0", None, "en"),
        ("de;q=9,fr;q=x,es", None, "es"),
        ("de", "fr", "fr"),
        ("de", "../fr", "de"),
        ("," * 400 + "de," * 100_000, None, "de"),
    ],
)
def test_the_browser_gets_the_language_that_it_asks_for(accepted: str, asked: str | None, wanted: str) -> None:
    assert language_of(accepted, asked, LANGUAGES) == wanted


def test_the_html_is_in_the_language() -> None:
    client = TestClient(Starlette(routes=page_router(Settings()).routes))
    german = client.get("/", headers={"Accept-Language": "de"})
    assert '<html lang="de">' in german.text
    assert TEXTS["de"]["start_title"] in german.text
    assert german.headers["vary"] == "Accept-Language"
    assert '<html lang="hi">' in client.get("/?lang=hi", headers={"Accept-Language": "de"}).text
    assert client.get("/texts/hi.json").json() == PARTS["hi"]["first"]
    assert client.get("/texts/hi-later.json").json() == PARTS["hi"]["later"]
    fixed = TestClient(Starlette(routes=page_router(Settings(page=PageSettings(language="es"))).routes))
    assert '<html lang="es">' in fixed.get("/?lang=hi", headers={"Accept-Language": "de"}).text
