"""bench/performance.py: engines at equal recall, goals, and the page, which has exactly the tables of its figures."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def programs() -> Any:
    """Let the programs of bench/ import each other."""
    sys.path.insert(0, str(ROOT / "bench"))
    yield
    sys.path.remove(str(ROOT / "bench"))


def module(name: str) -> Any:
    return importlib.import_module(name)


def searched(effort: int, recall: float, processor_ms: float) -> dict[str, float]:
    times = {"p50_ms": processor_ms, "p99_ms": 2 * processor_ms, "processor_ms": processor_ms}
    return {"effort": effort, "recall": recall, "queries": 500, **times}


def filtered(share: float, effort: int, recall: float, first_ms: float, again_ms: float) -> dict[str, Any]:
    return {
        "share": share,
        "effort": effort,
        "first": searched(effort, recall, first_ms),
        "again": searched(effort, recall, again_ms),
    }


PEERS: dict[str, Any] = {
    "rows": 1000,
    "date": "2026-11-30",
    "machine": {"processor": "one", "instructions": ""},
    "versions": {"python": "3"},
    "engines": {
        "Lookalike": {
            "effort": "probes",
            "how": "a gallery",
            "version": "0.1.0",
            "searched": [searched(2, 0.9, 0.2), searched(4, 0.99, 0.4), searched(0, 1.0, 0.5)],
            "filtered": [filtered(0.05, 0, 1.0, 4.0, 0.5)],
            "built": {"wall_s": 1.0, "processor_s": 2.0, "bytes": 4_336_000, "peak_bytes": 1},
            "opened": [{"open_ms": 1.0, "answer_ms": each} for each in (9.0, 3.0, 5.0)],
            "memory_before": {"anonymous": 10_000_000, "mapped": 0},
            "memory": {"anonymous": 12_000_000, "mapped": 7_000_000},
        },
        "Qdrant Edge": {
            "effort": "hnsw_ef",
            "how": "a shard",
            "searched": [searched(10, 0.98, 0.1), searched(20, 0.995, 0.6), searched(40, 1.0, 0.8)],
            "filtered": [filtered(0.05, 20, 0.9, 0.1, 0.1), filtered(0.05, 40, 1.0, 1.0, 1.0)],
        },
        "LanceDB": {"effort": "nprobes", "how": "a table", "searched": [searched(1, 0.8, 4.0)]},
        "Chroma": {"effort": "ef_search", "how": "a collection", "failed": "OSError: a | b\nc"},
    },
}


def test_the_fastest_setting_with_enough_recall_counts_and_not_a_faster_one() -> None:
    engines = module("performance_engines")
    assert engines.at_recall(PEERS, "Lookalike")["effort"] == 4
    assert engines.by_default(PEERS)["effort"] == 0
    assert engines.at_recall(PEERS, "Qdrant Edge")["effort"] == 20
    assert engines.at_recall(PEERS, "LanceDB") is engines.at_recall(PEERS, "Chroma") is None
    assert engines.filtered_at_recall(PEERS, "Qdrant Edge", 0.05)["effort"] == 40
    assert engines.filtered_at_recall(PEERS, "Qdrant Edge", 0.2) is None


def test_goals_are_ratios_of_processor_times_and_tell_by_how_much_they_are_missed() -> None:
    found = {goal.what: goal for goal in module("performance_goals").goals({"peers": PEERS})}
    search = found["search and items: time of Qdrant Edge over ours"]
    assert search.value == pytest.approx(0.6 / 0.4) and not search.reached
    assert search.short == pytest.approx(2 / 1.5)
    assert search.cells()[3] == "missed by a factor of 1.33"
    assert found["repeated filter that passes 5 %: time of Qdrant Edge over ours"].cells()[2:] == ["2", "reached"]
    assert found["new filter that passes 5 %: time of Qdrant Edge over ours"].value == pytest.approx(1.0 / 4.0)
    assert found["repeated filter that passes 5 %"].cells()[1:] == ["at most 1 ms", "0.5 ms", "reached"]
    assert found["search and items: time of LanceDB over ours"].cells()[2] == "not measured"
    lines = module("performance_goals").reasons(list(found.values()))
    assert lines[0] == f"- *{search.what}*: {search.why}."
    assert len(lines) == 2 and "new filter that passes 5 %" in lines[1] and "repeated" not in lines[1]


def test_goals_of_other_parts_are_read_from_their_figures() -> None:
    figures = {
        "serving": {"rows": [{"processes": 2, "ratio": 0.97, "random": {"p50_ms": 10.0, "p99_ms": 40.0}}]},
        "one-shot": {
            "rows": [
                {"peer": "original", "ours_ms": 1, "peer_ms": 9},
                {"peer": "importing PyTorch and torchvision", "ours_ms": 240.0, "peer_ms": 2000.0},
            ]
        },
        "indexing": {
            "rows": [
                {"what": "index 9 photos, default model, processor time", "ratio": ratio} for ratio in (0.7, 0.65)
            ],
            "stages": {"processes that decode": {"of linear": 0.66, "photos a second": 4332.0}},
        },
        "training": {"rows": {"processor time": {"ratio_of_sums": 1.02}}},
        "growth": {
            "rows": [
                {
                    "rows": 1_000_000,
                    "searched": {"p50_ms": 1.2, "recall": 0.99},
                    "added": {"searched": {"p99_ms": 9.0}},
                    "built": {"database": 2_000_000_000, "derived": 168_000_000},
                }
            ]
        },
    }
    values = [(goal.limit, goal.value) for goal in module("performance_goals").goals(figures) if goal.value is not None]
    expected = [(0.2, 0.12), (250, 240.0), (0.95, 0.97), (2.5, 4.0), (0.8, 0.65), (0.7, 0.66), (0.6, 0.5)]
    expected += [(1.03, 1.02), (0.8, 1.2), (10, 9.0), (1.3, 1.0)]
    assert [limit for limit, _ in values] == [limit for limit, _ in expected]
    assert [value for _, value in values] == pytest.approx([value for _, value in expected])


def test_tables_of_engines_have_all_of_them_and_what_failed() -> None:
    page = module("performance_page")
    lines = page.search_table(PEERS)
    assert lines[2] == "| **Lookalike** | probes 4 | 0.9900 | 0.400 (0.80) | 0.400 | 2,500 | 1.00 |"
    assert lines[3] == "| **Lookalike** | default | 1.0000 | 0.500 (1.00) | 0.500 | 2,000 | 1.25 |"
    assert lines[4] == "| Qdrant Edge | hnsw_ef 20 | 0.9950 | 0.600 (1.20) | 0.600 | 1,667 | 1.50 |"
    assert lines[5].startswith("| LanceDB | no setting reached 0.99 |")
    assert lines[6].startswith("| Chroma | failed: OSError: a / b c |")
    assert page.filter_table(PEERS)[2:] == [
        "| 5 % | **Lookalike** | 1.0000 | 4.000 / 4.000 | 0.500 / 0.500 | 1.00 | 1.00 |",
        "| 5 % | Qdrant Edge | 1.0000 | 1.000 / 1.000 | 1.000 / 1.000 | 0.25 | 2.00 |",
    ]
    assert page.building_table(PEERS)[2:] == ["| **Lookalike** | 1.0 (2.0) | 4 (2.00) | 5 | 2 | 7 |"]


def test_a_block_of_the_page_is_replaced_and_nothing_else() -> None:
    page = module("performance_page")
    mark = page.MARK.format(name="search", by="make bench")
    text = f"before\n\n{mark}\n\nold \\1\n\n{page.END}\n\nafter {page.END}\n"
    new = page.replaced(text, "search", ["a | \\1", "b"])
    assert new == f"before\n\n{mark}\n\na | \\1\nb\n\n{page.END}\n\nafter {page.END}\n"
    assert page.replaced(new, "search", ["a | \\1", "b"]) == new
    for wrong in ("no mark", text + text):
        with pytest.raises(ValueError, match="expected once"):
            page.replaced(wrong, "search", [])
    with pytest.raises(ValueError, match="expected once"):
        page.replaced(text, "search", [], by="make bench-scale")


def test_the_page_has_the_tables_of_its_figures() -> None:
    page = module("performance_page")
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    figures = page.read_figures(ROOT / "bench" / "figures")
    assert set(figures) == {*module("performance").PARTS, "growth"}
    for name, lines in page.tables(figures).items():
        assert page.replaced(text, name, lines) == text, f"stale: {name}; run bench/performance.py --only"


def test_pictures_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    serving = {
        "rows": [
            {
                "processes": count,
                "alone_per_s": 150.0,
                "full_per_s": 100.0,
                "finder_per_s": 30.0,
                "random": {"p50_ms": 10.0, "p99_ms": 30.0},
            }
            for count in (1, 2)
        ]
    }
    module("performance_pictures").draw({"peers": PEERS, "serving": serving}, tmp_path)
    names = ["performance-filters.png", "performance-recall.png", "performance-serving.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
