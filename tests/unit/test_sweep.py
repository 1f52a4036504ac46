"""Sweeps: the runs of a grid and of a search, what they gave, and going on after a stop."""

from __future__ import annotations

import json
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import lookalike
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError, TrainingError
from lookalike.training import sweep as sweeping
from lookalike.training.data.dataset import read_splits
from lookalike.training.outcome import NotFiniteError, Stopped, Trained
from lookalike.training.settings.run_settings import DataSettings
from lookalike.training.sweep import RUNS, SweptRun, compared

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "swept"
products = 4
photos = 2
workers = 0
[network]
backbone = "mobilenetv3_small_050"
embedding = 8
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.4
heads = { type = 1.0 }
grades = ["type"]
[[stage]]
epochs = 0.2
learning_rate = 1e-2
"""

SWEEP = """
config = "swept.toml"
name = "widths"
[grid]
"network.embedding" = [8, 16]
seed = [0, 1]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sweep")
    write_drawn(folder / "sample", products=14, photos=2)
    (folder / "swept.toml").write_text(SETTINGS, encoding="utf-8")
    return folder


def written(folder: Path, text: str) -> Path:
    path = folder / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_each_combination_is_a_run(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their figures are those that training alone gives, and a second call trains nothing."""
    monkeypatch.chdir(folder)
    path = written(folder, SWEEP)
    assert main(["sweep", "sweep.toml", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    values = [run["values"] for run in told["runs"]]
    assert values == [{"network.embedding": width, "seed": seed} for width in (8, 16) for seed in (0, 1)]
    alone = lookalike.train(folder / "swept.toml", overrides=["network.embedding=16", "seed=1"], out=folder / "alone")
    assert alone.figure is not None and told["runs"][3]["figure"] == alone.figure
    ours, theirs = (load_file(path) for path in (told["runs"][3]["checkpoint"], alone.checkpoint))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())

    means = {setup["values"]["network.embedding"]: setup for setup in told["setups"]}
    for width, setup in means.items():
        figures = [run["figure"] for run in told["runs"] if run["values"]["network.embedding"] == width]
        assert setup["mean"] == pytest.approx(statistics.mean(figures))
        assert setup["deviation"] == pytest.approx(statistics.stdev(figures))
        assert (setup["runs"], setup["failed"]) == (2, 0)

    monkeypatch.setattr(sweeping, "train", lambda *_, **__: pytest.fail("trained again"))
    assert [run.figure for run in sweeping.sweep(path, out="runs/widths")] == [run["figure"] for run in told["runs"]]
    assert main(["sweep", "sweep.toml"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3 and shown[2].startswith("best run: runs/widths/")
    with pytest.raises(ConfigError, match="holds a sweep over other values"):
        sweeping.sweep(written(folder, SWEEP.replace("[8, 16]", "[8, 32]")), out="runs/widths")


class Runs:
    """Stands for training in tests of the order of runs: a figure for each, by a function of its values."""

    def __init__(self, figure: Any) -> None:
        self.figure, self.seen = figure, list[dict[str, Any]]()

    def __call__(self, config: str, *, overrides: list[str], **options: Any) -> Trained:
        values = {name: json.loads(value) for name, value in (each.split("=") for each in overrides)}
        self.seen.append({**values, **{name: str(options[name]) for name in ("resume", "out") if name in options}})
        return Trained(Path("best"), [], self.figure(values))


def test_a_stopped_sweep_goes_on(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(folder, SWEEP)

    def stopping(values: dict[str, Any]) -> float:
        if values == {"network.embedding": 16, "seed": 0} and not (tmp_path / "0002" / "state.pt").exists():
            (tmp_path / "0002").mkdir()
            (tmp_path / "0002" / "state.pt").touch()
            raise Stopped(tmp_path / "0002", 3)
        return 0.5

    runs = Runs(stopping)
    monkeypatch.setattr(sweeping, "train", runs)
    with pytest.raises(Stopped):
        sweeping.sweep(path, out=tmp_path)
    assert len(json.loads((tmp_path / RUNS).read_text())["runs"]) == 2
    assert len(sweeping.sweep(path, out=tmp_path)) == 4
    assert runs.seen[3] == {"network.embedding": 16, "seed": 0, "resume": str(tmp_path / "0002")}
    assert [run.get("out") for run in runs.seen[4:]] == [str(tmp_path / "0003")]


def test_a_run_that_fails_does_not_end_the_sweep(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(values: dict[str, Any]) -> float:
        if values["seed"] == 0:
            raise NotFiniteError("the loss is not finite after step 3")
        return values["network.embedding"] / 100

    monkeypatch.setattr(sweeping, "train", Runs(failing))
    runs = sweeping.sweep(written(folder, SWEEP), out=tmp_path)
    assert [(run.figure, run.problem[:22]) for run in runs] == [
        (None, "the loss is not finite"),
        (0.08, ""),
        (None, "the loss is not finite"),
        (0.16, ""),
    ]
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", str(folder / "sweep.toml")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "  1  0.1600, 1 failed  network.embedding = 16",
        "  2  0.0800, 1 failed  network.embedding = 8",
        "best run: best (network.embedding = 16, seed = 1: 0.1600)",
    ]


def test_a_search_draws_better_values_with_time(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    path = written(
        folder,
        'config = "swept.toml"\nname = "search"\ntrials = 30\n[search]\n'
        '"stage.0.learning_rate" = { low = 1e-5, high = 1.0, log = true }\n'
        '"network.embedding" = { low = 8, high = 64, whole = true }\n',
    )
    runs = Runs(lambda values: 1.0 - abs(values["network.embedding"] - 24) / 64)
    monkeypatch.setattr(sweeping, "train", runs)
    made = sweeping.sweep(path, out=tmp_path)
    widths = [int(run["network.embedding"]) for run in runs.seen]
    assert all(
        8 <= width <= 64 and 1e-5 <= run["stage.0.learning_rate"] <= 1.0
        for width, run in zip(widths, runs.seen, strict=True)
    )
    apart = [abs(width - 24) for width in widths]
    assert statistics.mean(apart[-10:]) < statistics.mean(apart[:10]) * 0.75
    assert compared(made)[0].mean == max(run.figure or 0.0 for run in made)

    again = Runs(runs.figure)
    monkeypatch.setattr(sweeping, "train", again)
    kept = json.loads((tmp_path / RUNS).read_text())
    kept["runs"] = kept["runs"][:12]
    (tmp_path / RUNS).write_text(json.dumps(kept))
    sweeping.sweep(path, out=tmp_path)
    for run in [*again.seen, *runs.seen]:
        run.pop("out")
    assert again.seen == runs.seen[12:]


def test_other_failures_end_the_sweep_and_are_tried_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]

    def on_a_disk(values: dict[str, Any]) -> float:
        if full[0] and values == {"network.embedding": 8, "seed": 1}:
            raise TrainingError("cannot be written: No space left on device")
        return 0.5

    path = written(folder, SWEEP)
    monkeypatch.setattr(sweeping, "train", Runs(on_a_disk))
    with pytest.raises(TrainingError, match="No space left"):
        sweeping.sweep(path, out=tmp_path)
    full[0] = False
    assert [run.figure for run in sweeping.sweep(path, out=tmp_path)] == [0.5] * 4


def test_a_sweep_goes_on_with_the_same_settings_only(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "train", Runs(lambda values: 0.5))
    path = written(folder, SWEEP)
    sweeping.sweep(path, out=tmp_path)
    (folder / "swept.toml").write_text(SETTINGS.replace("epochs = 0.2", "epochs = 0.4"), encoding="utf-8")
    try:
        with pytest.raises(ConfigError, match=r"stage of swept\.toml has changed since the sweep began"):
            sweeping.sweep(path, out=tmp_path)
    finally:
        (folder / "swept.toml").write_text(SETTINGS, encoding="utf-8")


def test_a_sweep_goes_on_with_the_same_data_only(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are compared with the first to end with the same settings of data; those of one that failed may change."""
    source = write_drawn(tmp_path / "sample", products=14, photos=2)
    whole = source.read_text(encoding="utf-8")
    (tmp_path / "swept.toml").write_text(SETTINGS, encoding="utf-8")
    path = written(
        tmp_path, SWEEP.replace("[8, 16]", "[8]").replace("[0, 1]", '[0, 1]\n"data.0.hold_out" = [0.4, 0.5]')
    )
    real, ended = sweeping.train, list[Path]()

    def stopped_in_fourth(*arguments: Any, **options: Any) -> Trained:
        if len(ended) == fails_after:
            real(*arguments, **options)
            raise TrainingError("cannot be written: No space left on device")
        ended.append(options["out"])
        return real(*arguments, **options)

    monkeypatch.setattr(sweeping, "train", stopped_in_fourth)
    fails_after = 3
    with pytest.raises(TrainingError, match="No space left"):
        sweeping.sweep(path, out=tmp_path / "sweep")
    assert [each.name for each in ended] == ["0000", "0001", "0002"]
    shutil.rmtree(tmp_path / "sweep" / "0003")

    source.write_text(whole.replace("T-shirt", "Dress"), encoding="utf-8")
    fails_after = 9
    changed = (
        r"sweep: the data changed since the sweep began: \d+ items with other labels.* a new sweep with another name"
    )
    with pytest.raises(ConfigError, match=changed):
        sweeping.sweep(path, out=tmp_path / "sweep")
    source.write_text(whole, encoding="utf-8")
    assert len(sweeping.sweep(path, out=tmp_path / "sweep")) == 4

    fails_after = len(ended)  # the first run of another sweep: its data may be repaired
    with pytest.raises(TrainingError, match="No space left"):
        sweeping.sweep(path, out=tmp_path / "other")
    shutil.rmtree(tmp_path / "other" / "0000")
    source.write_text(whole.replace("T-shirt", "Dress"), encoding="utf-8")
    fails_after = 99
    assert len(sweeping.sweep(path, out=tmp_path / "other")) == 4


def test_a_search_needs_something_to_go_by(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr(sweeping, "train", Runs(lambda values: None))
    text = 'config = "swept.toml"\nname = "x"\n[search]\n"network.embedding" = { low = 8, high = 64, whole = true }\n'
    with pytest.raises(ConfigError, match="there are no dev photos"):
        sweeping.sweep(written(folder, text), out=tmp_path)


def test_setups_are_ordered_by_their_means() -> None:
    runs = [
        SweptRun({"a": 1, "seed": 0}, 0.5, "x"),
        SweptRun({"a": 1, "seed": 1}, 0.7, "x"),
        SweptRun({"a": 2, "seed": 0}, 0.8, "x"),
        SweptRun({"a": 2, "seed": 1}, None, "", "not finite"),
        SweptRun({"a": 3, "seed": 0}, None, "", "not finite"),
    ]
    setups = compared(runs)
    assert [(setup.values, setup.runs, setup.failed) for setup in setups] == [
        ({"a": 2}, 1, 1),
        ({"a": 1}, 2, 0),
        ({"a": 3}, 0, 1),
    ]
    assert setups[1].mean == pytest.approx(0.6) and setups[1].deviation == pytest.approx(statistics.stdev([0.5, 0.7]))
    assert setups[0].deviation is None and setups[2].mean is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing to vary"),
        ("[grid]\nseed = []", "expected a list of numbers, words"),
        ("[grid]\nseed = [[1]]", "expected a list of numbers, words"),
        ("[grid]\nseed = [1]\n[search]\nseed = { low = 1, high = 2 }", "in .grid. and in .search."),
        ("[search]\nseed = { low = 2, high = 1 }", "low <= high"),
        ("[search]\nseed = { low = 0, high = 1, log = true }", "low above 0 for log"),
        ("[search]\nseed = { low = 0 }", "'high' is missing"),
        (
            "[grid]\n" + "\n".join(f"a{number} = [1, 2, 3, 4, 5]" for number in range(6)),
            "at most 10,000 runs, got 15,625",
        ),
        ("[search]\nseed = { low = 0.5, high = 8, whole = true }", "expected whole numbers for low and high"),
        ("[gird]\nseed = [1]", "did you mean 'grid'"),
    ],
)
def test_sweeps_that_make_no_sense_are_refused(folder: Path, tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises((ConfigError, lookalike.UnknownNameError), match=told):
        sweeping.sweep(written(folder, f'config = "swept.toml"\nname = "x"\n{text}\n'), out=tmp_path)


def test_a_damaged_list_of_runs_is_told(folder: Path, tmp_path: Path) -> None:
    (tmp_path / RUNS).write_text('[{"figure": 1}]')
    with pytest.raises(ConfigError, match="delete it to begin the sweep again"):
        sweeping.sweep(written(folder, SWEEP), out=tmp_path)


def test_folds_are_equal_parts_of_the_products(folder: Path) -> None:
    """Each product is in the dev split of one fold, in all catalogues; another seed divides them otherwise."""
    table = folder / "sample" / "catalogue.csv"

    def dev(fold: int, seed: int = 0) -> set[str | None]:
        data = DataSettings(str(table), folds=4, fold=fold, fold_seed=seed)
        splits = read_splits(data, folder=folder)
        train, dev = ({item.product for item in splits[part].items} for part in ("train", "dev"))
        assert not train & dev and len(train | dev) == 14
        return dev

    folds = [dev(fold) for fold in range(4)]
    assert sum(map(len, folds)) == 14 and min(map(len, folds)) > 0
    assert set.union(*folds) == {item.product for item in open_catalogue(str(table)).items()}
    assert dev(0, seed=1) != folds[0]
    some = DataSettings(str(table), folds=4, where={"gender": ("Women",)})
    assert {item.product for item in read_splits(some, folder=folder)["dev"].items} <= folds[0]
    chosen = DataSettings(str(table), folds=2, dev_where={"gender": ("Women",)})
    splits = read_splits(chosen, folder=folder)
    assert {item.attributes["gender"] for item in splits["dev"].items} == {"Women"}
    whole = read_splits(DataSettings(str(table), folds=2), folder=folder)
    assert splits["train"].items == whole["train"].items
    runs = [SweptRun({"data.0.fold": fold, "a": 1}, fold / 10, "x") for fold in range(4)]
    assert [(setup.values, setup.runs) for setup in compared(runs)] == [({"a": 1}, 4)]
    with pytest.raises(ConfigError, match="expected fold below folds = 4"):
        lookalike.train(folder / "swept.toml", overrides=["data.0.hold_out=0", "data.0.folds=4", "data.0.fold=4"])
