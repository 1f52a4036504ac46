"""Values of shops' feeds: prices, texts, links, addresses, names and times in all of their forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lookalike.catalogue.readers.feed_values import (
    LONGEST_TEXT,
    Price,
    attribute_name,
    clean,
    is_now,
    parse_price,
    photo_address,
    plain_text,
    web_link,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15.00 USD", Price(15, "USD")),
        ("USD 15.00", Price(15, "USD")),
        ("15.5usd", Price(15.5, "USD")),
        ("1.234,50 €", Price(1234.5, "EUR")),
        ("€1,234.50", Price(1234.5, "EUR")),
        ("1 234,50 €", Price(1234.5, "EUR")),
        ("1\u00a0234\u202f567,5 zł", Price(1234567.5, "PLN")),
        ("1'299.00 CHF", Price(1299, "CHF")),
        ("15,00 EUR", Price(15, "EUR")),
        ("1,299", Price(1299, None)),
        ("1,299,000 JPY", Price(1299000, "JPY")),
        ("1.299.000 IDR", Price(1299000, "IDR")),
        ("12.500", Price(12.5, None)),
        ("12.500 KWD", Price(12.5, "KWD")),
        ("12.500 EUR", None),
        ("$19.99", Price(19.99, None)),
        ("US$ 19.99", Price(19.99, "USD")),
        ("0", Price(0, None)),
        (".5 EUR", Price(0.5, "EUR")),
        ("", None),
        ("free", None),
        ("-5 EUR", None),
        ("5 - 9 EUR", None),
        ("EUR 5 EUR", None),
        ("1.2.3", None),
        ("12,34,56", None),
        ("1e5", None),
        ("nan", None),
        ("99999999999999999 USD", None),
        ("٣ USD", None),
    ],
)
def test_prices_in_all_forms(text: str, expected: Price | None) -> None:
    assert parse_price(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Plain", "Plain"),
        ("a &lt;b&gt; c &amp; d", "a <b> c & d"),
        ("<p>One</p><p>two</p>", "One two"),
        ("bold<b>er</b>", "bolder"),
        ("x<style>p { color: red }</style>y", "xy"),
        ("x<!-- <b> -->y", "x y"),
        ("price < 40 and > 3", "price < 40 and > 3"),
        ("cut <b", "cut"),
        ("cut <script>alert(1)", "cut"),
        ("a\x00b\x1fc\u2028d\ud800", "a b c d?"),
        ("x" * 9000, "x" * LONGEST_TEXT),
        ("<" * 5, "<" * 5),
    ],
)
def test_html_becomes_text(text: str, expected: str) -> None:
    assert plain_text(text) == expected


def test_long_hostile_html_takes_linear_time() -> None:
    for piece in ("<script>", "<!--", "<", "</p", "&", "<b><", "<style></styl", "<!-- -->"):
        assert len(plain_text(piece * 200_000)) <= LONGEST_TEXT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://shop.example/a?b=c", "https://shop.example/a?b=c"),
        (" HTTP://shop.example ", "HTTP://shop.example"),
        ("javascript:alert(1)", None),
        ("JaVaScRiPt://shop.example/%0Aalert(1)", None),
        ("data:text/html,x", None),
        ("//shop.example", None),
        ("/relative", None),
        ("https://", None),
        ("https://a b.example", None),
        ("https://a.example/\n", "https://a.example/"),
        ("https://a.exa\nmple/", None),
        ("https://[", None),
        ("https://a.example/" + "x" * 9000, None),
    ],
)
def test_links_lead_to_the_web(text: str, expected: str | None) -> None:
    assert web_link(text) == expected


def test_addresses_of_photos() -> None:
    assert photo_address("//cdn.example/a.jpg") == "https://cdn.example/a.jpg"
    assert photo_address(" a b/1.jpg ") == "a b/1.jpg"
    assert photo_address(r"C:\photos\1.jpg") == r"C:\photos\1.jpg"
    for wrong in ("", "javascript:alert(1)", "data:image/png;base64,AAAA", "mailto:x@y", "x" * 9000):
        assert photo_address(wrong) is None


def test_names_of_options_and_labels() -> None:
    names = (
        "Color",
        "COLOUR",
        "Farbe",
        "Größe",
        "Sleeve Length",
        "in stock",
        "Title",
        "  ",
        "日本",
        "x" * 200,
        "a.b/c",
    )
    assert [attribute_name(name) for name in names] == [
        *("color", "color", "color", "size", "sleeve_length", "option_in_stock", "option_title", None, "日本"),
        *("x" * 80, "a_b_c"),
    ]
    assert clean(" a\t\tb ") == "a b"


def test_times_of_a_sale() -> None:
    noon = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert is_now("", "", now=noon) and is_now("soon", "never", now=noon)
    assert is_now("2026-11-28", "2026-11-28", now=noon)
    assert not is_now("2026-11-28T13:00+0000", "", now=noon) and is_now("2026-11-28T13:00+0200", "", now=noon)
    assert not is_now("", "2026-11-27", now=noon)
