"""The benchmark: its JSON, and correct answers of both sides."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.benchmarking import ground_truth, original, searching
from lookalike.benchmarking.features import LOTS, SPACES, FeatureGenerator, Features, synthetic
from lookalike.benchmarking.report import HEADINGS, BenchmarkReport, Row
from lookalike.benchmarking.timing import TimedCall, Timing, time_in_turns
from lookalike.cli import main
from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest

PROMISED = {"what", "ours_ms", "peer", "peer_ms", "ratio", "recall"}


@pytest.fixture(scope="module")
def features() -> Features:
    return synthetic(400, queries=8)


@pytest.fixture(scope="module")
def report() -> BenchmarkReport:
    return searching.run(rows=1000, queries=20)


@pytest.fixture(scope="module")
def rows(report: BenchmarkReport) -> dict[str, dict[str, Any]]:
    """The measured rows by the last words that tell them apart."""
    return {str(row.what).rpartition("1,000 x 542, ")[2]: row.to_json() for row in report.rows}


def slow_original_scores(features: Features, query: int) -> list[float]:
    """The original's score of every row, number by number."""
    asked = features.query(query)
    pairs = zip(features.gallery["deep"], features.gallery["color-original"], strict=True)
    return [
        -(math.dist(asked["deep"][0], deep) + 0.1 * math.dist(asked["color-original"][0], color))
        for deep, color in pairs
    ]


def test_json_has_the_promised_shape(report: BenchmarkReport) -> None:
    shown = json.loads(json.dumps(report.to_json()))
    assert set(shown) == {"machine", "versions", "rows"}
    assert shown["machine"]["cores"] >= 1
    assert {"python", "numpy", "faiss-cpu", "scipy"} <= set(shown["versions"])
    assert len(shown["rows"]) == 7
    for row in shown["rows"]:
        assert set(row) >= PROMISED
        assert row["ours_ms"] > 0
        if row["peer_ms"] is not None:
            assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])


def test_both_sides_find_what_is_right(rows: dict[str, dict[str, Any]]) -> None:
    assert rows["index exact"]["recall"] == 1
    assert rows["the original's own score"]["recall"] == 1
    assert rows["the original's own score"]["peer_recall"] == 1
    assert 0.2 < rows["index kmeans"]["recall"] < 1
    assert 0.2 < rows["index kmeans"]["peer_recall"] < 1


def test_markdown_has_a_line_for_each_row(report: BenchmarkReport) -> None:
    table, _, circumstances = report.to_markdown().partition("\n\n")
    assert len(table.splitlines()) == 2 + len(report.rows)
    assert len({line.count(" | ") for line in table.splitlines()}) == 1
    assert circumstances.startswith("processor ")


def test_the_terminals_table_leaves_out_empty_columns(report: BenchmarkReport) -> None:
    without_notes = BenchmarkReport([replace(row, note="") for row in report.rows])
    assert [column.header for column in without_notes.to_table().columns] == list(HEADINGS[:-1])
    assert [column.header for column in report.to_table().columns] == list(HEADINGS)
    assert len(report.to_table().rows) == len(report.rows)


def test_adding_tells_the_bytes_on_disk(report: BenchmarkReport) -> None:
    [note] = [row.note for row in report.rows if row.what.startswith("add") and "index included" in row.what]
    assert re.fullmatch(r"0\.\d\d times the bytes of the float32 vectors on disk", note)


def test_our_top_5_by_the_originals_metrics_is_the_originals(tmp_path: Path, features: Features) -> None:
    names = [original.name_of(number) for number in range(len(features))]
    peer = original.Original(features.gallery["deep"], features.gallery["color-original"], names, None)
    searching.fill(tmp_path / "gallery", features)
    with LocalGallery(tmp_path / "gallery") as gallery:
        for query in range(8):
            scores = slow_original_scores(features, query)
            right = sorted(range(len(scores)), key=lambda row: -scores[row])[:5]
            answer = gallery.search(
                features.query(query), SearchRequest(k=5, weights=searching.WEIGHTS, metrics=searching.METRICS)
            )
            assert searching.numbers(gallery, [answer])[0].tolist() == right
            assert answer.scores[0] == pytest.approx([scores[row] for row in right], abs=1e-5)
            assert [original.number_of(name) for name in peer.naive(features.query(query), 5)] == right


def test_a_clustered_query_sees_its_own_cluster_only(features: Features) -> None:
    class Halves:
        labels_ = np.arange(400, dtype=np.int32) % 2

        def predict(self, rows: np.ndarray) -> np.ndarray:
            return np.array([1] * len(rows), dtype=np.int32)

    names = [original.name_of(number) for number in range(400)]
    peer = original.Original(features.gallery["deep"], features.gallery["color-original"], names, Halves())
    found = [original.number_of(name) for name in peer.clustered(features.query(0), 7)]
    scores = slow_original_scores(features, 0)
    assert found == sorted(range(1, 400, 2), key=lambda row: -scores[row])[:7]


