"""Resumed runs with other numbers of epochs: the same weights as one longer run, and no step that is undone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError
from lookalike.training.run.run_lengths import changed_lengths
from lookalike.training.run.schedule import rate_factor

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "longer"
products = 4
photos = 2
workers = 0
schedule = "constant"
epoch_photos = 16
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
grades = ["type"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 2
learning_rate = 1e-3
warmup = 0.0
[[stage]]
epochs = 2
learning_rate = 1e-3
backbone_rate = 1e-3
warmup = 0.0
"""
STEPS = 2
"""In an epoch: 16 photos in batches of 8."""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("longer")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "run.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "run.toml"


@pytest.fixture(scope="module")
def ended(config: Path) -> Path:
    """A run that took all its steps."""
    return lookalike.train(config, out=config.parent / "ended").checkpoint.parent


class Enough(Exception):
    """Ends a run where a test wants to look at it."""


def stop_after(steps: int) -> Callable[[int, int], None]:
    def stop(done: int, total: int) -> None:
        if done == steps:
            raise Enough

    return stop


def entries(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if kind in entry]


def losses(folder: Path) -> list[tuple[int, float]]:
    return [(entry["all_steps"], sum(entry["loss"].values())) for entry in entries(folder, "loss")]


def copied(run: Path, to: Path) -> Path:
    return Path(shutil.copytree(run, to))


def test_a_run_that_is_made_longer_has_the_weights_of_one_long_run(config: Path, ended: Path, tmp_path: Path) -> None:
    longer = ["stage.1.epochs=4"]
    whole = lookalike.train(config, overrides=longer, out=tmp_path / "whole")
    said: list[str] = []
    run = copied(ended, tmp_path / "run")
    again = lookalike.train(config, overrides=longer, resume=run, report=said.append)
    assert (run / "last.safetensors").read_bytes() == (tmp_path / "whole" / "last.safetensors").read_bytes()
    assert losses(run) == losses(tmp_path / "whole")
    assert [step for step, _ in losses(run)] == list(range(1, 6 * STEPS + 1))
    line = f"stage.1.epochs: {4 * STEPS} steps in place of {2 * STEPS}, of which {2 * STEPS} are taken"
    assert any(text.startswith(line) for text in said)
    [changed] = entries(run, "lengths")
    assert changed["all_steps"] == 4 * STEPS and changed["lengths"][0].startswith(line)
    assert json.loads((run / "settings.json").read_text())["stage"][1]["epochs"] == 4
    figures = [entry["criterion"] for entry in entries(run, "dev")]
    assert len(figures) == len(entries(tmp_path / "whole", "dev")) + 1 and again.figure == max(figures)
    assert whole.figure == max(entry["criterion"] for entry in entries(tmp_path / "whole", "dev"))
    lookalike.train(config, overrides=longer, resume=run)  # nothing is left to do
    assert len(losses(run)) == 6 * STEPS and len(entries(run, "lengths")) == 1


def test_the_best_checkpoint_stays_that_of_the_best_measure(config: Path, ended: Path, tmp_path: Path) -> None:
    run = copied(ended, tmp_path / "run")
    state = lookalike.train(config, resume=run)
    best = (run / "best.safetensors").read_bytes()
    still = lookalike.train(config, overrides=["stage.1.epochs=2.5"], resume=run)
    figures = [entry["criterion"] for entry in entries(run, "dev")]
    assert still.figure == max(figures) and state.figure == max(figures[:-1])
    assert ((run / "best.safetensors").read_bytes() == best) == (figures[-1] <= max(figures[:-1]))


def test_rates_go_on_as_those_of_the_new_length(config: Path, tmp_path: Path) -> None:
    cosine = ["schedule=cosine", "stage.0.warmup=0.3"]
    with pytest.raises(Enough):
        lookalike.train(
            config, overrides=[*cosine, "save_every=1"], out=tmp_path / "run", progress=stop_after(STEPS + 1)
        )
    lookalike.train(config, overrides=[*cosine, "stage.0.epochs=5", "stage.1.epochs=1"], resume=tmp_path / "run")
    steps = entries(tmp_path / "run", "loss")
    found = [entry["rate"]["new layers"] / 1e-3 for entry in steps]
    taken = STEPS  # the step that was stopped was not saved yet
    first = [rate_factor(step, 2 * STEPS, warmup=0.3) for step in range(taken)]
    rest = [rate_factor(step, 5 * STEPS, warmup=0.3) for step in range(taken, 5 * STEPS)]
    assert found == pytest.approx([*first, *rest, *(rate_factor(step, STEPS, warmup=0.0) for step in range(STEPS))])
    assert len(entries(tmp_path / "run", "lengths")[0]["lengths"]) == 2


