"""Products of shops' feeds: how their variants and photos become items, and what is told of a feed.

A product has variants, which are sold, and photos. Each variant is an item with its own photo, or else the first of
the product. Each photo that no variant has is an item too. Its id is that of the product, `#` and its place among the
photos, from 1, such as `red-dress#3`; its attributes are those of the product, and of the variants where they
agree; its price is the lowest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue, Kind, Skip
from lookalike.catalogue.readers.feed_values import Price, clean, parse_price, photo_address, web_link
from lookalike.catalogue.readers.photo_names import as_in_folder
from lookalike.errors import CatalogueError
from lookalike.types import JSON, Box, Item

MOST_PHOTOS: Final = 100
"""Most photos of a product that are read; Google takes 11."""

SHOWN: Final = 60
"""Most characters of a value that a remark shows."""


@dataclass(frozen=True, slots=True)
class Variant:
    """What is sold.

    Attributes:
        id: Id of its item.
        attributes: Attributes beside those of the product.
        photo: Its own photo; None for the first of the product.
    """

    id: str
    attributes: Mapping[str, JSON] = field(default_factory=dict)
    photo: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """Product of a feed.

    Attributes:
        key: Beginning of the ids of its further photos.
        product: `Item.product` of its items.
        place: Place in the feed, such as `feed.csv:12`.
        attributes: Attributes of all of its items.
        variants: Variants, in their order.
        photos: Photos, in their order.
        box: Part of the photos to embed; None is the whole photo.
    """

    key: str
    product: str
    place: str
    attributes: Mapping[str, JSON]
    variants: Sequence[Variant]
    photos: Sequence[str] = ()
    box: Box | None = None


class Remarks:
    """What is told of a feed: values that are left out, and what has no item.

    Attributes:
        skipped: What has no item, and why.
    """

    def __init__(self) -> None:
        self.skipped: list[Skip] = []
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def note(self, what: str, example: str = "") -> None:
        """Count something that is left out, and keep the first example."""
        self._counts[what] += 1
        self._examples.setdefault(what, clean(example)[:SHOWN])

    def skip(self, place: str, reason: str, item_id: str = "") -> None:
        """Record something that has no item."""
        self.skipped.append(Skip(place, reason, item_id))

    def notes(self) -> tuple[str, ...]:
        """Remarks for the user, one line each."""
        shown = {what: f", such as {example!r}" if example else "" for what, example in self._examples.items()}
        return tuple(f"{what}: {count:,}{shown[what]}" for what, count in self._counts.items())


ReadProducts = Callable[[Remarks], Iterator[Product]]
"""Reads the products of a feed from its beginning, and makes remarks."""


def feed_catalogue(kind: Kind, path: Path, read: ReadProducts) -> Catalogue:
    """Make the catalogue of a feed, after one pass over it.

    Args:
        kind: Format of the feed.
        path: An absolute path.
        read: Reads the products.

    Raises:
        CatalogueError: The feed cannot be read to its end, or has no item.
    """
    remarks = Remarks()
    count = sum(1 for _ in items_of(read(remarks), remarks, root=str(path.parent)))
    if not count:
        reason = f"; {remarks.skipped[0].photo}: {remarks.skipped[0].reason}" if remarks.skipped else ""
        raise CatalogueError(f"{path}: no product with a photo is in this feed ({kind}){reason}")

    def items() -> Iterator[Item]:
        again = Remarks()
        return items_of(read(again), again, root=str(path.parent))

    return Catalogue(
        kind=kind,
        source=str(path),
        items=items,
        count=count,
        skipped=tuple(remarks.skipped),
        notes=remarks.notes(),
    )


def items_of(products: Iterable[Product], remarks: Remarks, *, root: str) -> Iterator[Item]:
    """Turn products into items with distinct ids; what has no photo, or a known id, is skipped."""
    seen: dict[str, str] = {}
    for product in products:
        photos = _photos(product, remarks)
        used: set[str] = set()
        for variant in product.variants:
            own = photo_address(variant.photo) if variant.photo else None
            photo = own or (photos[0] if photos else None)
            if photo is None:
                remarks.skip(product.place, "no photo", variant.id)
                continue
            used.add(photo)
            attributes = {**product.attributes, **variant.attributes}
            yield from _item(variant.id, photo, attributes, product, seen, remarks, root)
        attributes = {**product.attributes, **shared(product.variants)}
        for place, photo in enumerate(photos, start=1):
            if photo not in used:
                yield from _item(f"{product.key}#{place}", photo, attributes, product, seen, remarks, root)


def _photos(product: Product, remarks: Remarks) -> list[str]:
    """Distinct photos of a product."""
    addresses = {photo: photo_address(photo) for photo in product.photos if photo.strip()}
    for photo, address in addresses.items():
        if address is None:
            remarks.note("photos that are neither paths nor addresses are left out", photo)
    photos = list(dict.fromkeys(address for address in addresses.values() if address is not None))
    if len(photos) > MOST_PHOTOS:
        remarks.note(f"products with more than {MOST_PHOTOS} photos, of which these are taken", product.place)
    return photos[:MOST_PHOTOS]


def _item(
    item_id: str,
    photo: str,
    attributes: Mapping[str, JSON],
    product: Product,
    seen: dict[str, str],
    remarks: Remarks,
    root: str,
) -> Iterator[Item]:
    if item_id in seen:
        remarks.skip(product.place, f"the id {item_id[:SHOWN]!r} comes twice; {seen[item_id]} has it first")
        return
    seen[item_id] = product.place
    known = {name: value for name, value in attributes.items() if value is not None and value != ""}
    yield Item(
        id=item_id,
        photo=as_in_folder(root, photo),
        root=root,
        product=product.product,
        box=product.box,
        attributes=known,
    )


def shared(variants: Sequence[Variant]) -> dict[str, JSON]:
    """Attributes of a photo of all variants: those that they agree on, the lowest price, whether any is in stock."""
    if not variants:
        return {}
    first, *others = [variant.attributes for variant in variants]
    found = {name: value for name, value in first.items() if all(name in one and one[name] == value for one in others)}
    stock = [known for one in (first, *others) if (known := one.get("in_stock")) is not None]
    if stock:
        found["in_stock"] = any(stock)
    for name in ("price", "sale_price", "currency"):
        found.pop(name, None)
    priced = [one for one in (first, *others) if "price" in one]
    if priced:
        cheapest = min(priced, key=lambda one: float(str(one.get("sale_price", one["price"]))))
        found |= {name: cheapest[name] for name in ("price", "sale_price", "currency") if name in cheapest}
    return found


def prices_of(regular: str, reduced: str, remarks: Remarks) -> dict[str, JSON]:
    """Attributes `price`, `sale_price` and `currency` of a regular and a reduced price, which may be empty."""
    price, sale = _price(regular, remarks), _price(reduced, remarks)
    if price is None:
        price, sale = sale, None
    if price is None:
        return {}
    found: dict[str, JSON] = {"price": price.amount}
    if sale is not None and sale.amount < price.amount:
        found["sale_price"] = sale.amount
    currency = price.currency or (sale.currency if sale else None)
    return found | ({"currency": currency} if currency else {})


def _price(text: str, remarks: Remarks) -> Price | None:
    if not text.strip():
        return None
    price = parse_price(text)
    if price is None:
        remarks.note("prices that are not numbers, or can be read in two ways, are left out", text)
    return price


def link_of(text: str, remarks: Remarks) -> str | None:
    """Address of a page on the web; None without one."""
    link = web_link(text)
    if link is None and text.strip():
        remarks.note("links that do not lead to a page on the web are left out", text)
    return link
