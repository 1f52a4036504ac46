"""The contract of products that are set by hand, on each back end: they win over the catalogue until they are unset."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_gallery import SPACES, Opener, a_shop, gallery, opener, stock

from lookalike.errors import UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_item import SOURCE, StoredItem
from lookalike.gallery.transfer.copy import copy_gallery

__all__ = ["gallery", "opener", "stock"]


def products(gallery: Gallery) -> dict[str, str | None]:
    """Products as the gallery tells them in each of its ways, which are to agree."""
    listed = {item.id: item.product for item in gallery.list(limit=None)[1]}
    for item_id, product in listed.items():
        found = [item.id for item in gallery.list(where=f"product = '{product}'")[1]]
        assert product is None or item_id in found
        assert gallery.get(item_id).product == gallery.stored_items([item_id])[item_id].item.product == product
    found = gallery.search(
        {space.name: gallery.vectors("item 0")[space.name] for space in SPACES}, SearchRequest(k=len(listed))
    )
    rows = [int(row) for row in found.rows[0] if row >= 0]
    assert sorted(str(each) for each in gallery.products(rows).values()) == sorted(str(one) for one in listed.values())
    grouped = {product or item_id for item_id, product in listed.items()}
    assert gallery.list(group="product", limit=None)[0] == len(grouped)
    return listed


def test_a_product_set_by_hand_stays_until_it_is_unset(gallery: Gallery) -> None:
    shop = a_shop(6)
    shop.put_into(gallery, source="feed.csv")
    before = products(gallery)
    assert gallery.override("item 1", {"product": "mine", "note": "x"}).product == "mine"
    gallery.override("item 2", {"product": None})
    mine = before | {"item 1": "mine", "item 2": None}
    assert products(gallery) == mine
    assert gallery.source_items("feed.csv")["item 1"][0] == shop.items[1]
    stored = gallery.stored_items(["item 1"])["item 1"]
    assert stored == StoredItem(shop.items[1], {"product": "mine", "note": "x"}, "feed.csv", None)

    newer = [replace(item, product="newer", attributes={"price": 7}) for item in shop.items]
    gallery.update(newer, source="feed.csv")  # as the next run of the catalogue does
    assert products(gallery) == dict.fromkeys(before, "newer") | {"item 1": "mine", "item 2": None}
    assert gallery.get("item 1").attributes == {"price": 7, "note": "x"}
    gallery.add(newer, shop.vectors, spaces=SPACES, source="feed.csv")  # with another photo
    assert products(gallery) == dict.fromkeys(before, "newer") | {"item 1": "mine", "item 2": None}

    assert gallery.unset("item 1", ["product"]).product == "newer"
    assert gallery.stored_items(["item 1"])["item 1"].overrides == {"note": "x"}
    assert gallery.unset("item 2").product == "newer"
    assert products(gallery) == dict.fromkeys(before, "newer")
    assert gallery.unset("item 3", ["product"]) == newer[3]
    assert gallery.verify().problems == ()


def test_a_product_set_by_hand_is_searched_counted_and_filtered(gallery: Gallery) -> None:
    shop = a_shop(6)
    shop.put_into(gallery, source="feed.csv")
    gallery.override("item 1", {"product": "mine"})
    gallery.override("item 4", {"product": "mine"})
    rows = gallery.product_rows(["mine"])
    assert sorted(item.id for item in gallery.items([int(row) for row in rows.rows]).values()) == ["item 1", "item 4"]
    assert [item.id for item in gallery.list(where="product = 'mine'")[1]] == ["item 1", "item 4"]


def test_an_item_of_no_catalogue_has_its_own_product_changed(gallery: Gallery) -> None:
    shop = a_shop(2)
    shop.put_into(gallery, source=SOURCE)
    gallery.override("item 1", {"product": "mine"})
    own = replace(shop.items[1], product="mine")
    assert gallery.stored_items(["item 1"])["item 1"] == StoredItem(own, {}, SOURCE, None)
    assert gallery.unset("item 1", ["product"]) == own


@pytest.mark.parametrize("wrong", [7, True, "", ["a"]])
def test_a_product_is_a_text(gallery: Gallery, wrong: object) -> None:
    shop = a_shop(2)
    shop.put_into(gallery, source="feed.csv")
    before = products(gallery)
    with pytest.raises(UsageError, match="the product of 'item 1': expected a text, or null for none"):
        gallery.override("item 1", {"product": wrong})
    with pytest.raises(UsageError, match="the product of 'item 1'"):
        gallery.update(shop.items[1:], overrides=[{"product": wrong}])
    assert products(gallery) == before


def test_a_copy_has_the_products_set_by_hand(opener: Opener, tmp_path_factory: pytest.TempPathFactory) -> None:
    gallery, shop = opener(), a_shop(4)
    shop.put_into(gallery, source="feed.csv")
    gallery.override("item 1", {"product": "mine", "price": None})
    before = products(gallery)
    with LocalGallery(tmp_path_factory.mktemp("copies") / "copy.gallery", create=True) as copy:
        copy_gallery(gallery, copy)
        assert products(copy) == before
        assert copy.stored_items(["item 1"]) == gallery.stored_items(["item 1"])
        copy.unset("item 1")
        copy_gallery(copy, gallery)
    assert products(gallery) == before | {"item 1": shop.items[1].product}
