"""The contract of galleries, tested on each row of `GALLERIES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from lookalike.errors import FilterError, MismatchError, UnknownNameError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_item import SOURCE, StoredItem
from lookalike.index import INDEXES
from lookalike.spaces import Space, unit_rows, width
from lookalike.types import JSON, Bool, Box, Content, Facet, FileStamp, Float32, Item, Neighbours
from milvus_server import MilvusServer, Stock

SPACES = (Space("deep", 24, "tiny@1"), Space("color", 8, "colour@1"))
COLORS = ("Red", "Blue", "Green", "Black")

Opener = Callable[[], Gallery]
"""Opens the same gallery again at each call, as another process would."""


@pytest.fixture(scope="session")
def stock(milvus_server: MilvusServer) -> Iterator[Stock]:
    stock = Stock(milvus_server, columns=width(SPACES))
    yield stock
    stock.close()


def local(request: pytest.FixtureRequest) -> Opener:
    folder: Path = request.getfixturevalue("tmp_path")
    return lambda: LocalGallery(folder / "shop.gallery", create=True)


def milvus(request: pytest.FixtureRequest) -> Opener:
    """The first one reads what it wrote itself; those opened later are to see at once what others write."""
    stock: Stock = request.getfixturevalue("stock")
    place = stock.take()
    request.addfinalizer(lambda: stock.give_back(place))
    levels = chain(["bounded"], repeat("strong"))
    return lambda: open_gallery(f"{place}?consistency={next(levels)}", create=True)


GALLERIES: dict[str, Callable[[pytest.FixtureRequest], Opener]] = {"local": local, "milvus": milvus}


@pytest.fixture(params=["local", pytest.param("milvus", marks=pytest.mark.milvus)])
def opener(request: pytest.FixtureRequest) -> Iterator[Opener]:
    make = GALLERIES[request.param](request)
    opened: list[Gallery] = []

    def open_another() -> Gallery:
        opened.append(make())
        return opened[-1]

    yield open_another
    for gallery in opened:
        gallery.close()


@pytest.fixture
def gallery(opener: Opener) -> Gallery:
    return opener()


@dataclass(frozen=True)
class Shop:
    """Items and vectors in plain lists and arrays: what a gallery is held against."""

    items: list[Item]
    vectors: dict[str, Float32]

    def part(self, start: int, end: int) -> Shop:
        return Shop(self.items[start:end], {name: rows[start:end] for name, rows in self.vectors.items()})

    def put_into(self, gallery: Gallery, **about: Any) -> None:
        gallery.add(self.items, self.vectors, spaces=SPACES, **about)

    def without(self, ids: Sequence[str]) -> Shop:
        kept = [place for place, item in enumerate(self.items) if item.id not in ids]
        return Shop([self.items[place] for place in kept], {name: rows[kept] for name, rows in self.vectors.items()})

    def scores(self, query: Mapping[str, Float32], weights: Mapping[str, float]) -> Float32:
        total = sum(weights.values())
        return sum(weight / total * (unit_rows(query[name]) @ unit_rows(self.vectors[name]).T)[0]
                   for name, weight in weights.items())  # fmt: skip

    def passing(self, test: Callable[[Mapping[str, JSON]], bool]) -> Bool:
        return np.array([test(item.attributes) for item in self.items])


def a_shop(count: int, *, seed: int = 0, first: int = 0) -> Shop:
    random = np.random.default_rng(seed)
    centres = random.standard_normal((max(1, count // 8), 24))
    deep = centres[random.integers(len(centres), size=count)] + 0.5 * random.standard_normal((count, 24))
    color = np.abs(random.standard_normal((count, 8)))
    items = [
        Item(
            id=f"item {number}",
            photo=f"{number}.jpg",
            root="photos",
            product=f"p{number // 3}",
            box=Box(1, 2, 3 + number, 4) if number % 2 else None,
            attributes={"price": number % 100, "color": COLORS[number % 4], "sale": number % 3 == 0},
        )
        for number in range(first, first + count)
    ]
    return Shop(items, {"deep": unit_rows(deep.astype(np.float32)), "color": unit_rows(color.astype(np.float32))})


def ids(gallery: Gallery, found: Neighbours, query: int = 0) -> list[str]:
    rows = [row for row in found.rows[query].tolist() if row >= 0]
    items = gallery.items(rows)
    return [items[row].id for row in rows]


def check_search(
    gallery: Gallery, shop: Shop, *, test: Callable[[Mapping[str, JSON]], bool] | None = None, **asked: Any
) -> None:
    """Every answer is an item that may be answered, has its right scores, and comes once; exact ones are complete."""
    weights = asked.get("weights", {"deep": 1.0, "color": 0.1})
    k = asked.pop("k", 10)
    allowed = np.ones(len(shop.items), dtype=bool) if test is None else shop.passing(test)
    by_id = {item.id: place for place, item in enumerate(shop.items)}
    for number in range(0, len(shop.items), max(1, len(shop.items) // 7)):
        query = {name: rows[[number]] for name, rows in shop.vectors.items()}
        found = gallery.search(query, SearchRequest(k=k, **asked))
        places = [by_id[item_id] for item_id in ids(gallery, found)]
        assert len(set(places)) == len(places) == min(k, int(allowed.sum()))
        assert allowed[places].all()
        right = shop.scores(query, weights)
        got = found.scores[0, : len(places)]
        assert_allclose(got, right[places], atol=2e-6)
        assert (np.diff(got) <= 0).all()
        parts = {name: part[0, : len(places)] for name, part in found.by_space.items()}
        assert set(parts) == {name for name, weight in weights.items() if weight > 0}
        for name, part in parts.items():
            assert_allclose(part, (shop.vectors[name][places] @ query[name].T)[:, 0], atol=2e-6)
        if found.index == "exact":
            assert_allclose(got, np.sort(right[allowed])[::-1][: len(places)], atol=2e-6)


def test_full_text_finds_words_or_is_not_offered(gallery: Gallery) -> None:
    """`test_full_text.py` has the rest."""
    shop = a_shop(40)
    shop.put_into(gallery)
    found = gallery.full_text(["item", "17"], k=1, where="color = 'Blue'")
    if isinstance(gallery, LocalGallery):
        assert found is not None
        assert [item.id for item in gallery.items(found.rows.tolist()).values()] == ["item 17"]
    else:
        assert found is None
    near = gallery.search({name: rows[:2] for name, rows in shop.vectors.items()}, SearchRequest(k=3))
    assert_array_equal(gallery.item_rows(near.rows), near.rows)


def test_an_empty_gallery_says_so(gallery: Gallery) -> None:
    assert (len(gallery), gallery.spaces, gallery.list(), list(gallery.facets())) == (0, (), (0, []), [])
    assert list(gallery.rows()) == []
    assert gallery.info()["items"] == 0
    with pytest.raises(UsageError, match="empty"):
        gallery.search({"deep": np.ones((1, 24), dtype=np.float32)}, SearchRequest())


def test_gives_back_what_was_added(opener: Opener) -> None:
    shop = a_shop(50)
    shop.part(0, 20).put_into(opener())
    shop.part(20, 50).put_into(opener())
    gallery = opener()
    assert (len(gallery), gallery.spaces) == (50, SPACES)
    assert gallery.get("item 7") == shop.items[7]
    for name, rows in gallery.vectors("item 7").items():
        assert_array_equal(rows, shop.vectors[name][[7]])
    batches = list(gallery.rows())
    assert [item for items, _ in batches for item in items] == shop.items
    for name, rows in shop.vectors.items():
        assert_array_equal(np.concatenate([vectors[name] for _, vectors in batches]), rows)


def test_keeps_vectors_of_any_length_as_they_came(gallery: Gallery) -> None:
    shop = a_shop(4)
    shop.vectors["deep"][1] *= 7.3
    shop.vectors["deep"][2] *= 1e-30
    shop.vectors["color"][3] = 0
    shop.put_into(gallery)
    for number, item in enumerate(shop.items):
        assert_array_equal(gallery.vectors(item.id)["deep"], shop.vectors["deep"][[number]])
        assert_array_equal(gallery.vectors(item.id)["color"], shop.vectors["color"][[number]])
    for number in (1, 2):
        found = gallery.search({"deep": shop.vectors["deep"][[number]]}, SearchRequest(k=1, weights={"deep": 1}))
        assert ids(gallery, found) == [f"item {number}"]
        assert found.scores[0, 0] == pytest.approx(1, abs=1e-5)
    blank = gallery.search({"color": shop.vectors["color"][[0]]}, SearchRequest(k=4, weights={"color": 1}))
    assert (ids(gallery, blank)[-1], blank.scores[0, -1]) == ("item 3", 0)


def test_an_item_of_the_same_id_replaces_the_old_one(gallery: Gallery) -> None:
    shop, other = a_shop(30), a_shop(30, seed=1)
    shop.put_into(gallery)
    changed = Shop([replace(shop.items[4], attributes={"price": 1000})], other.part(4, 5).vectors)
    changed.put_into(gallery)
    assert (len(gallery), gallery.get("item 4")) == (30, changed.items[0])
    assert_array_equal(gallery.vectors("item 4")["deep"], other.vectors["deep"][[4]])
    found = gallery.search({"deep": shop.vectors["deep"][[4]]}, SearchRequest(k=30, weights={"deep": 1}))
    assert sorted(ids(gallery, found)) == sorted(item.id for item in shop.items)
    assert float(found.scores[0, ids(gallery, found).index("item 4")]) == pytest.approx(
        float(other.vectors["deep"][4] @ shop.vectors["deep"][4]), abs=1e-6
    )
    assert gallery.list()[1][-1].id == "item 4"  # a new item, in the order of adding


def test_describing_changes_what_is_known_and_not_the_vectors(gallery: Gallery) -> None:
    shop = a_shop(10)
    shop.put_into(gallery, source="a.csv")
    before = gallery.search({"deep": shop.vectors["deep"][[3]]}, SearchRequest(weights={"deep": 1}))
    changed = Item(id="item 3", photo="new.jpg", product=None, attributes={"color": "Mauve"})
    gallery.update([changed])
    assert gallery.get("item 3") == changed
    assert gallery.list(where="color = 'Mauve'") == (1, [changed])
    assert_array_equal(gallery.vectors("item 3")["deep"], shop.vectors["deep"][[3]])
    after = gallery.search({"deep": shop.vectors["deep"][[3]]}, SearchRequest(weights={"deep": 1}))
    assert_array_equal(after.rows, before.rows)
    with pytest.raises(UnknownNameError):
        gallery.update([shop.items[0], Item(id="nobody", photo="x")])
    assert gallery.get("item 0") == shop.items[0]


def test_edits_are_found_at_once_and_stay(gallery: Gallery) -> None:
    shop = a_shop(6)
    shop.put_into(gallery)
    gallery.override("item 1", {"fit": "slim"})
    gallery.override("item 1", {"note": "x", "price": None})
    gallery.override("item 2", {"fit": "wide"})
    gallery.update(shop.items)
    for where, ids in (("note = 'x'", ["item 1"]), ("fit in ('slim', 'wide')", ["item 1", "item 2"])):
        assert [item.id for item in gallery.list(where=where)[1]] == ids
    assert gallery.get("item 1").attributes == {"color": "Blue", "sale": False, "fit": "slim", "note": "x"}


def test_edits_are_undone_one_by_one_and_all(gallery: Gallery) -> None:
    shop = a_shop(3)
    shop.put_into(gallery, source="feed.csv")
    gallery.override("item 1", {"fit": "slim", "price": None, "color": "Pink"})
    assert gallery.unset("item 1", ["price", "sale"]).attributes == {
        "price": 1, "color": "Pink", "sale": False, "fit": "slim",
    }  # fmt: skip
    assert gallery.unset("item 1", ["price"]) == gallery.get("item 1")
    gallery.update([replace(shop.items[1], attributes={"price": 7, "color": "Red"})], source="feed.csv")
    assert gallery.get("item 1").attributes == {"price": 7, "color": "Pink", "fit": "slim"}
    assert gallery.unset("item 1").attributes == {"price": 7, "color": "Red"} == gallery.get("item 1").attributes
    assert gallery.list(where="color = 'Pink' or fit = 'slim'")[0] == 0
    with pytest.raises(UnknownNameError, match="attribute 'prize'"):
        gallery.unset("item 1", ["prize"])
    with pytest.raises(UnknownNameError):
        gallery.unset("nobody", ["price"])


def test_stored_items_tell_what_was_set_by_hand(gallery: Gallery) -> None:
    assert gallery.stored_items(["item 0"]) == {}
    shop = a_shop(3)
    stamps = [FileStamp(10, 20, "a"), None, FileStamp(1, 2, "c")]
    shop.put_into(gallery, source=["feed.csv", "feed.csv", SOURCE], file_stamps=stamps)
    for item_id in ("item 1", "item 2"):
        gallery.override(item_id, {"price": 9, "color": None, "unheard": None})
    _, one, two = shop.items
    own = {"price": 9, "sale": False}
    assert gallery.stored_items(["item 2", "nobody", "item 0", "item 1"]) == {
        "item 0": StoredItem(shop.items[0], {}, "feed.csv", stamps[0]),
        "item 1": StoredItem(one, {"price": 9, "color": None}, "feed.csv", None),
        "item 2": StoredItem(replace(two, attributes=own), {}, SOURCE, stamps[2]),  # it is of no catalogue
    }
    assert gallery.get("item 1").attributes == gallery.stored_items(["item 1"])["item 1"].item.attributes == {
        "price": 9, "sale": False,
    }  # fmt: skip
    assert gallery.get("item 2") == replace(two, attributes=own)


def test_removed_items_are_gone(gallery: Gallery) -> None:
    shop = a_shop(40)
    shop.put_into(gallery)
    gone = [f"item {number}" for number in range(0, 40, 3)]
    rows = gallery.search({"deep": shop.vectors["deep"][[0]]}, SearchRequest(k=1, weights={"deep": 1})).rows[0].tolist()
    assert gallery.remove([*gone, "nobody"]) == 14
    assert gallery.remove(gone) == 0
    assert gallery.remove("item 1") == 1  # not the items called i, t, e, m and 1
    gone.append("item 1")
    assert len(gallery) == 25
    assert gallery.items(rows) == {}
    check_search(gallery, shop.without(gone), k=40)
    for ask in (gallery.get, gallery.vectors):
        with pytest.raises(UnknownNameError, match="item 0"):
            ask("item 0")
    gallery.remove([item.id for item in shop.items])
    assert (len(gallery), gallery.spaces) == (0, SPACES)
    assert gallery.search({"deep": shop.vectors["deep"][:3]}, SearchRequest(weights={"deep": 1})).rows.shape == (3, 0)


def test_a_large_gallery_may_become_empty_and_be_filled_again(gallery: Gallery) -> None:
    shop = a_shop(1300)
    shop.put_into(gallery)
    check_search(gallery, shop, index="ivf", k=2)
    gallery.remove([item.id for item in shop.items])
    for index in ("auto", "ivf"):
        assert gallery.search(shop.part(0, 2).vectors, SearchRequest(index=index)).rows.shape == (2, 0)
    gallery.optimise()
    shop.part(0, 200).put_into(gallery)
    check_search(gallery, shop.part(0, 200))
    shop.put_into(gallery)
    check_search(gallery, shop, index="ivf", k=2)


def test_remembers_sources_and_stamps(gallery: Gallery) -> None:
    shop = a_shop(6)
    file_stamps = [FileStamp(size=number, modified_ns=2**62 + number, sha256=f"{number:064x}") for number in range(6)]
    shop.part(0, 3).put_into(gallery, source="a.csv", file_stamps=file_stamps[:3])
    shop.part(3, 6).put_into(gallery, source="b.csv")
    assert gallery.source_items("a.csv") == {
        item.id: (item, file_stamp) for item, file_stamp in zip(shop.items[:3], file_stamps[:3], strict=True)
    }
    assert gallery.source_items("b.csv") == {item.id: (item, None) for item in shop.items[3:]}
    assert gallery.source_items("c.csv") == {}
    gallery.update(shop.items[3:4], source="a.csv", file_stamps=file_stamps[3:4])
    assert gallery.source_items("a.csv")["item 3"] == (shop.items[3], file_stamps[3])
    gallery.update(shop.items[:1])
    assert gallery.source_items("a.csv")["item 0"] == (shop.items[0], file_stamps[0])


def test_lists_pages_in_the_order_of_adding(gallery: Gallery) -> None:
    shop = a_shop(25)
    shop.put_into(gallery)
    assert gallery.list(limit=None) == (25, shop.items)
    pages = [gallery.list(offset=offset, limit=10) for offset in (0, 10, 20, 30)]
    assert [total for total, _ in pages] == [25] * 4
    assert [item for _, items in pages for item in items] == shop.items
    total, page = gallery.list(where="color = 'Red'", offset=2, limit=3)
    assert (total, [item.id for item in page]) == (7, ["item 8", "item 12", "item 16"])
    assert gallery.list(limit=10**30) == (25, shop.items)
    assert gallery.list(offset=10**30) == (25, [])
    for wrong in ({"offset": -1}, {"limit": -1}):
        with pytest.raises(UsageError):
            gallery.list(**wrong)


def test_counts_facets(gallery: Gallery) -> None:
    shop = a_shop(10)
    shop.put_into(gallery)
    gallery.update([replace(shop.items[9], attributes={"tags": ["new"], "brand": None, "price": 0})])
    facets = {facet.name: dict(facet.counts) for facet in gallery.facets()}
    assert facets["color"] == {"Red": 3, "Blue": 2, "Green": 2, "Black": 2}
    assert list(facets["color"]) == ["Red", "Black", "Blue", "Green"]  # the most frequent first
    assert facets["sale"] == {"false": 6, "true": 3}
    assert facets["price"]["0"] == 2
    prices = [float(price) for price in facets["price"]]
    assert [(facet.name, facet.range) for facet in gallery.facets(limit=1) if facet.range] == [
        ("price", (min(prices), max(prices)))
    ]
    assert "tags" not in facets
    assert list(gallery.facets(where="color = 'Red'", limit=1))[1] == Facet("color", {"Red": 3})


@pytest.mark.parametrize("index", ["auto", *INDEXES])
@pytest.mark.parametrize("count", [3, 300, 2500])
def test_every_index_gives_right_answers(gallery: Gallery, index: str, count: int) -> None:
    shop = a_shop(count)
    shop.put_into(gallery)
    gallery.optimise()
    if index in ("auto", "exact"):
        check_search(gallery, shop, index=index, k=5)
        return
    check_search(gallery, shop, index=index, k=min(3, count))
    shop_after = shop.without([f"item {number}" for number in range(0, count, 9)])
    gallery.remove([f"item {number}" for number in range(0, count, 9)])
    later = a_shop(40, seed=5, first=count)
    later.put_into(gallery)
    together = Shop(
        shop_after.items + later.items,
        {name: np.concatenate([rows, later.vectors[name]]) for name, rows in shop_after.vectors.items()},
    )
    check_search(gallery, together, index=index, k=2)
    check_search(gallery, together, index=index, k=2, where="sale = true", test=lambda known: known["sale"] is True)


@pytest.mark.parametrize(
    "weights", [{"deep": 1.0}, {"color": 2.0}, {"deep": 1.0, "color": 1.0}, {"deep": 0, "color": 1}]
)
def test_any_weights_are_served(gallery: Gallery, weights: dict[str, float]) -> None:
    shop = a_shop(1200)
    shop.put_into(gallery)
    check_search(gallery, shop, weights=weights)


@pytest.mark.parametrize(
    ("where", "test"),
    [
        ("color = 'Red' and price < 10", lambda known: known["color"] == "Red" and known["price"] < 10),
        ("not (color in ('Red', 'Blue'))", lambda known: known["color"] not in ("Red", "Blue")),
        ("price = 5 and color = 'Red'", lambda known: False),
    ],
)
def test_filters_decide_what_may_be_answered(
    gallery: Gallery, where: str, test: Callable[[Mapping[str, JSON]], bool]
) -> None:
    shop = a_shop(1200)
    shop.part(0, 1100).put_into(gallery)
    gallery.optimise()
    shop.part(1100, 1200).put_into(gallery)
    for _ in range(2):  # the second time from what was remembered
        check_search(gallery, shop, where=where, test=test)
    gallery.update([replace(item, attributes={"price": 5, "color": "Red", "sale": False}) for item in shop.items[:3]])
    red = SearchRequest(weights={"deep": 1}, where="price = 5 and color = 'Red'")
    assert len(ids(gallery, gallery.search({"deep": shop.vectors["deep"][:1]}, red))) == 3


def test_answers_many_queries_at_once_as_one_by_one(gallery: Gallery) -> None:
    shop = a_shop(1500)
    shop.put_into(gallery)
    together = gallery.search(shop.part(0, 20).vectors, SearchRequest(k=7))
    for number in range(20):
        alone = gallery.search(shop.part(number, number + 1).vectors, SearchRequest(k=7))
        assert_array_equal(together.rows[number], alone.rows[0])
        assert_array_equal(together.scores[number], alone.scores[0])


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "cosine"])
def test_any_metric_is_scanned_over_the_vectors_as_they_came(gallery: Gallery, metric: str) -> None:
    shop = a_shop(1300)
    shop.vectors["deep"] *= np.linspace(0.5, 4, 1300, dtype=np.float32)[:, np.newaxis]
    shop.part(0, 1200).put_into(gallery)
    gallery.optimise()
    shop.part(1200, 1300).put_into(gallery)
    gallery.remove(["item 5", "item 1250"])
    query = shop.part(5, 6).vectors
    deep, color = cdist(query["deep"], shop.vectors["deep"], metric)[0], cdist(query["color"], shop.vectors["color"])[0]
    scores = -(deep + 0.1 * color)
    scores[[5, 1250]] = -np.inf
    best = np.argsort(-scores)[:6]
    found = gallery.search(query, SearchRequest(k=6, weights={"deep": 1, "color": 0.1}, metrics={"deep": metric}))
    assert ids(gallery, found) == [f"item {number}" for number in best]
    assert_allclose(found.scores[0], scores[best], atol=1e-5)
    assert_allclose(found.by_space["deep"][0], -deep[best], atol=1e-5)
    assert found.index == "exact"
    filtered = gallery.search(
        query, SearchRequest(k=3, weights={"deep": 1}, metrics={"deep": metric}, where="color = 'Black'")
    )
    black = [place for place in np.argsort(deep) if place % 4 == 3][:3]
    assert ids(gallery, filtered) == [f"item {number}" for number in black]
    nothing = gallery.search(
        query, SearchRequest(metrics={"deep": metric}, weights={"deep": 1}, where="price = 5 and color = 'Red'")
    )
    assert nothing.rows.shape == (1, 0)


WRONG_QUERIES: dict[str, tuple[type[UsageError], dict[str, Any]]] = {
    "no results": (UsageError, {"k": 0}),
    "unknown weight": (UnknownNameError, {"weights": {"deap": 1}}),
    "no probes": (UsageError, {"index": "kmeans", "probes": 0}),
    "negative weight": (UsageError, {"weights": {"deep": -1}}),
    "no weight": (UsageError, {"weights": {"deep": 0}}),
    "unknown index": (UnknownNameError, {"index": "ivvf"}),
    "unknown metric": (UnknownNameError, {"metrics": {"deep": "euclidian"}}),
    "metric of an unknown space": (UnknownNameError, {"metrics": {"deap": "euclidean"}}),
    "unknown metric of a space that weighs nothing": (
        UnknownNameError,
        {"metrics": {"color": "euclidian"}, "weights": {"deep": 1}},
    ),
    "unknown metric where nothing passes": (UnknownNameError, {"metrics": {"deep": "x"}, "where": "price = -1"}),
    "weights of one space": (UsageError, {"weights": {"deep": 1, "de": 2}}),
    "metrics of one space": (UsageError, {"metrics": {"deep": "cityblock", "de": "euclidean"}}),
    "metric with an index": (UsageError, {"metrics": {"deep": "euclidean"}, "index": "ivf"}),
    "wrong filter": (FilterError, {"where": "price <"}),
    "unknown attribute": (FilterError, {"where": "prize < 5"}),
}


@pytest.mark.parametrize("case", WRONG_QUERIES)
def test_refuses_wrong_questions(gallery: Gallery, case: str) -> None:
    shop = a_shop(20)
    shop.put_into(gallery)
    error, asked = WRONG_QUERIES[case]
    with pytest.raises(error) as caught:
        gallery.search(shop.part(0, 1).vectors, SearchRequest(**asked))
    assert "\n" not in str(caught.value)


def test_refuses_queries_that_do_not_fit(gallery: Gallery) -> None:
    shop = a_shop(20)
    shop.put_into(gallery)
    right = shop.part(0, 2).vectors
    for wrong in (
        {"deep": right["deep"]},
        {"deep": right["deep"][:, :5], "color": right["color"]},
        {"deep": right["deep"][0], "color": right["color"]},
        {"deep": right["deep"], "color": right["color"][:1]},
    ):
        with pytest.raises(MismatchError):
            gallery.search(wrong, SearchRequest())
    with pytest.raises(UsageError, match="not finite"):
        gallery.search({"deep": right["deep"] * np.nan, "color": right["color"]}, SearchRequest())


WRONG_ADDITIONS: dict[str, tuple[type[UsageError], Callable[[Shop], tuple[Any, Any, Any]]]] = {
    "other spaces": (MismatchError, lambda shop: (shop.items, shop.vectors, (SPACES[0], Space("color", 8, "other")))),
    "a reserved name": (
        UsageError,
        lambda shop: (
            shop.items,
            {"deep": shop.vectors["deep"], "text": shop.vectors["color"]},
            (SPACES[0], Space("text", SPACES[1].dimension, "other")),
        ),
    ),
    "fewer spaces": (MismatchError, lambda shop: (shop.items, shop.vectors, SPACES[:1])),
    "a space missing": (MismatchError, lambda shop: (shop.items, {"deep": shop.vectors["deep"]}, SPACES)),
    "a space too many": (
        MismatchError,
        lambda shop: (shop.items, {**shop.vectors, "shape": shop.vectors["deep"]}, SPACES),
    ),
    "fewer items": (MismatchError, lambda shop: (shop.items[1:], shop.vectors, SPACES)),
    "wrong width": (
        MismatchError,
        lambda shop: (shop.items, {**shop.vectors, "deep": shop.vectors["color"]}, SPACES),
    ),
    "not a number": (
        UsageError,
        lambda shop: (shop.items, {**shop.vectors, "deep": shop.vectors["deep"] * np.nan}, SPACES),
    ),
    "infinite": (
        UsageError,
        lambda shop: (shop.items, {**shop.vectors, "deep": shop.vectors["deep"] * np.inf}, SPACES),
    ),
    "an id twice": (UsageError, lambda shop: ([shop.items[0], *shop.items[:2]], shop.vectors, SPACES)),
    "not JSON": (
        UsageError,
        lambda shop: ([replace(shop.items[0], attributes={"a": {1}}), *shop.items[1:]], shop.vectors, SPACES),
    ),
    "not a JSON number": (
        UsageError,
        lambda shop: ([replace(shop.items[0], attributes={"a": float("nan")}), *shop.items[1:]], shop.vectors, SPACES),
    ),
    "a name not Unicode": (
        UsageError,
        lambda shop: ([replace(shop.items[0], attributes={"\udcff": 1}), *shop.items[1:]], shop.vectors, SPACES),
    ),
    "not Unicode": (
        UsageError,
        lambda shop: ([replace(shop.items[0], photo="\udcff.jpg"), *shop.items[1:]], shop.vectors, SPACES),
    ),
}


@pytest.mark.parametrize(
    ("case", "filled"),
    # The first addition decides the spaces, so only a later one can have the wrong ones.
    [(case, filled) for case in WRONG_ADDITIONS for filled in (True, False) if filled or "er spaces" not in case],
)
def test_refuses_wrong_additions_and_stays_as_it_was(gallery: Gallery, case: str, filled: bool) -> None:
    shop = a_shop(3)
    if filled:
        a_shop(5, first=1).put_into(gallery)
    before = gallery.list(), gallery.spaces, [facet.name for facet in gallery.facets()]
    error, make = WRONG_ADDITIONS[case]
    items, vectors, spaces = make(shop)
    with pytest.raises(error) as caught:
        gallery.add(items, vectors, spaces=spaces)
    assert "\n" not in str(caught.value)
    assert (gallery.list(), gallery.spaces, [facet.name for facet in gallery.facets()]) == before
    shop.put_into(gallery)


def test_others_see_changes_at_once(opener: Opener) -> None:
    shop = a_shop(1500)
    writer, reader = opener(), opener()
    shop.part(0, 1200).put_into(writer)
    check_search(reader, shop.part(0, 1200))
    shop.part(1200, 1210).put_into(writer)
    check_search(reader, shop.part(0, 1210))
    writer.remove(["item 0", "item 1205"])
    check_search(reader, shop.part(0, 1210).without(["item 0", "item 1205"]))
    assert len(reader) == 1208
    shop.part(1210, 1500).put_into(writer)
    writer.optimise()
    check_search(reader, shop.without(["item 0", "item 1205"]))


def test_many_threads_search_while_one_adds(opener: Opener) -> None:
    shop = a_shop(1600)
    gallery, writer = opener(), opener()
    shop.part(0, 1200).put_into(gallery)

    def ask(number: int) -> None:
        query = shop.part(number, number + 1).vectors
        found = gallery.search(query, SearchRequest(k=3, where="price >= 0" if number % 3 else None))
        places = [int(item_id.split()[1]) for item_id in ids(gallery, found)]
        assert places[0] == number
        assert_allclose(found.scores[0], shop.scores(query, {"deep": 1, "color": 0.1})[places], atol=2e-6)

    def add() -> None:
        for start in range(1200, 1600, 20):
            shop.part(start, start + 20).put_into(writer if start % 40 else gallery)

    with ThreadPoolExecutor(6) as pool:
        adding = pool.submit(add)
        for answer in [pool.submit(ask, number % 1200) for number in range(400)]:
            answer.result()
        adding.result()
    check_search(gallery, shop)


def test_text_that_is_not_unicode_is_nowhere_and_breaks_nothing(gallery: Gallery) -> None:
    a_shop(3).put_into(gallery)
    for ask in (gallery.get, gallery.vectors, lambda text: gallery.remove([text])):
        with pytest.raises(UsageError, match="not Unicode"):
            ask("\udcff")
    with pytest.raises(UsageError, match="not Unicode"):
        gallery.list(where="color = '\udcff'")


def test_text_with_the_character_that_ends_texts_in_sqlite_is_nowhere(gallery: Gallery) -> None:
    shop = a_shop(3)
    shop.put_into(gallery)
    for item in (Item("item 1\0", ""), Item("a", "", product="\0"), Item("a", "", attributes={"x": ["\0"]})):
        with pytest.raises(UsageError, match=r"has text with the character U\+0000"):
            gallery.add([item], shop.part(0, 1).vectors, spaces=SPACES)
    assert gallery.remove(["item 1\0", "item 2\0b"]) == 0
    assert gallery.stored_items(["item 1\0"]) == {}
    with pytest.raises(UnknownNameError):
        gallery.get("item 1\0")
    assert len(gallery) == 3


def test_tells_the_kinds_of_values_of_each_attribute(gallery: Gallery) -> None:
    assert gallery.attributes() == {}
    shop = a_shop(4)
    shop.put_into(gallery)
    gallery.override("item 1", {"tags": ["new"], "sale": "soon", "brand": None})
    gallery.override("item 2", {"tags": True})
    kinds = {name: set(kinds) for name, kinds in gallery.attributes().items() if kinds}
    assert kinds == {
        "price": {"number"},
        "color": {"text"},
        "sale": {"boolean", "text"},
        "tags": {"nested", "boolean"},
    }
    assert all(facet.name in kinds for facet in gallery.facets())


def test_counts_facets_up_to_any_number(gallery: Gallery) -> None:
    a_shop(8).put_into(gallery)
    assert gallery.facets(limit=10**30) == gallery.facets()
    assert gallery.facets(limit=0) == []
    with pytest.raises(UsageError, match="limit must be at least 0, got -1"):
        gallery.facets(limit=-1)


def test_remembers_the_model_that_fills_it(opener: Opener) -> None:
    gallery = opener()
    assert gallery.model is None
    gallery.remember_model("/models/a.onnx")
    gallery.remember_model("default")
    assert (gallery.model, opener().model) == ("default", "default")


def test_remembers_the_roots_that_photos_were_indexed_from(opener: Opener) -> None:
    gallery = opener()
    assert gallery.roots == ()
    gallery.remember_roots(["/srv/shop photos", "https://shop.example/a.b"])
    gallery.remember_roots(["s3://shop", "/srv/shop photos"])
    assert set(gallery.roots) == {"/srv/shop photos", "https://shop.example/a.b", "s3://shop"}
    assert set(opener().roots) == set(gallery.roots)


def test_items_are_whole_while_another_brings_in_new_attributes(opener: Opener) -> None:
    """Items are read while attributes come that the reader has never heard of."""
    writer, reader = opener(), opener()
    shop = a_shop(4)
    shop.put_into(writer)
    rows = reader.search(shop.part(0, 1).vectors, SearchRequest(k=4)).rows[0].tolist()

    def describe() -> None:
        for number in range(60):
            writer.update([replace(shop.items[0], attributes={f"name {number}": number})])

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(describe)
        while not done.done():
            assert len(reader.items(rows)) == 4
        done.result()


def test_closes_and_opens_again(gallery: Gallery) -> None:
    shop = a_shop(10)
    shop.put_into(gallery)
    gallery.close()
    check_search(gallery, shop)


def test_contents_are_those_of_the_items_with_stamps(gallery: Gallery) -> None:
    assert list(gallery.contents()) == []
    shop = a_shop(6)
    file_stamps = [None if number == 4 else FileStamp(number, number, f"{number // 2:064x}") for number in range(6)]
    shop.put_into(gallery, source=["a.csv", "b.csv"] * 3, file_stamps=file_stamps)
    expected = {
        item.id: Content(file_stamp.sha256, item.box)
        for item, file_stamp in zip(shop.items, file_stamps, strict=True)
        if file_stamp is not None
    }
    assert dict(gallery.contents()) == expected
    of_b = {f"item {number}" for number in (1, 3, 5)}
    assert dict(gallery.contents(without_source="a.csv")).keys() == of_b
    assert dict(gallery.contents(without_source="c.csv")) == expected
    gallery.remove("item 1")
    gallery.update([replace(shop.items[3], box=None)], file_stamps=[FileStamp(9, 9, "f" * 64)])
    left = {**expected, "item 3": Content("f" * 64)}
    assert dict(gallery.contents()) == {item_id: left[item_id] for item_id in left if item_id != "item 1"}


def test_records_of_some_ids_are_those_of_all_with_these_ids(gallery: Gallery) -> None:
    shop = a_shop(8)
    overrides: list[Mapping[str, JSON]] = [{"fit": "slim"} if number == 5 else {} for number in range(8)]
    shop.put_into(gallery, source=["a.csv", "b.csv"] * 4, overrides=overrides)
    (every,) = gallery.records()
    (some,) = gallery.records(["item 5", "nobody", "item 2", "itäm \U0001f457"])
    wanted = every.take([2, 5])
    assert (some.items, some.sources, some.overrides) == (wanted.items, wanted.sources, wanted.overrides)
    assert some.file_stamps == wanted.file_stamps
    for name, rows in wanted.vectors.items():
        assert_array_equal(some.vectors[name], rows)
    assert [*gallery.records([])] == [*gallery.records(["nobody"])] == []


def test_records_come_out_as_they_went_in(gallery: Gallery) -> None:
    shop = a_shop(5)
    sources = ["a.csv", "b.csv", "a.csv", "", "b.csv"]
    file_stamps = [FileStamp(number, number, f"{number:064x}") if number % 2 else None for number in range(5)]
    overrides: list[Mapping[str, JSON]] = [{}, {"price": None, "fit": "slim"}, {}, {}, {"color": "Pink"}]
    shop.put_into(gallery, source=sources, file_stamps=file_stamps, overrides=overrides)
    assert gallery.sources() == {"": 1, "a.csv": 2, "b.csv": 2}
    (batch,) = gallery.records()
    assert list(batch.items) == shop.items
    assert list(batch.sources) == sources
    assert list(batch.file_stamps) == file_stamps
    assert list(batch.overrides) == overrides
    assert batch.current_items == [gallery.get(item.id) for item in shop.items]
    assert batch.current_items[1].attributes == {"color": "Blue", "sale": False, "fit": "slim"}
    for name, rows in shop.vectors.items():
        assert_allclose(batch.vectors[name], rows, atol=1e-6)
    part = batch.take([4, 1])
    assert [item.id for item in part.items] == ["item 4", "item 1"]
    assert_array_equal(part.vectors["deep"], batch.vectors["deep"][[4, 1]])
    with pytest.raises(UsageError, match="5 items came with 2 sources"):
        shop.put_into(gallery, source=["a.csv", "b.csv"])
