"""The contract of galleries that keep items by their garments: several rows, and one item in every answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from lookalike.errors import CatalogueError, FilterError, GalleryDamagedError, MismatchError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.milvus.writes import check_items
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer import original, parquet
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.gallery.transfer.folders import export_gallery, import_folder
from lookalike.index import INDEXES
from lookalike.spaces import Space, unit_rows
from lookalike.tuning.database_augmentation import augment
from lookalike.tuning.pca import reduce
from lookalike.types import Box, Facet, FileStamp, Float32, Garment, Item

SPACES = (Space("deep", 24, "tiny@1"), Space("color", 8, "colour@1"))
KINDS = ("top", "skirt", "shoes")
FINDER = "finder@1"


@dataclass(frozen=True)
class Outfits:
    """Items, the row of each of their parts in plain arrays, and which item and garment a row is of."""

    items: list[Item]
    vectors: dict[str, Float32]

    @property
    def rows(self) -> list[tuple[Item, Garment | None]]:
        return [(item, garment) for item in self.items for garment in (item.garments or (None,))]

    def put_into(self, gallery: LocalGallery, source: str = "outfits") -> None:
        stamps = [FileStamp(number, number, f"{number:064x}") for number in range(len(self.items))]
        gallery.add(self.items, self.vectors, spaces=SPACES, source=source, file_stamps=stamps)

    def first_rows(self) -> list[int]:
        return [
            place for place, (item, garment) in enumerate(self.rows) if garment is None or garment is item.garments[0]
        ]

    def without(self, ids: set[str]) -> Outfits:
        kept = [place for place, (item, _) in enumerate(self.rows) if item.id not in ids]
        items = [item for item in self.items if item.id not in ids]
        return Outfits(items, {name: rows[kept] for name, rows in self.vectors.items()})

    def followed_by(self, more: Outfits) -> Outfits:
        return Outfits(
            [*self.items, *more.items],
            {name: np.concatenate([rows, more.vectors[name]]) for name, rows in self.vectors.items()},
        )

    def best(
        self, scores: Float32, *, test: Callable[[Item, Garment | None], bool] = lambda item, garment: True
    ) -> list[tuple[str, Garment | None, float]]:
        """Item, its best garment, and that one's score, the best first: by looking at every row in turn."""
        best: dict[str, tuple[str, Garment | None, float]] = {}
        for (item, garment), score in zip(self.rows, scores.tolist(), strict=True):
            if test(item, garment) and (item.id not in best or score > best[item.id][2]):
                best[item.id] = (item.id, garment, score)
        return sorted(best.values(), key=lambda one: -one[2])


def outfits(count: int, *, seed: int = 0, first: int = 0) -> Outfits:
    """Outfits of none to three garments, some that no finder has seen, and some with a box."""
    random = np.random.default_rng(seed)
    items = []
    for number in range(first, first + count):
        seen = number % 7 != 3
        garments = tuple(
            Garment(Box(10.5 * place, 3, 40 + number, 90), KINDS[(number + place) % 3], round(0.9 - place / 9, 4))
            for place in range(number % 4 if seen else 0)
        )
        items.append(
            Item(
                id=f"outfit {number}",
                photo=f"{number}.jpg",
                root="photos",
                product=f"p{number}",
                box=Box(1, 2, 3 + number, 4) if not seen and number % 2 else None,
                attributes={"price": number % 50, "season": ("Winter", "Summer")[number % 2]},
                garments=garments,
                finder=FINDER if seen else None,
            )
        )
    count = sum(len(item.parts) for item in items)
    vectors = {space.name: random.standard_normal((count, space.dimension)).astype(np.float32) for space in SPACES}
    return Outfits(items, {name: unit_rows(rows) for name, rows in vectors.items()})


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[LocalGallery]:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        yield gallery


def found(
    gallery: LocalGallery, query: Mapping[str, Float32], *, at: int = 0, **asked: object
) -> list[tuple[str, Garment | None, float]]:
    """Ids, garments and scores of an answer."""
    answer = gallery.search(query, SearchRequest(**asked))  # type: ignore[arg-type]
    rows = [row for row in answer.rows[at].tolist() if row >= 0]
    items = gallery.items(rows, version=answer.version)
    garments = gallery.garments(rows, version=answer.version)
    scores = answer.scores[at].tolist()
    return [(items[row].id, garments.get(row), score) for row, score in zip(rows, scores, strict=False)]


