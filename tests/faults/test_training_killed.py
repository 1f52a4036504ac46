"""`lookalike train`, killed at any moment or stopped by Ctrl-C: a resumed run equals an uninterrupted one."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

KILLS = 3

PROGRAMS = multiprocessing.get_context("forkserver")
PROGRAMS.set_forkserver_preload(["lookalike.cli.commands", "lookalike.training.run.loop"])

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


def started(arguments: list[str], folder: Path) -> BaseProcess:
    """The program, in a process that is forked from one in which all is imported already, which takes seconds.

    With one thread, so that sums are always taken in the same order.
    """
    process = PROGRAMS.Process(target=_run, args=(arguments, folder.parents[1]))
    process.start()
    return process


def _run(arguments: list[str], working_folder: Path) -> None:
    import torch

    torch.set_num_threads(1)
    os.chdir(working_folder)
    sys.stdout = sys.stderr = (working_folder / "said").open("a", encoding="utf-8")
    sys.exit(main(arguments))


def train(config: Path, folder: Path) -> list[str]:
    """Begin a run, or take it up."""
    resume = ("--resume", "runs/tiny") if (folder / "settings.json").exists() else ()
    return ["train", str(config), *resume]


def finish(config: Path, folder: Path) -> Path:
    assert_ends_well(train(config, folder), folder)
    return folder


def assert_ends_well(arguments: list[str], folder: Path) -> None:
    process = started(arguments, folder)
    process.join()
    assert process.exitcode == 0, (folder.parents[1] / "said").read_text(encoding="utf-8")


def log_of(folder: Path) -> list[dict[str, Any]]:
    path = folder / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(condition: Callable[[], bool], goes_on: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while goes_on() and not condition() and time.monotonic() < deadline:
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
        process = started(train(config, folder), folder)
        target = reached + chance.randint(1, lines // KILLS)
        wait_for(lambda target=target: len(log_of(folder)) > target, process.is_alive)  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.05))
        process.kill()
        process.join()
        reached = len(log_of(folder))
        stopped_within += 0 < reached < lines
    assert stopped_within >= 2
    assert_same_run(finish(config, folder), whole)


def test_ctrl_c_saves_the_step_and_says_how_to_go_on(config: Path, whole: Path) -> None:
    folder = place(config, "stopped")
    with subprocess.Popen(
        [sys.executable, "-m", "lookalike.cli", *train(config, folder)],
        cwd=folder.parents[1],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(lambda: len(log_of(folder)) >= 5, lambda: process.poll() is None)
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
    assert_ends_well(arguments, folder)
    assert log_of(folder)[: len(before)] == before  # no step was taken twice
    assert_same_run(folder, whole)
