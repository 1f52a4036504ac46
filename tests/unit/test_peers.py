"""bench/peers: recall of answers against a slow count, and engines that fail without ending the comparison."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PROGRAMS = Path(__file__).parents[2] / "bench" / "peers"

ADAPTER = """
import os, time

class Engine:
    def build(self, folder, rows, lots):
        (folder / "rows").write_bytes(rows.tobytes())
    def open(self, folder):
        self.size = len((folder / "rows").read_bytes())
    def prepared(self, query):
        return query
    def search(self, query, effort, passing):
        if effort == 1:
            raise ValueError("no such effort")
        if effort == 2:
            os._exit(3)
        if effort == 3:
            time.sleep(60)
        return [(self.size, 7)]

class Missing:
    def __init__(self):
        import a_library_that_is_not_here
"""


@pytest.fixture(scope="module", autouse=True)
def programs() -> Any:
    """Let the programs of bench/peers import each other."""
    sys.path.insert(0, str(PROGRAMS))
    yield
    sys.path.remove(str(PROGRAMS))


def module(name: str) -> Any:
    return importlib.import_module(name)


def slow_right(scores: list[float], lots: list[int], answer: list[tuple[int, int]], low: int, high: int) -> int:
    """How many different rows of an answer are among the ten best that pass, word by word; ties with the tenth are."""
    best = sorted((score for score, lot in zip(scores, lots, strict=True) if low <= lot < high), reverse=True)[:10]
    seen = set()
    for row, lot in answer:
        if lots[row] == lot and low <= lot < high and scores[row] >= best[-1]:
            seen.add(row)
    return len(seen)


def test_recall_agrees_with_a_slow_count() -> None:
    random = np.random.default_rng(3)
    scores = random.integers(40, size=(5, 200)).astype(np.float32) / 40  # many ties
    lots = random.integers(1000, size=200)
    questions = module("questions").Questions(scores, lots)
    for number in range(5):
        for passing in (None, (0, 500), (100, 160), (0, 0)):
            low, high = passing or (0, 1000)
            rows = random.integers(200, size=10)
            rows[:5] = np.argsort(-scores[number])[:5]
            answer = [(int(row), int(lots[row])) for row in rows]
            answer[0] = (answer[0][0], answer[0][1] + 1)  # a wrong attribute
            want = slow_right(scores[number].tolist(), lots.tolist(), answer, low, high) if passing != (0, 0) else 0
            assert questions.right(number, answer, passing) == want
            assert questions.wanted(passing) == min(10, sum(low <= lot < high for lot in lots.tolist()))


def test_calls_tell_recall_and_medians() -> None:
    programs = module("questions")
    scores = np.arange(20, dtype=np.float32)[None] / 20
    questions = programs.Questions(scores, np.arange(20))
    calls = programs.Calls()
    best = [(row, row) for row in range(19, 9, -1)]
    calls.add([0, 0, 0], [(best, 1.0, 0.5), (best[:5], 3.0, 1.0), ([], 2.0, 4.0)])
    told = calls.to_json(questions)
    assert told["recall"] == pytest.approx(15 / 30)
    assert (told["queries"], told["p50_ms"], told["processor_ms"]) == (3, 2.0, 1.0)


def test_filters_pass_about_their_fraction_and_differ() -> None:
    questions = module("questions").Questions(np.zeros((1, 1), dtype=np.float32), np.zeros(1))
    for share in (0.01, 0.05, 0.2):
        filters = [questions.passing(number, share) for number in range(60)]
        assert len(set(filters)) == 60
        assert all(high - low == round(1000 * share) and low >= 0 and high <= 1000 for low, high in filters)


def test_drawn_rows_score_as_the_gallery_does(tmp_path: Path) -> None:
    from lookalike.benchmarking.features import SPACES, synthetic
    from lookalike.benchmarking.searching import WEIGHTS

    questions = module("questions").draw(tmp_path, 300, 4)
    rows, queries = np.load(tmp_path / "rows.npy"), np.load(tmp_path / "queries.npy")
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    drawn = synthetic(300, queries=4)
    whole = sum(WEIGHTS[space.name] * drawn.queries[space.name] @ drawn.gallery[space.name].T for space in SPACES)
    assert np.allclose(queries @ rows.T, whole / sum(WEIGHTS.values()), atol=1e-5)
    assert questions.count == 4


def engine(name: str) -> Any:
    return module("engines").Engine(
        name, f"fake_adapters:{name}", "numpy", "effort", (0, 1), "made for this test", peer=False
    )


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "fake_adapters.py").write_text(ADAPTER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    data = tmp_path / "data"
    data.mkdir()
    np.save(data / "rows.npy", np.zeros((3, 2), dtype=np.float32))
    np.save(data / "lots.npy", np.zeros(3, dtype=np.int16))
    np.save(data / "queries.npy", np.zeros((5, 2), dtype=np.float32))
    return module("process").Launcher(Path(sys.executable), tmp_path, 5.0, ())


def test_an_engine_builds_and_answers_in_processes_of_its_own(launcher: Any) -> None:
    with launcher.start(engine("Engine"), single=False) as process:
        built = process.ask("build")
        assert built["bytes"] == 24
        assert process.ask("version", "numpy") == np.__version__
    with launcher.start(engine("Engine"), single=True) as process:
        assert process.ask("open", 0)["answer_ms"] >= 0
        found = process.ask("search", [0, 1, 2], 0, (1, 2), [0])
        assert [answer for answer, *_ in found] == [[(24, 7)]] * 3
        assert set(process.ask("memory")) == {"anonymous", "mapped"}


@pytest.mark.parametrize(
    ("effort", "words"), [(1, "ValueError: no such effort"), (2, "ended with status 3"), (3, "longer than 1 s")]
)
def test_an_engine_that_fails_ends_or_hangs_is_an_error_with_its_reason(
    launcher: Any, effort: int, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    programs = module("process")
    with launcher.start(engine("Engine"), single=False) as process:
        process.ask("build")
    quick = programs.Launcher(launcher.python, launcher.folder, 1.0 if effort == 3 else 5.0, ())
    with quick.start(engine("Engine"), single=True) as process:
        process.ask("open", 0)
        with pytest.raises(programs.EngineError, match=words):
            process.ask("search", [0], effort, None, [])


def test_an_engine_that_is_not_installed_is_an_error_with_its_reason(launcher: Any) -> None:
    programs = module("process")
    with pytest.raises(programs.EngineError, match="a_library_that_is_not_here"):
        launcher.start(engine("Missing"), single=True)
    elsewhere = programs.Launcher(Path("/nowhere/python"), launcher.folder, 5.0, ())
    other = module("engines").Engine("usearch", "graph_adapters:Usearch", "usearch", "", (0,), "")
    with pytest.raises(programs.EngineError, match="not installed, for there is no /nowhere/python"):
        elsewhere.start(other, single=True)


def test_a_comparison_goes_on_without_an_engine_that_fails(launcher: Any) -> None:
    programs = module("measure")
    scores = np.zeros((5, 3), dtype=np.float32)
    comparison = programs.Comparison(
        [engine("Missing"), engine("Engine")], launcher, module("questions").Questions(scores, np.zeros(3))
    )
    comparison.build()
    comparison.open()
    comparison.search()
    comparison.close()
    assert "a_library_that_is_not_here" in comparison.figures["Missing"]["failed"]
    assert comparison.figures["Engine"]["failed"] == "ValueError: no such effort"
    assert comparison.figures["Engine"]["built"]["bytes"] == 24
    assert programs.faults(comparison.figures) == [
        f"{name}: {comparison.figures[name]['failed']}" for name in ("Missing", "Engine")
    ]