@pytest.mark.parametrize("kind", ["cosines", "original"])
def test_the_truth_knows_the_kth_best_score(features: Features, kind: str) -> None:
    if kind == "original":
        right = ground_truth.from_original(features, k=10)
        scores = slow_original_scores(features, 3)
    else:
        right = ground_truth.from_cosines(features, {"deep": 3.0, "color-original": 1.0}, k=10)
        deep = features.gallery["deep"].astype(float) @ features.queries["deep"][3]
        scores = list(0.75 * deep + 0.25 * features.gallery["color-original"] @ features.queries["color-original"][3])
    assert right.needed[3] == pytest.approx(sorted(scores)[-10], abs=1e-6)


def test_block_by_block_is_the_same_as_all_together(features: Features) -> None:
    generator = FeatureGenerator(400, queries=8)
    for place, block in generator.blocks():
        for space in SPACES:
            assert np.array_equal(block[space.name], features.gallery[space.name][place])
    assert np.array_equal(generator.queries["deep"], features.queries["deep"])
    assert 0 <= generator.lots.min() <= generator.lots.max() < LOTS


def test_the_truth_is_found_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.benchmarking.features.BLOCK", 150)
    monkeypatch.setattr("lookalike.benchmarking.ground_truth.BLOCK", 3)
    generator, features, weights = FeatureGenerator(400, queries=8), synthetic(400, queries=8), searching.WEIGHTS
    lots = range(100, 700)
    questions = [
        *map(ground_truth.FilteredQuery, range(8)),
        *(ground_truth.FilteredQuery(query, lots) for query in range(8)),
    ]
    best = ground_truth.best_of_blocks(generator, questions, weights, k=10)
    right, among_all = ground_truth.from_best(best, k=10), ground_truth.from_cosines(features, weights, k=10)
    assert right.needed[:8] == pytest.approx(among_all.needed, abs=1e-6)
    passing = [row for row in range(400) if 100 <= generator.lots[row] < 700]
    for query in range(8):
        scores = dict(zip(passing, among_all.score(query, np.array(passing)), strict=True))
        rows = np.array(sorted(passing, key=lambda row: -scores[row])[:10])
        assert right.needed[8 + query] == pytest.approx(scores[rows[-1]], abs=1e-6)
        assert right.score(8 + query, rows) == pytest.approx([scores[row] for row in rows], abs=1e-6)
    outside = next(row for row in range(400) if generator.lots[row] >= 700)
    assert right.score(8, np.array([outside])).tolist() == [-math.inf]


def test_recall_counts_ties_and_refuses_repeats_and_wrong_scores() -> None:
    scored = np.array([0.9, 0.8, 0.5, 0.5, 0.1])
    right = ground_truth.GroundTruth(lambda _, rows: scored[rows], np.array([0.5]), 3)
    assert right.recall([np.array([0, 1, 2])]) == 1
    assert right.recall([np.array([0, 1, 3])]) == 1
    assert right.recall([np.array([0, 4, -1])]) == pytest.approx(1 / 3)
    with pytest.raises(LookalikeError, match="same row twice"):
        right.recall([np.array([0, 1, 1])])
    right.check([np.array([1, -1])], [np.array([0.8, -np.inf], dtype=np.float32)])
    with pytest.raises(LookalikeError, match="wrong scores"):
        right.check([np.array([1])], [np.array([0.9], dtype=np.float32)])


def test_ways_take_turns() -> None:
    called: list[tuple[str, int]] = []
    ours = TimedCall(lambda number: called.append(("ours", number)), 4)
    theirs = TimedCall(lambda number: called.append(("theirs", number)), 2)
    time_in_turns(ours, theirs, rounds=2)
    assert called == [
        *[("ours", 0), ("ours", 0), ("ours", 1), ("theirs", 0), ("theirs", 0)],
        *[("ours", 2), ("ours", 2), ("ours", 3), ("theirs", 1), ("theirs", 1)],
    ]
    assert [len(ours.timing.calls_ms), len(theirs.timing.calls_ms)] == [4, 2]


def test_timings_are_told_by_median_and_by_the_99th_of_a_hundred() -> None:
    timing = Timing([float(number) for number in range(101)])
    assert [timing.median_ms, timing.p99_ms] == [50, 99]


def test_a_missing_peer_is_said_in_its_row(tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: object) -> None:
        raise ModuleNotFoundError(name="sklearn")

    monkeypatch.setattr(original, "fit_clusters", missing)
    row, clusters = searching.measure_adding(tmp_path, features, "400")
    assert clusters is None
    assert row.peer is not None
    assert "scikit-learn is not installed" in row.peer
    assert row.to_json()["peer_ms"] is None


def test_features_are_the_same_every_time_and_of_unit_length(features: Features) -> None:
    again = synthetic(400, queries=8)
    for space in SPACES:
        rows = features.gallery[space.name]
        assert rows.shape == (400, space.dimension)
        assert np.array_equal(rows, again.gallery[space.name])
        assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(400), abs=1e-5)


def test_a_row_without_a_peer_has_empty_cells() -> None:
    cells = Row("something", ours=Timing([2.0])).cells()
    assert cells == ["something", "2", "", "", "", "", "", ""]


def test_too_few_rows_are_the_callers_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--rows", "10"]) == 2
    assert capsys.readouterr().err == "error: a benchmark needs at least 1000 rows, got 10\n"
