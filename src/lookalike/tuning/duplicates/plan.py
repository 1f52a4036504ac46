"""What decisions of duplicates change in a gallery, worked out before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from lookalike.gallery.protocol import Gallery
from lookalike.gallery.reviews import Review, content_of
from lookalike.gallery.stored_item import StoredItem
from lookalike.tuning.duplicates.decisions import Decision
from lookalike.types import JSON

Key: TypeAlias = tuple[str, str]
"""`product` and the name of a product, or `item` and the id of an item without one."""


class Moved(NamedTuple):
    """An item that gets another product.

    Attributes:
        id: Id of the item.
        before: Its product before; None without one.
        product: Its product then.
    """

    id: str
    before: str | None
    product: str


class LeftOut(NamedTuple):
    """An item that a decision names, and that is left out.

    Attributes:
        decision: Number of the decision, from 1.
        id: Id of the item.
        reason: Why, in a few words.
    """

    decision: int
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AppliedDecisions:
    """What decisions change, or have changed.

    Attributes:
        moved: Items that get another product.
        removed: Ids of items that are removed.
        returning: Those among them that a catalogue brought; its next run brings them again if it still lists them.
        reviews: Items that are not shown as duplicates of each other again.
        left_out: Items that are left out, since they are gone or have changed.
        dry_run: Whether nothing was changed.
    """

    moved: Sequence[Moved] = ()
    removed: Sequence[str] = ()
    returning: Sequence[str] = ()
    reviews: Sequence[Review] = ()
    left_out: Sequence[LeftOut] = ()
    dry_run: bool = False

    def to_json(self) -> dict[str, JSON]:
        """JSON of `lookalike gallery merge --json`."""
        return {
            "dry_run": self.dry_run,
            "moved": [{"id": each.id, "before": each.before, "product": each.product} for each in self.moved],
            "removed": [*self.removed],
            "returning": [*self.returning],
            "reviewed": len(self.reviews),
            "left_out": [{"decision": each.decision, "id": each.id, "reason": each.reason} for each in self.left_out],
        }


def planned(gallery: Gallery, decisions: Sequence[Decision]) -> AppliedDecisions:
    """Work out what decisions change. Decisions about one product are taken together, whatever their order.

    Args:
        gallery: The gallery, which stays as it is.
        decisions: Decisions.
    """
    named = {item_id: None for decision in decisions for item_id in decision.items}
    return _Planning(gallery.stored_items([*named]), decisions).result(gallery)


@dataclass(slots=True)
class _Union:
    """Products that become one.

    Attributes:
        number: Number of the first decision about them.
        product: The product that they become; None while none is told.
        keys: What becomes of it.
    """

    number: int
    product: str | None
    keys: dict[Key, None] = field(default_factory=dict)


class _Planning:
    def __init__(self, stored: Mapping[str, StoredItem], decisions: Sequence[Decision]) -> None:
        self._stored, self._decisions = stored, decisions
        self._left_out: list[LeftOut] = []
        self._unions: dict[Key, _Union] = {}
        self._removed: dict[str, None] = {}

    def result(self, gallery: Gallery) -> AppliedDecisions:
        self._unite_present()
        present = [self._present(number, each) for number, each in enumerate(self._decisions, start=1)]
        reviews = list[Review]()
        for number, (decision, ids) in enumerate(zip(self._decisions, present, strict=True), start=1):
            if decision.what == "remove":
                self._remove(number, decision, ids)
            elif len(ids) > 1:
                reviews.append({item_id: self._content(item_id) for item_id in ids})
        return AppliedDecisions(
            [*self._moved(gallery, present)],
            [*self._removed],
            [item_id for item_id in self._removed if self._stored[item_id].is_from_catalogue],
            reviews,
            self._left_out,
        )

    def _unite_present(self) -> None:
        """Join the products of all decisions, without those of items that are left out.

        Whether an item has changed depends on the product that its own becomes: one that has it already was merged
        before. So items that have changed are left out, and the others joined again, until no further one has.
        """
        out: set[tuple[int, str]] = set()
        while True:
            self._unions = {}
            for number, decision in enumerate(self._decisions, start=1):
                if decision.what == "merge":
                    self._unite(number, decision, [each for each in decision.items if (number, each) not in out])
            changed = {
                (number, item_id)
                for number, decision in enumerate(self._decisions, start=1)
                for item_id in decision.items
                if self._changed(decision, item_id) is not None
            }
            if changed <= out:
                return
            out |= changed

    def _unite(self, number: int, decision: Decision, ids: Sequence[str]) -> None:
        """Join the products of some items of a decision, as they were when they were looked at."""
        keys = [key for item_id in ids if (key := self._key(decision, item_id)) is not None]
        if not keys:
            return
        if decision.product is not None:
            keys.append(("product", decision.product))
        found = {id(union): union for key in keys if (union := self._unions.get(key)) is not None}
        first, *others = sorted([*found.values(), _Union(number, decision.product)], key=lambda each: each.number)
        for union in others:
            first.product = first.product or union.product
            first.keys |= union.keys
        first.keys |= dict.fromkeys(keys)
        self._unions |= dict.fromkeys(first.keys, first)

    def _key(self, decision: Decision, item_id: str) -> Key | None:
        """Product of an item, or the item itself, as it was when it was looked at; None if it is gone."""
        if item_id not in self._stored:
            return None
        product = decision.reviewed.get(item_id, {}).get("product", self._stored[item_id].item.product)
        return ("item", item_id) if product is None else ("product", product)

    def _present(self, number: int, decision: Decision) -> list[str]:
        """Items of a decision that are there as they were looked at; others are noted."""
        present = []
        for item_id in decision.items:
            reason = self._changed(decision, item_id)
            if reason is None:
                present.append(item_id)
            elif reason or decision.what != "remove" or item_id == decision.keep:
                self._left_out.append(LeftOut(number, item_id, reason or "is not in the gallery"))
        return present

    def _remove(self, number: int, decision: Decision, ids: Sequence[str]) -> None:
        """Note what is removed, as long as the item to keep is there."""
        others = [item_id for item_id in ids if item_id != decision.keep]
        if decision.keep in ids and decision.keep not in self._removed:
            self._removed |= dict.fromkeys(others)
        else:
            reason = f"stays, since {decision.keep}, which is to be kept, is gone or has changed"
            self._left_out += [LeftOut(number, item_id, reason) for item_id in others]

    def _changed(self, decision: Decision, item_id: str) -> str | None:
        """What has changed of an item since it was looked at; empty if it is gone, None if nothing has."""
        if item_id not in self._stored:
            return ""
        reviewed, now = decision.reviewed.get(item_id, {}), self._stored[item_id].item.product
        if "content" in reviewed and reviewed["content"] != self._content(item_id):
            return "has another photo since it was looked at"
        key = self._key(decision, item_id)
        union = None if key is None else self._unions.get(key)
        allowed = {reviewed.get("product"), *([] if union is None else [self._name(union)])}
        if "product" in reviewed and now not in allowed:
            return f"is of the product {now!r} since it was looked at"
        return None

    def _content(self, item_id: str) -> str | None:
        stored = self._stored[item_id]
        return content_of(stored.described, stored.file_stamp)

    def _name(self, union: _Union) -> str:
        """The product that products become: as a decision says, that of the first item that has one, or else its id."""
        named = [name for kind, name in union.keys if kind == "product"]
        return union.product or next(iter(named), next(iter(union.keys))[1])

    def _moved(self, gallery: Gallery, present: Sequence[Sequence[str]]) -> Iterator[Moved]:
        """Items of merged products, also those that no decision names."""
        products, alone = dict[str, str](), dict[str, str]()
        for decision, ids in zip(self._decisions, present, strict=True):
            if decision.what != "merge" or len(ids) + (decision.product is not None) < 2:
                continue
            for item_id in ids:
                key = self._key(decision, item_id)
                assert key is not None
                (products if key[0] == "product" else alone)[key[1]] = self._name(self._unions[key])
        rows = gallery.product_rows([name for name, becomes in products.items() if name != becomes]).items
        for item in gallery.items(list(dict.fromkeys(rows.tolist()))).values():
            if item.product is not None and item.product in products and item.id not in self._removed:
                yield Moved(item.id, item.product, products[item.product])
        for item_id, becomes in alone.items():
            if self._stored[item_id].item.product != becomes and item_id not in self._removed:
                yield Moved(item_id, self._stored[item_id].item.product, becomes)
