"""Products of Shopify, in its CSV and JSON: ids, prices and stock of variants.

The id of a variant is the handle of its product and the values of its options, `linen-shirt/Blue/M`, in both forms:
SKUs need not be unique. A compare-at price above the price is the regular price of a reduced variant.

Source: help.shopify.com/en/manual/products/import-export/using-csv, and
shopify.dev/docs/api/admin-rest/latest/resources/product for the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lookalike.catalogue.readers.feed_products import Product, Remarks, Variant, prices_of
from lookalike.catalogue.readers.feed_values import attribute_name, clean, parse_price, plain_text
from lookalike.types import JSON

ONLY: Final = "Default Title"
"""Value of the option of a product with one variant."""


@dataclass(slots=True)
class ShopifyVariant:
    """Variant as both forms have it; texts are as written.

    Attributes:
        options: Values of the options.
        price: Present price.
        compare_at: Price before a reduction.
        in_stock: Whether it can be bought; None if that is not told.
        photo: Its own photo.
        sku: SKU.
        barcode: Bar code.
    """

    options: Sequence[str]
    price: str = ""
    compare_at: str = ""
    in_stock: bool | None = None
    photo: str = ""
    sku: str = ""
    barcode: str = ""


@dataclass(slots=True)
class ShopifyProduct:
    """Product as both forms have it.

    Attributes:
        handle: Handle.
        place: Place in the feed.
        texts: Texts of the vocabulary, perhaps with HTML.
        option_names: Names of the options.
        variants: Variants.
        photos: Photos in their order.
        is_sold: Whether it is active and published.
    """

    handle: str
    place: str
    texts: Mapping[str, str]
    option_names: Sequence[str] = ()
    variants: list[ShopifyVariant] = field(default_factory=list)
    photos: list[str] = field(default_factory=list)
    is_sold: bool = True


def product_of(found: ShopifyProduct, remarks: Remarks) -> Product | None:
    """Make a product; None, with a remark, if it is not sold or has no handle."""
    handle = clean(found.handle)
    if not handle:
        remarks.skip(found.place, "no handle")
        return None
    if not found.is_sold:
        remarks.note("products that are not active and published are left out", handle)
        return None
    attributes = {name: plain_text(text) for name, text in found.texts.items()}
    variants = [_variant(handle, found.option_names, each, remarks) for each in found.variants]
    if not variants:
        variants = [Variant(handle)]
    return Product(handle, handle, found.place, attributes, variants, found.photos)


def _variant(handle: str, names: Sequence[str], found: ShopifyVariant, remarks: Remarks) -> Variant:
    values = [clean(value) for value in found.options]
    chosen = [value for value in values if value and value != ONLY]
    attributes: dict[str, JSON] = {}
    for name, value in zip(names, values, strict=False):
        known = attribute_name(name)
        if known is not None and value and value != ONLY:
            attributes[known] = plain_text(value)
    attributes |= {"sku": clean(found.sku), "gtin": clean(found.barcode), "in_stock": found.in_stock}
    before, now = parse_price(found.compare_at), parse_price(found.price)
    is_reduced = before is not None and now is not None and before.amount > now.amount
    regular, reduced = (found.compare_at, found.price) if is_reduced else (found.price, "")
    attributes |= prices_of(regular, reduced, remarks)
    return Variant("/".join([handle, *chosen]), attributes, found.photo or None)


def stock_of(*, tracker: str | None, policy: str, quantity: str | None) -> bool | None:
    """Whether a variant can be bought; None if that is not told.

    Args:
        tracker: Service that tracks the inventory; empty if it is not tracked, so that the variant is always in stock.
            None is unknown.
        policy: `continue` sells beyond the stock.
        quantity: Stock; None is not told.
    """
    if policy.strip().casefold() in ("continue", "true"):
        return True
    if tracker is not None and not tracker.strip():
        return True
    try:
        return None if quantity is None or not quantity.strip() else float(quantity) > 0
    except ValueError:
        return None
