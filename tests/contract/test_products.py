"""The contract of answers of products: they equal the grouped ranking of all photos, on each back end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.answers import Match
from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import FilterError, GalleryDamagedError, UnknownNameError
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.products import is_indexed
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.arrangement import FIRST, SHARE
from lookalike.retrieval.diversity import maximal_marginal_relevance
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.learned_order import learned_order
from lookalike.retrieval.results import search_gallery
from lookalike.retrieval.variants import LISTED
from lookalike.spaces import Space, unit_rows, width
from lookalike.types import Box, Float32, Garment, Item
from milvus_server import MilvusServer, Stock

SPACES = (Space("deep", 16, "tiny@1"), Space("color", 6, "colour@1"))
WEIGHTS = {"deep": 1.0, "color": 0.25}
NOTHING = Examples((), (), (), ())

Group = tuple[str, str | None, list[str], int]
"""A product of an answer: the id of its best photo, its name, the ids of its listed variants, and their number."""


@pytest.fixture(scope="module")
def stock(milvus_server: MilvusServer) -> Iterator[Stock]:
    stock = Stock(milvus_server, columns=width(SPACES), ahead=2)
    yield stock
    stock.close()


@pytest.fixture(params=["local", pytest.param("milvus", marks=pytest.mark.milvus)])
def gallery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    if request.param == "local":
        with LocalGallery(tmp_path / "shop.gallery", create=True) as local:
            yield local
        return
    stock: Stock = request.getfixturevalue("stock")
    place = stock.take()
    with open_gallery(place, create=True) as milvus:  # type: ignore[attr-defined]  # both galleries are contexts
        yield milvus
    stock.give_back(place)


class Catalogue:
    """Photos of products in plain lists, and vectors in arrays."""

    def __init__(self, products: Sequence[str | None], *, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.items = [
            Item(f"photo {number}", f"{number}.jpg", product=product, attributes={"price": number % 7})
            for number, product in enumerate(products)
        ]
        self.vectors = {
            space.name: unit_rows(random.standard_normal((len(products), space.dimension)).astype(np.float32))
            for space in SPACES
        }

    def put_into(self, gallery: Gallery) -> None:
        gallery.add(self.items, self.vectors, spaces=SPACES)

    def ranked(self, query: dict[str, Float32]) -> list[tuple[float, Item]]:
        """All photos with their scores, the best first."""
        total = sum(WEIGHTS.values())
        scores = sum(WEIGHTS[name] / total * (rows @ query[name][0]) for name, rows in self.vectors.items())
        return sorted(zip(scores.tolist(), self.items, strict=True), key=lambda one: -one[0])

    def grouped(
        self,
        query: dict[str, Float32],
        *,
        test: Callable[[Item], bool] = lambda item: True,
        without: Sequence[str] = (),
    ) -> list[Group]:
        """The ranking of all photos, grouped word by word."""
        groups: dict[str, list[Item]] = {}
        for _, item in self.ranked(query):
            if test(item) and item.product not in without and item.id not in without:
                groups.setdefault(f"product {item.product}" if item.product else f"item {item.id}", []).append(item)
        return [
            (first.id, first.product, [other.id for other in others[:LISTED]], len(others))
            for first, *others in groups.values()
        ]


def a_query(seed: int = 99) -> dict[str, Float32]:
    random = np.random.default_rng(seed)
    return {space.name: unit_rows(random.standard_normal((1, space.dimension)).astype(np.float32)) for space in SPACES}


def asked(gallery: Gallery, query: dict[str, Float32], examples: Examples = NOTHING, **options: Any) -> list[Match]:
    request = SearchRequest(**{"group": "product", "weights": WEIGHTS, "index": "exact", **options})
    resolved = request.resolved(gallery.spaces, stored=None)
    return [*search_gallery(gallery, query, resolved, examples, None).matches]


def groups_of(matches: Sequence[Match]) -> list[Group]:
    assert [match.rank for match in matches] == [*range(matches[0].rank, matches[0].rank + len(matches))]
    return [
        (match.item.id, match.item.product, [each.item.id for each in match.variants], match.variant_count or 0)
        for match in matches
    ]


def drawn(count: int, seed: int) -> list[str | None]:
    """Products of one to thirty photos, and photos without a product, in a random order."""
    random = np.random.default_rng(seed)
    products: list[str | None] = []
    while len(products) < count:
        products += [None if random.random() < 0.2 else f"p{len(products)}"] * int(random.integers(1, 30))
    return [products[place] for place in random.permutation(count)]


@pytest.mark.parametrize("k", [1, 3, 10, 200])
@pytest.mark.parametrize("seed", [1, 2])
def test_products_are_those_of_the_grouped_ranking(gallery: Gallery, k: int, seed: int) -> None:
    catalogue = Catalogue(drawn(300, seed), seed=seed)
    catalogue.put_into(gallery)
    query = a_query(seed)
    assert groups_of(asked(gallery, query, k=k)) == catalogue.grouped(query)[:k]
    passing = asked(gallery, query, k=k, where="price < 3")
    assert groups_of(passing) == catalogue.grouped(query, test=lambda item: item.attributes["price"] < 3)[:k]  # type: ignore[operator]


def one_product_before_the_others(query: dict[str, Float32], photos: int) -> Catalogue:
    """A catalogue whose best photos are all of one product."""
    catalogue = Catalogue(["big"] * photos + [f"p{number // 4}" for number in range(80)])
    random = np.random.default_rng(5)
    for name, rows in catalogue.vectors.items():
        near = query[name] + 0.2 * random.standard_normal((photos, rows.shape[1]))
        rows[:photos] = unit_rows(near.astype(np.float32))
    return catalogue


@pytest.mark.parametrize("photos", [25, 33, 70, 3000])
def test_a_product_of_many_photos_hides_no_other(gallery: Gallery, photos: int) -> None:
    query = a_query()
    catalogue = one_product_before_the_others(query, photos)
    catalogue.put_into(gallery)
    expected = catalogue.grouped(query)
    assert (expected[0][1], expected[0][3], len(expected)) == ("big", photos - 1, 21)
    for k in (2, 10, 15, 50):
        assert groups_of(asked(gallery, query, k=k)) == expected[:k]
    assert groups_of(asked(gallery, query, k=5, offset=4)) == expected[4:9]


@pytest.mark.parametrize("seed", range(6))
def test_products_whose_photos_are_alike_are_found_by_ever_deeper_rankings(gallery: Gallery, seed: int) -> None:
    random = np.random.default_rng(seed)
    catalogue = Catalogue([f"p{number // 12}" for number in range(1200)], seed=seed)
    for name, rows in catalogue.vectors.items():
        near = rows[::12].repeat(12, axis=0) + 0.1 * random.standard_normal(rows.shape)
        catalogue.vectors[name] = unit_rows(near.astype(np.float32))
    catalogue.put_into(gallery)
    query = a_query(seed)
    expected = catalogue.grouped(query)
    for k in (1, 7, 40, 120):
        assert groups_of(asked(gallery, query, k=k)) == expected[:k]


def test_pages_fit_together(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(500, 3), seed=3)
    catalogue.put_into(gallery)
    query = a_query(3)
    pages = [groups_of(asked(gallery, query, k=7, offset=offset)) for offset in range(0, 70, 7)]
    assert [group for page in pages for group in page] == catalogue.grouped(query)[:70]
    assert asked(gallery, query, k=7, offset=len(catalogue.grouped(query))) == []


def test_the_products_of_query_items_are_left_out(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(120, 4), seed=4)
    catalogue.put_into(gallery)
    with_product = next(item for item in catalogue.items if item.product)
    single = next(item for item in catalogue.items if not item.product)
    for item in (with_product, single):
        examples = Examples.of(None, item.id, (), ())
        query = gallery.vectors(item.id)
        expected = catalogue.grouped(query, without=(item.product or item.id,))
        assert groups_of(asked(gallery, query, examples, k=8)) == expected[:8]
    both = Examples.of(None, with_product.id, (), single.id)
    expected = catalogue.grouped(query, without=(with_product.product or "", single.id))
    assert groups_of(asked(gallery, query, both, k=300)) == expected


def grouped_ids(items: Sequence[Item]) -> list[str]:
    """Ids of the first photo of each product."""
    firsts: dict[str, str] = {}
    for item in items:
        firsts.setdefault(f"product {item.product}" if item.product else f"item {item.id}", item.id)
    return [*firsts.values()]


def test_distances_are_grouped_alike(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(200, 6), seed=6)
    catalogue.put_into(gallery)
    query = a_query(6)
    order = np.argsort(((catalogue.vectors["deep"] - query["deep"]) ** 2).sum(axis=1)).tolist()
    matches = asked(gallery, query, k=300, metrics={"deep": "sqeuclidean"}, weights={"deep": 1})
    assert [match.item.id for match in matches] == grouped_ids([catalogue.items[place] for place in order])
    for match in matches:
        same = [catalogue.items[place] for place in order if catalogue.items[place].product == match.item.product]
        others = [item.id for item in same if item.product and item.id != match.item.id]
        assert match.variant_count == len(others)
        assert [each.item.id for each in match.variants] == others[:LISTED]
        assert all(each.score <= match.score for each in match.variants)


@pytest.mark.parametrize(
    "options",
    [
        {"expand": 5},
        {"rerank": 60},
        {"expand": 3, "rerank": 60},
        {"expand": 3, "alpha": 0, "rerank": 60, "k1": 20, "k2": 6, "trust": 0.3},
    ],
)
def test_refined_answers_are_grouped_in_their_order(gallery: Gallery, options: dict[str, Any]) -> None:
    catalogue = Catalogue(drawn(400, 7), seed=7)
    catalogue.put_into(gallery)
    query = a_query(7)
    flat = asked(gallery, query, k=60, group=None, **options)
    first = grouped_ids([match.item for match in flat])
    assert [match.item.id for match in asked(gallery, query, k=20, **options)][: len(first)] == first[:20]
    everything = asked(gallery, query, k=400, **options)
    assert len(everything) == len(grouped_ids(catalogue.items))
    plain = asked(gallery, query, k=400)
    assert {match.item.id: match.score for match in everything}.items() >= {
        match.item.id: match.score for match in plain if match.variant_count == 0
    }.items()


def test_lists_and_facets_count_products(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(200, 12), seed=12)
    catalogue.put_into(gallery)
    for where, items in ((None, catalogue.items), ("price < 3", [one for one in catalogue.items if is_cheap(one)])):
        firsts = grouped_ids(items)
        total, page = gallery.list(where=where, group="product", offset=3, limit=9)
        assert (total, [item.id for item in page]) == (len(firsts), firsts[3:12])
        assert [item.id for item in gallery.list(where=where, group="product", limit=None)[1]] == firsts
        owners: dict[str, set[str]] = {}
        for item in items:
            owners.setdefault(str(item.attributes["price"]), set()).add(item.product or f"item {item.id}")
        (facet,) = gallery.facets(where=where, group="product")
        assert dict(facet.counts) == {price: len(products) for price, products in owners.items()}
        assert [*facet.counts.values()] == sorted(facet.counts.values(), reverse=True)
        assert facet.range == (0, max(map(float, owners)))
    for ask in (gallery.list, gallery.facets):
        with pytest.raises(UnknownNameError, match="unknown group 'brand'; known: product"):
            ask(group="brand")


def is_cheap(item: Item) -> bool:
    return float(str(item.attributes["price"])) < 3


def relevant_first(catalogue: Catalogue, query: dict[str, Float32]) -> tuple[list[Item], list[Item]]:
    """Best photos of the products that count as relevant without a calibration, and of the others."""
    by_id = {item.id: item for item in catalogue.items}
    ranked = [by_id[first] for first, *_ in catalogue.grouped(query)]
    scores = {item.id: score for score, item in catalogue.ranked(query)}
    count = sum(scores[item.id] >= SHARE * scores[ranked[0].id] for item in ranked[:FIRST])
    return ranked[:count], ranked[count:]


def test_relevant_products_are_sorted_and_the_others_follow(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(600, 9) + [None] * 200, seed=9)
    catalogue.put_into(gallery)
    query = a_query(9)
    relevant, others = relevant_first(catalogue, query)
    assert 5 < len(relevant) < 100 and len(others) > 50
    ranks = {item.id: rank for rank, item in enumerate([*relevant, *others], start=1)}
    for sort, sign in (("price", 1), ("-price", -1)):
        expected = sorted(relevant, key=lambda item: sign * float(str(item.attributes["price"])))
        expected += others
        found = asked(gallery, query, k=130, sort=sort)
        assert [match.item.id for match in found] == [item.id for item in expected][:130]
        assert [match.similarity_rank for match in found] == [ranks[match.item.id] for match in found]
        pages = [
            match for offset in range(0, 130, 26) for match in asked(gallery, query, k=26, sort=sort, offset=offset)
        ]
        assert [(match.rank, match.item.id) for match in pages] == [(match.rank, match.item.id) for match in found]
    photos = asked(gallery, query, k=5, sort="price", group=None)
    (best, _), *_ = by_score = catalogue.ranked(query)
    first = [item for score, item in by_score[:FIRST] if score >= SHARE * best]
    cheapest = sorted(first, key=lambda item: float(str(item.attributes["price"])))
    assert [match.item.id for match in photos] == [item.id for item in cheapest[:5]]


def test_boosts_and_diversity_change_the_order_of_relevant_products_only(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(600, 10) + [None] * 200, seed=10)
    catalogue.put_into(gallery)
    query = a_query(10)
    relevant, others = relevant_first(catalogue, query)
    score_of = {item.id: score for score, item in catalogue.ranked(query)}
    scores = np.array([score_of[item.id] for item in relevant])
    values = (scores - scores.min()) / (scores.max() - scores.min())
    added = 0.5 * np.array([float(str(item.attributes["price"])) / 6 for item in relevant])
    boosted = [relevant[place].id for place in np.argsort(-(values + added), kind="stable")]
    assert 5 < len(relevant) < 100
    found = asked(gallery, query, k=len(relevant) + 20, boost={"price": 0.5})
    assert [match.item.id for match in found] == [*boosted, *(item.id for item in others[:20])]
    for match in found:
        place = relevant.index(match.item) if match.item in relevant else None
        assert match.boost == ({} if place is None else {"price": pytest.approx(added[place], abs=1e-6)})
    rows = [catalogue.items.index(item) for item in relevant]
    total = sum(WEIGHTS.values())
    alike = sum(WEIGHTS[name] / total * part[rows] @ part[rows].T for name, part in catalogue.vectors.items())
    order = maximal_marginal_relevance(values, np.asarray(alike, dtype=np.float32), diversity=0.6)
    diverse = asked(gallery, query, k=len(relevant) + 20, diversity=0.6)
    assert [match.item.id for match in diverse] == [
        *(relevant[place].id for place in order),
        *(item.id for item in others[:20]),
    ]
    assert [match.item.id for match in diverse] != [item.id for item in [*relevant, *others[:20]]]
    same = asked(gallery, query, k=len(relevant) + 20, diversity=0.0)
    assert [match.item.id for match in same] == [item.id for item in [*relevant, *others[:20]]]
    assert all(match.similarity_rank is None for match in same)


def test_facets_count_relevant_products(gallery: Gallery) -> None:
    catalogue = Catalogue(drawn(300, 11), seed=11)
    catalogue.put_into(gallery)
    query = a_query(11)
    for options in ({}, {"where": "price < 3"}):
        request = SearchRequest(group="product", weights=WEIGHTS, facets=True, **options)  # type: ignore[arg-type]
        resolved = request.resolved(gallery.spaces, stored=None)
        found = search_gallery(gallery, query, resolved, NOTHING, None)
        prices: dict[str, set[object]] = {}
        ranked = [
            (score, item)
            for score, item in catalogue.ranked(query)
            if not options or float(str(item.attributes["price"])) < 3
        ]
        best: dict[str, float] = {}
        for score, item in ranked:
            best.setdefault(item.product or item.id, score)
        relevant = {product for product, score in [*best.items()][:FIRST] if score >= SHARE * ranked[0][0]}
        for item in (item for _, item in ranked if (item.product or item.id) in relevant):
            prices.setdefault(str(item.attributes["price"]), set()).add(item.product or item.id)
        assert found.facets is not None
        (facet,) = found.facets
        assert (facet.name, facet.kinds) == ("price", ("number",))
        assert facet.counts == {price: len(products) for price, products in prices.items()}
        assert found.relevant == len(relevant)


def test_an_outfit_is_one_photo_of_its_product(tmp_path: Path) -> None:
    garments = tuple(Garment(Box(1, 1, 9 + number, 9), kind, 0.9) for number, kind in enumerate(["top", "skirt"]))
    items = [
        Item(f"outfit {number}", f"{number}.jpg", product=f"p{number // 3}", garments=garments, finder="f@1")
        for number in range(6)
    ]
    random = np.random.default_rng(8)
    rows = {space.name: random.standard_normal((12, space.dimension)).astype(np.float32) for space in SPACES}
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items, {name: unit_rows(part) for name, part in rows.items()}, spaces=SPACES)
        query = a_query(8)
        flat = asked(gallery, query, k=6, group=None)
        for where, kinds in ((None, {"top", "skirt"}), ("garment = 'skirt'", {"skirt"})):
            flat = asked(gallery, query, k=6, group=None, where=where)
            found = asked(gallery, query, k=6, where=where)
            assert [match.item.id for match in found] == grouped_ids([match.item for match in flat])
            scores = {match.item.id: (match.score, match.garment) for match in flat}
            for match in found:
                assert match.variant_count == len(match.variants) == 2
                assert all(scores[each.item.id] == (each.score, each.garment) for each in match.variants)
                assert {match.garment.kind if match.garment else ""} <= kinds
        counts = [dict(facet.counts) for facet in gallery.facets(group="product")]
        assert counts == [{"skirt": 2, "top": 2}] and gallery.list(group="product")[0] == 2


def test_a_large_gallery_gets_an_index_by_product(tmp_path: Path) -> None:
    catalogue = Catalogue([f"p{number // 4}" for number in range(10_000)])
    query = a_query()
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        catalogue.put_into(gallery)
        expected = catalogue.grouped(query)[:10]
        assert groups_of(asked(gallery, query)) == expected
        with gallery._database.reading() as connection:
            assert is_indexed(connection)
        assert not gallery.verify().problems
    with LocalGallery(tmp_path / "shop.gallery", read_only=True) as again:
        assert groups_of(asked(again, query)) == expected


def test_fewer_products_than_asked_for_are_all_found(tmp_path: Path) -> None:
    catalogue = Catalogue([f"p{number % 3}" for number in range(12_000)], seed=13)
    query = a_query(13)
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        catalogue.put_into(gallery)
        assert groups_of(asked(gallery, query, k=10, index="auto")) == catalogue.grouped(query)


def test_a_damaged_product_is_noticed(tmp_path: Path) -> None:
    catalogue = Catalogue([f"p{number // 4}" for number in range(40)])
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        catalogue.put_into(gallery)
        query = a_query()
        best = asked(gallery, query, k=1)[0].item
    with closing(sqlite3.connect(tmp_path / "shop.gallery" / "gallery.db")) as connection, connection:
        connection.execute("UPDATE items SET product = 'other' WHERE id = ?", (best.id,))
    with LocalGallery(tmp_path / "shop.gallery") as gallery, pytest.raises(GalleryDamagedError):
        asked(gallery, query, k=3)


def test_an_approximate_index_finds_products_whose_pages_fit_together(tmp_path: Path) -> None:
    catalogue = Catalogue([f"p{number // 4}" for number in range(4000)])
    query = a_query()
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        catalogue.put_into(gallery)
        gallery.optimise()
        whole = [match.item.product for match in asked(gallery, query, index="ivf", k=1000, offset=0)]
        assert len(whole) == len({*whole}) == 1000
        parts = [asked(gallery, query, index="ivf", k=125, offset=offset) for offset in range(0, 1000, 125)]
        assert [match.item.product for part in parts for match in part] == whole


def test_products_are_read_by_row_and_rows_by_product(gallery: Gallery) -> None:
    catalogue = Catalogue(["a", None, "b", "a", "o'c\"é", "a"])
    catalogue.put_into(gallery)
    rows = gallery.search(a_query(), SearchRequest(k=6)).rows[0].tolist()
    row_of = {item.id: row for row, item in gallery.items(rows).items()}
    by_id = [row_of[f"photo {number}"] for number in range(6)]
    products = gallery.products([*by_id, 10**12])
    assert [products.get(row, "unknown") for row in [*by_id, 10**12]] == ["a", None, "b", "a", "o'c\"é", "a", "unknown"]
    found = gallery.product_rows(["a", "o'c\"é", "none"])
    assert found.rows.tolist() == found.items.tolist() == sorted([by_id[0], by_id[3], by_id[4], by_id[5]])
    assert [*found.products] == [products[row] for row in found.rows.tolist()]
    assert gallery.product_rows(["a", "b"], where="price > 2 and price < 5").rows.tolist() == [by_id[3]]
    assert gallery.product_rows([]).rows.tolist() == []
    with pytest.raises(FilterError):
        gallery.product_rows(["a"], where="pric < 5")
    gallery.remove("photo 3")
    assert by_id[3] not in gallery.products(by_id)
    assert gallery.product_rows(["a"]).rows.tolist() == sorted([by_id[0], by_id[5]])


@pytest.mark.parametrize("group", [None, "product"])
def test_a_learned_ranking_is_kept_and_orders_matches_alike(gallery: Gallery, group: str | None) -> None:
    catalogue = Catalogue([f"p{number // 3}" for number in range(60)])
    catalogue.put_into(gallery)
    ranking = LearnedRanking(
        model="+".join(model_ids_of(SPACES)),
        coefficients={"score:deep": 0.5, "score:color": 0.1, "attribute:price": -1.0, "popularity": 1.0},
        spreads={"score:deep": 0.2, "score:color": 0.4, "attribute:price": 0.5, "popularity": 1.0},
        popularity={"p4": 1.5, "photo 1": 9.0},
        is_default=True,
        source={"from": "events", "naïve": [0.25]},
    )
    gallery.store_weights(StoredWeights(WEIGHTS, {"from": "a test"}, ranking))
    stored = gallery.stored_weights
    assert stored.ranking == ranking and stored.ranking.name == ranking.name and stored.weights == WEIGHTS
    query = a_query(3)
    examples = Examples((), ("photo 0",), (), ())
    asked = SearchRequest(k=8, group=group, index="exact")
    request = asked.resolved(SPACES, stored=WEIGHTS)
    learned = learned_order(gallery.stored_weights.ranking, asked, gallery, examples, labels=None)
    assert learned is not None and learned.ranking == ranking
    found = search_gallery(gallery, query, request, NOTHING, None, learned=learned).matches
    everything = replace(request, k=60, ranking="similarity")
    plain = search_gallery(gallery, query, everything, NOTHING, None).matches
    relevant = [match for match in plain if match.score >= SHARE * plain[0].score]
    cosines = {name: np.array([match.scores[name] for match in relevant]) for name in query}
    order, added = learned.ordered([match.item for match in relevant], cosines)
    expected = [relevant[place] for place in order][: len(found)]
    first = min(len(relevant), 8)
    assert [match.item.id for match in found[:first]] == [match.item.id for match in expected[:first]]
    for match, place in zip(found[:first], order, strict=False):
        contributions = {name: part[place] for name, part in added.items()}
        assert match.contributions == pytest.approx(contributions, abs=2e-5)
        assert match.similarity_rank == place + 1
    gallery.store_weights(StoredWeights())
    assert gallery.stored_weights == StoredWeights()
