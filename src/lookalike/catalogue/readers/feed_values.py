"""Values of shops' feeds: text without HTML, prices, links, addresses of photos, names of attributes."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from lookalike.catalogue.readers.column_types import COMMA, DECIMAL, GAPS, GROUPED
from lookalike.remote.addresses import LONGEST as LONGEST_ADDRESS
from lookalike.remote.addresses import WEB

LONGEST_TEXT: Final = 5_000
"""Most characters of a text, as Google allows for a description (support.google.com/merchants/answer/6324468)."""

LONGEST_NAME: Final = 80
"""Most characters of the name of an attribute."""

SIGNS: Final = {
    "€": "EUR",
    "£": "GBP",
    "₹": "INR",
    "₽": "RUB",
    "₩": "KRW",
    "₺": "TRY",
    "₴": "UAH",
    "₫": "VND",
    "₪": "ILS",
    "฿": "THB",
    "₦": "NGN",
    "US$": "USD",
    "CA$": "CAD",
    "AU$": "AUD",
    "R$": "BRL",
    "zł": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
    "$": None,
    "¥": None,
    "kr": None,
}
"""Currencies (ISO 4217) by their sign; None for a sign of several."""

THREE_DECIMALS: Final = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
"""Currencies with a thousandth as their smallest unit (ISO 4217)."""

_UNIT: Final = rf"[A-Za-z]{{3}}|{'|'.join(map(re.escape, sorted(SIGNS, key=len, reverse=True)))}"
_PRICE: Final = re.compile(rf"(?P<before>{_UNIT})?\s*(?P<number>[0-9.,{GAPS}]*[0-9])\s*(?P<after>{_UNIT})?")
_THOUSANDS: Final = re.compile(r"[1-9][0-9]{0,2}(,[0-9]{3})+|[1-9][0-9]{0,2}(\.[0-9]{3}){2,}")
_HIGHEST: Final = 1e12

_TAG: Final = re.compile(r"[a-zA-Z/!?]")
_NAME: Final = re.compile(r"</?([a-zA-Z]*)")
_INLINE: Final = ("b", "i", "u", "em", "strong", "span", "a", "sup", "sub", "small", "font", "mark", "script", "style")
_UNSEEN: Final = re.compile(r"<(script|style)\b", re.IGNORECASE)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_OTHER_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?!//)")

OPTIONS: Final = {
    **dict.fromkeys(("color", "colour", "farbe", "couleur", "colore", "colorway"), "color"),
    **dict.fromkeys(("size", "größe", "grösse", "taille", "talla"), "size"),
    **dict.fromkeys(("brand", "marke", "marque", "marca", "vendor"), "brand"),
    **dict.fromkeys(("material", "fabric", "matière", "stoff"), "material"),
    **dict.fromkeys(("pattern", "muster", "motif"), "pattern"),
    **dict.fromkeys(("gender", "geschlecht", "genre", "sex"), "gender"),
}
"""Names of options and labels that stand for an attribute of the vocabulary."""

RESERVED: Final = (
    *("title", "description", "price", "sale_price", "currency", "in_stock", "availability", "link", "category"),
    *("condition", "sku", "gtin", "mpn", "tags", "product_set"),
)
"""Attributes of the vocabulary that no option of a shop may stand for."""


@dataclass(frozen=True, slots=True)
class Price:
    """A price.

    Attributes:
        amount: At least 0; whole amounts are integers.
        currency: ISO 4217 code; None if none is named, or its sign is that of several.
    """

    amount: float
    currency: str | None


def parse_price(text: str) -> Price | None:
    """Read a price in any of the forms that feeds have; None if it is not one, or can be read in two ways.

    The decimal point may be a comma. `1.234 EUR` is not read: it may be 1234 or, as Google's specification has it,
    1.234 (support.google.com/merchants/answer/6324371).

    >>> parse_price("15.00 USD"), parse_price("1.234,50 €")
    (Price(amount=15, currency='USD'), Price(amount=1234.5, currency='EUR'))
    """
    found = _PRICE.fullmatch(text.strip())
    if found is None or (found["before"] and found["after"]):
        return None
    unit = found["before"] or found["after"] or ""
    currency = SIGNS[unit] if unit in SIGNS else unit.upper() or None
    number = "".join(character for character in found["number"] if character not in GAPS)
    if _THOUSANDS.fullmatch(number):
        plain = number.replace(",", "").replace(".", "")
    elif DECIMAL.fullmatch(number):
        fraction = number.partition(".")[2]
        if unit and len(fraction) == 3 and currency not in THREE_DECIMALS:
            return None
        plain = number
    elif COMMA.fullmatch(number):
        plain = number.replace(".", "").replace(",", ".")
    elif GROUPED.fullmatch(number):
        plain = number.replace(",", "")
    else:
        return None
    amount = float(plain)
    if amount > _HIGHEST:
        return None
    return Price(int(amount) if amount.is_integer() else amount, currency)


def clean(text: str) -> str:
    """Text without control characters and lone surrogates, its white space joined to single spaces."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return " ".join(_CONTROL.sub(" ", text).split())


