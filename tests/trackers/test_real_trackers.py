"""Runs with MLflow, W&B and Aim themselves, killed and resumed: each step once, under the names of the log.

`make test-trackers` installs the three in an environment of their own; programs of that environment train and read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.training.run.trackers import mlflow_name

pytestmark = [pytest.mark.trackers, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]

SETTINGS = """
name = "tracked"
products = 4
photos = 2
epoch_photos = 16
workers = 0
save_every = 4
measure_every = 3
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
epochs = 5
learning_rate = 1e-3
"""
STEPS = 10

READ_MLFLOW = """
import json, mlflow
client = mlflow.MlflowClient()
[experiment] = [each for each in client.search_experiments() if each.name == "lookalike"]
[run] = client.search_runs([experiment.experiment_id])
history = {name: [[each.step, each.value] for each in client.get_metric_history(run.info.run_id, name)]
           for name in run.data.metrics}
found = {"name": run.info.run_name, "status": run.info.status, "settings": run.data.params, "figures": history}
print(json.dumps(found))
"""

READ_AIM = """
import contextlib, io, json
from aim import Repo
from aim.sdk.index_manager import RepoIndexManager
repo = Repo("runs")
for run in repo.list_all_runs():  # what `aim up` does when it starts
    RepoIndexManager.get_index_manager(repo).index(run)
[run] = repo.iter_runs()
figures = {}
for metric in run.metrics():
    table = metric.dataframe()
    figures[metric.name] = sorted([int(step), float(value)] for step, value in zip(table["step"], table["value"]))
print(json.dumps({"name": run.name, "settings": run["hparams"], "figures": figures}))
"""

READ_WANDB = """
import json, pathlib, struct
from wandb.proto import wandb_internal_pb2

def records(data):
    place, parts = 7, []  # after the header; blocks of 32 KiB, as in the log of LevelDB
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        parts.append(data[place + 7 : place + 7 + length])
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last part of one
            yield wandb_internal_pb2.Record.FromString(b"".join(parts))
            parts = []

figures, settings, names = {}, {}, set()
for path in sorted(pathlib.Path("runs/tracked/wandb").glob("offline-run-*/*.wandb")):
    for record in records(path.read_bytes()):
        if record.HasField("run"):
            names.add(record.run.display_name)
        for item in [*record.run.config.update, *record.config.update]:
            settings[item.key] = json.loads(item.value_json)
        if record.HasField("history"):
            items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            for name, value in items.items():
                if not name.startswith("_"):
                    figures.setdefault(name, []).append([items["_step"], value])
