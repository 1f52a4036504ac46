"""Training on a GPU: all precisions, resuming, and checkpoints that load on any device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.embedding.model_loading import open_network
from lookalike.images import open_image
from lookalike.models.checkpoint import load_checkpoint
from lookalike.models.export import export_onnx
from lookalike.models.weight_readers import read_tensors
from lookalike.training.data.training_data import TrainingData
from lookalike.training.run import loop
from lookalike.training.settings.run_settings import load_settings

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

Begin = Callable[..., "subprocess.Popen[str]"]

CLOSE = {"no": 0.01, "bf16": 0.05, "fp16": 0.03}
"""How near, relatively, the first loss is to that of the processor, by precision; cuDNN rounds to TF32 in any case."""

LEARNS = """
name = "learns"
products = 12
photos = 2
workers = 2
ema = 0.8
[network]
backbone = "mobilenetv2_100"
init = "default"
embedding = 32
[input]
height = 64
width = 48
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
heads = { type = 1.0 }
grades = ["product"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 9
learning_rate = 3e-3
backbone_rate = 1e-3
"""

GOES_ON = """
name = "goes-on"
products = 4
photos = 2
accumulation = 2
workers = 0
ema = 0.9
save_every = 1
[network]
backbone = "mobilenetv3_small_050"
embedding = 8
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
heads = { type = 1.0 }
grades = ["type"]
dev_photos = 8
[[loss]]
name = "SupConLoss"
memory = 32
[[loss]]
name = "ProxyAnchorLoss"
[[stage]]
epochs = 0.6
learning_rate = 1e-3
[[stage]]
epochs = 1
learning_rate = 1e-3
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the settings of both runs lie, and their photos."""
    folder = tmp_path_factory.mktemp("training")
    write_drawn(folder / "sample", products=36, photos=3)
    (folder / "learns.toml").write_text(LEARNS, encoding="utf-8")
    (folder / "goes-on.toml").write_text(GOES_ON, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a whole run in the precision of the parameter."""
    out = tmp_path_factory.mktemp("run") / request.param
    said: list[str] = []
    overrides = [f"precision={request.param}"]
    made = loop.train(folder / "learns.toml", overrides=overrides, out=out, report=said.append).checkpoint
    assert any(f"1 process on cuda, precision {request.param}" in line for line in said)
    return made


@pytest.fixture(scope="module")
def first_loss(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The parts of the first loss on the processor."""
    out = tmp_path_factory.mktemp("cpu") / "run"
    loop.train(folder / "learns.toml", overrides=["device=cpu", "stage.0.epochs=0.01"], out=out)
    [step] = log_of(out, "loss")
    parts: dict[str, float] = step["loss"]
    return parts


@pytest.fixture
def repeatable() -> Iterator[None]:
    """Kernels that repeat themselves, as far as PyTorch has such, and that round as the processor does."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    before = torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = True, False
    yield
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = before
    torch.use_deterministic_algorithms(False)


def log_of(run: Path, kind: str) -> list[dict[str, Any]]:
    """The entries of a run's log that hold losses, or dev figures."""
    lines = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [entry for entry in map(json.loads, lines) if kind in entry]


def chance_of(config: Path) -> float:
    """How often a dev photo is of the product of another one that is chosen blindly."""
    [dev] = TrainingData(load_settings(config), base=config.parent).dev
    split = dev.split
    counts = Counter(split.field("product"))
    return sum(count * (count - 1) for count in counts.values()) / (len(split.items) * (len(split.items) - 1))


@pytest.mark.parametrize("trained", CLOSE, indirect=True)
def test_a_run_learns_from_the_batches_of_the_processor(
    trained: Path, folder: Path, first_loss: dict[str, float]
) -> None:
    steps = log_of(trained.parent, "loss")
    assert steps[0]["loss"] == pytest.approx(first_loss, rel=CLOSE[trained.parent.name])
    losses = [sum(step["loss"].values()) for step in steps]
    assert np.mean(losses[-5:]) < 0.6 * np.mean(losses[:5])
    [dev] = log_of(trained.parent, "dev")
    assert dev["dev"]["0/hit_rate@1"] > 3 * chance_of(folder / "learns.toml")


@pytest.mark.parametrize("trained", ["bf16"], indirect=True)
def test_a_checkpoint_of_a_gpu_serves_on_a_processor(trained: Path, folder: Path, tmp_path: Path) -> None:
    tensors = read_tensors(trained).values()
    assert {tensor.device.type for tensor in tensors} == {"cpu"}
    assert torch.float32 in {tensor.dtype for tensor in tensors} <= {torch.float32, torch.int64}
    file = tmp_path / "model.onnx"
    assert export_onnx(trained, file, calibrate=str(folder / "sample"))[0] > 0.9999
    preprocessing = load_checkpoint(trained).preprocessing
    photos = (open_image(item.location) for item in open_catalogue(str(folder / "sample")).items())
    pixels = np.stack([preprocessing(photo) for photo in photos])
    on_gpu, exported = open_network(trained, device="cuda"), open_network(file, device="cpu")
    assert on_gpu.identity.fingerprint == exported.identity.fingerprint
    ours, theirs = on_gpu.run(pixels).embedding, exported.run(pixels).embedding
    assert (ours * theirs).sum(axis=1).min() > 0.9999


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("precision", ["no", "fp16"])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(folder: Path, tmp_path: Path, precision: str) -> None:
    config, overrides = folder / "goes-on.toml", [f"precision={precision}"]
    loop.train(config, overrides=overrides, out=tmp_path / "whole")
    stop_and_go_on(config, tmp_path / "stopped", overrides=overrides)
    assert_same_run(tmp_path / "stopped", tmp_path / "whole", near=0.03)


@pytest.mark.usefixtures("repeatable")
@pytest.mark.parametrize("first", ["gpu", "processor"])
def test_a_run_moves_between_gpu_and_processor(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    config = folder / "goes-on.toml"
    loop.train(config, out=tmp_path / "whole")

    def move(*, to: str) -> None:
        monkeypatch.undo()
        if to == "processor":
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    move(to=first)
    said = stop_and_go_on(config, tmp_path / "moved", moved=lambda: move(to="processor" if first == "gpu" else "gpu"))
    assert [line.partition(" on ")[2] for line in said if " on c" in line] == (
        ["cuda, precision no", "cpu, precision no"] if first == "gpu" else ["cpu, precision no", "cuda, precision no"]
    )
    assert_same_run(tmp_path / "moved", tmp_path / "whole", near=0.06)


def stop_and_go_on(
    config: Path, out: Path, *, overrides: list[str] | None = None, moved: Callable[[], None] = lambda: None
) -> list[str]:
    """Kill a run in its fifth step, within its second stage, and take it up; gives what was said."""
    said: list[str] = []

    def stop_at_fifth(done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(config, overrides=overrides or [], out=out, progress=stop_at_fifth, report=said.append)
    moved()
    loop.train(config, overrides=overrides or [], resume=out, report=said.append)
    return said


def assert_same_run(run: Path, whole: Path, *, near: float) -> None:
    """The same batches and rates, and nearly the same losses and weights.

    Rounding differences grow from step to step. An optimiser that has forgotten its memory is told
    from them (0.1 of the losses), and so is a lost moving average (0.3 of the weights).
    """
    ours, theirs = log_of(run, "loss"), log_of(whole, "loss")
    for key in ("stage", "step", "all_steps", "batch", "rate"):
        assert [step[key] for step in ours] == [step[key] for step in theirs]
    for our, their in zip(ours, theirs, strict=True):
        assert our["loss"] == pytest.approx(their["loss"], rel=near)
    weights, others = (flat_weights(folder / "last.safetensors") for folder in (run, whole))
    assert float((weights - others).norm() / others.norm()) < near / 10


def flat_weights(checkpoint: Path) -> torch.Tensor:
    """All weights of a checkpoint in one row."""
    tensors = sorted(read_tensors(checkpoint).items())
    return torch.cat([tensor.flatten() for _, tensor in tensors if tensor.is_floating_point()])


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Start `lookalike train` in a folder of its own; what still runs when the test is over is killed."""
    begun: list[subprocess.Popen[str]] = []

    def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        folder.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "lookalike", "train", *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_machine_without_a_gpu_says_what_it_cannot_do(folder: Path, tmp_path: Path, begin: Begin) -> None:
    config = str(folder / "goes-on.toml")
    wishes = {"fp16": "precision=fp16", "cuda": "device=cuda", "auto": "stage.0.epochs=0.1"}
    begun = {
        name: begin(tmp_path / name, config, "--set", wish, CUDA_VISIBLE_DEVICES="") for name, wish in wishes.items()
    }
    said = {name: process.communicate(timeout=120)[1] for name, process in begun.items()}
    assert {name: process.returncode for name, process in begun.items()} == {"fp16": 2, "cuda": 2, "auto": 0}, said
    assert 'precision = "fp16" needs a GPU, and this run is on the CPU' in said["fp16"]
    assert "PyTorch sees no CUDA GPU on this machine" in said["cuda"]
    assert "1 process on cpu, precision no" in said["auto"]


def test_ctrl_c_stops_a_run_on_a_gpu_and_its_helpers_in_order(folder: Path, tmp_path: Path, begin: Begin) -> None:
    long = ("--set", "stage.1.epochs=5000", "--set", "workers=2")
    process = begin(tmp_path / "run", str(folder / "goes-on.toml"), *long)
    log, deadline = tmp_path / "run" / "runs" / "goes-on" / "log.jsonl", time.monotonic() + 120
    while (
        process.poll() is None and time.monotonic() < deadline and not (log.exists() and '"step": 5' in log.read_text())
    ):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "1 process on cuda" in said
    assert "and saved; to resume:" in said
    assert "Traceback" not in said
