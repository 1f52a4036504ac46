"""Weight search, against trying all weights; and weight learning, on vectors with known results."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.task import Task, grades_task, product_task
from lookalike.spaces import unit_rows
from lookalike.tuning.weight_learning import LADDER, fuse, halves, search_weights, together
from lookalike.types import Item


def hill(best: Mapping[str, float]):  # type: ignore[no-untyped-def] # noqa: ANN201 - a function
    """A measure that is largest at certain ratios of weights."""

    def measure(weights: Mapping[str, float]) -> float:
        total = sum(weights.values())
        goal = sum(best.values())
        return 1 - sum(abs(weights[name] / total - best[name] / goal) for name in best)

    return measure


@pytest.mark.parametrize(
    "best", [{"a": 1.0, "b": 0.3}, {"a": 0.1, "b": 1.0}, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 0.5, "c": 0.2}]
)
def test_it_finds_what_trying_everything_finds(best: dict[str, float]) -> None:
    measure = hill(best)
    steps = [dict(zip(best, steps, strict=True)) for steps in itertools.product(LADDER, repeat=len(best)) if any(steps)]
    found = search_weights(measure, dict.fromkeys(best, 1.0))
    assert found.value == pytest.approx(max(map(measure, steps)), abs=0.02)
    assert found.weights == pytest.approx(best, abs=0.02)
    assert max(found.weights.values()) == 1.0


def test_no_weighting_is_measured_twice_and_a_plateau_moves_nothing() -> None:
    asked: list[tuple[float, ...]] = []

    def flat(weights: Mapping[str, float]) -> float:
        asked.append(tuple(weights.values()))
        return 0.5

    found = search_weights(flat, {"a": 2.0, "b": 0.2})
    assert found.weights == {"a": 1.0, "b": 0.1}
    assert len(asked) == len(set(asked)) == found.tried


def labelled_rows(count: int = 240) -> tuple[list[Item], dict[str, np.ndarray]]:
    """Items of 6 kinds; `told` says the kind through much noise, `noise` says nothing, `helps` through other noise."""
    random = np.random.default_rng(0)
    kinds = random.integers(6, size=count)
    items = [
        Item(id=str(at), photo=f"{at}.jpg", product=f"p{at // 2}", attributes={"kind": f"k{kind}"})
        for at, kind in enumerate(kinds.tolist())
    ]
    middles = np.eye(6)[kinds]
    rows = {
        "told": np.hstack([middles, 0.55 * random.standard_normal((count, 6))]),
        "helps": np.hstack([middles, 0.55 * random.standard_normal((count, 6))]),
        "noise": random.standard_normal((count, 6)),
    }
    return items, {name: unit_rows(values.astype(np.float32)) for name, values in rows.items()}


def test_what_says_nothing_loses_its_weight_and_the_gain_holds_on_the_other_half() -> None:
    items, rows = labelled_rows()
    task = grades_task(items, ["kind"])
    found = fuse(rows, task=task, start={"told": 1.0, "helps": 0.0, "noise": 1.0})
    assert found.after.weights["noise"] <= 0.1
    assert found.after.weights["helps"] >= 0.4
    assert found.holds
    assert found.gain == pytest.approx(found.after.value - found.before.value)
    assert found.gain_interval[0] < found.gain < found.gain_interval[1]
    assert found.alone["told"].value > found.alone["noise"].value
    assert (found.metric, found.learned_on + found.judged_by) == ("ndcg@10", len(items))


def test_the_metric_can_be_chosen() -> None:
    items, rows = labelled_rows(60)
    found = fuse(rows, task=grades_task(items, ["kind"]), start=dict.fromkeys(rows, 1.0), metric=Metric("hit_rate", 1))
    assert found.metric == "hit_rate@1"


def task_of(products: list[str | None], **attributes: list[str]) -> Task:
    items = [
        Item(id=str(at), photo="", product=product, attributes={name: row[at] for name, row in attributes.items()})
        for at, product in enumerate(products)
    ]
    return grades_task(items, ["kind"], apart=[name for name in attributes if name != "kind"])


def test_photos_that_never_answer_each_other_are_in_one_half() -> None:
    products = [f"p{at // 3}" for at in range(90)]
    senders = [f"s{at // 9}" for at in range(90)]
    for task, unit in (
        (task_of(products, kind=["k"] * 90), 3),
        (task_of(products, kind=["k"] * 90, sender=senders), 9),
    ):
        first, second = halves(task, seed=1)
        assert sorted([*first.tolist(), *second.tolist()]) == list(range(90))
        assert not set((first // unit).tolist()) & set((second // unit).tolist())
        assert abs(len(first) - len(second)) <= unit + 1


@pytest.mark.parametrize("seed", range(8))
def test_a_product_of_most_photos_is_one_half(seed: int) -> None:
    task = task_of(["most"] * 12 + ["a", "a", "b", "b", "c", "c"], kind=["k"] * 18)
    first, second = halves(task, seed=seed)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(18)) and len(first) and len(second)
    assert {*range(12)} <= {*first.tolist()} or {*range(12)} <= {*second.tolist()}


def test_photos_without_a_product_are_each_on_their_own() -> None:
    assert len(set(together(task_of([None] * 8, kind=["k"] * 8)).tolist())) == 8


def test_what_cannot_be_learned_says_why() -> None:
    items, rows = labelled_rows(40)
    with pytest.raises(UsageError, match="only one space"):
        fuse({"told": rows["told"]}, task=grades_task(items, ["kind"]), start={"told": 1.0})
    one = [Item(id=str(at), photo="", product="p") for at in range(4)]
    with pytest.raises(UsageError, match="belong to one item"):
        halves(product_task(one), seed=0)