def same(given: list[tuple[str, Garment | None, float]], wanted: list[tuple[str, Garment | None, float]]) -> None:
    assert [one[:2] for one in given] == [one[:2] for one in wanted]
    assert_allclose([one[2] for one in given], [one[2] for one in wanted], atol=1e-5)


def check(gallery: LocalGallery, shop: Outfits, *, k: int = 20, **asked: object) -> None:
    """Compare searches with every row, item by item."""
    query = {"deep": unit_rows(np.random.default_rng(5).standard_normal((3, 24)).astype(np.float32))}
    for at in range(3):
        scores = (query["deep"] @ shop.vectors["deep"].T)[at]
        given = found(gallery, query, at=at, k=k, weights={"deep": 1.0}, **asked)
        same(given, shop.best(scores)[:k])


def test_an_item_has_all_its_garments_and_is_one_item(gallery: LocalGallery) -> None:
    shop = outfits(12)
    shop.put_into(gallery)
    assert (len(gallery), gallery.garment_count) == (12, sum(len(item.garments) for item in shop.items))
    assert gallery.list(limit=None) == (12, shop.items)
    assert [gallery.get(item.id) for item in shop.items] == shop.items
    assert [item for item, _ in gallery.source_items("outfits").values()] == shop.items
    assert gallery.sources() == {"outfits": 12}
    first = shop.first_rows()
    for item, row in zip(shop.items, first, strict=True):
        assert_array_equal(gallery.vectors(item.id)["deep"], shop.vectors["deep"][[row]])
    [(items, vectors)] = gallery.rows()
    assert items == shop.items
    assert_array_equal(vectors["color"], shop.vectors["color"][first])
    assert gallery.verify().problems == ()
    assert gallery.info()["items"] == 12 and gallery.info()["garments"] == gallery.garment_count


def test_rows_lead_to_items_garments_and_vectors(gallery: LocalGallery) -> None:
    shop = outfits(12)
    shop.put_into(gallery)
    answer = gallery.search({"deep": shop.vectors["deep"]}, SearchRequest(k=1, weights={"deep": 1}))
    rows = answer.rows[:, 0].tolist()  # the nearest row of each row is that row itself
    assert [gallery.items(rows)[row] for row in rows] == [item for item, _ in shop.rows]
    assert [gallery.garments(rows).get(row) for row in rows] == [garment for _, garment in shop.rows]
    assert_allclose(gallery.unit_vectors(rows)["color"], shop.vectors["color"], atol=1e-6)
    gallery.remove("outfit 2")
    gone = [row for row, (item, _) in zip(rows, shop.rows, strict=True) if item.id == "outfit 2"]
    assert len(gone) == 2 and not gallery.items(gone) and not gallery.garments(gone)
    assert not gallery.unit_vectors(gone)["deep"].any()


def test_records_come_out_as_they_went_in(gallery: LocalGallery) -> None:
    shop = outfits(9)
    shop.put_into(gallery)
    gallery.override("outfit 2", {"price": 999})
    (batch,) = gallery.records()
    assert list(batch.items) == shop.items
    assert batch.current_items[2] == gallery.get("outfit 2")
    assert gallery.get("outfit 2").attributes["price"] == 999 and len(gallery.get("outfit 2").garments) == 2
    for name, rows in shop.vectors.items():
        assert_array_equal(batch.vectors[name], rows)
    part = batch.take([2, 1])
    assert [item.id for item in part.items] == ["outfit 2", "outfit 1"]
    of = {item.id: rows for item, rows in zip(batch.items, batch.rows, strict=True)}
    assert_array_equal(part.vectors["deep"], shop.vectors["deep"][[*of["outfit 2"], *of["outfit 1"]]])


@pytest.mark.parametrize("index", ["auto", *INDEXES])
@pytest.mark.parametrize("count", [5, 300, 1200])
def test_every_answer_has_each_item_once_by_its_best_garment(gallery: LocalGallery, count: int, index: str) -> None:
    shop = outfits(count)
    shop.put_into(gallery)
    everything = {"probes": 1000} if index in ("kmeans", "ivf") else {}
    check(gallery, shop, k=min(20, count), index=index, **everything)
    check(gallery, shop, k=2 * count, index="exact" if index == "hnsw" else index, **everything)
    gallery.optimise()
    check(gallery, shop, k=10, index=index, **everything)


