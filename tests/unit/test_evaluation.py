"""Tasks, metrics, intervals, class scores and comparisons, against figures worked out by hand."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

from lookalike.catalogue.benchmark import Benchmark, Sides
from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.evaluation.classes import found_among_top, measure_classes, rank_of_class
from lookalike.evaluation.comparison import compare_evaluations
from lookalike.evaluation.intervals import bootstrap_intervals, paired_significance
from lookalike.evaluation.metric_values import NO_CATEGORY, MetricValues
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.ranking import by_metric, evaluate_rows, evaluate_scores
from lookalike.evaluation.report.data import page, queries_csv
from lookalike.evaluation.task import grades_task, identical_rows, product_task, sides_task
from lookalike.types import Float32, Item


def on_a_circle(*degrees: float) -> dict[str, Float32]:
    """Unit rows of two numbers: the fewer degrees between two, the higher their score."""
    angles = np.radians(degrees)
    return {"deep": np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)}


def item(name: str, product: str | None = None, **attributes: str) -> Item:
    return Item(name, f"{name}.jpg", product=product, attributes=attributes)


DEEP = {"deep": 1.0}


# Who may answer whom.


def test_a_product_is_looked_for_among_all_other_photos() -> None:
    items = [item("a1", "a"), item("a2", "a"), item("b1", "b"), item("b2", "b"), item("c1", "c"), item("x")]
    task = product_task(items)
    assert task.queries.tolist() == [0, 1, 2, 3]  # c has one photo, x no product: they only answer
    assert "1 photos are the only ones" in task.notes[0]
    assert "1 photos have no known product" in task.notes[1]
    #                          a1   a2   b1   b2    c1   x
    retrieval = evaluate_rows(on_a_circle(0, 10, 12, 100, 20, 95), weights=DEEP, task=task)
    figures = retrieval.figures()
    # a1: a2 first. a2: b1, a1 (c1 is as far as a1, and comes later). b1: a2, c1, a1, x, b2. b2: x, c1, b1.
    assert retrieval.first_rank.tolist() == [1, 2, 5, 3]
    assert figures["hit_rate@1"] == 1 / 4
    assert figures["hit_rate@5"] == 1.0
    assert figures["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 5 + 1 / 3) / 4)
    assert figures["map@r"] == 1 / 4
    assert [items[place].id for place in retrieval.answers[3, :5]] == ["x", "c1", "b1", "a2", "a1"]
    assert retrieval.answers[3, 5:].tolist() == [-1] * 5  # it never answers itself
    assert retrieval.hit_rates(5).tolist() == [0.25, 0.5, 0.75, 0.75, 1.0]


def test_twins_never_answer_each_other() -> None:
    """Two files of one content, and two contents of one vector: what is left to find is the other photo."""
    items = [item(name, "a") for name in ("one", "copy", "other")]
    task = product_task(items, contents={"one": "77", "copy": "77", "other": "99"})
    retrieval = evaluate_rows(on_a_circle(0, 0, 90), weights=DEEP, task=task)
    assert [row[0] for row in retrieval.answers.tolist()] == [2, 2, 0]
    assert retrieval.figures()["recall@1"] == pytest.approx((1 + 1 + 1 / 2) / 3)
    rows = on_a_circle(0, 0, 90)
    by_vector = product_task(items).keeping_apart(identical_rows(rows))
    assert [row[0] for row in evaluate_rows(rows, weights=DEEP, task=by_vector).answers.tolist()] == [2, 2, 0]
    with pytest.raises(UsageError, match="at least two different photos"):
        product_task(items[:2], contents={"one": "77", "copy": "77"})


def test_a_collapsed_model_finds_nothing() -> None:
    """Photos with the same vector are all twins: the figure is 0 and does not depend on their order."""
    items = [item(f"a{n}", "a") for n in range(4)]
    rows = on_a_circle(30, 30, 30, 30)
    retrieval = evaluate_rows(rows, weights=DEEP, task=product_task(items).keeping_apart(identical_rows(rows)))
    assert set(retrieval.figures().values()) == {0.0}


def test_grades_are_counted_by_hand() -> None:
    """A red dress for women asks; NDCG with the gains 7, 3 and 1, worked out on paper."""
    facts = [
        ("query", "Dress", "Red", "Women"),
        ("twin", "Dress", "Red", "Women"),
        ("same", "Dress", "Red", "Women"),
        ("men", "Dress", "Red", "Men"),
        ("blue", "Dress", "Blue", "Women"),
        ("shoe", "Shoe", "Red", "Women"),
    ]
    items = [
        item(name, "g1" if name in ("query", "twin") else None, type=kind, color=color, gender=gender)
        for name, kind, color, gender in facts
    ]
    task = grades_task(items, ("type", "color", "gender"))
    # In the order of their scores: shoe 0, blue 1, same 3, men 2; the twin is of the query's own product.
    retrieval = evaluate_rows(on_a_circle(0, 1, 30, 40, 20, 10), weights=DEEP, task=task)
    gained = 0 / 1 + 1 / np.log2(3) + 7 / 2 + 3 / np.log2(5)
    ideal = 7 / 1 + 3 / np.log2(3) + 1 / 2
    values = dict(zip(retrieval.metric_values.metrics, retrieval.metric_values.values[0], strict=True))
    assert values["ndcg@10"] == pytest.approx(gained / ideal)
    assert values["precision@1"] == 0
    assert values["precision@10"] == pytest.approx(1 / 10)
    assert values["map@r"] == 0  # one item has the highest grade, and it is not the first
    assert values["precision@10[type]"] == pytest.approx(3 / 10)
    assert [items[place].id for place in retrieval.answers[0, :4]] == ["shoe", "blue", "same", "men"]


def test_what_is_unknown_agrees_with_nothing_and_does_not_ask() -> None:
    items = [item("a", type="Dress"), item("b", type="NA"), item("c", type="NA"), item("d", type="Not sure"), item("e")]
    task = grades_task(items, ("type",), unknown=("NA", "Not sure"))
    assert task.queries.tolist() == [0]
    assert evaluate_rows(on_a_circle(0, 1, 2, 3, 4), weights=DEEP, task=task).figures()["ndcg@10"] == 0
    with pytest.raises(UnknownNameError, match="did you mean 'type'"):
        grades_task(items, ("typo",))


UNKNOWN = ("NA", "none", "0")


def test_an_unknown_product_is_none() -> None:
    """Six photos whose product is not known are not six photos of one product, whatever word says so."""
    names = ["NA", "NA", "none", "none", "0", "0", " ", " ", None, None]
    items = [item(f"u{number}", name) for number, name in enumerate(names)]
    items += [item("a1", "a"), item("a2", "a")]
    task = product_task(items, unknown=UNKNOWN)
    assert [items[place].id for place in task.queries.tolist()] == ["a1", "a2"]
    assert len(task.gallery) == len(items)
    assert task.labels[0].tolist() == [-1] * 10 + [0, 0]
    assert "10 photos have no known product" in task.notes[0]
    with pytest.raises(UsageError, match="at least two different photos"):
        product_task(items[:4], unknown=UNKNOWN)


def test_photos_of_unknown_products_answer_each_other_by_grades() -> None:
    items = [item("a", "NA", type="Dress"), item("b", "NA", type="Dress"), item("c", "none", type="Dress")]
    task = grades_task(items, ("type",), unknown=UNKNOWN)
    retrieval = evaluate_rows(on_a_circle(0, 10, 30), weights=DEEP, task=task)
    assert [row[:2] for row in retrieval.answers.tolist()] == [[1, 2], [0, 2], [1, 0]]
    assert retrieval.figures()["precision@1"] == 1.0


def test_unknown_values_keep_nothing_apart_and_are_no_category() -> None:
    """What a value of `--apart` or `--by` does not say, it says in no protocol."""
    items = [
        item(f"a{number}", "a", sender="none", style="none" if number else "plain", type="Hat") for number in range(3)
    ]
    for task in (
        Protocol.parse("product").task(items, apart=["id"], unknown=UNKNOWN, category="style"),
        Protocol.parse("grades=type").task(items, apart=["id"], unknown=UNKNOWN, category="style"),
    ):
        assert task.categories() == ["plain", NO_CATEGORY, NO_CATEGORY]
    known = [*items, item("b", "b", sender="me")]
    task = Protocol.parse("product").task(known, apart=["sender"], unknown=UNKNOWN)
    retrieval = evaluate_rows(on_a_circle(0, 10, 30, 90), weights=DEEP, task=task)
    assert [row[0] for row in retrieval.answers.tolist()] == [1, 0, 1]


def test_what_could_only_give_0_is_refused() -> None:
    items = [item("a1", "a", type="Hat"), item("a2", "a", type="Hat")]
    with pytest.raises(UsageError, match="'product' is no grade; the protocol 'product'"):
        grades_task(items, ("product", "type"))
    with pytest.raises(UsageError, match="leave 'product' out of apart"):
        product_task(items, apart=("product",))


def test_a_benchmarks_unknown_products_are_no_right_answers() -> None:
    items = [item("q", "NA", split="query"), item("g", "NA", split="gallery"), item("h", "h", split="gallery")]
    sides = Sides({"split": ("query",)}, {"split": ("gallery",)})
    task = sides_task(items, sides, protocol="inshop")
    assert evaluate_rows(on_a_circle(0, 1, 2), weights=DEEP, task=task).figures()["recall@1"] == 0
    assert "1 queries have no right answer" in task.notes[0]


def test_photos_of_one_sender_never_answer_each_other() -> None:
    items = [item(f"p{n}", label="Hat", sender=sender) for n, sender in enumerate(("ann", "ann", "bob"))]
    retrieval = evaluate_rows(
        on_a_circle(0, 1, 50), weights=DEEP, task=grades_task(items, ("label",), apart=("sender",))
    )
    assert [row[:2] for row in retrieval.answers.tolist()] == [[2, -1], [2, -1], [1, 0]]


def test_a_benchmark_asks_its_whole_gallery_and_excludes_nobody() -> None:
    items = [
        item("q1", "a", side="query"),
        item("q2", "z", side="query"),
        item("g1", "b", side="gallery"),
        item("g2", "a", side="gallery"),
        item("t1", "a", side="train"),
    ]
    sides = Sides({"side": ("query",)}, {"side": ("gallery",)})
    task = sides_task(items, sides, protocol="inshop")
    retrieval = evaluate_rows(on_a_circle(0, 0, 5, 9, 0), weights=DEEP, task=task)
    assert retrieval.first_rank.tolist() == [2, 0]
    assert retrieval.figures()["hit_rate@1"] == 0
    assert retrieval.figures()["hit_rate@10"] == 0.5  # q2 has no counterpart: it counts as 0 and does not vanish
    assert "1 queries have no right answer" in task.notes[0]


def test_a_photo_without_vectors_finds_nothing_and_is_not_found() -> None:
    items = [item("a1", "a"), item("a2", "a"), item("a3", "a")]
    absent = np.array([False, False, True])
    retrieval = evaluate_rows(on_a_circle(0, 1, 0), weights=DEEP, task=product_task(items), absent=absent)
    assert retrieval.first_rank.tolist() == [1, 1, 0]
    assert retrieval.figures()["recall@10"] == pytest.approx((1 / 2 + 1 / 2 + 0) / 3)


# The figures.


def random_shop(*, photos: int, products: int, seed: int = 0) -> tuple[list[Item], dict[str, Float32]]:
    random = np.random.default_rng(seed)
    items = [item(f"p{n}", f"g{n % products}", kind=f"k{n % 3}") for n in range(photos)]
    centres = random.standard_normal((products, 24))
    rows = centres[np.arange(photos) % products] + 1.1 * random.standard_normal((photos, 24))
    return items, {"deep": rows.astype(np.float32), "color": random.standard_normal((photos, 6)).astype(np.float32)}


def test_figures_agree_with_pytorch_metric_learning() -> None:
    items, rows = random_shop(photos=300, products=60)
    unit = rows["deep"] / np.linalg.norm(rows["deep"], axis=1, keepdims=True)
    labels = np.arange(300) % 60
    names = ("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_reciprocal_rank")
    import torch

    theirs = AccuracyCalculator(include=names, k=None, device=torch.device("cpu")).get_accuracy(unit, labels)
    ours = evaluate_rows(rows, weights=DEEP, task=product_task(items)).figures()
    for name, other in zip(("hit_rate@1", "r_precision", "map@r", "mrr"), names, strict=True):
        assert ours[name] == pytest.approx(theirs[other], abs=1e-5), name
    assert 0.2 < ours["map@r"] < 0.9  # neither all nor nothing


def test_weights_are_those_of_the_score() -> None:
    items, rows = random_shop(photos=40, products=10)
    task = product_task(items)
    both = evaluate_rows(rows, weights={"deep": 2.0, "color": 0.5}, task=task)
    units = {name: part / np.linalg.norm(part, axis=1, keepdims=True) for name, part in rows.items()}
    first = int(both.answers[7, 0])
    score = (2.0 * units["deep"][7] @ units["deep"][first] + 0.5 * units["color"][7] @ units["color"][first]) / 2.5
    assert both.scores[7, 0] == pytest.approx(score, abs=1e-5)
    with pytest.raises(UsageError, match="above 0"):
        evaluate_rows(rows, weights={"deep": 0.0}, task=task)


def test_euclidean_distances_of_unit_rows_order_as_cosines_do() -> None:
    items, rows = random_shop(photos=60, products=15)
    unit = {name: part / np.linalg.norm(part, axis=1, keepdims=True) for name, part in rows.items()}
    task = product_task(items)
    by_distance = evaluate_scores(by_metric(unit, weights=DEEP, metrics={"deep": "euclidean"}, task=task), task=task)
    by_cosine = evaluate_rows(rows, weights=DEEP, task=task)
    assert by_distance.answers.tolist() == by_cosine.answers.tolist()
    first = int(by_distance.answers[3, 0])
    assert by_distance.scores[3, 0] == pytest.approx(-np.linalg.norm(unit["deep"][3] - unit["deep"][first]), abs=1e-5)
    spread = evaluate_scores(by_metric(unit, weights=DEEP, metrics={"deep": "seuclidean"}, task=task), task=task)
    assert 0 < spread.figures()["hit_rate@1"] <= 1


def test_the_parts_make_up_the_whole() -> None:
    items, rows = random_shop(photos=90, products=30)
    measured = evaluate_rows(rows, weights=DEEP, task=product_task(items, category="kind")).metric_values
    parts = measured.per_category()
    assert [part["queries"] for part in parts.values()] == [30, 30, 30]
    for name, value in measured.figures().items():
        assert value == pytest.approx(np.mean([part[name] for part in parts.values()]))
    shown = measured.to_json(model="m", weights={"deep": 1.0})
    assert set(shown) >= {"protocol", "model", "weights", "queries", "gallery", "metrics", "per_category"}


def peak_of(queries: int, gallery: int) -> int:
    """Most bytes held while so many queries ask so many photos."""
    random = np.random.default_rng(0)
    items = [item(f"p{n}", f"g{n % 999}", side="q" if n < queries else "g") for n in range(queries + gallery)]
    rows = {"deep": random.standard_normal((queries + gallery, 8)).astype(np.float32)}
    task = sides_task(items, Sides({"side": ("q",)}, {"side": ("g",)}), protocol="inshop")
    tracemalloc.start()
    evaluate_rows(rows, weights=DEEP, task=task)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_queries_times_gallery() -> None:
    few, many = peak_of(600, 3000), peak_of(4800, 3000)
    assert many - few < 4200 * 1000  # a thousand bytes for a query, where its scores alone would be 12,000
    assert many < 200 << 20


@pytest.mark.slow
def test_twenty_thousand_ask_twenty_thousand_in_bounded_memory() -> None:
    assert peak_of(20_000, 20_000) < 300 << 20  # all scores at once would be 1.6 GB, their order 3.2 GB


# How certain a figure is.


def test_intervals_cover_what_they_should() -> None:
    """The textbook's interval of a mean: 1.96 standard errors on both sides."""
    values = np.random.default_rng(1).random((2000, 2)) ** [1, 3]
    intervals = bootstrap_intervals(values, seed=3)
    error = 1.96 * values.std(axis=0) / np.sqrt(len(values))
    assert intervals[:, 0] == pytest.approx(values.mean(axis=0) - error, abs=error.max() / 4)
    assert intervals[:, 1] == pytest.approx(values.mean(axis=0) + error, abs=error.max() / 4)
    assert bootstrap_intervals(values, seed=3).tolist() == intervals.tolist()
    assert bootstrap_intervals(np.ones((5, 1))).tolist() == [[1.0, 1.0]]


