"""Optimiser steps: weights, rates and checkpoints, against values worked out by hand."""

from __future__ import annotations

import json
import math
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError, TrainingError, UnknownNameError
from lookalike.models.weight_readers import read_tensors
from lookalike.training.run import depthwise, loop
from lookalike.training.run.interruption import Interruption
from lookalike.training.run.optimiser_step import OptimiserStep, seed_dropout
from lookalike.training.run.processes import start_processes
from lookalike.training.run.run_folder import RunFolder
from lookalike.training.run.run_log import RunLog, RunPosition
from lookalike.training.run.schedule import PlateauTracker, rate_factor
from lookalike.training.settings.run_settings import load_settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "steps"
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
grades = ["type"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-3
backbone_rate = 1e-3
warmup = 0.0
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("steps")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "steps.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "steps.toml"


def make_run(config: Path, out: Path, *overrides: str) -> loop.Run:
    settings = load_settings(config, overrides=overrides)
    folder = RunFolder(out)
    folder.begin(settings)
    accelerator = start_processes(settings.device, settings.precision)
    return loop.Run(settings, base=config.parent, folder=folder, accelerator=accelerator, interruption=Interruption())


def log_of(folder: Path, kind: str) -> list[dict[str, Any]]:
    lines = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry[kind] for entry in map(json.loads, lines) if kind in entry]


def weights_of(run: loop.Run) -> dict[str, Tensor]:
    return {name: weight.detach().clone() for name, weight in run.learner.named_parameters()}


class OneStepError(Exception):
    """Ends a run where a test wants to look at it."""


def one_step(run: loop.Run) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise OneStepError

    with pytest.raises(OneStepError):
        run.all_stages(stop)


@pytest.mark.parametrize("longest", [0.0, 0.01])
def test_a_step_follows_the_mean_gradient_of_its_batches_and_no_further_than_allowed(
    config: Path, tmp_path: Path, longest: float
) -> None:
    overrides = ("accumulation=2", "optimizer=sgd", "momentum=0.0", "weight_decay=0.0", "schedule=constant")
    run = make_run(config, tmp_path / "run", *overrides, f"clip_norm={longest}")
    before = weights_of(run)
    run.training_data.show_for(run.settings.stage[0])
    run.learner.train()
    gradients: dict[str, Tensor] = {}
    batches = run.batches(0, 1)
    for _ in range(2):
        photos, places, roles, *_ = next(batches)
        run.learner.zero_grad()
        sum(run.learner(photos, places, roles).values()).backward()
        for name, weight in run.learner.named_parameters():
            gradients[name] = gradients.get(name, torch.zeros_like(weight)) + weight.grad / 2
    norm = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    scale = min(1.0, longest / float(norm)) if longest else 1.0
    run.learner.zero_grad()
    one_step(run)
    for name, weight in weights_of(run).items():
        torch.testing.assert_close(weight, before[name] - 1e-3 * scale * gradients[name], atol=1e-6, rtol=1e-4)
    assert log_of(tmp_path / "run", "gradient_norm") == [pytest.approx(float(norm), rel=1e-4)]


def test_checkpoints_hold_the_moving_average(config: Path, tmp_path: Path) -> None:
    run = make_run(config, tmp_path / "run", "ema=0.5")
    steps: list[Tensor] = []
    run.all_stages(lambda done, total: steps.append(run.network.embedding.weight.detach().clone()))
    _, average, *rest = steps  # the first is from before the first step, and after one step there is nothing to mix
    for number, weights in enumerate(rest, start=1):
        keeps = min(0.5, 1 - (1 + number) ** (-2 / 3))  # it rises: .37, .52, ...
        average = keeps * average + (1 - keeps) * weights
    kept = read_tensors(tmp_path / "run" / "last.safetensors")["embedding.weight"]
    torch.testing.assert_close(kept, average)
    assert not torch.allclose(kept, steps[-1])


