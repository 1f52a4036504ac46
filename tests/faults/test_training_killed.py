"""`lookalike train`, killed at any moment or stopped by Ctrl-C: a resumed run equals an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lookalike.catalogue.sample.drawn import write_drawn

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

KILLS = 3

SETTINGS = """
name = "tiny"
products = 4
photos = 2
accumulation = 2
workers = 1
ema = 0.9
schedule = "plateau"
patience = 1
measure_every = 4
save_every = 3
[network]
backbone = "test_efficientnet"
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
[[stage]]
epochs = 2
learning_rate = 1e-2
[[stage]]
epochs = 6
learning_rate = 1e-2
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    write_drawn(folder / "sample", products=20, photos=2)
    (folder / "tiny.toml").write_text(SETTINGS, encoding="utf-8")
    return folder / "tiny.toml"


@pytest.fixture(scope="module")
def whole(config: Path) -> Path:
    """The folder of a run that was not stopped."""
    return finish(config, place(config, "whole"))


def place(config: Path, name: str) -> Path:
    """Where a run shall put its folder."""
    (config.parent / name).mkdir()
    return config.parent / name / "runs" / "tiny"


def lookalike(*arguments: str, folder: Path) -> dict[str, Any]:
    """What starts the program; with one thread, so that sums are always taken in the same order."""
    program = [sys.executable, "-m", "lookalike", *arguments]
    return {
        "args": program,
        "cwd": folder.parents[1],
        "env": {**os.environ, "OMP_NUM_THREADS": "1"},
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.PIPE,
        "text": True,
    }


def train(config: Path, folder: Path) -> dict[str, Any]:
    """Begin a run, or take it up."""
    resume = ("--resume", "runs/tiny") if (folder / "settings.json").exists() else ()
    return lookalike("train", str(config), *resume, folder=folder)


def finish(config: Path, folder: Path) -> Path:
    done = subprocess.run(**train(config, folder), check=False)
    assert done.returncode == 0, done.stderr
    return folder


def log_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.005)


def assert_same_run(folder: Path, whole: Path) -> None:
    """Losses, rates, gradients, batches and measures of every step, and every weight: bit for bit."""
    assert log_of(folder) == log_of(whole)
    for name in ("best.safetensors", "last.safetensors"):
        assert weights_of(folder / name) == weights_of(whole / name), name


def weights_of(checkpoint: Path) -> bytes:
    """All tensors of a checkpoint; the header before them has its entries in any order."""
    content = checkpoint.read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_a_killed_run_ends_as_if_it_had_not_been(config: Path, whole: Path) -> None:
    folder, chance = place(config, "killed"), random.Random(5)
    lines, reached, stopped_within = len(log_of(whole)), -1, 0
    for _ in range(KILLS):
        with subprocess.Popen(**train(config, folder)) as process:
            target = reached + chance.randint(1, lines // KILLS)
            wait_for(lambda target=target: len(log_of(folder)) > target, process)  # type: ignore[misc]
            time.sleep(chance.uniform(0.0, 0.05))
            process.kill()
            process.communicate()
        reached = len(log_of(folder))
        stopped_within += 0 < reached < lines
    assert stopped_within >= 2
    assert_same_run(finish(config, folder), whole)


def test_ctrl_c_saves_the_step_and_says_how_to_go_on(config: Path, whole: Path) -> None:
    folder = place(config, "stopped")
    with subprocess.Popen(**train(config, folder)) as process:
        wait_for(lambda: len(log_of(folder)) >= 5, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    before = log_of(folder)
    step = max(entry["all_steps"] for entry in before)
    *_, said, how = err.splitlines()
    assert said == f"stopped after step {step}, and saved; to resume:"
    program, *arguments = shlex.split(how)
    assert program == "lookalike"
    assert arguments == ["train", str(config), "--resume", "runs/tiny"]
    done = subprocess.run(**lookalike(*arguments, folder=folder), check=False)
    assert done.returncode == 0, done.stderr
    assert log_of(folder)[: len(before)] == before  # no step was taken twice
    assert_same_run(folder, whole)