def test_intervals_of_few_queries_are_of_resamples_that_have_some() -> None:
    """One query of fifty has a value, and it is 1: no resample tells another mean. Of the other metric none has."""
    values = np.ones((50, 2))
    counts = np.zeros((50, 2))
    counts[7, 0] = 1
    assert bootstrap_intervals(values, counts=counts).tolist() == [[1.0, 1.0], [0.0, 0.0]]


def test_significance_is_that_of_all_exchanges() -> None:
    """Five queries, all better by the same: of 32 exchanges two are as extreme, so p is 1/16."""
    one = np.zeros((5, 1))
    assert paired_significance(one, one + 0.5)[0] == pytest.approx(2 / 32, abs=0.01)
    assert paired_significance(one, one)[0] == 1.0
    random = np.random.default_rng(0)
    first = random.random((300, 1))
    assert paired_significance(first, first + 0.2 + 0.1 * random.random((300, 1)))[0] < 0.001


def run(folder: Path, values: list[float], *, queries: tuple[str, ...] = ("a", "b", "c", "d"), **other: object) -> Path:
    """A report folder of one metric."""
    measured = MetricValues(
        protocol=str(other.get("protocol", "product")),
        metrics=("hit_rate@1",),
        queries=queries,
        gallery=9,
        by="",
        categories=["(unknown)"] * len(queries),
        values=np.array(values, dtype=np.float64)[:, None],
        products=cast(Sequence[str], other.get("products", ())),
    )
    folder.mkdir()
    facts = measured.to_json(model="m", weights={"deep": 1.0})
    (folder / "report.json").write_text(json.dumps(facts))
    (folder / "queries.csv").write_text(queries_csv(measured))
    return folder


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    first = run(tmp_path / "one", [0, 0, 1, 1])
    second = run(tmp_path / "two", [1, 0, 1, 1], queries=("d", "c", "b", "a"))  # in another order: c alone is worse
    figure = compare_evaluations(first, second).metrics["hit_rate@1"]
    assert (figure.a, figure.b, figure.difference) == (0.5, 0.75, 0.25)
    assert figure.interval[0] <= 0.25 <= figure.interval[1]
    assert figure.p_value == pytest.approx(1.0, abs=0.01)  # a, b, c differ by 1, 1, -1: all 8 exchanges are as far


