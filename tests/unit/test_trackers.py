"""Trackers of training runs, without their packages: names, steps, failures. `tests/trackers` has the real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from accelerate.tracking import GeneralTracker, TensorBoardTracker, get_available_trackers
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError, UnknownNameError
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.trackers import NEEDED, TrackerRecord, Trackers, check_installed, flat, mlflow_name
from lookalike.training.settings.run_settings import load_settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "tracked"
products = 4
photos = 2
workers = 0
[network]
backbone = "test_convnext"
embedding = 8
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
heads = { type = 1.0 }
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tracked")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "run.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture
def trackers(config: Path, tmp_path: Path) -> Iterator[Trackers]:
    """Trackers with one of TensorBoard in the place of another."""
    said: list[str] = []
    made = Trackers(RunFolder(tmp_path), load_settings(config), report=said.append)
    made.open["tensor board"] = TensorBoardTracker("events", logging_dir=str(tmp_path))
    made.open["tensor board"].start()
    yield made
    made.close()


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in EventAccumulator(str(folder)).Reload().Scalars(name)]


def test_a_tracker_whose_package_is_not_installed_is_refused_before_anything_is_read(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = [name for name in NEEDED if name not in map(str, get_available_trackers())]
    if not absent:
        pytest.skip("all trackers are installed")
    for name in absent:
        setting = f'trackers=["tensorboard", "{name}"]'
        assert main(["train", str(config), "--set", setting]) == 2
        words = (
            f"trackers: '{name}' needs a package that is not installed; install it with: pip install '{NEEDED[name]}'"
        )
        assert capsys.readouterr().err.splitlines() == [f"error: {words}, or leave it out"]
        with pytest.raises(ConfigError, match="needs a package that is not installed"):
            lookalike.train(config, overrides=[setting], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    check_installed(["tensorboard"])
    with pytest.raises(UnknownNameError, match="mlflow"):
        lookalike.train(config, overrides=['trackers=["mlfow"]'], out=tmp_path / "run")


def test_a_run_without_trackers_has_its_log_alone(config: Path, tmp_path: Path) -> None:
    lookalike.train(config, overrides=["trackers=[]"], out=tmp_path / "run")
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert "log.jsonl" in left and not {"tensorboard", "trackers.json"} & left
    lookalike.train(config, resume=tmp_path / "run")  # another tracker does not change the result
    assert (tmp_path / "run" / "tensorboard").is_dir()


def test_steps_that_are_taken_again_are_passed_on_once(config: Path, trackers: Trackers, tmp_path: Path) -> None:
    for step in (1, 2, 3):
        trackers.log("loss", {"loss": step / 2, "rate/new layers": float("inf")}, step=step)
    trackers.log("dev", {"dev/0/hit_rate@1": 0.25}, step=3)
    trackers.record = TrackerRecord({}, {"loss": 3, "dev": 3})  # as after a kill, with a state of step 1
    for step in (2, 3, 4):
        trackers.log("loss", {"loss": 9.0}, step=step)
        trackers.log("dev", {"dev/0/hit_rate@1": 0.5}, step=step)
    trackers.close()
    assert scalars(tmp_path / "events", "loss") == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 9.0)]
    assert scalars(tmp_path / "events", "dev/0/hit_rate@1") == [(3, 0.25), (4, 0.5)]
    assert "rate/new layers" not in EventAccumulator(str(tmp_path / "events")).Reload().Tags()["scalars"]


def test_a_log_that_a_kill_cut_short_tells_what_was_passed_on(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.log({"all_steps": 1, "loss": {}})
    length = folder.log_length()
    folder.log({"all_steps": 2, "loss": {}})
    folder.log({"all_steps": 2, "dev": {}})
    whole = folder.log_length()
    with (tmp_path / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"all_steps": 3, "lo')
    assert [entry["all_steps"] for entry in folder.cut_log(length)] == [2, 2]
    assert folder.log_length() == length < whole and folder.cut_log(length) == []


class Unreachable(GeneralTracker):  # type: ignore[misc]  # accelerate has no types
    """A tracker whose server is gone."""

    name, requires_logging_directory, tracker = "unreachable", False, None

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: object) -> None:
        raise ConnectionError("no route to the server\nmore")

    def finish(self) -> None:
        raise ConnectionError("no route to the server")


def test_a_tracker_that_fails_is_left_out_and_the_run_goes_on(config: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trackers = Trackers(RunFolder(tmp_path), load_settings(config), report=said.append)
    trackers.open |= {"mlflow": Unreachable(), "tensor board": TensorBoardTracker("events", logging_dir=str(tmp_path))}
    trackers.open["tensor board"].start()
    for step in (1, 2):
        trackers.log("loss", {"loss": 1.0}, step=step)
    assert said == ["tracker mlflow: left out from step 1 on: no route to the server"]
    trackers.open["wandb"] = Unreachable()
    trackers.close()
    assert said[1:] == ["tracker wandb: its run cannot be ended: no route to the server"]
    assert [step for step, _ in scalars(tmp_path / "events", "loss")] == [1, 2]


def test_the_record_of_trackers_is_kept_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "trackers.json"
    assert TrackerRecord.read(path) == TrackerRecord()
    record = TrackerRecord({"mlflow": "abc"}, {"loss": 7, "dev": 5})
    record.write(path)
    assert TrackerRecord.read(path) == record
    for damaged in ("{", "[]", '{"runs": 1, "last": {}}', '{"runs": {}, "last": {"dev": "x"}}'):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(ConfigError, match="damaged"):
            TrackerRecord.read(path)


def test_names_are_those_that_a_tracker_allows() -> None:
    names = {
        "loss": "loss",
        "rate/new layers": "rate/new layers",
        "dev/0/hit_rate@1": "dev/0/hit_rate_at_1",
        "dev/0/accuracy@1[type]": "dev/0/accuracy_at_1/type",
        "dev/0/accuracy@5[type+größe]": "dev/0/accuracy_at_5/type_größe",
        "data.0.heads.a/../b": "data.0.heads.a/b",
    }
    assert {name: mlflow_name(name) for name in names} == names


def test_settings_are_named_by_their_places() -> None:
    settings = {
        "seed": 0,
        "ema": 0.5,
        "data": [{"heads": {"type": 1.0}, "train": ["a", "b"]}],
        "stage": [],
        "boxes": None,
    }
    assert dict(flat(settings)) == {
        "seed": 0,
        "ema": 0.5,
        "data.0.heads.type": 1.0,
        "data.0.train": json.dumps(["a", "b"]),
        "stage": "[]",
        "boxes": "null",
    }
