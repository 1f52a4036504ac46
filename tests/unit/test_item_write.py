"""Two writes of an item as one: they do what the one and then the other do."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lookalike.gallery.stored_item import SOURCE, StoredItem
from lookalike.server.item_write import ABSENT, Absent, ItemWrite
from lookalike.types import JSON, Box, Item

NAMES = ("a", "b", "c", "d")


def random_attributes(random: np.random.Generator) -> dict[str, JSON]:
    return {name: [None, 1, "x"][random.integers(3)] for name in NAMES if random.random() < 0.5}


def random_write(random: np.random.Generator) -> ItemWrite:
    attributes = random_attributes(random)
    products: list[str | Absent | None] = [ABSENT, None, "p", "q"]
    replace = random.random() < 0.3
    unset = [] if replace else [name for name in NAMES if name not in attributes and random.random() < 0.3]
    return ItemWrite("x", attributes=attributes, product=products[random.integers(4)], unset=unset, replace=replace)


@pytest.mark.parametrize("source", ["feed.csv", SOURCE])
def test_two_writes_are_as_one_after_the_other(source: str) -> None:
    random = np.random.default_rng(3)
    for _ in range(3_000):
        described = Item("x", "x.jpg", attributes=random_attributes(random), product="old")
        overrides = random_attributes(random) if random.random() < 0.5 else {}
        before = StoredItem(described, overrides, source, None)
        first, second = random_write(random), random_write(random)
        one_by_one = second.applied(first.applied(before, known=NAMES), known=NAMES)
        together = first.followed_by(second).applied(before, known=NAMES)
        assert (together.item.attributes, together.item.product) == (
            one_by_one.item.attributes, one_by_one.item.product,
        ), (before, first, second)  # fmt: skip
        read_again = ItemWrite.from_json("x", json.loads(json.dumps(first.followed_by(second).to_json())))
        assert read_again.applied(before, known=NAMES) == together


def test_a_later_photo_brings_its_own_box() -> None:
    first = ItemWrite(
        "x", photo_url="https://cdn.example/1.jpg", box=Box(1, 2, 3, 4), garments=True, attributes={"a": 1}
    )
    boxed = first.followed_by(ItemWrite("x", box=Box(5, 6, 7, 8), attributes={"b": 2}))
    assert (boxed.photo_url, boxed.box, boxed.garments) == (first.photo_url, Box(5, 6, 7, 8), True)
    newer = first.followed_by(ItemWrite("x", photo=b"new", attributes={"b": 2}))
    assert (newer.photo, newer.photo_url, newer.box, dict(newer.attributes)) == (b"new", None, ABSENT, {"a": 1, "b": 2})
    whole = ItemWrite("x", photo=b"new", attributes={"b": 2}, replace=True)
    assert first.followed_by(whole) == whole
