"""Trackers of a run: its settings and figures in W&B, MLflow or Aim, by accelerate's classes.

A tracker's package takes what it needs, such as the address of its server, from its own environment variables and
files. No photos are passed on.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from accelerate import tracking

from lookalike.errors import ConfigError, TrainingError, short_reason
from lookalike.storage.files import write_whole
from lookalike.training.run.run_folder import RunFolder, resolved
from lookalike.training.settings.run_settings import TrainingSettings

FILE: Final = "trackers.json"
PROJECT: Final = "lookalike"
"""Name of the project, or experiment, in a tracker, unless its environment variable names another."""

NEEDED: Final = {"aim": "aim<4", "mlflow": "mlflow", "wandb": "wandb"}
"""What to install for each tracker; TensorBoard comes with training, and `RunLog` writes its events."""

QUIET: Final = {"mlflow": {"MLFLOW_DISABLE_TELEMETRY": "true"}, "wandb": {"WANDB_ERROR_REPORTING": "false"}}
"""Environment variables by which a package sends nothing to its makers but what it was chosen for."""

KINDS: Final = ("loss", "dev", "hard_negatives")
"""Key of the log's entries of each kind: steps, dev measures and minings."""


def check_installed(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        ConfigError: One is not.
    """
    there = {str(name) for name in tracking.get_available_trackers()}
    for name in names:
        if name in NEEDED and name not in there:
            raise ConfigError(
                f"trackers: {name!r} needs a package that is not installed; install it with: "
                f"pip install '{NEEDED[name]}', or leave it out"
            )


@dataclass
class TrackerRecord:
    """What the run folder keeps of trackers, in `trackers.json`.

    Attributes:
        runs: Id of the run in each tracker that has had figures.
        last: Last step with figures of each kind.
    """

    runs: dict[str, str] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> TrackerRecord:
        """Read a record; an empty one if there is none.

        Raises:
            ConfigError: It is damaged.
        """
        if not path.exists():
            return cls()
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            runs = {str(name): str(run) for name, run in kept["runs"].items()}
            return cls(runs, {str(kind): int(step) for kind, step in kept["last"].items()})
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"{path}: damaged: {short_reason(error)}; delete it, and the trackers begin new runs"
            ) from None

    def write(self, path: Path) -> None:
        """Write the record.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            write_whole(path, json.dumps(asdict(self), indent=1).encode())
        except OSError as error:
            raise TrainingError(f"{path}: cannot be written: {error.strerror or error}") from None


class Trackers:
    """The trackers of a run, in the first process.

    A tracker that fails during the run is left out from there on, with a line that tells why: the log has all figures.
    Steps that are taken again after a kill are not passed on a second time, so the steps of a tracker only rise.

    Args:
        folder: Run folder.
        settings: Settings of the run.
        repeated: Entries of the log after the saved state that a run resumes from.
        report: Called with a line for each tracker that fails.

    Raises:
        ConfigError: A tracker cannot be started.
        TrainingError: The run folder cannot be written.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: TrainingSettings,
        *,
        repeated: Sequence[Mapping[str, Any]] = (),
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.report, self.open = report, dict[str, Any]()
        path = folder.path / FILE
        names = [name for name in dict.fromkeys(settings.trackers) if name in NEEDED]
        self.record = TrackerRecord.read(path) if names else TrackerRecord()
        if not names:
            return
        for entry in repeated:
            for kind in KINDS:
                if kind in entry:
                    self.record.last[kind] = max(self.record.last.get(kind, 0), entry["all_steps"])
        for name in names:
            is_new = name not in self.record.runs
            try:
                tracker, self.record.runs[name] = _started(name, folder, settings, run=self.record.runs.get(name))
                self.open[name] = tracker
                if is_new or name != "mlflow":  # whose parameters cannot be changed
                    tracker.store_init_configuration(dict(_named(name, flat(resolved(settings)))))
            except Exception as error:  # noqa: BLE001 - of another library
                self.close()
                advice = "log in by `wandb login`, or set WANDB_MODE=offline" if name == "wandb" else "leave it out"
                raise ConfigError(f"trackers: {name!r} cannot be started: {short_reason(error)}; {advice}") from None
        self.record.write(path)

    def log(self, kind: str, figures: Mapping[str, float], *, step: int) -> None:
        """Pass on figures, unless a tracker has had those of this kind and step.

        Args:
            kind: Key of the log's entry, one of `KINDS`.
            figures: Figures by name; those that are not finite are left out.
            step: Completed steps of the run.
        """
        if step <= self.record.last.get(kind, -1):
            return
        finite = {name: value for name, value in figures.items() if math.isfinite(value)}
        for name, tracker in list(self.open.items()):
            try:
                tracker.log(dict(_named(name, finite.items())), step=step)
            except Exception as error:  # noqa: BLE001 - of another library
                del self.open[name]
                self.report(f"tracker {name}: left out from step {step:,} on: {short_reason(error)}")

    def close(self) -> None:
        """End the trackers' runs."""
        for name in list(self.open):
            tracker = self.open.pop(name)
            try:
                tracker.finish()
            except Exception as error:  # noqa: BLE001 - of another library
                self.report(f"tracker {name}: its run cannot be ended: {short_reason(error)}")


def mlflow_name(name: str) -> str:
    """Return a name that MLflow allows: that of `dev/0/accuracy@1[type]` is `dev/0/accuracy_at_1/type`.

    Source: mlflow.utils.validation, which allows letters, digits, `_`, `-`, `.`, spaces and slashes on all systems.
    """
    spelt = re.sub(r"\[([^\]]*)\]", r"/\1", name.replace("@", "_at_"))
    parts = (re.sub(r"[^\w.\- ]", "_", part) for part in spelt.split("/"))
    return "/".join(part for part in parts if part.strip("."))


def _named(tracker: str, values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield values by the names that a tracker allows."""
    for name, value in values:
        yield (mlflow_name(name) if tracker == "mlflow" else name), value


def flat(value: object, name: str = "") -> Iterator[tuple[str, bool | int | float | str]]:
    """Yield settings by names such as `data.0.source`; lists of plain values as JSON."""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(each, dict) for each in value)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(each, f"{name}.{key}" if name else str(key))
    else:
        yield name, value if isinstance(value, bool | int | float | str) else json.dumps(value, ensure_ascii=False)


def _started(name: str, folder: RunFolder, settings: TrainingSettings, *, run: str | None) -> tuple[Any, str]:
    """Start a tracker, and return it with the id of its run; `run` is that of a run that goes on."""
    for variable, value in QUIET.get(name, {}).items():
        os.environ.setdefault(variable, value)
    if name == "wandb":
        run = run or secrets.token_hex(8)
        tracker = tracking.WandBTracker(
            os.environ.get("WANDB_PROJECT", PROJECT),
            id=run,
            resume="allow",
            name=settings.name,
            dir=os.environ.get("WANDB_DIR", str(folder.path)),
            settings={"console": "off"},
        )
        tracker.start()
        return tracker, run
    if name == "mlflow":
        tracker = tracking.MLflowTracker(PROJECT, run_name=settings.name, run_id=run)
        tracker.start()
        return tracker, tracker.tracker.info.run_id
    tracker = tracking.AimTracker(
        settings.name,
        logging_dir=str(folder.path.parent),
        run_hash=run,
        force_resume=run is not None,  # the lock of a run that was killed is still there
        experiment=PROJECT,
        system_tracking_interval=None,
        capture_terminal_logs=False,
    )
    tracker.start()
    return tracker, tracker.tracker.hash
