"""Run folder: settings, environment, log, checkpoints, and the state that a run resumes from."""

from __future__ import annotations

import csv
import json
import os
import platform
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from filelock import FileLock, Timeout

from lookalike.catalogue.protocol import Skip
from lookalike.errors import ConfigError, ModelError, TrainingError, short_reason
from lookalike.models.weight_readers import read_plain
from lookalike.storage.files import create_file, read_file, write_whole, written_whole
from lookalike.storage.toml_file import LONGEST_FILE
from lookalike.training.settings.limits import HARMLESS, RUN_LENGTH, marked_settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SETTINGS = "settings.json"
ENVIRONMENT = "environment.json"
LOG = "log.jsonl"
STATE = "state.pt"
BEST = "best.safetensors"
LAST = "last.safetensors"
SKIPPED = "skipped.csv"
TEACHER = "teacher.npz"
TENSORBOARD = "tensorboard"
LOCK = "run.lock"

PACKAGES = ("lookalike", "torch", "torchvision", "timm", "pytorch-metric-learning", "accelerate", "numpy", "pillow")


class RunFolder:
    """Folder of a run, locked by this process until `release`.

    Args:
        path: Path of the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = FileLock(path / LOCK)

    @property
    def best(self) -> Path:
        """Path of the checkpoint with the best dev measure."""
        return self.path / BEST

    @property
    def last(self) -> Path:
        """Path of the checkpoint of the last dev measure."""
        return self.path / LAST

    @property
    def tensorboard(self) -> Path:
        """Path of the TensorBoard events."""
        return self.path / TENSORBOARD

    def begin(self, settings: DataclassInstance) -> None:
        """Create and lock the folder of a new run; a folder without a saved state is reused.

        Raises:
            ConfigError: The folder holds a run already.
            TrainingError: The folder cannot be written.
        """
        if (self.path / STATE).exists():
            raise ConfigError(
                f"{self.path}: holds a run already; resume it with --resume {self.path} beside the settings, or choose "
                "another name"
            )
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._hold()
            (self.path / TEACHER).unlink(missing_ok=True)  # of a run that was killed before its first step
            write_whole(self.path / ENVIRONMENT, json.dumps(environment(), indent=1).encode())
            self._write_settings(settings)
        except OSError as error:
            raise TrainingError(f"{self.path}: cannot be written: {error.strerror or error}") from None

    def resume(self, settings: DataclassInstance) -> None:
        """Lock the folder of a run to resume; harmless settings, and the lengths of its stages, may differ.

        Raises:
            ConfigError: The folder holds no run, one with other settings, or is in use by another process.
        """
        path = self.path / SETTINGS
        if not path.is_file():
            raise ConfigError(f"{self.path}: not a run folder ({SETTINGS} is missing)")
        try:
            then, now = json.loads(read_file(path, most=LONGEST_FILE)), resolved(settings)
        except (OSError, ValueError, RecursionError) as error:
            raise ConfigError(f"{path} cannot be read: {short_reason(error)}; start a new run") from None
        may_differ = {place for mark in (HARMLESS, RUN_LENGTH) for place in marked_settings(type(settings), mark)}
        found = _differences(then, now, where="")
        if changed := [told for place, told in found if not _is_in(place, may_differ)]:
            raise ConfigError(
                f"{self.path}: was made with other settings; resume with the same file and --set: {'; '.join(changed)}"
            )
        self._hold()

    def change_lengths(
        self, settings: DataclassInstance, changes: Sequence[str], *, done: int, report: Callable[[str], None]
    ) -> None:
        """Record that stages of a resumed run have other lengths.

        Args:
            settings: The settings now.
            changes: Lines that tell the changes; without any nothing is recorded.
            done: Completed steps of the run.
            report: Called with each change.

        Raises:
            TrainingError: The folder cannot be written.
        """
        if not changes:
            return
        try:
            self._write_settings(settings)
            self.log({"all_steps": done, "lengths": list(changes)})
        except OSError as error:
            raise TrainingError(f"{self.path}: cannot be written: {error.strerror or error}") from None
        for line in changes:
            report(line)

    def _write_settings(self, settings: DataclassInstance) -> None:
        write_whole(self.path / SETTINGS, json.dumps(resolved(settings), indent=1).encode())

    def _hold(self) -> None:
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise ConfigError(f"{self.path}: another process is training in this folder") from None

    def release(self) -> None:
        """Unlock the folder."""
        self.lock.release()

    def log(self, entry: Mapping[str, object]) -> None:
        """Append a line to the log."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def log_length(self) -> int:
        """Return the length of the log in bytes, to be saved with the state."""
        path = self.path / LOG
        return path.stat().st_size if path.exists() else 0

    def cut_log(self, length: int) -> list[dict[str, Any]]:
        """Truncate the log to its length at the saved state; the steps after it are about to be repeated.

        Returns:
            The entries that were cut off, without one that a kill left unfinished.
        """
        if self.log_length() <= length:
            return []
        with (self.path / LOG).open("rb") as file:
            file.seek(length)
            lines = file.read().split(b"\n")[:-1]
        os.truncate(self.path / LOG, length)
        return [json.loads(line) for line in lines]

    def save_state(self, state: Mapping[str, object]) -> None:
        """Replace the saved state atomically: after a kill, the folder holds the old state or the new one.

        Raises:
            TrainingError: The state cannot be written; the old one is kept.
        """
        try:
            with written_whole(self.path / STATE) as unfinished, unfinished.open("xb") as file:
                torch.save(state, file)
        except (OSError, RuntimeError) as error:  # torch hides an OSError in a RuntimeError
            reason = short_reason(error.__context__ if isinstance(error.__context__, OSError) else error)
            raise TrainingError(
                f"{self.path / STATE}: cannot be written: {reason}; the state saved before is unharmed: "
                f"make room and go on with --resume {self.path}"
            ) from None

    def read_state(self) -> dict[str, Any] | None:
        """Read the saved state; None if there is none yet.

        Raises:
            ConfigError: The state is damaged.
        """
        path = self.path / STATE
        if not path.is_file():
            return None
        try:
            state = read_plain(path)
        except ModelError as error:
            raise ConfigError(f"{error}; delete {self.path} and start the run again") from None
        if not isinstance(state, dict):
            raise ConfigError(f"{path}: is damaged; delete {self.path} and start the run again")
        return state

    def write_skipped(self, skipped: Iterable[Skip]) -> None:
        """Write the list of unreadable photos."""
        table = StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["photo", "reason"])
        writer.writerows((skip.photo, skip.reason) for skip in skipped)
        create_file(self.path / SKIPPED, table.getvalue())