def test_products_are_resampled_and_exchanged_whole(tmp_path: Path) -> None:
    """Four queries of two products, and one of an unknown product: 3 groups have 8 exchanges, by hand."""
    queries, products = ("a", "b", "c", "d", "e"), ["product p", "product p", "product q", "product q", "item e"]
    first = run(tmp_path / "one", [0, 0, 0, 0, 0], queries=queries, products=products)
    second = run(tmp_path / "two", [1, 1, 1, 1, 1], queries=queries, products=products)
    text = (tmp_path / "one" / "queries.csv").read_text().splitlines()
    assert text[0] == "query,category,product,hit_rate@1" and [line.split(",")[2] for line in text[1:]] == [*"ppqq", ""]
    whole = compare_evaluations(first, second, resample="product").metrics["hit_rate@1"]
    assert whole.p_value == pytest.approx(2 / 8, abs=0.01), "of 8 exchanges, those of none and of all are as far"
    single = compare_evaluations(first, second).metrics["hit_rate@1"]
    assert single.p_value == pytest.approx(2 / 32, abs=0.01)
    mixed = run(tmp_path / "three", [1, 1, 0, 0, 0], queries=queries, products=products)
    wide, narrow = (
        compare_evaluations(first, mixed, resample=what).metrics["hit_rate@1"].interval for what in ("product", "query")
    )
    assert wide[1] == 1.0, "product p is drawn three times in 1 of 27 resamples"
    assert narrow == pytest.approx((0.0, 0.8))