def test_metrics_fold_too(gallery: LocalGallery) -> None:
    shop = outfits(60)
    shop.put_into(gallery)
    query = np.random.default_rng(2).standard_normal((1, 24)).astype(np.float32)
    scores = -cdist(query, shop.vectors["deep"], "cityblock")[0].astype(np.float32)
    given = found(gallery, {"deep": query}, k=30, weights={"deep": 1}, metrics={"deep": "cityblock"})
    same(given, shop.best(scores)[:30])


FILTERS: dict[str, Callable[[Item, Garment | None], bool]] = {
    "price < 20": lambda item, garment: item.attributes["price"] < 20,  # type: ignore[operator]
    "garment = 'skirt'": lambda item, garment: garment is not None and garment.kind == "skirt",
    "garment in ('top', 'shoes') and season = 'Winter'": lambda item, garment: (
        garment is not None and garment.kind != "skirt" and item.attributes["season"] == "Winter"
    ),
    "garment != 'skirt'": lambda item, garment: garment is not None and garment.kind != "skirt",
    "garment like 'S%' or price = 3": lambda item, garment: (
        (garment is not None and garment.kind[0] == "s") or item.attributes["price"] == 3
    ),
    "garment is null": lambda item, garment: garment is None,
    "product = 'p5' and garment is not null": lambda item, garment: item.product == "p5" and garment is not None,
}


@pytest.mark.parametrize("where", FILTERS)
def test_filters_look_at_each_garment(gallery: LocalGallery, where: str) -> None:
    shop, test = outfits(100), FILTERS[where]
    shop.put_into(gallery)
    query = shop.vectors["deep"][[17]] + 0.1
    given = found(gallery, {"deep": query}, k=200, weights={"deep": 1}, where=where)
    scores = (unit_rows(query) @ shop.vectors["deep"].T)[0]
    same(given, shop.best(scores, test=test))
    passing = [item for item in shop.items if any(test(of, garment) for of, garment in shop.rows if of is item)]
    assert gallery.list(where=where, limit=None) == (len(passing), passing)
    assert gallery.list(where=where, limit=3, offset=1) == (len(passing), passing[1:4])
    kinds = [{garment.kind for garment in item.garments} for item in passing]
    counts = {kind: sum(kind in shown for shown in kinds) for kind in KINDS}
    facets = {facet.name: facet.counts for facet in gallery.facets(where=where)}
    assert facets["garment"] == {kind: count for kind, count in counts.items() if count}
    assert sum(facets.get("season", {}).values()) == len(passing)


def test_the_kind_goes_before_an_attribute_of_its_name(gallery: LocalGallery) -> None:
    shop = outfits(6)
    items = [replace(item, attributes={"garment": 7}) for item in shop.items]
    gallery.add(items, shop.vectors, spaces=SPACES)
    tops = [item for item in items if any(garment.kind == "top" for garment in item.garments)]
    assert gallery.list(where="garment = 'top'") == (len(tops), tops) != (0, [])
    with pytest.raises(FilterError):
        gallery.list(where="garment = 7")
    assert [facet.name for facet in gallery.facets()] == ["garment"] == [*gallery.attributes()]
    assert gallery.attributes()["garment"] == ["text"] and gallery.get("outfit 0").attributes == {"garment": 7}


def test_a_changed_item_loses_its_old_garments(gallery: LocalGallery) -> None:
    shop = outfits(40)
    shop.put_into(gallery)
    gallery.optimise()
    changed = outfits(10, seed=9)
    changed = Outfits([replace(item, garments=item.garments[::-1]) for item in changed.items], changed.vectors)
    changed.put_into(gallery)
    shop = shop.without({item.id for item in changed.items}).followed_by(changed)
    check(gallery, shop)
    assert gallery.remove(["outfit 20", "outfit 3", "nothing"]) == 2
    shop = shop.without({"outfit 20", "outfit 3"})
    check(gallery, shop, k=100)
    assert (len(gallery), gallery.verify().problems) == (38, ())
    gallery.compact()
    check(gallery, shop, k=100)
    assert (len(gallery), gallery.verify().problems) == (38, ())
    whole = Outfits([Item("outfit 5", "5.jpg")], {name: rows[:1] for name, rows in changed.vectors.items()})
    whole.put_into(gallery)
    check(gallery, shop.without({"outfit 5"}).followed_by(whole), k=100)
    assert gallery.garment_count == sum(len(item.garments) for item in shop.without({"outfit 5"}).items)


