"""What the best checkpoint is chosen by."""

from __future__ import annotations

import pytest

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.training.run.criterion import Criterion, metric_of

KNOWN = ["0/ndcg@10", "0/accuracy@1[type]", "1/ndcg@10", "1/hit_rate@1"]
FIGURES = dict(zip(KNOWN, (0.1, 0.2, 0.5, 0.8), strict=True))


@pytest.mark.parametrize(
    ("select", "value", "said"),
    [
        ("", 0.1, "0/ndcg@10"),
        ("hit_rate@1", 0.8, "1/hit_rate@1"),
        ("ndcg@10", (0.1 + 0.5) / 2, "mean of 0/ndcg@10, 1/ndcg@10"),
        ("1/ndcg@10", 0.5, "1/ndcg@10"),
        ({"ndcg@10": 2.0, "accuracy@1[type]": 1.0}, (0.1 + 0.5 + 0.2) / 3, None),
        ({"0/ndcg@10": 3.0, "1/hit_rate@1": 1.0}, (3 * 0.1 + 0.8) / 4, "0.75 x 0/ndcg@10, 0.25 x 1/hit_rate@1"),
    ],
)
def test_the_value_is_a_weighted_mean(select: str | dict[str, float], value: float, said: str | None) -> None:
    criterion = Criterion.of(select, known=KNOWN, usual=["0/ndcg@10"])
    assert criterion.value(FIGURES) == pytest.approx(value)
    assert said is None or str(criterion) == said


def test_an_unknown_metric_names_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown metric in `select` 'zzz'; known: ndcg@10, accuracy@1\[type\]"):
        Criterion.of("zzz", known=KNOWN, usual=KNOWN)
    with pytest.raises(UnknownNameError, match="did you mean 'ndcg@10'"):
        Criterion.of({"ndcg@1": 1.0}, known=KNOWN, usual=KNOWN)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_are_above_0(weight: float) -> None:
    with pytest.raises(ConfigError, match="expected a weight above 0 for 'ndcg@10'"):
        Criterion.of({"ndcg@10": weight}, known=KNOWN, usual=KNOWN)


def test_a_figure_that_could_not_be_measured_counts_as_0() -> None:
    criterion = Criterion.of("ndcg@10", known=KNOWN, usual=KNOWN)
    assert criterion.value({"0/ndcg@10": 0.4}) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("figure", "metric"),
    [
        ("0/accuracy@1[material/fabric]", "accuracy@1[material/fabric]"),
        ("2024/labels.csv: AP50 mean", "AP50 mean"),
        ("phrases precision@1", "phrases precision@1"),
    ],
)
def test_a_metric_may_have_a_slash(figure: str, metric: str) -> None:
    assert metric_of(figure) == metric
    assert Criterion.of(metric, known=[figure, "0/other"], usual=[figure]).weights == {figure: 1.0}
