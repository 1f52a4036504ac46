"""Shopify's products JSON, `{"products": [...]}`: of a shop's `/products.json`, or of the Admin API.

Products are read one by one. Several documents may follow each other, as pages that were written into one file.

Source: shopify.dev/docs/api/admin-rest/latest/resources/product; a shop's `/products.json` has `available` beside it.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import Product, Remarks, feed_catalogue
from lookalike.catalogue.readers.shopify_products import ShopifyProduct, ShopifyVariant, product_of, stock_of
from lookalike.errors import CatalogueError, short_reason

LONGEST_PRODUCT: Final = 2**23
"""Most characters of a product."""

MOST_VARIANTS: Final = 2_048
"""Most variants of a product, which is Shopify's own limit (help.shopify.com/en/manual/products/variants)."""

CHARACTERS_AT_ONCE: Final = 2**16
BEGINNING: Final = re.compile(r'\s*\{\s*"products"\s*:\s*\[')
STARTS: Final = re.compile(rb'(\xef\xbb\xbf)?\s*\{\s*"products"\s*:\s*\[')
"""How a document begins, as text and as bytes of UTF-8."""

_SPACE: Final = re.compile(r"\s*")


def open_shopify_json(path: Path, *, encoding: str | None) -> Catalogue:
    """Open a products JSON.

    Args:
        path: An absolute path.
        encoding: Encoding of the file; None is UTF-8.

    Raises:
        CatalogueError: It cannot be read to its end, or has no item.
    """

    def products(remarks: Remarks) -> Iterator[Product]:
        for number, told in enumerate(_Documents(path, encoding or "utf-8-sig"), start=1):
            found = _product(told, f"{path.name}: product {number}", remarks)
            product = product_of(found, remarks)
            if product is not None:
                yield product

    return feed_catalogue("shopify", path, products)


class _Documents:
    """Products of one document or several, read piece by piece."""

    def __init__(self, path: Path, encoding: str) -> None:
        self._path, self._encoding = path, encoding
        self._decode = codecs.getincrementaldecoder(encoding)()
        self._text, self._at, self._is_whole = "", 0, False
        self._decoder = json.JSONDecoder(parse_constant=self._constant)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        try:
            with self._path.open("rb") as self._file:
                while self._begins():
                    yield from self._products()
        except UnicodeError as error:
            raise CatalogueError(f"{self._path}: the feed is not {self._encoding} text: {error}") from None
        except OSError as error:
            raise CatalogueError(f"{self._path}: {error.strerror}") from None

    def _more(self) -> None:
        """Read on, and forget what was decoded."""
        data = self._file.read(CHARACTERS_AT_ONCE)
        self._text = self._text[self._at :] + self._decode.decode(data, final=not data)
        self._at, self._is_whole = 0, not data

    def _constant(self, name: str) -> None:
        raise self._wrong(f"{name} is not a number of JSON")

    def _grow(self) -> None:
        """Read on until there is twice as much text, or the end, so that decoding it again and again stays cheap."""
        wanted = 2 * (len(self._text) - self._at)
        self._more()
        while len(self._text) < wanted and not self._is_whole:
            self._more()

    def _wrong(self, what: str) -> CatalogueError:
        near = " ".join(self._text[self._at : self._at + 60].split())
        return CatalogueError(f'{self._path}: expected Shopify\'s {{"products": [...]}}, {what}, near {near!r}')

    def _next(self) -> str:
        """The next character that is not space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]  # it matches anything
            if self._at < len(self._text) or self._is_whole:
                return self._text[self._at : self._at + 1]
            self._more()

    def _begins(self) -> bool:
        """Whether another document begins; reads its beginning."""
        if not self._next():
            return False
        while not (found := BEGINNING.match(self._text, self._at)):
            if self._is_whole or len(self._text) - self._at > CHARACTERS_AT_ONCE:
                raise self._wrong("got something else")
            self._more()
        self._at = found.end()
        return True

    def _products(self) -> Iterator[Mapping[str, Any]]:
        while (mark := self._next()) != "]":
            if mark != "{":
                raise self._wrong("a product is not an object" if mark else "and the file is cut short")
            yield self._product()
            if self._next() == ",":
                self._at += 1
            elif self._next() != "]":
                raise self._wrong("expected a comma between products" if self._next() else "and the file is cut short")
        self._at += 1
        if self._next() != "}":
            raise self._wrong("expected } after the products" if self._next() else "and the file is cut short")
        self._at += 1

    def _product(self) -> Mapping[str, Any]:
        """Decode a product, with more of the file as long as it is not whole."""
        while True:
            try:
                found, self._at = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > LONGEST_PRODUCT:
                    raise self._wrong(f"a product is longer than {LONGEST_PRODUCT:,} characters") from None
                if self._is_whole:
                    raise self._wrong(f"and got no JSON ({error.msg}), or the file is cut short") from None
                self._grow()
            except (RecursionError, ValueError) as error:
                raise self._wrong(short_reason(error)) from None
            else:
                told: Mapping[str, Any] = found
                return told


def _product(told: Mapping[str, Any], place: str, remarks: Remarks) -> ShopifyProduct:
    """Product of its JSON; what is of another type than it should be counts as absent."""
    variants, images = _objects(told, "variants"), _objects(told, "images")
    if len(variants) > MOST_VARIANTS:
        remarks.note(f"products with more than {MOST_VARIANTS:,} variants, of which these are taken", place)
    options = _objects(told, "options")
    photo_of_id = {_text(image.get("id")): _text(image.get("src")) for image in images}
    tags = told.get("tags")
    texts = {
        "title": _text(told.get("title")),
        "description": _text(told.get("body_html")),
        "brand": _text(told.get("vendor")),
        "category": _text(told.get("product_type")),
        "tags": ", ".join(map(_text, tags)) if isinstance(tags, list) else _text(tags),
    }
    is_published = "published_at" not in told or told["published_at"] is not None
    return ShopifyProduct(
        handle=_text(told.get("handle")),
        place=place,
        texts=texts,
        option_names=[_text(option.get("name")) for option in options],
        variants=[_variant(each, photo_of_id) for each in variants[:MOST_VARIANTS]],
        photos=[_text(image.get("src")) for image in sorted(images, key=_position)],
        is_sold=is_published and _text(told.get("status") or "active") == "active",
    )


def _variant(told: Mapping[str, Any], photo_of_id: Mapping[str, str]) -> ShopifyVariant:
    featured = told.get("featured_image")
    own = _text(featured.get("src")) if isinstance(featured, dict) else ""
    available = told.get("available")
    tracker = told.get("inventory_management", False)
    stock = stock_of(
        tracker=None if tracker is False else _text(tracker),
        policy=_text(told.get("inventory_policy")),
        quantity=_text(told["inventory_quantity"]) if "inventory_quantity" in told else None,
    )
    return ShopifyVariant(
        options=[_text(told.get(f"option{number}")) for number in (1, 2, 3)],
        price=_text(told.get("price")),
        compare_at=_text(told.get("compare_at_price")),
        in_stock=available if isinstance(available, bool) else stock,
        photo=own or photo_of_id.get(_text(told.get("image_id")), "") if told.get("image_id") or own else "",
        sku=_text(told.get("sku")),
        barcode=_text(told.get("barcode")),
    )


def _objects(told: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = told.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _position(image: Mapping[str, Any]) -> float:
    position = image.get("position")
    return position if isinstance(position, int) and not isinstance(position, bool) else float("inf")


def _text(value: object) -> str:
    """Text of a JSON value; empty for null, and for lists and objects."""
    if isinstance(value, bool | list | dict) or value is None:
        return ""
    return str(value)