def test_other_facts_of_an_item_change_without_its_garments(gallery: LocalGallery) -> None:
    shop = outfits(8)
    shop.put_into(gallery)
    described = replace(shop.items[2], attributes={"price": 5, "fit": "slim"}, garments=(), finder=None)
    gallery.update([described])
    assert gallery.get("outfit 2") == replace(shop.items[2], attributes={"price": 5, "fit": "slim"})
    assert gallery.override("outfit 2", {"fit": "loose"}).garments == shop.items[2].garments
    check(gallery, shop)
    query = {"deep": shop.vectors["deep"][:1]}
    assert [one[0] for one in found(gallery, query, weights={"deep": 1.0}, where="fit = 'loose'")] == ["outfit 2"]


def test_others_see_garments_come_into_a_gallery(gallery: LocalGallery) -> None:
    plain = Outfits([Item(f"plain {number}", f"{number}.jpg") for number in range(5)], outfits(4).vectors)
    plain = Outfits(plain.items, {name: rows[:5] for name, rows in plain.vectors.items()})
    plain.put_into(gallery)
    with LocalGallery(gallery.folder) as other:
        check(other, plain, k=5)
        assert "garments" not in other.info() and other.garment_count == 0
        with pytest.raises(FilterError):
            other.list(where="garment = 'top'")
        more = outfits(30)
        more.put_into(gallery)
        check(other, plain.followed_by(more), k=35)
        assert other.list(where="garment = 'top'")[0] > 0
        later = outfits(30, first=100, seed=3)
        later.put_into(gallery)
        check(other, plain.followed_by(more).followed_by(later), k=65)