def test_a_plateau_lowers_the_rates_and_an_early_stop_ends_the_stage(config: Path, tmp_path: Path) -> None:
    still = ("stage.0.learning_rate=1e-12", "stage.0.backbone_rate=1e-12", "measure_every=1", "stage.0.epochs=9")
    run = make_run(config, tmp_path / "run", *still, "schedule=plateau", "patience=2", "early_stop=5")
    run.all_stages(lambda done, total: None)
    assert len(set(map(str, log_of(tmp_path / "run", "dev")))) == 1  # nothing was learnt, so nothing was gained
    rates = [rate["new layers"] / 1e-12 for rate in log_of(tmp_path / "run", "rate")]
    # The first measure is the best; the next two wait, the rates drop, two more wait, they drop, and one more ends it.
    assert rates == pytest.approx([1, 1, 1, 0.3, 0.3, 0.09])


def test_gains_are_counted() -> None:
    gains = PlateauTracker()
    noted = [gains.note(figure, patience=2, factor=0.1) for figure in (0.3, 0.4, 0.4, 0.1, 0.2, 0.5, 0.4)]
    assert noted == [True, True, False, False, False, True, False]
    assert (gains.best, gains.waited, gains.drop) == (0.5, 1, 0.1)
    gains.start_stage()
    assert (gains.best, gains.waited, gains.drop) == (0.5, 0, 1.0)