@contextmanager
def run_folder(settings: DataclassInstance, name: str, *, resume: Path | None, out: Path | None) -> Iterator[RunFolder]:
    """Folder of a run, new or resumed, and locked during a context.

    Args:
        settings: Settings of the run.
        name: Name of the run.
        resume: Folder of a run to resume; None begins a new one.
        out: Folder to create; None is `runs/NAME`.

    Raises:
        ConfigError: The folder is in use, holds a run already, or was made with other settings.
        TrainingError: The folder cannot be written.
    """
    folder = RunFolder(resume or out or Path("runs") / name)
    if resume:
        folder.resume(settings)
    else:
        folder.begin(settings)
    try:
        yield folder
    finally:
        folder.release()


def resolved(settings: DataclassInstance) -> dict[str, Any]:
    """Return all settings, defaults included, as JSON values."""
    values: dict[str, Any] = json.loads(json.dumps(asdict(settings), sort_keys=True, default=dict))
    return values


def environment() -> dict[str, str]:
    """Return the versions and the machine that a run's figures may depend on."""
    machine = {"python": sys.version, "machine": platform.platform(), "threads": str(torch.get_num_threads())}
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    return machine | {name: version(name) for name in PACKAGES}


def _is_in(place: str, settings: Container[str]) -> bool:
    """Whether a setting such as `data.0.source`, or a table that it is in, is among those such as `data.*.source`."""
    parts = ["*" if part.isdecimal() else part for part in place.split(".")]
    return any(".".join(parts[:count]) in settings for count in range(1, len(parts) + 1))


def _differences(then: object, now: object, *, where: str) -> Iterable[tuple[str, str]]:
    """Yield the settings that differ, each with its place and as `name was this and is that`."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name in sorted({*then, *now}):
            yield from _differences(then.get(name), now.get(name), where=f"{where}.{name}" if where else name)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for place, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from _differences(old, new, where=f"{where}.{place}")
    elif then != now:
        yield where, f"{where} was {then!r} and is {now!r}"
