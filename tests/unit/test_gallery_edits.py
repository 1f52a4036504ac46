"""Overrides: kept when the catalogue is indexed again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.folders import export_gallery, import_folder
from lookalike.spaces import Space
from lookalike.types import Item

SPACES = (Space("deep", 4, "tiny@1"),)
SOURCE = "catalogue.csv"


def dress(**attributes: object) -> Item:
    return Item("dress", "dress.jpg", attributes=attributes)  # type: ignore[arg-type]


def add(gallery: LocalGallery, *items: Item) -> None:
    gallery.add(items, {"deep": np.ones((len(items), 4), np.float32)}, spaces=SPACES, source=SOURCE)


@pytest.fixture
def gallery(tmp_path: Path) -> LocalGallery:
    opened = LocalGallery(tmp_path / "shop.gallery", create=True)
    add(opened, dress(price=10, color="red", note=None), Item("shirt", "shirt.jpg", attributes={"price": 5}))
    return opened


def test_changes_lie_on_top_of_what_the_catalogue_says(gallery: LocalGallery) -> None:
    assert gallery.override("dress", {"price": 8, "sale": True}).attributes == {
        "price": 8, "color": "red", "note": None, "sale": True,
    }  # fmt: skip
    gallery.update([dress(price=12, color="blue")], source=SOURCE)
    assert gallery.get("dress").attributes == {"price": 8, "color": "blue", "sale": True}
    add(gallery, dress(price=13, color="green"))  # its photo has changed as well
    assert gallery.get("dress").attributes == {"price": 8, "color": "green", "sale": True}
    assert gallery.get("shirt").attributes == {"price": 5}
    assert gallery.list(where="price = 8")[0] == 1
    assert gallery.list(where="price > 8")[0] == 0


def test_later_changes_lie_on_top_of_earlier_ones(gallery: LocalGallery) -> None:
    gallery.override("dress", {"price": 8, "sale": True})
    gallery.override("dress", {"price": 9, "sale": None})
    assert gallery.get("dress").attributes == {"price": 9, "color": "red", "note": None}
    gallery.update([dress(price=12, sale=False)], source=SOURCE)
    assert gallery.get("dress").attributes == {"price": 9}


def test_a_source_is_compared_with_what_it_said_itself(gallery: LocalGallery) -> None:
    gallery.override("dress", {"price": 8, "color": None})
    assert gallery.source_items(SOURCE)["dress"][0] == dress(price=10, color="red", note=None)
    gallery.compact()  # which forgets attributes that no item has, and only those
    assert gallery.source_items(SOURCE)["dress"][0] == dress(price=10, color="red", note=None)
    assert gallery.get("dress") == dress(price=8, note=None)
    assert gallery.verify().problems == ()


def test_an_item_that_is_removed_takes_its_changes_along(gallery: LocalGallery) -> None:
    gallery.override("dress", {"price": 8})
    gallery.remove(["dress"])
    add(gallery, dress(price=10))
    assert gallery.get("dress") == dress(price=10)


def test_what_cannot_be_kept_changes_nothing(gallery: LocalGallery) -> None:
    before = gallery.get("dress")
    nested: object = 1
    for _ in range(101):
        nested = [nested]
    for value in (float("nan"), float("inf"), "\ud800", nested, {"a": object()}):
        with pytest.raises(UsageError):
            gallery.override("dress", {"price": value})  # type: ignore[dict-item]
    with pytest.raises(UsageError):
        gallery.override("dress", {"\ud800": 1})
    with pytest.raises(UnknownNameError):
        gallery.override("hat", {"price": 1})
    assert gallery.get("dress") == before


def test_taking_away_what_was_never_there_makes_no_attribute(gallery: LocalGallery) -> None:
    gallery.override("dress", {"prize": None})
    assert "prize" not in {facet.name for facet in gallery.facets()}
    assert "prize" not in gallery.info()["attributes"]  # type: ignore[operator]


def test_changes_are_exported_as_part_of_the_item(gallery: LocalGallery, tmp_path: Path) -> None:
    gallery.override("dress", {"price": 8})
    export_gallery(gallery, tmp_path / "out", format="parquet")
    with LocalGallery(tmp_path / "other.gallery", create=True) as other:
        import_folder(tmp_path / "out", other)
        assert other.get("dress") == gallery.get("dress")


def test_values_are_nested_as_deep_as_filters_can_read(gallery: LocalGallery) -> None:
    nested: object = "x" + "[{" * 500
    for _ in range(99):  # the attributes themselves are one more
        nested = [nested]
    gallery.override("dress", {"tags": nested})  # type: ignore[dict-item]
    assert gallery.list(where="price = 10")[0] == 1
    assert gallery.get("dress").attributes["tags"] == nested