def plain_text(text: str) -> str:
    """Text of at most `LONGEST_TEXT` characters without the tags, comments, scripts and entities of HTML.

    >>> plain_text("<b>Red</b> dress &amp; belt<script>alert(1)</script>, size < 40")
    'Red dress & belt, size < 40'
    """
    if "<" not in text and "&" not in text:
        return clean(text)[:LONGEST_TEXT].rstrip()
    parts, at = [], 0
    while (start := text.find("<", at)) >= 0:
        if not _TAG.match(text, start + 1):
            parts.append(text[at : start + 1])
            at = start + 1
            continue
        parts.append(text[at:start])
        if _separates(text, start):
            parts.append(" ")
        at = _end_of(text, start)
    parts.append(text[at:])
    return clean(html.unescape("".join(parts)))[:LONGEST_TEXT].rstrip()


def _end_of(text: str, start: int) -> int:
    """Where the text goes on after the tag, the comment, or the script with its content at a place."""
    if text.startswith("<!--", start):
        found = text.find("-->", start)
        return len(text) if found < 0 else found + len("-->")
    if unseen := _UNSEEN.match(text, start):
        closing = re.compile(f"</{unseen[1]}", re.IGNORECASE).search(text, start)
        start = closing.start() if closing else len(text)
    found = text.find(">", start)
    return len(text) if found < 0 else found + 1


def _separates(text: str, start: int) -> bool:
    """Whether the tag at a place stands between words, as those of inline elements do not."""
    name = _NAME.match(text, start)
    return name is not None and name[1].lower() not in _INLINE


def web_link(text: str) -> str | None:
    """Address of a page on the web; None for another one, such as `javascript:...`."""
    text = text.strip()
    if len(text) > LONGEST_ADDRESS or _CONTROL.search(text) or any(map(str.isspace, text)):
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return text if parts.scheme in WEB and parts.hostname else None


def photo_address(text: str) -> str | None:
    """Path or address of a photo; None for what can be neither, such as `data:...`."""
    text = text.strip()
    if text.startswith("//"):
        text = f"https:{text}"
    if not text or len(text) > LONGEST_ADDRESS or _OTHER_SCHEME.match(text):
        return None
    return text


def attribute_name(text: str) -> str | None:
    """Name of the attribute for an option or label of a shop; None if there is none.

    >>> attribute_name("Colour"), attribute_name("Sleeve length"), attribute_name("Price")
    ('color', 'sleeve_length', 'option_price')
    """
    words = clean(text).casefold()
    if words in OPTIONS:
        return OPTIONS[words]
    name = re.sub(r"\W+", "_", words).strip("_")[:LONGEST_NAME]
    return f"option_{name}" if name in RESERVED else name or None


def is_now(start: str, end: str, *, now: datetime | None = None) -> bool:
    """Whether now is between two times of ISO 8601; one that is empty or cannot be read is no bound.

    Args:
        start: First moment, such as `2026-11-27T08:00+0100` or `2026-11-27`.
        end: Last moment; a date is its whole day.
        now: Another moment instead, with its time zone.
    """
    moment = now or datetime.now(UTC)
    first, last = _moment(start), _moment(end, end_of_day=True)
    return (first is None or first <= moment) and (last is None or moment <= last)


def _moment(text: str, *, end_of_day: bool = False) -> datetime | None:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if end_of_day and len(text.strip()) <= len("2026-11-27"):
        found = found.replace(hour=23, minute=59, second=59)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
