"""Filters against Python, and tables written and read back: what tests/property holds, with many more examples."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, seed, settings

from fault_tries import Tries
from lookalike.gallery.local.gallery import LocalGallery

sys.path.append(str(Path(__file__).parents[1] / "property"))

import test_csv_round_trip as tables
import test_filters_against_python as filters


def with_examples(test: Callable[..., None], count: int, *, drawn_by: int, **strategies: Any) -> None:
    """Run a property with so many examples."""
    many = settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    many(seed(drawn_by)(given(**strategies)(test)))()


@pytest.mark.timeout(7200)
def test_filters_find_what_python_finds(tries: Tries, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    count = tries("filters-against-python", short=50, long=20_000)
    with LocalGallery(tmp_path / "any.gallery", create=True) as gallery:

        def check(catalogue: list[dict[str, Any]], condition: filters.Filter) -> None:
            gallery.remove([str(number) for number in range(8)])
            filters.finds_what_python_finds(gallery, filters.put_into(gallery, catalogue), condition)

        drawn = {"catalogue": filters.catalogues, "condition": filters.conditions}
        with_examples(check, count, drawn_by=request.config.getoption("--seed"), **drawn)


@pytest.mark.timeout(7200)
def test_tables_are_read_back(tries: Tries, request: pytest.FixtureRequest) -> None:
    count = tries("tables-round-trip", short=50, long=20_000)
    property_of_tables = tables.test_a_written_table_is_read_back.hypothesis.inner_test
    drawn = {"rows": tables.ROWS, "delimiter": tables.DELIMITERS, "quoting": tables.QUOTINGS}
    with_examples(property_of_tables, count, drawn_by=request.config.getoption("--seed"), **drawn)
