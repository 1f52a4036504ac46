"""Training with two processes gives the same losses, gradients and weights as with one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import PartialState

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.errors import ConfigError
from lookalike.models.weight_readers import read_tensors
from lookalike.training.run.processes import Shards, start_processes

# LayerNorm, which looks at each photo alone: BatchNorm's statistics are shared by processes on GPUs only.
SETTINGS = """
name = "tiny"
products = 4
photos = 2
accumulation = 2
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
name = "ProxyAnchorLoss"
[[loss]]
name = "SupConLoss"
memory = 32
[[stage]]
epochs = 2
learning_rate = 1e-3
[[stage]]
epochs = 4
learning_rate = 1e-3
backbone_rate = 1e-3
"""


def log_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


def test_two_processes_give_what_one_gives(tmp_path: Path) -> None:
    write_drawn(tmp_path / "sample", products=14, photos=2)
    (tmp_path / "tiny.toml").write_text(SETTINGS, encoding="utf-8")
    launchers = {
        "one": [sys.executable, "-m", "lookalike.cli"],
        "two": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"],
    }
    launchers["two"] += ["-m", "lookalike.cli"]
    said = {}
    for name, launcher in launchers.items():
        (tmp_path / name).mkdir()
        done = subprocess.run(
            [*launcher, "train", "../tiny.toml"],
            cwd=tmp_path / name,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == "best checkpoint: runs/tiny/best.safetensors\n"  # said once
        said[name] = done.stderr
    assert "1 process on cpu" in said["one"] and "2 processes on cpu" in said["two"]
    one, two = (log_of(tmp_path / name / "runs" / "tiny") for name in launchers)
    assert len(one) == len(two) == 8  # six steps and two measures
    for alone, together in zip(one, two, strict=True):
        for what in ("loss", "rate", "dev"):
            assert together.get(what, {}) == pytest.approx(alone.get(what, {}), rel=1e-3, abs=1e-3)
        assert together.get("gradient_norm", 0.0) == pytest.approx(alone.get("gradient_norm", 0.0), rel=1e-3)
    weights = [read_tensors(tmp_path / name / "runs" / "tiny" / "last.safetensors") for name in launchers]
    for name, weight in weights[0].items():
        assert (weights[1][name] - weight).abs().max() < 1e-3, name


def test_processes_share_a_batch_in_equal_parts() -> None:
    batch = [(photo, 0) for photo in range(6)]
    parts = [next(iter(Shards([batch], process=process, processes=3))) for process in range(3)]  # type: ignore[list-item]
    assert list(chain(*parts)) == batch
    assert [len(part) for part in parts] == [2, 2, 2]
    with pytest.raises(ConfigError, match="6 photos cannot be divided among 4 processes"):
        next(iter(Shards([batch], process=0, processes=4)))  # type: ignore[list-item]


def test_a_later_run_in_this_process_gets_the_device_that_it_asks_for() -> None:
    start_processes("cpu", "no")
    PartialState().device = torch.device("cuda")  # as a run on a GPU leaves it
    accelerator = start_processes("cpu", "bf16")
    assert (accelerator.device.type, accelerator.mixed_precision) == ("cpu", "bf16")
