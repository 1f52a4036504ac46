"""The contract of decisions of duplicates, on each back end: products merged, copies removed, pairs remembered."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from test_gallery import Opener, Shop, a_shop, gallery, opener, stock

import lookalike
from lookalike.errors import UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.reviews import ReviewedPairs, content_of
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.tuning.duplicates.applying import apply_decisions, unset_product
from lookalike.tuning.duplicates.decisions import Decision, decisions_of, read_decisions
from lookalike.tuning.duplicates.plan import LeftOut, planned
from lookalike.types import FileStamp

__all__ = ["gallery", "opener", "stock"]

PRODUCTS = ["x", "x", "d", "d", None, None, "y", None]
STAMPS = [FileStamp(1, 1, f"{number:064x}") for number in range(len(PRODUCTS))]


class Held:
    """An object with a gallery, as a retriever is."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery


def filled(gallery: Gallery) -> Shop:
    plain = a_shop(len(PRODUCTS))
    items = [replace(item, product=product) for item, product in zip(plain.items, PRODUCTS, strict=True)]
    shop = Shop(items, plain.vectors)
    shop.put_into(gallery, source="feed.csv", file_stamps=STAMPS)
    return shop


def products(gallery: Gallery) -> list[str | None]:
    return [gallery.get(f"item {number}").product for number in range(len(PRODUCTS))]


def seen(gallery: Gallery, *numbers: int) -> dict[str, dict[str, str | None]]:
    """What a page shows of items."""
    stored = gallery.stored_items([f"item {number}" for number in numbers])
    return {
        item_id: {"product": each.item.product, "content": content_of(each.described, each.file_stamp)}
        for item_id, each in stored.items()
    }


def test_products_are_merged_as_a_whole_and_brought_apart_again(gallery: Gallery) -> None:
    shop = filled(gallery)
    decision = Decision("merge", ["item 0", "item 2", "item 4"], reviewed=seen(gallery, 0, 2, 4))
    told = apply_decisions(Held(gallery), [decision], dry_run=True)
    assert (told.dry_run, products(gallery), gallery.reviews()) == (True, PRODUCTS, [])
    done = apply_decisions(Held(gallery), [decision])
    assert sorted(done.moved) == [("item 2", "d", "x"), ("item 3", "d", "x"), ("item 4", None, "x")]
    assert replace(told, dry_run=False) == done
    merged = ["x", "x", "x", "x", "x", None, "y", None]
    assert products(gallery) == merged
    assert gallery.list(group="product")[0] == 4
    again = apply_decisions(Held(gallery), [decision])
    assert (again.moved, again.left_out, products(gallery), len(gallery.reviews())) == ([], [], merged, 1)

    gallery.update(shop.items, source="feed.csv")  # as the next run of the catalogue does
    assert products(gallery) == merged
    assert sorted(unset_product(Held(gallery), "x")) == ["item 2", "item 3", "item 4"]
    assert products(gallery) == PRODUCTS
    for name in ("x", PRODUCTS[0]):
        with pytest.raises(UsageError, match=f"no item has the product {name!r} set by hand"):
            unset_product(Held(gallery), str(name))
    assert gallery.verify().problems == ()


def test_decisions_about_one_product_are_taken_together(gallery: Gallery) -> None:
    """Each group was looked at before any was merged."""
    filled(gallery)
    decisions = [
        Decision("merge", ["item 0", "item 2"], product="d", reviewed=seen(gallery, 0, 2)),
        Decision("merge", ["item 5", "item 7"], reviewed=seen(gallery, 5, 7)),
        Decision("merge", ["item 6", "item 1"], reviewed=seen(gallery, 6, 1)),
    ]
    assert apply_decisions(Held(gallery), decisions).left_out == []
    assert products(gallery) == ["d", "d", "d", "d", None, "item 5", "d", "item 5"]
    assert apply_decisions(Held(gallery), decisions[::-1]).moved == []


def test_copies_are_removed_and_one_stays(gallery: Gallery) -> None:
    filled(gallery)
    decision = Decision("remove", ["item 0", "item 2", "item 6"], keep="item 2", reviewed=seen(gallery, 0, 2, 6))
    assert apply_decisions(Held(gallery), [decision], dry_run=True).removed == ["item 0", "item 6"]
    assert len(gallery) == 8
    done = apply_decisions(Held(gallery), [decision])
    assert (done.removed, done.returning) == (["item 0", "item 6"], ["item 0", "item 6"])
    assert [item.id for item in gallery.list()[1]] == [f"item {number}" for number in (1, 2, 3, 4, 5, 7)]
    again = apply_decisions(Held(gallery), [decision])
    assert (again.removed, again.left_out) == ([], [])


def test_two_decisions_do_not_remove_each_others_photos(gallery: Gallery) -> None:
    filled(gallery)
    done = apply_decisions(
        Held(gallery),
        [
            Decision("remove", ["item 0", "item 1"], keep="item 0"),
            Decision("remove", ["item 0", "item 1"], keep="item 1"),
        ],
    )
    assert (done.removed, [each.id for each in done.left_out]) == (["item 1"], ["item 0"])