def test_a_gallery_without_garments_is_as_ever(gallery: LocalGallery) -> None:
    gallery.add(
        [Item("a", "a.jpg")],
        {space.name: np.ones((1, space.dimension), dtype=np.float32) for space in SPACES},
        spaces=SPACES,
    )
    with closing(sqlite3.connect(gallery.folder / "gallery.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (2,)
        assert not database.execute("SELECT 1 FROM sqlite_schema WHERE name LIKE '%garment%'").fetchall()
        assert not database.execute("SELECT 1 FROM meta WHERE key IN ('vectors', 'garments')").fetchall()


@pytest.mark.parametrize("way", ["gallery", "parquet"])
def test_copies_and_exports_keep_garments(gallery: LocalGallery, tmp_path: Path, way: str) -> None:
    shop = outfits(50)
    shop.put_into(gallery)
    gallery.override("outfit 2", {"price": 999})
    with LocalGallery(tmp_path / "copy.gallery", create=True) as copy:
        if way == "gallery":
            assert copy_gallery(gallery, copy).written == 50
            assert copy_gallery(gallery, copy).written == 0
        else:
            export_gallery(gallery, tmp_path / "out", format="parquet")
            assert import_folder(tmp_path / "out", copy) == 50
        assert copy.list(limit=None) == gallery.list(limit=None)
        assert copy.source_items("outfits").keys() == gallery.source_items("outfits").keys()
        assert copy.garment_count == gallery.garment_count
        check(copy, shop, k=60)
        assert copy.verify().problems == ()


def test_damaged_exports_of_garments_are_refused(gallery: LocalGallery, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet as files

    outfits(12).put_into(gallery)
    export_gallery(gallery, tmp_path / "out", format="parquet")
    (tmp_path / "out" / "SHA256SUMS").unlink(missing_ok=True)
    whole = files.read_table(tmp_path / "out" / parquet.FILE)
    wrong: dict[str, list[Any]] = {
        "garments": ['[{"box": [1, 2, 3, 4], "kind": "top"}]', "[{}]", "{", "[]", None],
        "further:deep": [[[1.0] * 24] * 3, [[float("nan")] * 24], [None], None],
    }
    for column, values in wrong.items():
        place = whole.schema.get_field_index(column)
        for value in values:
            cells = whole.column(column).to_pylist()
            cells[2] = value  # the outfit of two garments
            table = whole.set_column(place, whole.schema.field(place), pa.array(cells, whole.schema.field(place).type))
            files.write_table(table, tmp_path / "out" / parquet.FILE)
            with LocalGallery(tmp_path / "copy.gallery", create=True) as copy, pytest.raises(CatalogueError):
                import_folder(tmp_path / "out", copy)
            assert len(copy) == 0, (column, value)


def test_the_originals_files_hold_no_garments(gallery: LocalGallery, tmp_path: Path) -> None:
    outfits(4).put_into(gallery)
    with pytest.raises(UsageError, match="'outfit 2' has 2 garments, and the original's files hold one row"):
        original.export(gallery, tmp_path)


def test_improved_copies_keep_garments(gallery: LocalGallery, tmp_path: Path) -> None:
    shop = outfits(60)
    shop.put_into(gallery)
    augment(gallery_at(gallery), tmp_path / "augmented", neighbours=2)
    reduce(gallery_at(gallery), tmp_path / "reduced", dimensions={"deep": 8})
    for name in ("augmented", "reduced"):
        with LocalGallery(tmp_path / name) as copy:
            assert copy.list(limit=None) == gallery.list(limit=None)
            assert copy.garment_count == gallery.garment_count
            assert copy.verify().problems == ()
    with LocalGallery(tmp_path / "augmented") as copy:
        (batch,) = copy.records()
        row = batch.rows[2].start + 1  # of the second garment; no neighbour is of its item
        query = {name: rows[[row]] for name, rows in shop.vectors.items()}
        near = [one for one in found(gallery, query, k=10) if one[0] != "outfit 2"][:2]
        places = [shop.rows.index((gallery.get(id_), garment)) for id_, garment, _ in near]
        shares = np.array([max(0.0, score) ** 3 for *_, score in near], dtype=np.float32)
        wanted = unit_rows(query["deep"] + shares @ shop.vectors["deep"][places])
        assert_allclose(batch.vectors["deep"][[row]], wanted, atol=1e-5)


def gallery_at(gallery: LocalGallery) -> str:
    return str(gallery.folder)


def test_wrong_garments_are_refused_and_nothing_is_written(gallery: LocalGallery) -> None:
    shop = outfits(5)
    with pytest.raises(UsageError, match="'outfit 1' has garments, and no finder"):
        gallery.add([replace(item, finder=None) for item in shop.items], shop.vectors, spaces=SPACES)
    with pytest.raises(MismatchError):
        gallery.add(shop.items, {name: rows[:-1] for name, rows in shop.vectors.items()}, spaces=SPACES)
    assert (len(gallery), gallery.garment_count, gallery.spaces) == (0, 0, ())
    gallery.add([], {name: rows[:0] for name, rows in shop.vectors.items()}, spaces=SPACES)
    assert len(gallery) == 0


def test_a_gallery_on_milvus_says_that_it_keeps_none() -> None:
    shop = outfits(2)
    with pytest.raises(UsageError, match="a gallery on Milvus keeps no garments"):
        check_items(shop.items, sources=["", ""], file_stamps=None)


DAMAGE = {
    "UPDATE garments SET garment = 'dress' WHERE vector = 4": "the garments of rows '4': not as written",
    "UPDATE garments SET item = 1 WHERE vector = 4": "the garments of rows '4': not as written",
    "DELETE FROM garments WHERE vector = 4": "the garments of 'outfit 2' are not those of its rows",
    "DELETE FROM vectors WHERE row = 4": "1 garments have no vectors",
    "UPDATE items SET box = replace(box, 'top', 'dress') WHERE row = 3": "the items 'outfit 2': not as written",
}
"""What happens to the second garment of an outfit, and one of the problems that are told."""


@pytest.mark.parametrize("statement", DAMAGE)
def test_damage_is_found(gallery: LocalGallery, statement: str) -> None:
    shop = outfits(12)
    shop.put_into(gallery)
    gallery.close()
    with closing(sqlite3.connect(gallery.folder / "gallery.db")) as database, database:
        assert database.execute(statement).rowcount == 1
    with LocalGallery(gallery.folder) as damaged:
        assert DAMAGE[statement] in damaged.verify().problems
        with pytest.raises(GalleryDamagedError):
            found(damaged, {name: rows[:1] for name, rows in shop.vectors.items()}, k=12)
        if "vectors" not in statement:
            with pytest.raises(GalleryDamagedError):
                damaged.list(where="garment = 'skirt'")


def test_facets_name_the_kinds_first(gallery: LocalGallery) -> None:
    shop = outfits(8)
    shop.put_into(gallery)
    first, *others = gallery.facets(limit=2)
    kinds = [garment.kind for _, garment in shop.rows if garment]  # an outfit has no two of a kind
    assert {kind: kinds.count(kind) for kind in KINDS} == {"top": 3, "skirt": 3, "shoes": 3}
    assert first == Facet("garment", {"shoes": 3, "skirt": 3})
    assert [facet.name for facet in others] == ["price", "season"]
