"""Sources with names: one source whatever its files are called, and items that go from one source to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from test_pipeline import MeanColor, colored

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import UsageError
from lookalike.evaluation.evaluator import stored_embeddings
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.ingest.known_items import LOOKED_UP
from lookalike.ingest.pipeline import index_catalogue
from lookalike.ingest.report import IndexReport
from lookalike.retrieval.indexing import check_source_name

PHOTOS = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(PHOTOS):
        colored(photos / f"{number}.png", (40 * number, 40, 40))
    return tmp_path


@pytest.fixture
def gallery(tmp_path: Path) -> LocalGallery:
    return LocalGallery(tmp_path / "g.gallery", create=True)


def feed(folder: Path, day: int, rows: Mapping[str, int], *, photos: Mapping[str, str] | None = None) -> Path:
    """A feed of a day: prices by id, each with the photo of that number, or another."""
    path = folder / f"feed-2026-11-{day}.csv"
    lines = [f"{name},photos/{(photos or {}).get(name, name)}.png,{price}" for name, price in rows.items()]
    path.write_text("\n".join(["id,image,price", *lines]), encoding="utf-8")
    return path


def indexed(gallery: LocalGallery, table: Path, **options: str | bool) -> tuple[IndexReport, int]:
    """Index a table; returns the report, and the number of photos that were opened."""
    embedder = MeanColor()
    return index_catalogue(open_catalogue(str(table)), embedder, gallery, **options), embedder.prepared  # type: ignore[arg-type]


def counts(report: IndexReport) -> tuple[int, int, int, int, int]:
    return report.added, report.updated, report.replaced, report.unchanged, report.removed


def test_a_feed_of_another_day_updates_and_prunes_what_the_last_one_brought(
    folder: Path, gallery: LocalGallery
) -> None:
    indexed(gallery, feed(folder, 27, {"0": 10, "1": 10, "2": 10}), source_name="shop")
    tomorrow = feed(folder, 28, {"1": 10, "2": 25, "3": 10})
    report, opened = indexed(gallery, tomorrow, source_name="shop", prune=True)
    assert (counts(report), opened) == ((1, 1, 0, 1, 1), 1)
    assert gallery.sources() == {"shop": 3}
    assert {item.id: item.attributes["price"] for item in gallery.list()[1]} == {"1": 10, "2": 25, "3": 10}


def test_without_a_name_the_path_is_the_source(folder: Path, gallery: LocalGallery) -> None:
    first, second = feed(folder, 27, {"0": 10}), feed(folder, 28, {"1": 10})
    indexed(gallery, first, prune=True)
    report, _ = indexed(gallery, second, prune=True)
    assert counts(report) == (1, 0, 0, 0, 0)
    assert gallery.sources() == {str(first): 1, str(second): 1}


def test_a_name_adopts_what_came_without_one_and_opens_no_photo(folder: Path, gallery: LocalGallery) -> None:
    table = feed(folder, 27, {"0": 10, "1": 10, "2": 10})
    indexed(gallery, table)
    before = {item_id: gallery.vectors(item_id)["deep"] for item_id in "012"}
    report, opened = indexed(gallery, table, source_name="shop")
    assert (counts(report), report.replaced_from, opened) == ((0, 0, 3, 0, 0), {str(table): 3}, 0)
    assert gallery.sources() == {"shop": 3}
    for item_id, vectors in before.items():
        np.testing.assert_array_equal(gallery.vectors(item_id)["deep"], vectors)
    again, _ = indexed(gallery, table, source_name="shop", prune=True)
    assert counts(again) == (0, 0, 0, 3, 0)


def test_ids_of_several_sources_are_counted_by_source_and_are_pruned_with_their_new_one_only(
    folder: Path, gallery: LocalGallery
) -> None:
    indexed(gallery, feed(folder, 25, {"0": 10, "1": 10}), source_name="men")
    indexed(gallery, feed(folder, 26, {"2": 10, "3": 10}), source_name="women")
    gallery.override("2", {"price": 99})
    report, _ = indexed(gallery, feed(folder, 27, {"1": 11, "2": 12, "4": 10}), source_name="shop", prune=True)
    assert (counts(report), report.replaced_from) == ((1, 0, 2, 0, 0), {"men": 1, "women": 1})
    assert gallery.sources() == {"men": 1, "shop": 3, "women": 1}
    assert (gallery.get("1").attributes["price"], gallery.get("2").attributes["price"]) == (11, 99)
    emptied, _ = indexed(gallery, feed(folder, 28, {"3": 10}), source_name="women", prune=True)
    assert (counts(emptied), len(gallery)) == ((0, 0, 0, 1, 0), 5)


def test_a_changed_photo_of_another_sources_item_is_embedded(folder: Path, gallery: LocalGallery) -> None:
    indexed(gallery, feed(folder, 27, {"0": 10}))
    colored(folder / "photos" / "0.png", (0, 255, 0))
    report, opened = indexed(gallery, feed(folder, 28, {"0": 10}), source_name="shop")
    assert (counts(report), opened) == ((0, 0, 1, 0, 0), 1)
    assert gallery.vectors("0")["deep"][0].argmax() == 1


def test_a_catalogue_of_many_lookups_meets_each_item_once(folder: Path, gallery: LocalGallery) -> None:
    names = [f"{number}" for number in range(LOOKED_UP + 40)]
    photos = {name: f"{int(name) % PHOTOS}" for name in names}
    indexed(gallery, feed(folder, 27, {name: 1 for name in names[30:]}, photos=photos))
    report, _ = indexed(gallery, feed(folder, 28, {name: 1 for name in names}, photos=photos), source_name="shop")
    assert counts(report) == (30, 0, LOOKED_UP + 10, 0, 0)
    assert gallery.sources() == {"shop": len(names)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "1 to 1,000 printable"),
        (" ", "1 to 1,000 printable"),
        ("shop ", "without spaces around it"),
        ("a\nb", "printable"),
        ("x" * 1001, "1 to 1,000"),
        ("\ud800", "printable"),
        ("http", "uploaded to the server"),
    ],
)
def test_names_that_cannot_be_told_in_a_line_and_that_of_uploads_are_refused(name: str, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        check_source_name(name)


def test_names_may_be_paths_and_of_any_script() -> None:
    names: Sequence[str | None] = ["shop", "/home/me/feed-2026-11-27.csv", "Geschäft Nord", "दुकान", None]
    for name in names:
        check_source_name(name)


def test_evaluations_know_the_contents_of_photos_under_any_name(folder: Path, gallery: LocalGallery) -> None:
    """Photos of one content must not answer each other, whatever their source is called."""
    table = feed(folder, 27, {"0": 10, "1": 10, "2": 10}, photos={"1": "0"})
    indexed(gallery, table, source_name="shop")
    items = list(open_catalogue(str(table)).items())
    found = stored_embeddings(items, gallery)
    assert found.contents.keys() == {"0", "1", "2"}
    assert found.contents["0"] == found.contents["1"] != found.contents["2"]
    assert not found.absent.any()
    for place, item in enumerate(items):
        np.testing.assert_array_equal(found.rows["deep"][place], gallery.vectors(item.id)["deep"][0])
