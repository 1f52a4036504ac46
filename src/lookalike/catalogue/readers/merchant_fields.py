"""Google Merchant feeds: what the attributes of an offer mean, in files of any form.

Source: Google's product data specification, support.google.com/merchants/answer/7052112; its sections on
availability (6324448), price (6324371), sale_price (6324471), sale_price_effective_date (6324460),
additional_image_link (6324370) and item_group_id (6324507).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from lookalike.catalogue.readers.feed_products import Product, Remarks, Variant, link_of, prices_of
from lookalike.catalogue.readers.feed_values import clean, is_now, plain_text
from lookalike.types import JSON

TEXTS: Final = {
    "title": "title",
    "description": "description",
    "summary": "description",
    "brand": "brand",
    "color": "color",
    "size": "size",
    "gender": "gender",
    "age_group": "age_group",
    "material": "material",
    "pattern": "pattern",
    "condition": "condition",
    "gtin": "gtin",
    "mpn": "mpn",
    "product_type": "category",
    **{f"custom_label_{number}": f"custom_label_{number}" for number in range(5)},
}
"""Attributes of the vocabulary by those of Google that are texts."""

IN_STOCK: Final = {
    **dict.fromkeys(("in_stock", "available", "limited_availability"), True),
    **dict.fromkeys(("out_of_stock", "sold_out", "preorder", "pre_order", "backorder", "discontinued"), False),
}

Fields = Mapping[str, Sequence[str]]
"""Values of an offer by the name of the attribute, such as `image_link`; several of one that is repeated."""


def field_name(name: str) -> str:
    """Name of an attribute as Google writes it in XML: `image link` and `g:image_link` are `image_link`."""
    return "_".join(name.strip().casefold().removeprefix("g:").split())


def products_of(offers: Iterable[tuple[str, Fields]], remarks: Remarks) -> Iterator[Product]:
    """Make a product of each offer: Google calls each variant an offer, and names its product in `item_group_id`.

    Args:
        offers: Places and fields.
        remarks: Takes remarks.
    """
    for place, fields in offers:
        offer_id = clean(_first(fields, "id"))
        if not offer_id:
            remarks.skip(place, "no id")
            continue
        photos = [*fields.get("image_link", ())[:1], *fields.get("additional_image_link", ())]
        variant = Variant(offer_id, {}, None)
        product = clean(_first(fields, "item_group_id")) or offer_id
        yield Product(offer_id, product, place, attributes_of(fields, remarks), [variant], photos)


def attributes_of(fields: Fields, remarks: Remarks) -> dict[str, JSON]:
    """Attributes of an offer in the words of the vocabulary."""
    found: dict[str, JSON] = {}
    for theirs, ours in TEXTS.items():
        if ours not in found and (text := plain_text(", ".join(fields.get(theirs, ())[:1]))):
            found[ours] = text
    if "category" not in found and (text := plain_text(_first(fields, "google_product_category"))):
        found["category"] = text
    sale = _first(fields, "sale_price")
    start, _, end = _first(fields, "sale_price_effective_date").partition("/")
    found |= prices_of(_first(fields, "price"), sale if is_now(start, end) else "", remarks)
    if link := link_of(_first(fields, "link"), remarks):
        found["link"] = link
    if availability := "_".join(clean(_first(fields, "availability")).casefold().replace("-", " ").split()):
        found["availability"] = availability
        if availability in IN_STOCK:
            found["in_stock"] = IN_STOCK[availability]
        else:
            remarks.note("availabilities that are not known give no in_stock", availability)
    return found


def _first(fields: Fields, name: str) -> str:
    return next(iter(fields.get(name, ())), "")