[name] = names
print(json.dumps({"name": name, "settings": settings, "figures": figures}))
"""


def interpreter() -> Path:
    """The interpreter that has the trackers."""
    python = ROOT / os.environ.get("VENVS", ".venv") / "trackers" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"these tests write to real trackers, and there are none at {python}; run: make test-trackers")
    return python


def environment() -> dict[str, str]:
    return {**os.environ, "WANDB_MODE": "offline", "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}


def read(folder: Path, program: str) -> dict[str, Any]:
    """What a tracker has, by its own package."""
    done = subprocess.run(
        [interpreter(), "-c", program], cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def train(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [str(interpreter()), "-m", "lookalike", "train", "tracked.toml", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)


def log_of(folder: Path) -> dict[str, list[list[float]]]:
    """The figures of the run's log by the names of the trackers."""
    figures: dict[str, list[list[float]]] = {}
    for line in (folder / "runs" / "tracked" / "log.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        found: dict[str, float] = {}
        if "loss" in entry:
            found = {f"loss/{name}": value for name, value in entry["loss"].items()}
            found |= {f"rate/{name}": value for name, value in entry["rate"].items()}
            found |= {"loss": sum(entry["loss"].values()), "gradient norm": entry["gradient_norm"]}
        elif "dev" in entry:
            found = {f"dev/{name}": value for name, value in entry["dev"].items()}
            found["dev/criterion"] = entry["criterion"]
        for name, value in found.items():
            figures.setdefault(name, []).append([entry["all_steps"], value])
    return figures


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed without warning, resumed, and made longer, with all trackers of this Python."""
    folder = tmp_path_factory.mktemp("tracked")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "tracked.toml").write_text(SETTINGS, encoding="utf-8")
    names = ["tensorboard", "mlflow", "wandb", *(["aim"] if sys.version_info < (3, 13) else [])]
    chosen = ["--set", f"trackers={json.dumps(names)}"]
    run, log = train(folder, *chosen), folder / "runs" / "tracked" / "log.jsonl"
    deadline = time.monotonic() + 600
    while not (log.exists() and '"all_steps": 6, "loss"' in log.read_text(encoding="utf-8")):
        assert run.poll() is None and time.monotonic() < deadline, run.communicate()[1]
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)  # the state is that of step 4, or of the measure after step 6
    run.communicate()
    for more in ([], ["--set", "stage.0.epochs=6", "--set", "workers=1"]):
        again = train(folder, *chosen, "--resume", "runs/tracked", *more)
        errors = again.communicate(timeout=600)[1]
        assert again.returncode == 0, errors
    return folder


def assert_same(found: dict[str, Any], log: dict[str, list[list[float]]], *, lost: int = 1) -> None:
    """Each step once and in order, with the log's values.

    Args:
        found: What the tracker has.
        log: Figures of the log.
        lost: Steps before the kill that may be missing: the one that it cut short, or those of which the tracker had
            written nothing yet.
    """
    for name, expected in log.items():
        steps = [step for step, _ in found["figures"][name]]
        assert steps == sorted(set(steps)), name
        missing = {step for step, _ in expected} - set(steps)
        assert set(steps) <= {step for step, _ in expected} and len(missing) <= lost and max(missing, default=0) <= 8, (
            name
        )
        assert {step: value for step, value in expected if step in steps} == {
            step: pytest.approx(value, rel=1e-6) for step, value in found["figures"][name]
        }
    assert found["name"] == "tracked" and found["settings"]["network.embedding"] in (8, "8")


def test_mlflow_has_the_figures_and_settings_of_a_run(tracked: Path) -> None:
    log = log_of(tracked)
    assert [step for step, _ in log["loss"]] == list(range(1, STEPS + 3))
    found = read(tracked, READ_MLFLOW)
    assert_same(found, {mlflow_name(name): values for name, values in log.items()})
    assert found["status"] == "FINISHED" and found["settings"]["data.0.heads.type"] == "1.0"
    assert "dev/0/hit_rate_at_1/changed" in found["figures"]
    assert (tracked / "mlflow.db").is_file()


def test_wandb_has_the_figures_and_settings_of_a_run(tracked: Path) -> None:
    found = read(tracked, READ_WANDB)
    assert_same(found, log_of(tracked), lost=8)  # it keeps some seconds in memory, which go with a kill
    assert found["settings"]["data.0.heads.type"] == 1.0 and found["settings"]["stage.0.epochs"] == 6


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Aim is not installed: it has no files for this Python")
def test_aim_has_the_figures_and_settings_of_a_run(tracked: Path) -> None:
    found = read(tracked, READ_AIM)
    assert_same(found, log_of(tracked))
    assert found["settings"]["data.0.heads.type"] == 1.0 and found["settings"]["stage.0.epochs"] == 6


def test_a_tracker_that_cannot_be_started_ends_the_command(tracked: Path) -> None:
    (tracked / "other.toml").write_text(SETTINGS.replace('"tracked"', '"other"'), encoding="utf-8")
    run = subprocess.run(
        [interpreter(), "-m", "lookalike", "train", "other.toml", "--set", 'trackers=["mlflow"]'],
        cwd=tracked,
        env={**environment(), "MLFLOW_TRACKING_URI": "sqlite:////proc/1/none.db"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert run.stderr.splitlines()[-1].startswith("error: trackers: 'mlflow' cannot be started: ")