def test_runs_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    first = run(tmp_path / "one", [0, 0, 1, 1])
    with pytest.raises(MismatchError, match=r"1 are only in .*one, 1 only in"):
        compare_evaluations(first, run(tmp_path / "two", [0, 0, 1, 1], queries=("a", "b", "c", "e")))
    with pytest.raises(MismatchError, match="different protocols, product and inshop"):
        compare_evaluations(first, run(tmp_path / "three", [0, 0, 1, 1], protocol="inshop"))
    with pytest.raises(UsageError, match=r"not a report .* report.json: No such file"):
        compare_evaluations(first, tmp_path / "nowhere")
    (tmp_path / "one" / "report.json").write_text("{}")
    with pytest.raises(UsageError, match="damaged"):
        compare_evaluations(first, first)


# Class scores.


def test_the_rank_of_the_right_class() -> None:
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0.5], [0.9, 0.0, 0.1]], dtype=np.float32)
    assert rank_of_class(scores, np.array([1, 2, 1])).tolist() == [1, 3, 3]


def test_categories_and_attributes_by_hand() -> None:
    """Two photos; attributes: two textures and two parts. Recall is summed over photos before it is divided."""
    items = [
        Item("one", "1.jpg", attributes={"category": "Dress", "attributes": ["dots", "hood"]}),
        Item("two", "2.jpg", attributes={"category": "Tee", "attributes": ["hood"]}),
    ]
    categories = ["Tee", "Dress", "Coat", "Jeans"]
    category_scores = np.array([[4, 1, 3, 2], [1, 4, 3, 2]], dtype=np.float32)  # ranks 4 and 4 of 4
    names = ["dots", "stripes", "hood", "zip", "bow", "cuff"]
    types = {"dots": "texture", "stripes": "texture", "hood": "part", "zip": "part", "bow": "part", "cuff": "part"}
    scores = np.array([[6, 5, 1, 2, 3, 4], [6, 5, 4, 3, 2, 1]], dtype=np.float32)
    measured = measure_classes(
        items,
        categories=categories,
        category_scores=category_scores,
        attribute_types=types,
        attributes=names,
        attribute_scores=scores,
    )
    figures = measured.figures()
    assert figures["category_accuracy@3"] == 0
    assert figures["category_accuracy@5"] == 1
    # All compete: photo one finds dots (1 of 2), photo two its hood at 3 (1 of 1): 2 of 3.
    assert figures["attribute_recall@3[all]"] == pytest.approx(2 / 3)
    assert figures["attribute_recall@3[texture]"] == 1.0
    # Within parts: photo one's hood is fourth of four, photo two's the first.
    assert figures["attribute_recall@3[part]"] == 0.5
    assert figures["attribute_recall@5[part]"] == 1.0
    assert measured.per_category()["Tee"]["attribute_recall@3[all]"] == 1.0
    gone = measure_classes(
        items,
        categories=categories,
        category_scores=category_scores,
        attribute_types=types,
        attributes=names,
        attribute_scores=scores,
        absent=np.array([True, False]),
    )
    assert gone.figures()["category_accuracy@5"] == 0.5
    assert gone.figures()["attribute_recall@3[all]"] == pytest.approx(1 / 3)