def test_what_is_gone_or_has_changed_since_is_left_out(gallery: Gallery) -> None:
    shop = filled(gallery)
    before = seen(gallery, *range(8))
    gallery.remove(["item 0"])
    gallery.update([shop.items[1]], source="feed.csv", file_stamps=[FileStamp(2, 2, "f" * 64)])
    gallery.override("item 6", {"product": "other"})
    about = {item_id: facts for item_id, facts in before.items() if item_id != "item 4"}
    decisions = [
        Decision("merge", ["item 0", "item 1", "item 2", "item 6", "item 4"], reviewed=about),
        Decision("remove", ["item 0", "item 5"], keep="item 0", reviewed=before),
        Decision("remove", ["item 1", "item 5"], keep="item 5", reviewed=before),
        Decision("apart", ["item 0", "item 7"], reviewed=before),
    ]
    done = apply_decisions(Held(gallery), decisions)
    photo = "has another photo since it was looked at"
    assert sorted(done.left_out) == [
        LeftOut(1, "item 0", "is not in the gallery"),
        LeftOut(1, "item 1", photo),
        LeftOut(1, "item 6", "is of the product 'other' since it was looked at"),
        LeftOut(2, "item 0", "is not in the gallery"),
        LeftOut(2, "item 5", "stays, since item 0, which is to be kept, is gone or has changed"),
        LeftOut(3, "item 1", photo),
        LeftOut(4, "item 0", "is not in the gallery"),
    ]
    assert (done.removed, len(done.reviews)) == ([], 1)
    assert [gallery.get(f"item {number}").product for number in range(1, 8)] == [
        "x", "d", "d", "d", None, "other", None,  # not x, the product of an item that was left out
    ]  # fmt: skip


def test_reviews_are_remembered_and_copied(opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> None:
    gallery = opener()
    filled(gallery)
    apply_decisions(Held(gallery), [Decision("apart", ["item 0", "item 2", "item 6"])])
    apply_decisions(
        Held(gallery), [Decision("apart", ["item 0", "item 2", "item 6"]), Decision("apart", ["item 4", "item 5"])]
    )
    reviews = sorted(opener().reviews(), key=len)
    assert [[*each] for each in reviews] == [["item 4", "item 5"], ["item 0", "item 2", "item 6"]]
    ids = [f"item {number}" for number in range(8)]
    contents = [seen(gallery, number)[ids[number]]["content"] for number in range(8)]
    known = ReviewedPairs(reviews, ids, contents)
    pairs = {(a, b) for a in range(8) for b in range(a + 1, 8) if known.has(a, b)}
    assert pairs == {(4, 5), (0, 2), (0, 6), (2, 6)}
    other = ReviewedPairs(reviews, ids, ["new", *contents[1:]])
    assert {pair for pair in pairs if other.has(*pair)} == {(4, 5), (2, 6)}
    with LocalGallery(tmp_path_factory.mktemp("copies") / "copy.gallery", create=True) as copy:
        copy_gallery(gallery, copy)
        copy.compact()
        assert sorted(copy.reviews(), key=len) == reviews


def parts(labels: Mapping[str, str | None]) -> set[frozenset[str]]:
    """Items by product; one without a product is by itself."""
    return {
        frozenset(each for each in labels if each == item_id or (label is not None and labels[each] == label))
        for item_id, label in labels.items()
    }


def test_random_merges_are_those_of_slow_painting(tmp_path: Path) -> None:
    """Oracle: give every item a colour, its product's; each decision paints all of its colours alike, and all again."""
    luck = random.Random(3)
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        shop = filled(gallery)
        for _ in range(60):
            decisions = [
                Decision("merge", luck.sample([item.id for item in shop.items], luck.randint(2, 3)))
                for _ in range(luck.randint(1, 4))
            ]
            paint = {item.id: item.product or item.id for item in shop.items}
            for decision in decisions:
                wet = {paint[item_id] for item_id in decision.items}
                paint = {item_id: min(wet) if color in wet else color for item_id, color in paint.items()}
            labels = {item.id: item.product for item in shop.items}
            labels |= {moved.id: moved.product for moved in planned(gallery, decisions).moved}
            assert parts(labels) == parts(dict(paint))


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ([], 'expected {"decisions"'),
        ({"decisions": [], "more": 1}, 'expected {"decisions"'),
        ({"decisions": [7]}, "decision 1: expected an object"),
        ({"decisions": [{"decision": "burn", "items": [{"id": "a"}, {"id": "b"}]}]}, "expected the decision merge"),
        ({"decisions": [{"decision": ["merge"], "items": [{"id": "a"}, {"id": "b"}]}]}, "expected the decision merge"),
        ({"decisions": [{"decision": "merge", "items": []}]}, "merge expects 1 to 1,000 items, got 0"),
        ({"decisions": [{"decision": "merge", "items": [{"id": 7}]}]}, "expected an item with id"),
        ({"decisions": [{"decision": "merge", "items": [{"id": "a", "product": 7}]}]}, "product: expected a text"),
        ({"decisions": [{"decision": "remove", "items": [{"id": "a"}, {"id": "b"}]}]}, "needs the id of"),
        ({"decisions": [{"decision": "apart", "keep": "a", "items": [{"id": "a"}, {"id": "b"}]}]}, "needs the id of"),
        ({"decisions": [{"decision": "apart", "product": "c", "items": [{"id": "a"}, {"id": "b"}]}]}, "with merge"),
    ],
)  # fmt: skip
def test_what_is_no_decision_is_refused(told: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        decisions_of(told)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", '{"decisions": 1}'])
def test_a_file_without_decisions_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "decisions.json").write_text(text)
    with pytest.raises(UsageError, match=r"decisions\.json: expected"):
        read_decisions(tmp_path / "decisions.json")
    with pytest.raises(UsageError, match=r"none\.json cannot be read: No such file"):
        read_decisions(tmp_path / "none.json")


def test_decisions_are_read_as_they_are_written() -> None:
    decisions = [
        lookalike.Decision(
            "merge", ("a", "b"), product="p", reviewed={"a": {"product": None, "content": "1"}, "b": {}}
        ),
        lookalike.Decision("remove", ("a", "b"), keep="b", reviewed={"a": {}, "b": {}}),
    ]
    assert decisions_of({"decisions": [each.to_json() for each in decisions]}) == decisions
