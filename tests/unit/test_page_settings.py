"""The table [page]: colours with their contrast, pictures, columns, and what the page is told."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from lookalike.config import load
from lookalike.errors import ConfigError, LookalikeError
from lookalike.server.page_colors import DEFAULTS, Colors, contrast, palette, rgb, style_sheet
from lookalike.server.page_pictures import MOST_BYTES, read_picture
from lookalike.server.page_settings import Columns, PageSettings
from lookalike.server.routes.page import page_router
from lookalike.server.settings import Settings

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">{}</svg>'


def settings_of(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return load(Settings, path)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [("#000", "#fff", 21), ("#fff", "#fff", 1), ("#777777", "#ffffff", 4.48), ("#0000ff", "#ffffff", 8.59)],
)
def test_contrast_is_that_of_the_standard(one: str, other: str, ratio: float) -> None:
    assert contrast(rgb(one), rgb(other)) == pytest.approx(ratio, abs=0.005)
    assert contrast(rgb(other), rgb(one)) == contrast(rgb(one), rgb(other))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("accent", ["", "#ffcc00", "#767676", "#000000", "#ffffff", "#e4007c", "#1a6b54"])
def test_whatever_the_accent_everything_can_be_read(scheme: str, accent: str) -> None:
    complete = palette(scheme, Colors(accent=accent))
    colors = complete.properties
    for behind in ("paper", "raised"):
        assert contrast(colors["edge"], colors[behind]) >= 3
        for text in ("ink", "quiet", "link"):
            assert contrast(colors[text], colors[behind]) >= 4.5
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5
    if accent:
        assert colors["accent"] == rgb(accent)
        assert bool(complete.warnings) == (colors["link"] != rgb(accent))


def test_a_dark_page_takes_a_paler_accent_of_the_light_one() -> None:
    colors = palette("dark", Colors(), light_accent="#1a6b54").properties
    assert contrast(colors["accent"], rgb(DEFAULTS["dark"]["background"])) >= 4.5
    red, green, blue = colors["accent"]
    assert green > blue > red  # still green
    assert palette("dark", Colors(accent="#ff0000"), light_accent="#1a6b54").properties["accent"] == (255, 0, 0)


def test_a_style_sheet_has_the_schemes_of_the_page() -> None:
    both = style_sheet(PageSettings().palettes)
    assert both.startswith(":root { --paper: #faf9f6; --raised: #ffffff; --ink: #1a1a1d;")
    assert both.count("@media (prefers-color-scheme: dark) { :root { --paper: #141517;") == 1
    assert "@media" not in style_sheet(PageSettings(scheme="dark").palettes)
    assert "#141517" not in style_sheet(PageSettings(scheme="light").palettes)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('light = {text = "#aaaaaa"}', r"\[page.light\]: the text #aaaaaa has a contrast of 2.2 .* take #"),
        ('light = {accent = "red"}', "accent must be a colour such as #1a6b54, got 'red'"),
        ('light = {accent = "#fff;} body{display:none"}', "accent must be a colour"),
        ('light = {accents = "#ffffff"}', "accents"),
        ('currency = "euro"', "currency must be a code of ISO 4217 such as EUR"),
        ('language = "fi"', "language"),
        ("scores = 1", "scores: expected true or false, got 1"),
        ('name = " "', "name of .page. must be 1 to 60 letters"),
        ('name = "two\\nlines"', "name of .page. must be"),
        ("show_name = false", "there is no logo"),
        ("columns = {price = 5}", "price: expected a text, got 5"),
        ('columns = {card = "brand"}', "card: expected a list, got 'brand'"),
        ('labels = {nl = {brand = "Merk"}}', r"\[page.labels.nl\]: expected any, en, de"),
        ("labels = {fr = {brand = 5}}", "labels.fr.brand: expected a text"),
    ],
)
def test_wrong_settings_are_one_clear_line(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(LookalikeError, match=wanted) as caught:
        settings_of(tmp_path, f"[page]\n{text}\n")
    assert "\n" not in str(caught.value)


def test_the_colour_that_an_error_names_is_good(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        PageSettings(light=Colors(text="#aaaaaa", background="#fff0f5"))
    better = str(caught.value).partition("take ")[2].split()[0]
    assert PageSettings(light=Colors(text=better, background="#fff0f5"))


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif"])
def test_a_picture_is_served_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "whatever.bin"
    Image.new("RGB", (40, 10), "green").save(path, format=kind)
    picture = read_picture(path, setting="logo of [page]")
    assert (picture.data, picture.media_type) == (path.read_bytes(), f"image/{kind}")


def test_a_drawing_is_a_logo(tmp_path: Path) -> None:
    program = '<n:namedview xmlns:n="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"/>'
    style = '<defs><linearGradient id="g"/></defs><style>path { fill: url(#g) }</style>'
    inside = f'{program}{style}<path d="M0 0h9"/><use href="#g"/>'
    (tmp_path / "logo.svg").write_text(SVG.format(inside))
    assert read_picture(tmp_path / "logo.svg", setting="logo").media_type == "image/svg+xml"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (SVG.format("<script>alert(1)</script>"), "the element <script>"),
        (SVG.format("<foreignObject/>"), "the element <foreignObject>"),
        (SVG.format('<x:script xmlns:x="http://www.w3.org/2000/svg"/>'), "the element <script>"),
        (SVG.format('<script xmlns="http://www.w3.org/1999/xhtml">alert(1)</script>'), "the element <script>"),
        (SVG.format('<path onclick="alert(1)"/>'), "the handler onclick"),
        (SVG.format('<use href="https://evil.example/x.svg#a"/>'), "a reference to https://evil"),
        (
            SVG.format('<use xmlns:x="http://www.w3.org/1999/xlink" x:href="javascript:1"/>'),
            "a reference to javascript",
        ),
        (SVG.format('<path style="fill: url( &quot;https://evil.example/&quot; )"/>'), "a style that loads"),
        (SVG.format("<style>@import 'https://evil.example/a.css'</style>"), "a style that loads"),
        (SVG.format("<style>path { fill: URL(//evil.example) }</style>"), "a style that loads"),
        ('<!DOCTYPE svg [<!ENTITY a "aaaa">]>' + SVG.format("<text>&a;</text>"), "a DOCTYPE"),
        ('<?xml-stylesheet href="https://evil.example/a.css"?>' + SVG.format(""), "the instruction <.xml-stylesheet"),
        ("<svg><path></svg>", "not a well-formed SVG"),
        ("<html><body>Not found</body></html>", "the element <html>"),
        ("", "expected a PNG"),
        ("hello", "expected a PNG"),
    ],
)
def test_an_svg_that_does_more_than_draw_is_refused(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "logo.svg").write_text(text)
    with pytest.raises(ConfigError, match=wanted) as caught:
        read_picture(tmp_path / "logo.svg", setting="logo of [page]")
    assert str(caught.value).startswith("logo of [page]: ")


def test_a_logo_that_cannot_be_shown_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.png: No such file"):
        page_router(Settings(page=PageSettings(logo=str(tmp_path / "none.png"))))
    (tmp_path / "large.svg").write_bytes(b"<svg>" + b" " * MOST_BYTES)
    with pytest.raises(ConfigError, match="more than 256 KiB"):
        read_picture(tmp_path / "large.svg", setting="logo")
    Image.new("RGB", (30, 30)).save(tmp_path / "logo.tif")
    with pytest.raises(ConfigError, match="which not every browser shows"):
        read_picture(tmp_path / "logo.tif", setting="logo")
    Image.new("1", (3000, 3000)).save(tmp_path / "wide.png")
    with pytest.raises(ConfigError, match="expected a PNG"):
        read_picture(tmp_path / "wide.png", setting="logo")


def test_the_page_is_served_as_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text(SVG.format("<path d='M0 0h9'/>"))
    settings = settings_of(
        tmp_path,
        f"""
        upload_bytes = 1000000
        [page]
        name = "Tilleul & <Sons>"
        logo = "{tmp_path / "logo.svg"}"
        currency = "INR"
        scheme = "light"
        scores = false
        [page.light]
        accent = "#1a6b54"
        [page.columns]
        link = "url"
        card = ["brand"]
        hidden = ["margin"]
        [page.labels.fr]
        brand = "Marque"
        """,
    )
    app = Starlette(routes=page_router(settings).routes)
    app.state.context = SimpleNamespace(galleries={"shop": None})
    client = TestClient(app)
    told = client.get("/page.json").json()
    assert (told["open"], told["events"], told["several"]) == (True, False, False)
    app.state.context.galleries["bags"] = None  # after a reload
    assert client.get("/page.json").json() == {**told, "several": True}
    assert told["name"] == "Tilleul & <Sons>"
    assert (told["currency"], told["scores"], told["photo_bytes"]) == ("INR", False, 1_000_000 - 65_536)
    assert told["labels"] == {"fr": {"brand": "Marque"}}
    assert told["columns"]["link"] == "url"
    assert told["columns"].keys() == set(Columns.__slots__)
    page = client.get("/").text
    assert "<title>Tilleul &amp; &lt;Sons&gt;</title>" in page
    assert '<img class="logo" src="logo" alt="">Tilleul &amp; &lt;Sons&gt;</a>' in page
    assert "dark" not in page
    assert "--accent: #1a6b54;" in client.get("/theme.css").text
    logo = client.get("/logo")
    assert (logo.headers["content-type"], logo.content) == ("image/svg+xml", (tmp_path / "logo.svg").read_bytes())
    assert "sandbox" in logo.headers["content-security-policy"]
    assert client.get("/logo", headers={"If-None-Match": logo.headers["etag"]}).status_code == 304
    assert client.get("/icon").status_code == 404
    assert client.get("/../settings.py").status_code == 404