def test_attributes_that_the_model_does_not_know_count_as_not_found() -> None:
    """It scores both dots and hood highest; of the three attributes there are, and of the two parts, it misses zip."""
    items = [Item("one", "1.jpg", attributes={"attributes": ["dots", "hood", "zip"]})]
    measured = measure_classes(
        items,
        categories=(),
        category_scores=None,
        attribute_types={"dots": "texture", "hood": "part", "zip": "part", "silk": "fabric"},
        attributes=["dots", "hood"],
        attribute_scores=np.array([[2, 1]], dtype=np.float32),
    )
    assert measured.figures() == {
        "attribute_recall@3[all]": pytest.approx(2 / 3),
        "attribute_recall@5[all]": pytest.approx(2 / 3),
        "attribute_recall@3[texture]": 1.0,
        "attribute_recall@5[texture]": 1.0,
        "attribute_recall@3[part]": 0.5,
        "attribute_recall@5[part]": 0.5,
    }
    assert measured.notes == ("1 attributes are unknown to the model, such as 'zip'; they count as not found",)


def test_the_right_attributes_are_counted_in_blocks_as_at_once() -> None:
    random = np.random.default_rng(0)
    scores, positive = random.random((9000, 7)).astype(np.float32), random.random((9000, 7)) < 0.3
    expected = [sum(positive[row, np.argsort(-scores[row])[:3]]) for row in range(9000)]
    assert found_among_top(scores, positive, 3).tolist() == expected


