"""Intervals by resampled products: against a slow loop, and as an option of `evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.intervals import RESAMPLES, bootstrap_intervals


def test_groups_are_drawn_whole() -> None:
    random = np.random.default_rng(0)
    groups = [f"p{number}" for number in random.integers(0, 12, 90)]
    values, counts = random.random((90, 2)), random.integers(0, 4, (90, 2)).astype(float)
    names = sorted(set(groups))
    drawn = np.random.default_rng(5).multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES)
    means = []
    for times in drawn:
        rows = [
            row
            for name, count in zip(names, times, strict=True)
            for row in np.flatnonzero(np.array(groups) == name).tolist() * count
        ]
        means.append((values[rows] * counts[rows]).sum(axis=0) / counts[rows].sum(axis=0))
    expected = np.quantile(means, [0.025, 0.975], axis=0).T
    found = bootstrap_intervals(values, counts=counts, groups=groups, seed=5)
    assert np.allclose(found, expected)
    each = [str(number) for number in range(90)]
    assert np.allclose(
        np.diff(bootstrap_intervals(values, groups=each, seed=1)),
        np.diff(bootstrap_intervals(values, seed=1)),
        rtol=0.1,
    )


def test_equal_queries_of_a_product_do_not_narrow_the_interval() -> None:
    """Ten copies of each query say no more than one."""
    values = np.random.default_rng(1).random((30, 1))
    ten, groups = np.repeat(values, 10, axis=0), [str(number) for number in np.repeat(np.arange(30), 10)]
    narrow, wide = (np.diff(bootstrap_intervals(ten, groups=each)).item() for each in ((), groups))
    alone = np.diff(bootstrap_intervals(values)).item()
    assert wide == pytest.approx(alone, rel=0.1)
    assert narrow == pytest.approx(alone / 10**0.5, rel=0.1)


def test_evaluate_resamples_products(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_drawn(tmp_path / "sample", products=8, photos=4)
    command = ["evaluate", str(table), "--model", str(tiny_model), "--protocol", "product", "--json"]
    told = {}
    for resample in ("query", "product"):
        assert main([*command, "--resample", resample]) == 0
        told[resample] = json.loads(capsys.readouterr().out)
        ours = lookalike.evaluate(table, model=tiny_model, protocol="product", resample=resample).to_json()
        assert ours["metrics"] == told[resample]["metrics"]
        assert told[resample]["resample"] == resample
    ours, theirs = (told[one]["metrics"]["map"] for one in ("product", "query"))
    assert ours["value"] == theirs["value"] and ours["interval"] != theirs["interval"]
    with pytest.raises(UnknownNameError, match="unknown resample 'products'; did you mean 'product'"):
        lookalike.evaluate(table, model=tiny_model, protocol="product", resample="products")
    with pytest.raises(UsageError, match="queries in words have no product"):
        lookalike.evaluate(table, model="default", protocol="words=type", resample="product")