def test_rates_rise_and_fall() -> None:
    cosine = [rate_factor(step, 10, warmup=0.2) for step in range(10)]
    assert cosine[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert cosine[6] == pytest.approx(0.01 + 0.99 / 2)  # half of the way down, half of the height
    assert cosine[2:] == sorted(cosine[2:], reverse=True) and cosine[-1] > 0.01
    assert [rate_factor(step, 4, warmup=0.5, schedule="constant") for step in range(4)] == pytest.approx(
        [1 / 3, 2 / 3, 1.0, 1.0]
    )
    assert rate_factor(3, 4, warmup=0.0, schedule="plateau", drop=0.3) == 0.3


def test_without_dev_photos_the_last_checkpoint_is_the_best(config: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trained = loop.train(config, overrides=["data.0.hold_out=0.0"], out=tmp_path / "run", report=said.append)
    best, last = read_tensors(trained.checkpoint), read_tensors(tmp_path / "run" / "last.safetensors")
    assert all(torch.equal(best[name], last[name]) for name in last)
    assert any("nothing is measured" in line for line in said)
    with pytest.raises(ConfigError, match="something to measure"):
        loop.train(
            config,
            overrides=["data.0.hold_out=0.0", "schedule=plateau", "measure_every=1"],
            out=tmp_path / "plateau",
        )


def test_a_loss_that_is_not_finite_ends_the_run(config: Path, tmp_path: Path) -> None:
    rates = ["stage.0.learning_rate=100", "stage.0.backbone_rate=100", "clip_norm=0.0", "optimizer=sgd"]
    rates += ["weight_decay=100", "momentum=0.99", "stage.0.epochs=20"]
    with pytest.raises(TrainingError, match=r"not finite after step .*lower learning rates"):
        loop.train(config, overrides=rates, out=tmp_path / "run")


def test_a_backbone_runs_in_bfloat16(config: Path, tmp_path: Path) -> None:
    loop.train(config, overrides=["precision=bf16"], out=tmp_path / "half")
    loop.train(config, out=tmp_path / "full")
    half, full = log_of(tmp_path / "half", "loss")[0], log_of(tmp_path / "full", "loss")[0]
    assert half != full
    assert half == pytest.approx(full, rel=0.05)


@pytest.mark.parametrize(("precision", "is_ours"), [("bf16", True), ("no", False)])
def test_depthwise_gradients_are_ours_in_bfloat16(
    config: Path, tmp_path: Path, precision: str, is_ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    ours = depthwise.weight_gradient

    def counted(*given: Any) -> torch.Tensor:
        calls.append(given)
        return ours(*given)

    monkeypatch.setattr(depthwise, "weight_gradient", counted)
    one_step(make_run(config, tmp_path / "run", f"precision={precision}"))
    assert bool(calls) == is_ours


def test_parts_that_a_stage_freezes_stay_as_they_are(config: Path, tmp_path: Path) -> None:
    run = make_run(config, tmp_path / "run", 'stage.0.freeze=["stem", "stages.0"]')
    before = weights_of(run)
    one_step(run)
    changed = {name for name, weight in weights_of(run).items() if not torch.equal(weight, before[name])}
    frozen = {name for name in before if name.startswith(("network.backbone.stem.", "network.backbone.stages.0."))}
    assert frozen
    assert not changed & frozen
    assert {name for name in before if name.startswith("network.backbone.stages.1.")} <= changed
    with pytest.raises(UnknownNameError, match=r"part of the backbone.*stages"):
        one_step(make_run(config, tmp_path / "other", 'stage.0.freeze=["stagess"]'))


@pytest.fixture
def damaged(config: Path, tmp_path: Path) -> Path:
    """The same catalogue, two training photos and a dev photo of which cannot be read."""
    write_drawn(tmp_path / "sample", products=12, photos=2)
    training_data = loop.TrainingData(load_settings(config), base=config.parent)
    train, dev = training_data.photos.items, training_data.dev[0].split.items
    for item in (train[0], train[3], dev[1]):
        (tmp_path / "sample" / "photos" / Path(item.location).name).write_text("no photo", encoding="utf-8")
    (tmp_path / "steps.toml").write_text(SETTINGS, encoding="utf-8")
    return tmp_path / "steps.toml"


def test_photos_that_cannot_be_read_are_replaced_listed_and_limited(damaged: Path, tmp_path: Path) -> None:
    said: list[str] = []
    trained = loop.train(damaged, overrides=["stage.0.epochs=3"], out=tmp_path / "run", report=said.append)
    assert len(trained.skipped) == 3
    assert sum("cannot be read" in line for line in said) == 3
    listed = (tmp_path / "run" / "skipped.csv").read_text(encoding="utf-8").splitlines()
    assert listed[0] == "photo,reason" and len(listed) == 4
    with pytest.raises(TrainingError, match="`unreadable` allows 1"):
        loop.train(damaged, overrides=["unreadable=1", "stage.0.epochs=3"], out=tmp_path / "strict")


def test_a_background_that_cannot_be_read_is_named_in_one_line(config: Path, tmp_path: Path) -> None:
    """And no photo that was to be pasted on it is blamed, by whatever process it was read."""
    (tmp_path / "street.jpg").write_text("no photo", encoding="utf-8")
    (tmp_path / "streets.csv").write_text("id,image\na,street.jpg\n", encoding="utf-8")
    overrides = ["augmentation.paste=1.0", f"augmentation.backgrounds={tmp_path}/streets.csv"]
    expected = f"^{tmp_path}/street.jpg: not a photo .*; take this background out of the catalogue `backgrounds`$"
    for workers in (0, 1):
        said: list[str] = []
        with pytest.raises(TrainingError, match=expected):
            loop.train(config, overrides=[*overrides, f"workers={workers}"], out=tmp_path / "run", report=said.append)
        (tmp_path / "run" / "state.pt").unlink()  # saved before the first batch; the next run is a new one
        assert not any("left out" in line for line in said)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full disk")
def test_a_full_disk_is_told_and_leaves_the_state_before_it(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # modules that are first imported would be cut short, too
    sizes = resource.getrlimit(resource.RLIMIT_FSIZE)

    def leave_no_room(done: int, total: int) -> None:
        if done == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, sizes[1]))  # bytes of a file

    try:
        with pytest.raises(TrainingError, match=r"File too large.*--resume"):
            loop.train(config, overrides=["save_every=1"], out=tmp_path / "run", progress=leave_no_room)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, sizes)
    assert not list((tmp_path / "run").glob(".*"))
    loop.train(config, overrides=["save_every=1"], resume=tmp_path / "run")
    assert len(log_of(tmp_path / "run", "loss")) == 2


def test_a_step_that_fp16_left_out_has_no_length_of_the_gradient(tmp_path: Path) -> None:
    notes = RunLog(RunFolder(tmp_path), RunPosition())
    for norm in (math.inf, math.nan, 2.5):
        notes.step(OptimiserStep({"SupConLoss": 1.0}, {"backbone": 0.1}, norm, batch=1))
    notes.close()
    assert "Infinity" not in (tmp_path / "log.jsonl").read_text(encoding="utf-8")
    assert log_of(tmp_path, "gradient_norm") == [None, None, 2.5]


def test_dropout_is_seeded_as_torch_seeds_it() -> None:
    for seed in (0, 7, 2**32 - 1):
        torch.manual_seed(seed)
        expected = torch.rand(5)
        seed_dropout(seed, torch.device("cpu"))
        assert torch.equal(torch.rand(5), expected)
