"""Retrieval tasks: queries, gallery, relevance grades and excluded pairs, one function for each protocol."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lookalike.catalogue.benchmark import Sides, selects
from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.figures import BESIDE_HIT_RATES, GRADED, LEADING, SAME_ITEM, Metric, named
from lookalike.evaluation.metric_values import NO_CATEGORY
from lookalike.types import Float32, Int64, Item

UNKNOWN: Final = ("NA",)
"""Attribute values that mean "unknown", besides empty ones."""

LIKELY_CATEGORIES: Final = ("category", "articleType", "label")
"""Default attributes for the figures by category, in order of preference."""

TWIN_DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class Task:
    """A retrieval task: queries, gallery and relevance.

    The grade of an answer is the number of leading fields in which it agrees with the query. Two photos with equal
    numbers in a row of `apart` never match each other; -1 equals nothing.

    Attributes:
        protocol: Name of the protocol, as given by the user.
        items: The n items of both sides.
        queries: (Q,) int64 places in `items`.
        gallery: (N,) int64 places in `items`.
        fields: Attributes of the grades, the leading one first.
        labels: (n,) int64 class numbers of each field; -1 is unknown.
        apart: Rows of (n,) int64 group numbers that keep photos apart.
        category: Attribute for the figures by category; empty for none.
        metrics: Metrics of the task, the most important first.
        notes: Notes for the user, a line each.
        unknown: Attribute values that mean "unknown".
        within: (n,) int64 group numbers that queries and answers share; None for one group.
        further: Places in `items` of more right answers of a query, of the highest grade, by the query's place.
    """

    protocol: str
    items: Sequence[Item]
    queries: Int64
    gallery: Int64
    fields: tuple[str, ...]
    labels: tuple[Int64, ...]
    apart: tuple[Int64, ...]
    category: str
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...] = ()
    unknown: Collection[str] = UNKNOWN
    within: Int64 | None = None
    further: Mapping[int, Int64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.queries) or not len(self.gallery):
            side = "queries" if not len(self.queries) else "gallery"
            raise UsageError(f"the protocol {self.protocol!r} finds no photo for its {side} among {len(self.items):,}")

    def keeping_apart(self, numbers: Int64, *, note: str = "") -> Task:
        """Return the task with one more row of `apart`, (n,) int64."""
        notes = (*self.notes, note) if note else self.notes
        return replace(self, apart=(*self.apart, numbers), notes=notes)

    def categories(self) -> list[str]:
        """Return the category of each query."""
        return [self.category_of(self.items[place]) for place in self.queries.tolist()]

    def category_of(self, item: Item) -> str:
        """Return the category of a photo, or `NO_CATEGORY`."""
        return category_in(item, self.category, unknown=self.unknown)


def sides_task(
    items: Sequence[Item],
    sides: Sides,
    *,
    protocol: str,
    answers: Mapping[str, Sequence[str]] | None = None,
    unknown: Collection[str] = UNKNOWN,
    category: str | None = None,
) -> Task:
    """Make the task of a published benchmark: its queries against its whole gallery.

    A photo that is on both sides, with `Sides.leave_one_out`, never matches itself; nothing else is excluded.

    Args:
        items: Items of the benchmark, or more.
        sides: Definition of queries and gallery; an answer is right if it shows the same product.
        protocol: Name of the protocol.
        answers: Products that answer a query by its id, where they are more than its own.
        unknown: Attribute values that mean "unknown"; a query of unknown product has no right answer.
        category: Attribute for the figures by category; None chooses one.

    Raises:
        UsageError: There are no queries, or the gallery is empty.
        UnknownNameError: `category` is not an attribute.

    Source: Liu et al. 2016, DeepFashion, section 4.2; the split files that come with the data; for `leave_one_out`
        Song et al. 2016, Deep Metric Learning via Lifted Structured Feature Embedding, section 5.
    """
    queries = np.flatnonzero([selects(sides.queries, item) for item in items])
    gallery = np.flatnonzero([selects(sides.gallery, item) for item in items])
    products = numbers([value_of(item, "product", unknown=unknown) for item in items])
    within = (
        field_numbers(items, sides.within, unknown=unknown) if sides.within else np.zeros(len(items), dtype=np.int64)
    )
    of_product: dict[tuple[str | None, int], list[int]] = {}
    for place in gallery.tolist():
        of_product.setdefault((items[place].product, int(within[place])), []).append(place)
    further: dict[int, Int64] = {}
    for place in queries.tolist():
        if wanted := (answers or {}).get(items[place].id):
            found = [of_product.get((product, int(within[place])), []) for product in wanted]
            further[place] = np.array([one for some in found for one in some], dtype=np.int64)
    fewest = 2 if sides.leave_one_out else 1
    answerable = np.array(
        [
            products[place] >= 0
            and len(of_product.get((items[place].product, int(within[place])), ())) + len(further.get(place, ()))
            >= fewest
            for place in queries.tolist()
        ],
        dtype=np.bool_,
    )
    unanswerable = int((~answerable).sum())
    note = f"{unanswerable:,} queries have no right answer in the gallery; they count as 0"
    return Task(
        protocol=protocol,
        items=items,
        queries=queries,
        gallery=gallery,
        fields=("product",),
        labels=(products,),
        apart=(np.arange(len(items)),) if sides.leave_one_out else (),
        category=category_of(items, category, unknown=unknown),
        metrics=named(*(f"hit_rate@{k}" for k in sides.depths), *BESIDE_HIT_RATES)
        if sides.depths
        else named(*SAME_ITEM),
        notes=(note,) if unanswerable else (),
        unknown=unknown,
        within=within if sides.within else None,
        further=further,
    )


def product_task(
    items: Sequence[Item],
    *,
    contents: Mapping[str, str] | None = None,
    apart: Sequence[str] = (),
    unknown: Collection[str] = UNKNOWN,
    category: str | None = None,
) -> Task:
    """Make the leave-one-out task: each photo of a product with several photos queries all other photos.

    A photo never matches itself or a duplicate, a photo of the same content. The only photo of a product, and photos
    of unknown product, belong to the gallery alone. `identical_rows` finds duplicates with different bytes.

    Args:
        items: All photos.
        contents: SHA-256 of each photo's bytes by the item's id, where known.
        apart: Attributes that keep photos of equal values from matching each other.
        unknown: Attribute values that mean "unknown", in products, `apart` and `category`.
        category: Attribute for the figures by category; None chooses one.

    Raises:
        UsageError: No product has two different photos, or `apart` keeps all photos of a product apart.
        UnknownNameError: `apart` or `category` is not an attribute.
    """
    if "product" in apart:
        raise UsageError("the protocol 'product' asks for photos of the same product; leave 'product' out of apart")
    products = numbers([value_of(item, "product", unknown=unknown) for item in items])
    known = contents or {}
    hashes = [known.get(item.id, f"id:{item.id}") for item in items]
    different = Counter(product for product, _ in {*zip(products.tolist(), hashes, strict=True)})
    asks = np.array([product >= 0 and different[product] > 1 for product in products.tolist()], dtype=np.bool_)
    if not asks.any():
        raise UsageError("the protocol 'product' needs products with at least two different photos, and there is none")
    nameless = int((products < 0).sum())
    single = len(items) - int(asks.sum()) - nameless
    notes = (
        f"{single:,} photos are the only ones of their product: they are in the gallery and not among the queries"
        if single
        else "",
        f"{nameless:,} photos have no known product: they are in the gallery and not among the queries"
        if nameless
        else "",
    )
    return Task(
        protocol="product",
        items=items,
        queries=np.flatnonzero(asks),
        gallery=np.arange(len(items)),
        fields=("product",),
        labels=(products,),
        apart=(numbers(hashes), *(field_numbers(items, name, unknown=unknown) for name in apart)),
        category=category_of(items, category, unknown=unknown),
        metrics=named(*SAME_ITEM),
        notes=tuple(filter(None, notes)),
        unknown=unknown,
    )


def grades_task(
    items: Sequence[Item],
    fields: Sequence[str],
    *,
    apart: Sequence[str] = (),
    unknown: Collection[str] = UNKNOWN,
    category: str | None = None,
) -> Task:
    """Make the task of graded similarity: each photo with a known leading field queries photos of other products.

    The grade of an answer is the number of leading fields in which it agrees, so with type, colour and gender 3, 2, 1
    or 0. NDCG uses all grades; the other metrics count answers of the highest grade, or those that agree in the
    leading field if their name says so.

    Args:
        items: All photos; those of one product never match each other.
        fields: Attributes of the grades, the leading one first.
        apart: Further attributes that keep photos of equal values from matching each other.
        unknown: Attribute values that mean "unknown", in fields, products, `apart` and `category`.
        category: Attribute for the figures by category; None takes the leading field.

    Raises:
        UsageError: The product is among the fields.
        UnknownNameError: A name is not an attribute.
    """
    if "product" in fields:
        raise UsageError(
            "photos of one product never match each other by 'grades', so 'product' is no grade; the protocol "
            "'product' asks for photos of the same product"
        )
    labels = tuple(field_numbers(items, name, unknown=unknown) for name in fields)
    same = product_groups(items, unknown=unknown)
    metrics = (*named("ndcg@10"), *named(*GRADED, level=len(fields)))
    if len(fields) > 1:
        metrics += named(*LEADING, of=fields[0])
    queries = np.flatnonzero(labels[0] >= 0)
    rest = len(items) - len(queries)
    note = f"{rest:,} photos have no known {fields[0]!r}: they are in the gallery and not among the queries"
    return Task(
        protocol="grades=" + ",".join(fields),
        items=items,
        queries=queries,
        gallery=np.arange(len(items)),
        fields=tuple(fields),
        labels=labels,
        apart=(same, *(field_numbers(items, name, unknown=unknown) for name in apart)),
        category=category_of(items, category or fields[0], unknown=unknown),
        metrics=metrics,
        notes=(note,) if rest else (),
        unknown=unknown,
    )


def identical_rows(rows: Mapping[str, Float32]) -> Int64:
    """Number photos by their vectors: photos with equal vectors in all spaces, to four digits, have equal numbers.

    Args:
        rows: (n, D) float32 vectors by space.

    Returns:
        (n,) int64.
    """
    together = np.concatenate([np.round(part, TWIN_DIGITS) + 0.0 for part in rows.values()], axis=1)
    return numbers([row.tobytes() for row in together])


def numbers(values: Sequence[str | bytes | None]) -> Int64:
    """Number values from 0, equal values equally: (n,) int64; -1 for None."""
    places: dict[str | bytes, int] = {}
    return np.array(
        [-1 if value is None else places.setdefault(value, len(places)) for value in values], dtype=np.int64
    )


def product_groups(items: Sequence[Item], *, unknown: Collection[str] = UNKNOWN) -> Int64:
    """Number items by product, each item of unknown product by itself: (n,) int64, from 0."""
    products = [value_of(item, "product", unknown=unknown) for item in items]
    return numbers([f"product:{name}" if name else f"id:{item.id}" for name, item in zip(products, items, strict=True)])


def field_numbers(items: Sequence[Item], name: str, *, unknown: Collection[str] = UNKNOWN) -> Int64:
    """Number the values of one attribute, `product` or `id`: (n,) int64, -1 where it is unknown.

    Raises:
        UnknownNameError: No item has the attribute.
    """
    values = [value_of(item, name, unknown=unknown) for item in items]
    if not any(values):
        known = {"product", "id"}.union(*(item.attributes for item in items))
        raise UnknownNameError("attribute", name, sorted(known))
    return numbers(values)


def value_of(item: Item, name: str, *, unknown: Collection[str] = UNKNOWN) -> str | None:
    """Return an attribute, `product` or `id` as text; None where it is unknown."""
    value = item.product if name == "product" else item.id if name == "id" else item.attributes.get(name)
    text = "" if value is None or value != value else str(value)  # only NaN differs from itself
    return None if not text.strip() or text in unknown else text


def category_of(items: Sequence[Item], wanted: str | None, *, unknown: Collection[str] = UNKNOWN) -> str:
    """Return the attribute for the figures by category; empty for none.

    Raises:
        UnknownNameError: `wanted` is not an attribute.
    """
    if wanted is not None:
        field_numbers(items, wanted, unknown=unknown)
        return wanted
    likely = (name for name in LIKELY_CATEGORIES if any(value_of(item, name, unknown=unknown) for item in items))
    return next(likely, "")


def category_in(item: Item, name: str, *, unknown: Collection[str] = UNKNOWN) -> str:
    """Return the category of an item by an attribute, or `NO_CATEGORY`; the attribute may be empty."""
    return (value_of(item, name, unknown=unknown) if name else None) or NO_CATEGORY
