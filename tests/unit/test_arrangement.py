"""Arrangement of relevant matches: sorted, boosted, diverse, and counted, against slow and plain oracles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.sort_keys import BoostTerm, SortKey, boost_term, check_sorted_attributes, sort_keys
from lookalike.retrieval.arrangement import FIRST, MOST, relevant_places
from lookalike.retrieval.boosting import boosts, has_value
from lookalike.retrieval.diversity import maximal_marginal_relevance, scaled
from lookalike.retrieval.match_facets import MOST_VALUES, match_facets
from lookalike.retrieval.sorting import sorted_places
from lookalike.spaces import unit_rows
from lookalike.types import JSON, Box, Facet, Float32, Garment, Item

KINDS = {
    "price": ("number",),
    "in_stock": ("boolean",),
    "brand": ("text",),
    "a:b": ("text", "number"),
    "tags": ("nested",),
}


def item(**attributes: JSON) -> Item:
    return Item("x", "x.jpg", attributes=attributes)


def slow_mmr(values: list[float], similarity: list[list[float]], diversity: float) -> list[int]:
    """Word by word: take what is best and least like what was taken."""
    pairs = [similarity[a][b] for a in range(len(values)) for b in range(len(values)) if a != b]

    def between(number: float, numbers: list[float]) -> float:
        return 0.0 if max(numbers) == min(numbers) else (number - min(numbers)) / (max(numbers) - min(numbers))

    taken: list[int] = []
    while len(taken) < len(values):
        best, best_value = -1, -np.inf
        for at in range(len(values)):
            if at in taken:
                continue
            worst = max((between(similarity[at][other], pairs) for other in taken), default=0.0)
            value = (1 - diversity) * between(values[at], values) - diversity * worst
            if value > best_value:
                best, best_value = at, value
        taken.append(best)
    return taken


@pytest.mark.parametrize("diversity", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_maximal_marginal_relevance_is_that_of_the_paper(diversity: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = unit_rows(random.standard_normal((25, 6)).astype(np.float32))
    values = random.standard_normal(25).astype(np.float32)
    similarity: Float32 = rows @ rows.T
    order = maximal_marginal_relevance(values, similarity, diversity=diversity).tolist()
    assert order == slow_mmr(values.tolist(), similarity.tolist(), diversity)
    assert sorted(order) == [*range(25)]
    if diversity == 0:
        assert order == np.argsort(-values, kind="stable").tolist()


def test_twins_are_apart_and_small_lists_stay() -> None:
    rows = np.array([[1, 0], [1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)
    values = np.array([0.9, 0.8, 0.5, 0.4], dtype=np.float32)
    assert maximal_marginal_relevance(values, rows @ rows.T, diversity=0.5).tolist() == [0, 2, 1, 3]
    assert maximal_marginal_relevance(values, np.ones((4, 4), np.float32), diversity=1).tolist() == [0, 1, 2, 3]
    assert maximal_marginal_relevance(values[:1], rows[:1] @ rows[:1].T, diversity=0.7).tolist() == [0]
    assert maximal_marginal_relevance(values[:0], np.ones((0, 0), np.float32), diversity=0.7).tolist() == []
    assert_allclose(scaled(np.array([2.0, 4.0, 3.0])), [0, 1, 0.5])


def test_matches_are_sorted_by_numbers_then_texts_and_missing_values_last() -> None:
    items = [
        item(price=5),
        item(),
        item(price=True),
        item(price="b"),
        item(price=2.5),
        item(price="A"),
        item(price=[1]),
    ]
    assert sorted_places(items, [SortKey("price")]) == [2, 4, 0, 5, 3, 1, 6]
    assert sorted_places(items, [SortKey("price", descending=True)]) == [0, 4, 2, 3, 5, 1, 6]
    stock = [item(s=stock, p=price) for stock, price in ((False, 1), (True, 3), (True, 2), (False, 0), (True, 3))]
    assert sorted_places(stock, sort_keys("-s,p")) == [2, 1, 4, 3, 0]
    assert sorted_places(stock, sort_keys("-s, -p")) == [1, 4, 2, 0, 3]
    assert sorted_places(stock, sort_keys("s")) == [0, 3, 1, 2, 4]


VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from(["a", "B", "c"]), st.just([1]))


@given(st.lists(st.tuples(VALUES, VALUES), max_size=12), st.booleans(), st.booleans())
def test_sorting_is_stable_and_keeps_all(rows: list[tuple[JSON, JSON]], first: bool, second: bool) -> None:
    items = [item(a=a, b=b) for a, b in rows]
    order = sorted_places(items, [SortKey("a", descending=first), SortKey("b", descending=second)])
    assert sorted(order) == [*range(len(items))]

    def part(value: JSON) -> int:
        return 0 if isinstance(value, int | float) else 1 if isinstance(value, str) else 2

    for before, after in pairwise(order):
        (a, b), (c, d) = rows[before], rows[after]
        assert part(a) <= part(c)
        if part(a) == part(c) == 0:
            assert (a >= c) if first else (a <= c)  # type: ignore[operator]
        if a == c and part(a) < 2 and part(b) == part(d) == 0:
            assert (b >= d) if second else (b <= d)  # type: ignore[operator]
        if a == c and b == d and part(a) < 2:
            assert before < after


def test_boosts_are_shares_of_numbers_booleans_and_values() -> None:
    items = [item(price=10, sale=True, brand="A"), item(price=30, sale=False, brand="B"), item(price=15), item()]
    price, sale, brand = BoostTerm("price"), BoostTerm("sale"), BoostTerm("brand", "A")
    found = boosts(items, {price: 0.4, sale: 1.0, brand: 0.5})
    assert_allclose(found[price], [0.0, 0.4, 0.1, 0.0])
    assert_allclose(found[sale], [1.0, 0.0, 0.0, 0.0])
    assert_allclose(found[brand], [0.5, 0.0, 0.0, 0.0])
    assert_allclose(boosts(items, {price: -0.4})[price], [0.0, -0.4, -0.1, -0.4])
    assert_allclose(boosts(items[:1], {price: 1.0})[price], [0.0])
    assert_allclose(boosts([item(price="cheap"), item(price=None)], {price: -1.0})[price], [-1.0, -1.0])
    assert has_value(["sale", "new"], "new") and has_value(38, "38") and has_value(True, "true")
    assert not has_value("News", "new") and not has_value(None, "None")


def test_a_boost_names_an_attribute_or_one_of_its_values() -> None:
    assert boost_term("price", KINDS) == BoostTerm("price")
    assert boost_term("brand:Acme: 2", KINDS) == BoostTerm("brand", "Acme: 2")
    assert boost_term("a:b", KINDS) == BoostTerm("a:b")
    assert boost_term("a:b:c", KINDS) == BoostTerm("a:b", "c")
    assert boost_term("tags:sale", KINDS) == BoostTerm("tags", "sale")
    with pytest.raises(UnknownNameError, match="unknown attribute 'pric'; did you mean 'price'"):
        boost_term("pric:5", KINDS)
    for name in ("brand", "tags"):
        with pytest.raises(UsageError, match=f"'{name}' has no numbers or booleans; boost one of its values, such as"):
            boost_term(name, KINDS)


def test_what_is_sorted_by_must_be_there_and_have_an_order() -> None:
    check_sorted_attributes(sort_keys("-price,brand"), KINDS)
    with pytest.raises(UnknownNameError, match="unknown attribute 'bran'; did you mean 'brand'"):
        check_sorted_attributes(sort_keys("bran"), KINDS)
    with pytest.raises(UsageError, match="'tags' has lists or objects, which have no order"):
        check_sorted_attributes(sort_keys("tags"), KINDS)


def test_relevant_matches_reach_a_bar_or_are_the_first_ones() -> None:
    relevance = np.array([0.9, 0.2, 0.5, 0.49, 0.7])
    scores = np.array([0.8, 0.7, 0.4, 0.39, 0.1], dtype=np.float32)
    assert relevant_places([0, 1, 2, 3, 4], relevance, scores, least=None) == [0, 2, 4]
    assert relevant_places([4, 1, 0], relevance, scores, least=0.8) == [0]
    assert relevant_places([0, 1, 2, 3, 4], None, scores, least=None) == [0, 1, 2]
    distances = -np.arange(1, MOST + 1, dtype=np.float32)
    assert relevant_places([*range(MOST)], None, distances, least=None) == [*range(FIRST)]
    assert relevant_places([], None, distances, least=None) == []


def test_facets_count_each_match_once_for_each_value() -> None:
    garment = Garment(Box(0, 0, 1, 1), "skirt", 0.9)
    matches = [
        [item(colour="red", price=10), item(colour="blue", price=12.5)],
        [item(colour="red", price=10, tags=["x"])],
        [Item("y", "y.jpg", attributes={"sale": True, "colour": None}, garments=(garment, garment), finder="f")],
    ]
    kinds = {"garment": ["text"], "colour": ["text"], "price": ["number"], "sale": ["boolean"], "none": ["text"]}
    found = match_facets(matches, kinds)
    assert found == [
        Facet("garment", {"skirt": 1}, None, ("text",)),
        Facet("colour", {"red": 2, "blue": 1}, None, ("text",)),
        Facet("price", {"10": 2, "12.5": 1}, (10, 12.5), ("number",)),
        Facet("sale", {"true": 1}, None, ("boolean",)),
    ]
    assert found[2].to_json() == {
        "name": "price",
        "kinds": ["number"],
        "range": [10, 12.5],
        "values": [{"value": 10, "count": 2}, {"value": 12.5, "count": 1}],
    }
    many = match_facets([[item(name=f"{number:03}")] for number in range(90)], {"name": ["text"]})
    assert [*many[0].counts] == [f"{number:03}" for number in range(MOST_VALUES)]
