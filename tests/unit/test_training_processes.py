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
from lookalike.cli import main
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


HARD_NEGATIVES = """
[hard_negatives]
every = 2
group = 2
photos = 1
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(("tables", "lines"), [("", 8), (HARD_NEGATIVES, 11)], ids=["products", "hard negatives"])
def test_two_processes_give_what_one_gives(
    tables: str, lines: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_drawn(tmp_path / "sample", products=14, photos=2)
    (tmp_path / "tiny.toml").write_text(SETTINGS + tables, encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    together = subprocess.run(
        [*launcher, "-m", "lookalike", "train", "../tiny.toml"],
        cwd=tmp_path / "two",
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert together.returncode == 0, together.stderr
    monkeypatch.chdir(tmp_path / "one")
    code, alone = main(["train", "../tiny.toml"]), capsys.readouterr()
    assert code == 0, alone.err
    for printed in (alone.out, together.stdout):
        assert printed == "best checkpoint: runs/tiny/best.safetensors\n"  # said once
    assert "1 process on cpu" in alone.err and "2 processes on cpu" in together.stderr
    one, two = (log_of(tmp_path / name / "runs" / "tiny") for name in ("one", "two"))
    assert len(one) == len(two) == lines  # six steps and two measures, and three minings, if any
    for ours, theirs in zip(one, two, strict=True):
        for what in ("loss", "rate", "dev", "hard_negatives"):
            assert theirs.get(what, {}) == pytest.approx(ours.get(what, {}), rel=1e-3, abs=1e-3)
        assert theirs.get("gradient_norm", 0.0) == pytest.approx(ours.get("gradient_norm", 0.0), rel=1e-3)
    weights = [read_tensors(tmp_path / name / "runs" / "tiny" / "last.safetensors") for name in ("one", "two")]
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