def test_a_run_that_is_stopped_while_it_is_made_longer_goes_on(config: Path, ended: Path, tmp_path: Path) -> None:
    longer = ["stage.1.epochs=4"]
    lookalike.train(config, overrides=longer, out=tmp_path / "whole")
    for number, kept in enumerate((1, 200)):  # the state is saved after each step, or is still that of the shorter run
        run = copied(ended, tmp_path / f"run{number}")
        with pytest.raises(Enough):
            lookalike.train(
                config, overrides=[*longer, f"save_every={kept}"], resume=run, progress=stop_after(5 * STEPS)
            )
        lookalike.train(config, overrides=longer, resume=run)
        assert losses(run) == losses(tmp_path / "whole")
        assert len(entries(run, "lengths")) == 1


def test_a_run_that_was_stopped_between_stages_may_make_the_one_before_longer(config: Path, tmp_path: Path) -> None:
    longer = ["stage.0.epochs=3"]
    lookalike.train(config, overrides=longer, out=tmp_path / "whole")
    with pytest.raises(Enough):
        lookalike.train(
            config, out=tmp_path / "run", progress=lambda done, total: None, report=_stop_at_the_first_measure
        )
    lookalike.train(config, overrides=longer, resume=tmp_path / "run")
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")


def _stop_at_the_first_measure(line: str) -> None:
    if line.startswith("dev after step"):
        raise Enough


def test_a_run_that_ended_early_goes_on(config: Path, tmp_path: Path) -> None:
    still = [f"stage.{stage}.{rate}_rate=1e-12" for stage in (0, 1) for rate in ("learning", "backbone")]
    early = [*still, "measure_every=1", "early_stop=2", "stage.1.epochs=10"]
    lookalike.train(config, overrides=early, out=tmp_path / "run")
    first = len(losses(tmp_path / "run"))
    assert first < 12 * STEPS
    lookalike.train(config, overrides=early, resume=tmp_path / "run")
    assert len(losses(tmp_path / "run")) == first  # the same settings end it at the same step
    lookalike.train(config, overrides=[*early, "stage.1.epochs=11"], resume=tmp_path / "run")
    assert len(losses(tmp_path / "run")) == first + 2  # two more measures without a gain
    assert [step for step, _ in losses(tmp_path / "run")] == list(range(1, first + 3))


def test_a_run_is_not_made_shorter_than_it_is(
    config: Path, ended: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = copied(ended, tmp_path / "run")
    kept = (run / "settings.json").read_bytes()
    refused = {
        "stage.1.epochs=1": "stage.1.epochs makes 2 steps, and 4 are taken; expected at least as many",
        "stage.0.epochs=3": "stage.0.epochs makes 6 steps of the 4 of a stage that has ended, and the next one",
    }
    for setting, words in refused.items():
        assert main(["train", str(config), "--resume", str(run), "--set", setting]) == 2
        line = capsys.readouterr().err.splitlines()[-1]
        assert line.startswith(f"error: {run}: {words}")
        with pytest.raises(ConfigError, match=words):
            lookalike.train(config, overrides=[setting], resume=run)
    assert (run / "settings.json").read_bytes() == kept and not entries(run, "lengths")
    assert main(["train", str(config), "--resume", str(run), "--set", "stage.1.epochs=2.5"]) == 0
    assert len(losses(run)) == 4 * STEPS + 1
    assert main(["train", str(config), "--resume", str(run)]) == 2
    assert "stage.1.epochs makes 4 steps, and 5 are taken" in capsys.readouterr().err


def test_lengths_are_compared_word_by_word(tmp_path: Path) -> None:
    def changed(before: list[int], now: list[int], taken: list[int]) -> list[str]:
        found = changed_lengths(before, now, taken=taken, setting="stage.{}.epochs", folder=tmp_path)
        return [line.partition(":")[0] for line in found]

    assert changed([5, 5], [5, 5], [5, 3]) == []
    assert changed([5, 5], [5, 9], [5, 3]) == ["stage.1.epochs"]
    assert changed([5, 5], [7, 9], [5, 0]) == ["stage.0.epochs", "stage.1.epochs"]
    assert changed([5, 5], [5, 3], [5, 3]) == ["stage.1.epochs"]
    assert changed([5, 0], [8, 0], [5, 0, 0]) == ["stage.0.epochs"]  # the second stage trains nothing
    for now, taken in (([6, 5], [5, 1]), ([4, 5], [5, 0]), ([5, 2], [5, 3])):
        with pytest.raises(ConfigError):
            changed([5, 5], now, taken)