def test_a_model_of_other_classes_is_refused() -> None:
    items = [Item("one", "1.jpg", attributes={"category": "Dress"})]
    with pytest.raises(MismatchError, match="'Shoe'"):
        measure_classes(
            items,
            categories=["Shoe"],
            category_scores=np.ones((1, 1), dtype=np.float32),
            attribute_types={},
            attributes=(),
            attribute_scores=None,
        )


# Names of protocols, and the page.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("inshopp", "did you mean 'inshop'"),
        ("grades", "needs attributes"),
        ("grades=", "needs attributes"),
        ("product=a", "takes no arguments"),
        ("consumer2shop=val,test", "takes one variant"),
    ],
)
def test_a_protocol_misnamed_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Protocol.parse(text)


def test_a_benchmark_decides_who_asks() -> None:
    sides = {"test": Sides({"s": ("q",)}, {"s": ("g",)}), "val+test": Sides({"s": ("q",)}, {"s": ("g", "v")})}
    benchmark = Benchmark("consumer2shop", sides)
    items = [item("a", "p", s="q"), item("b", "p", s="g"), item("c", "p", s="v"), item("d", "p", s="t")]
    assert str(Protocol.usual(benchmark)) == "consumer2shop"
    assert str(Protocol.usual(None)) == "product"
    usual, wider = Protocol.parse("consumer2shop"), Protocol.parse("consumer2shop=val+test")
    assert [one.id for one in usual.taking_part(items, benchmark)] == ["a", "b"]
    assert [one.id for one in wider.taking_part(items, benchmark)] == ["a", "b", "c"]
    with pytest.raises(UnknownNameError, match="'val'"):
        Protocol.parse("consumer2shop=val").sides(benchmark)
    with pytest.raises(UsageError, match="no published benchmark"):
        Protocol.parse("inshop").taking_part(items, None)
    with pytest.raises(UsageError, match="is fixed; leave `apart` out"):
        usual.task(items, benchmark=benchmark, apart=("s",))
    with pytest.raises(UsageError, match="no photo for its gallery"):
        usual.task(items[:1], benchmark=benchmark)


def test_the_page_says_what_the_json_says() -> None:
    items, rows = random_shop(photos=12, products=4)
    measured = evaluate_rows(rows, weights=DEEP, task=product_task(items, category="kind")).metric_values
    facts = {**measured.to_json(model="tiny@1", weights={"deep": 1.0, "color": 0.0}), "search": {}}
    text = page(facts, title="T", made={"Source": "`s.csv`"}, pictures={"curves.png": "Curves"})
    low, high = facts["metrics"]["mrr"]["interval"]  # type: ignore[call-overload,index]
    assert f"| mrr | {measured.figures()['mrr']:.4f} | {low:.4f} to {high:.4f} |" in text
    assert "- Weights: deep 1\n" in text
    assert "![Curves](curves.png)" in text
    assert "## By kind" in text
