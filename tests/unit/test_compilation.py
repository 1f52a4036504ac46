"""Training of a compiled backbone: the same names, nearly the same results, one line where it cannot be compiled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError
from lookalike.models.backbones import checkpoint_gradients
from lookalike.models.network import Network, NetworkSettings
from lookalike.models.weight_readers import read_tensors
from lookalike.training.run import loop
from lookalike.training.run.compilation import compiled_maps, compiler_errors_told

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

CPU = torch.device("cpu")

SETTINGS = """
name = "tiny"
products = 4
photos = 2
workers = 0
save_every = 1
epoch_photos = 8
[network]
backbone = "test_convnext"
embedding = 8
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
grades = ["type"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-3
[[stage]]
epochs = 1
learning_rate = 1e-3
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compilation")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "tiny.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "tiny.toml"


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Compilers that only note what they are given, and run it as it is, so that a test takes no minutes."""
    seen: list[str] = []
    compile_with = torch.compile

    def noting(function: Callable[..., Any], **given: Any) -> Callable[..., Any]:
        seen.append(function.__name__)
        compiled: Callable[..., Any] = compile_with(function, backend="eager", **given)
        return compiled

    monkeypatch.setattr("torch.compile", noting)
    return seen


def test_a_network_keeps_the_names_of_its_weights(traced: list[str]) -> None:
    network = Network(NetworkSettings("test_convnext", embedding=8), heads={"type": 3}).train()
    names = list(network.state_dict())
    maps = compiled_maps(network, device=CPU)
    photos = torch.rand(2, 3, 32, 32, generator=torch.manual_seed(0))
    assert torch.allclose(maps(photos), network.maps(photos), atol=1e-6)
    assert traced == ["_trial", "maps"]
    assert list(network.state_dict()) == names and not any("_orig_mod" in name for name in names)


def stop_after_one(done: int, total: int) -> None:
    if done == 1:
        raise KeyboardInterrupt


def test_a_compiled_run_can_be_resumed_without_compilation_and_the_other_way_round(
    traced: list[str], config: Path, tmp_path: Path
) -> None:
    plain = loop.train(config, out=tmp_path / "plain").checkpoint.parent
    assert traced == []
    for first, second in (["compile=true"], []), ([], ["compile=true"]):
        run = tmp_path / f"run-{len(first)}-{len(second)}"
        with pytest.raises(KeyboardInterrupt):
            loop.train(config, out=run, overrides=first, progress=stop_after_one)
        loop.train(config, resume=run, overrides=second)
        expected = read_tensors(plain / "last.safetensors")
        for name, weight in read_tensors(run / "last.safetensors").items():
            assert torch.allclose(weight, expected[name], atol=1e-4), name
    assert traced == ["_trial", "maps"] * 2


def test_gradients_that_are_checkpointed_are_compiled_too(traced: list[str]) -> None:
    photos = torch.rand(2, 3, 32, 32, generator=torch.manual_seed(0))
    gradients = []
    for compiled in (False, True):
        torch.manual_seed(0)
        network = Network(NetworkSettings("test_convnext", embedding=8), heads={}).train()
        checkpoint_gradients(network.backbone, "test_convnext")
        maps = compiled_maps(network, device=CPU) if compiled else network.maps
        maps(photos).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in network.backbone.named_parameters()})
    assert traced == ["_trial", "maps"]
    for name, gradient in gradients[0].items():
        assert gradient is not None and torch.allclose(gradient, gradients[1][name], atol=1e-6), name


def failing(graph: object, inputs: object) -> Callable[..., Any]:
    raise ValueError("an operation\nthat it does not know")


def test_a_run_that_cannot_be_compiled_ends_in_one_line(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("torch.compile", partial(torch.compile, backend=failing))
    assert main(["train", str(config), "--set", "compile=true"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("error: compile = true: PyTorch cannot compile the network here: ")
    assert line.endswith("; install a C++ compiler, such as g++, or leave compile out")


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_so_in_one_line(config: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    result = subprocess.run(
        [sys.executable, "-m", "lookalike", "train", str(config), "--set", "compile=true"],
        cwd=tmp_path,
        env={**environment, "PATH": str(empty), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    line = result.stderr.splitlines()[-1]
    assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
    assert line.startswith("error: compile = true: PyTorch cannot compile the network here: ")
    assert line.endswith("; install a C++ compiler, such as g++, or leave compile out")


def test_errors_of_the_compilers_are_told_and_others_are_not() -> None:
    @torch.compile(backend=failing)
    def maps(photos: Tensor) -> Tensor:
        return photos.sin()

    with pytest.raises(ConfigError) as error, compiler_errors_told():
        maps(torch.ones(2))
    assert str(error.value).startswith("compile = true: ") and "\n" not in str(error.value)
    with pytest.raises(RuntimeError, match="another"), compiler_errors_told():
        raise RuntimeError("another")


@pytest.mark.slow
def test_a_run_that_is_compiled_in_truth_gives_nearly_what_another_gives(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process and in two, the stage in which the backbone is frozen included."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    loop.train(config, out=tmp_path / "plain")
    loop.train(config, out=tmp_path / "one", overrides=["compile=true"])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    together = subprocess.run(
        [*launcher, "-m", "lookalike", "train", str(config), "--set", "compile=true"],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert together.returncode == 0, together.stderr
    with pytest.raises(KeyboardInterrupt):
        loop.train(config, out=tmp_path / "again", overrides=["compile=true"], progress=stop_after_one)
    loop.train(config, resume=tmp_path / "again", overrides=["compile=true"])
    compiled = [(tmp_path / name / "last.safetensors").read_bytes() for name in ("one", "again")]
    assert compiled[0] == compiled[1]  # bit for bit, as without compilation
    expected = losses_of(tmp_path / "plain")
    for run in ("one", "runs/tiny"):
        for step, others in zip(expected, losses_of(tmp_path / run), strict=True):
            assert others == pytest.approx(step, rel=1e-3)


def losses_of(run: Path) -> list[dict[str, float]]:
    """Parts of the loss of each step."""
    lines = map(json.loads, (run / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [line["loss"] for line in lines if "loss" in line]
