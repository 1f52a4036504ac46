"""Evaluation of searches as they are served: exact ones give the figures of exact rankings, others their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lookalike.catalogue.benchmark import Sides
from lookalike.errors import UsageError
from lookalike.evaluation.evaluator import EmbeddedItems
from lookalike.evaluation.ranking import RetrievalResult, evaluate_rows
from lookalike.evaluation.served import SearchOptions, evaluate_served, search_options
from lookalike.evaluation.task import Task, grades_task, product_task, sides_task
from lookalike.retrieval.k_reciprocal import reciprocal_scores
from lookalike.spaces import Space
from lookalike.types import Float32, Item

SPACES = (Space("deep", 8, "tiny@1"), Space("color", 4, "color@2"))
WEIGHTS = {"deep": 1.0, "color": 0.3}


def drawn(products: int, *, photos: int = 3, seed: int = 0) -> tuple[list[Item], EmbeddedItems]:
    """Photos that lie about the centre of their product; one has no vectors."""
    random = np.random.default_rng(seed)
    items = [
        Item(
            f"p{product}-{photo}",
            "x.png",
            product=f"p{product}",
            attributes={
                "type": f"t{product % 4}",
                "split": "query" if photo == 0 else "gallery",
                "by": f"s{photo % 2}",
            },
        )
        for product in range(products)
        for photo in range(photos)
    ]
    rows = {}
    for space in SPACES:
        centres = np.repeat(random.normal(size=(products, space.dimension)), photos, axis=0)
        rows[space.name] = (centres + random.normal(size=centres.shape) * 0.8).astype(np.float32)
    absent = np.zeros(len(items), dtype=np.bool_)
    absent[5] = True
    for part in rows.values():
        part[5] = 0
    return items, EmbeddedItems(SPACES, rows, absent)


ITEMS, EMBEDDED = drawn(40)
TASKS = {
    "product": product_task(ITEMS),
    "product apart": product_task(ITEMS, apart=("by",)),
    "grades": grades_task(ITEMS, ("type", "by")),
    "sides": sides_task(ITEMS, Sides({"split": ("query",)}, {"split": ("gallery",)}), protocol="inshop"),
}


def served(task: Task, embedded: EmbeddedItems = EMBEDDED, **options: object) -> RetrievalResult:
    given = SearchOptions(**options)  # type: ignore[arg-type]
    rows, absent = embedded.rows, embedded.absent
    return evaluate_served(rows, spaces=SPACES, absent=absent, task=task, weights=WEIGHTS, options=given)


@pytest.mark.parametrize("index", ["auto", "exact"])
@pytest.mark.parametrize("name", TASKS)
def test_exact_searches_give_the_figures_of_exact_rankings(name: str, index: str) -> None:
    task = TASKS[name]
    expected = evaluate_rows(EMBEDDED.rows, weights=WEIGHTS, task=task, absent=EMBEDDED.absent)
    found = served(task, index=index)
    assert found.figures() == pytest.approx(expected.figures(), abs=1e-9)
    np.testing.assert_array_equal(found.answers, expected.answers)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-6)
    assert 0.1 < found.figures()[str(task.metrics[0])] < 1


def test_what_an_approximate_index_does_not_find_counts_as_not_found() -> None:
    items, embedded = drawn(400, photos=3, seed=1)
    task = product_task(items)
    task = replace(task, queries=task.queries[::30])
    exact = served(task, embedded, index="exact").figures()
    few = served(task, embedded, index="ivf", probes=1).figures()
    all_lists = served(task, embedded, index="ivf", probes=100_000).figures()
    assert few["recall@50"] < exact["recall@50"]
    assert few["map"] < exact["map"]
    assert all_lists == pytest.approx(exact, abs=1e-9)


def unit(rows: Float32) -> Float32:
    found: Float32 = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found


def joined() -> Float32:
    total = sum(WEIGHTS.values())
    parts = [unit(EMBEDDED.rows[name]) * np.sqrt(weight / total) for name, weight in WEIGHTS.items()]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("given", [{}, {"k1": 5, "k2": 2, "trust": 0.3}])
def test_the_best_matches_are_re_ranked_and_the_others_follow(given: dict[str, float]) -> None:
    """Queries outside of the gallery: the 12 best by shared neighbours, with the same settings."""
    task = TASKS["sides"]
    rows = joined()
    gallery = [place for place in task.gallery.tolist() if not EMBEDDED.absent[place]]
    found = served(task, rerank=12, **given)
    k1, k2, trust = (given.get(name, usual) for name, usual in (("k1", 10), ("k2", 3), ("trust", 0.9)))
    for at, query in enumerate(task.queries.tolist()):
        scores = rows[gallery] @ rows[query]
        order = np.argsort(-scores, kind="stable")
        first = [gallery[column] for column in order[:12]]
        together = rows[[query, *first]]
        refined = reciprocal_scores(
            (together @ together.T).astype(np.float32),
            neighbours=int(k1),
            expansion=int(k2),
            trust=trust,
        )
        best = [first[place] for place in np.argsort(-refined, kind="stable")]
        assert found.answers[at].tolist() == best[:10]
    plain = served(task).figures()
    assert found.figures() != plain
    assert found.figures()["hit_rate@20"] == pytest.approx(plain["hit_rate@20"])  # the first 12 are the same ones


def test_the_query_is_expanded_by_its_neighbours_with_alpha() -> None:
    task = TASKS["sides"]
    plain, mean = served(task).figures(), served(task, expand=3, alpha=0.0).figures()
    none = served(task, expand=3, alpha=400.0).figures()  # cosines below 1 have no weight
    assert none == pytest.approx(plain, abs=1e-9)
    assert mean != plain


def test_products_count_once_with_their_best_photo() -> None:
    task = TASKS["sides"]
    found = served(task, group="product")
    rows = joined()
    ranks = []
    for query in task.queries.tolist():
        best: dict[str, float] = {}
        for place in task.gallery.tolist():
            if not EMBEDDED.absent[place]:
                score, product = float(rows[place] @ rows[query]), str(ITEMS[place].product)
                best[product] = max(score, best.get(product, -2.0))
        order = sorted(best, key=lambda product: -best[product])
        ranks.append(order.index(str(ITEMS[query].product)) + 1)
    figures = found.figures()
    assert figures["mrr"] == pytest.approx(np.mean([1 / rank for rank in ranks]))
    assert figures["hit_rate@1"] == pytest.approx(np.mean([rank == 1 for rank in ranks]))
    assert figures["recall@10"] == figures["hit_rate@10"]  # one product is right
    assert figures["map"] == pytest.approx(figures["mrr"])
    assert found.metric_values.gallery == 40


def test_the_query_photo_is_no_photo_of_its_product() -> None:
    """By `product`, a photo does not find its product by itself: each other photo may lie far away."""
    found = served(TASKS["product"], group="product").figures()
    assert 0.3 < found["hit_rate@1"] < 1.0
    grouped = served(TASKS["grades"], group="product").figures()
    assert max(grouped.values()) <= 1.0


def test_unknown_products_are_no_product() -> None:
    items = [*ITEMS, *(Item(f"u{number}", "x.png", product="NA") for number in range(3))]
    more = {name: np.concatenate([rows, rows[:3]]) for name, rows in EMBEDDED.rows.items()}
    embedded = replace(EMBEDDED, rows=more, absent=np.concatenate([EMBEDDED.absent, [False] * 3]))
    found = served(product_task(items), embedded, group="product")
    assert found.metric_values.gallery == 43


def test_options_are_checked_before_anything_is_embedded() -> None:
    nothing = dict.fromkeys(("k", "index", "probes", "group", "alpha", "k1", "k2", "trust"), None)
    assert search_options(expand=0, rerank=0, **nothing) is None
    wrong = {
        "k1 is a parameter of rerank": {"k1": 5},
        "alpha is a parameter of expand": {"alpha": 1.0, "rerank": 10},
        "k2 must be between 1 and 1,000": {"k2": 0, "rerank": 10},
        "trust must be a number from 0 to 1": {"trust": 1.5, "rerank": 10},
        "alpha must be a number from 0 to 1,000": {"alpha": -1.0, "expand": 3},
        "rerank must be between 0 and 1,000": {"rerank": 5000},
        "k must be at least 1": {"k": 0},
        "did you mean 'hnsw'": {"index": "hnws"},
        "group": {"group": "products"},
    }
    for message, options in wrong.items():
        with pytest.raises(UsageError, match=message):
            search_options(**({"expand": 0, "rerank": 0} | nothing | options))  # type: ignore[arg-type]


def test_a_report_says_how_was_searched() -> None:
    options = SearchOptions(index="ivf", probes=4, rerank=50, group="product")
    expected = {"index": "ivf", "k": 10, "probes": 4, "rerank": 50, "k1": 10, "k2": 3, "trust": 0.9, "group": "product"}
    assert options.to_json() == expected
