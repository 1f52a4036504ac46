"""`train`, `export` and `evaluate --report`, killed or on a bad disk at any operation on files.

No half file is taken for whole, and the same command on a sound disk ends as if nothing had happened.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from disk_faults import ALL, KILL, KILLED, Broken, Outcome, disk_watch
from test_commands_on_bad_disks import ERRORS, hidden, is_said
from test_training_killed import weights_of

from fault_tries import Tries
from lookalike.catalogue.sample.drawn import write_drawn

__all__ = ["disk_watch"]

SETTINGS = """
name = "tiny"
products = 4
photos = 2
workers = 0
measure_every = 2
save_every = 2
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
[[stage]]
epochs = 2
learning_rate = 1e-2
"""


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "tiny.toml").write_text(SETTINGS, encoding="utf-8")
    return folder


@pytest.fixture
def learning(disk_watch: Path, disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Broken]:
    """Runs commands that need PyTorch, in the folder."""
    monkeypatch.chdir(disk)
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    runner = Broken(
        disk_watch,
        disk,
        "lookalike.training.run.loop",
        "lookalike.models.export",
        "lookalike.evaluation.report.folder",
        "matplotlib",
    )
    yield runner
    runner.close()


@dataclass(frozen=True)
class Fault:
    """What befalls a command: a number of `Broken`, how many operations pass before, and how many fail."""

    number: int
    after: int
    times: int

    @classmethod
    def drawn(cls, luck: Random, operations: int) -> Fault:
        return cls(luck.choice((KILL, KILL, *ERRORS)), luck.randrange(operations), luck.choice((1, ALL)))

    def befalls(self, runner: Broken, *arguments: object) -> Outcome:
        """Run a command; it is killed, says in one line what is wrong, or comes to its end all the same."""
        done = runner.command(*arguments, number=self.number, after=self.after, times=self.times)
        assert done.code in ((KILLED,) if self.number == KILL else (0, 1)), (self, done)
        assert done.code != 1 or is_said(done.said), (self, done.said)
        return done

    @property
    def clears_up(self) -> bool:
        """Whether what was begun can be deleted."""
        return self.number != KILL and (self.times == 1 or self.number in (errno.ENOSPC, errno.EDQUOT))


def test_training(learning: Broken, disk: Path, tries: Tries, luck: Random) -> None:
    whole = learning.command("train", disk / "tiny.toml")
    assert whole.code == 0, whole.said
    (disk / "runs").rename(disk / "whole")
    for at in range(tries("train-on-bad-disk", short=1, long=60)):
        fault = Fault.drawn(luck, whole.operations)
        folder, arguments = disk / "runs" / "tiny", ["train", str(disk / "tiny.toml")]
        fault.befalls(learning, *arguments)
        if fault.clears_up:
            assert not hidden(folder), (fault, hidden(folder))
        if (folder / "state.pt").exists():
            arguments += ["--resume", str(folder)]
        again = learning.command(*arguments)
        assert again.code == 0, (fault, again.said)
        for name in ("best.safetensors", "last.safetensors"):
            assert weights_of(folder / name) == weights_of(disk / "whole" / "tiny" / name), (fault, name)
        assert not hidden(folder), (fault, hidden(folder))
        (disk / "runs").rename(disk / f"done {at}")


def test_exporting_and_reporting(learning: Broken, disk: Path, tries: Tries, luck: Random) -> None:
    assert learning.command("train", disk / "tiny.toml").code == 0
    checkpoint, model = disk / "runs" / "tiny" / "best.safetensors", disk / "tiny.onnx"
    source = disk / "sample" / "catalogue.csv"
    commands = {
        "export": ("export", checkpoint, "--onnx", model, "--calibrate", source),
        "report": ("evaluate", source, "--model", model, "--protocol", "product", "--report", disk / "report"),
    }
    operations = {}
    for name, arguments in commands.items():
        whole = learning.command(*arguments)
        assert whole.code == 0, whole.said
        operations[name] = whole.operations
    exported, files = model.read_bytes(), sorted(path.name for path in (disk / "report").iterdir())
    for _ in range(tries("export-on-bad-disk", short=1, long=60)):
        name = luck.choice(sorted(commands))
        fault = Fault.drawn(luck, operations[name])
        was = {path: path.read_bytes() for path in (model, *(disk / "report").iterdir())}
        fault.befalls(learning, *commands[name])
        assert model.read_bytes() == exported, fault
        for path, data in was.items():
            assert len(path.read_bytes()) > len(data) * 0.9, (fault, path)
        left = {path.name for path in disk.iterdir()} - {"sample", "tiny.toml", "runs", "tiny.onnx", "report"}
        assert not (fault.clears_up and left), (fault, left)
        again = learning.command(*commands[name])
        assert again.code == 0, (fault, again.said)
        assert model.read_bytes() == exported, fault
        assert sorted(path.name for path in (disk / "report").iterdir()) == files, fault
        left = {path.name for path in disk.iterdir()} - {"sample", "tiny.toml", "runs", "tiny.onnx", "report"}
        assert not left, (fault, left)
