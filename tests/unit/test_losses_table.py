"""The tables of bench/losses.py: means, intervals and differences by resampled families and seeds, on a page."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FAMILIES, QUERIES = 12, 6


@pytest.fixture(scope="module")
def tables() -> ModuleType:
    spec = importlib.util.spec_from_file_location("losses_table", ROOT / "bench" / "losses_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    return module


def write_row(folder: Path, *, seeds: list[np.ndarray]) -> None:
    """Write a row whose seeds have these hits, (FAMILIES, QUERIES)."""
    for number, hits in enumerate(seeds):
        place = folder / f"0.001-{number}"
        place.mkdir(parents=True)
        with (place / "test.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["query", "product", "family", "detail", "covered", "hit_rate@1", "map@r", "right_family"])
            for family in range(FAMILIES):
                for query in range(QUERIES):
                    detail, hit = "badge" if query % 2 else "none", float(hits[family, query])
                    writer.writerow([f"q{family}-{query}", "p", f"f{family:02}", detail, "0.00", hit, hit / 2, 1])
        (place / "run.json").write_text(json.dumps({"dev": 0.3, "cpu_seconds": 30.0 + number}))
    (folder / "rate.json").write_text(json.dumps({"rate": 0.001, "dev": {"0.001": 0.3, "0.003": 0.2}}))


def test_values_of_a_page(tables: ModuleType, tmp_path: Path) -> None:
    """A row as good as the baseline has a difference around 0; one that is always right an asterisk."""
    random = np.random.default_rng(0)
    base = [random.random((FAMILIES, QUERIES)) < 0.5 for _ in range(3)]
    write_row(tmp_path / "base", seeds=base)
    write_row(tmp_path / "same", seeds=base)
    write_row(tmp_path / "right", seeds=[np.ones((FAMILIES, QUERIES))] * 2)
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n<!-- one: written by bench/losses.py -->\n<!-- end -->\n\nkept\n")
    rows = [("base", "one"), ("same", "one"), ("right", "one"), ("not begun", "one")]
    for _ in range(2):  # the second time replaces what the first wrote
        tables.show(tmp_path, rows, baseline="base", page=page, figure=None)
    text = page.read_text()
    assert text.startswith("# A page\n") and text.endswith("kept\n")
    cells = {
        line.split("|")[1].strip(): [one.strip() for one in line.split("|")[2:-1]] for line in text.splitlines()[4:-4]
    }
    hit = np.mean(base)
    spread = np.std([seed.mean() for seed in base], ddof=1)
    assert cells["base"][:2] == ["3", f"**{100 * hit:.1f}**"]
    assert cells["base"][3:6] == [f"{100 * spread:.1f}", f"{50 * hit:.1f}", "100.0"]
    assert cells["base"][6:] == ["", "31 s"]
    low, high = map(float, cells["base"][2].split(" to "))
    assert low < 100 * hit < high < low + 40
    assert cells["same"][6].startswith("+0.0 (-") and not cells["same"][6].endswith("*")
    assert cells["right"][1:4] == ["**100.0**", "100.0 to 100.0", "0.0"] and cells["right"][6].endswith("*")
    assert cells["right"][6].startswith(f"{100 * (1 - hit):+.1f} (")
    assert "not begun" not in text


def test_intervals_resample_families_and_seeds(tables: ModuleType, tmp_path: Path) -> None:
    """The width is that of a mean over families plus that of a mean over seeds, as their variances add up."""
    family = np.random.default_rng(1).random(FAMILIES)
    seeds = [np.repeat((0.6 * family + shift)[:, None], QUERIES, axis=1) for shift in (0.0, 0.1, 0.3)]
    write_row(tmp_path / "row", seeds=seeds)
    row = tables.read(tmp_path / "row")
    random = np.random.default_rng(0)
    times = random.multinomial(FAMILIES, np.full(FAMILIES, 1 / FAMILIES), size=tables.DRAWS).astype(float)
    members = np.unique(row.families, return_inverse=True)[1]
    drawn = tables.drawn_means(row, times, members, random)[:, 0]
    by_seed = np.var([0.0, 0.1, 0.3]) / 3
    by_family = np.var(0.6 * family) / FAMILIES
    assert drawn.var() == pytest.approx(by_seed + by_family, rel=0.1)
    assert drawn.mean() == pytest.approx(np.mean(seeds), abs=0.01)


def test_the_page_has_all_tables() -> None:
    text = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    marks = re.findall(r"<!-- (\w+): written by bench/losses.py -->\n(.*?)<!-- end -->", text, flags=re.DOTALL)
    assert [name for name, _ in marks] == ["losses", "others", "details", "rates"]
    assert all(body.count("\n|") >= 3 for _, body in marks)
