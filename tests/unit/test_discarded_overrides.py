"""A catalogue that wins over values set by hand, and only over those of attributes that it brings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from test_named_sources import folder, gallery
from test_pipeline import MeanColor, colored

from lookalike.catalogue.opening import open_catalogue
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.ingest.pipeline import index_catalogue
from lookalike.ingest.report import IndexReport

__all__ = ["folder", "gallery"]


def table(folder: Path, rows: Sequence[str]) -> Path:
    path = folder / "shop.csv"
    path.write_text("\n".join(["id,image,price,note", *rows]), encoding="utf-8")
    return path


def indexed(gallery: LocalGallery, path: Path, *, wins: bool = True, source: str = "shop") -> IndexReport:
    return index_catalogue(open_catalogue(str(path)), MeanColor(), gallery, source_name=source, discard_overrides=wins)


ROWS = ["a,photos/0.png,10,", "b,photos/1.png,20,soft", "c,photos/2.png,30,"]


@pytest.fixture
def edited(folder: Path, gallery: LocalGallery) -> LocalGallery:
    indexed(gallery, table(folder, ROWS), wins=False)
    gallery.override("a", {"price": 8, "note": "by hand", "fit": "slim"})
    gallery.override("b", {"note": None})
    return gallery


def overrides(gallery: LocalGallery) -> dict[str, dict[str, object]]:
    stored = gallery.stored_items(["a", "b", "c"])
    return {item_id: dict(each.overrides) for item_id, each in stored.items() if each.overrides}


def test_without_it_what_was_set_by_hand_stays(folder: Path, edited: LocalGallery) -> None:
    before = overrides(edited)
    report = indexed(edited, table(folder, [ROWS[0].replace("10", "11"), *ROWS[1:]]), wins=False)
    assert (report.updated, report.discarded_overrides) == (1, 0)
    assert overrides(edited) == before
    assert edited.get("a").attributes["price"] == 8


def test_with_it_the_attributes_that_the_row_brings_are_those_of_the_row(folder: Path, edited: LocalGallery) -> None:
    report = indexed(edited, table(folder, ROWS))
    assert (report.updated, report.unchanged, report.discarded_overrides, report.embedded) == (2, 1, 2, 0)
    assert edited.get("a").attributes == {"price": 10, "note": "by hand", "fit": "slim"}
    assert edited.get("b").attributes == {"price": 20, "note": "soft"}
    assert overrides(edited) == {"a": {"note": "by hand", "fit": "slim"}}
    again = indexed(edited, table(folder, ROWS))
    assert (again.unchanged, again.discarded_overrides) == (3, 0)
    assert edited.verify().problems == ()


def test_items_with_another_photo_or_of_another_source_lose_theirs_too(folder: Path, edited: LocalGallery) -> None:
    colored(folder / "photos" / "0.png", (0, 255, 0))
    report = indexed(edited, table(folder, ["a,photos/0.png,12,", "b,photos/1.png,20,soft"]), source="other")
    assert (report.replaced_from, report.embedded, report.discarded_overrides) == ({"shop": 2}, 1, 2)
    assert edited.get("a").attributes == {"price": 12, "note": "by hand", "fit": "slim"}
    assert edited.vectors("a")["deep"][0].argmax() == 1
    assert overrides(edited) == {"a": {"note": "by hand", "fit": "slim"}}


def test_a_product_is_dropped_where_the_row_brings_one(folder: Path, gallery: LocalGallery) -> None:
    path = folder / "shop.csv"
    path.write_text("id,image,product\na,photos/0.png,red\nb,photos/1.png,\n")
    indexed(gallery, path, wins=False)
    for item_id in ("a", "b"):
        gallery.override(item_id, {"product": "mine"})
    report = indexed(gallery, path)
    assert (report.updated, report.unchanged, report.discarded_overrides) == (1, 1, 1)
    assert (gallery.get("a").product, gallery.get("b").product) == ("red", "mine")


def test_an_item_whose_photo_cannot_be_read_keeps_them(folder: Path, edited: LocalGallery) -> None:
    before = overrides(edited)
    (folder / "photos" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    (folder / "photos" / "1.png").unlink()
    report = indexed(edited, table(folder, ROWS))
    assert ([one.id for one in report.skipped], report.discarded_overrides) == (["a", "b"], 0)
    assert overrides(edited) == before
