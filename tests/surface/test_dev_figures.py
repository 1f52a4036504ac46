"""Figures of a run's log are those that `lookalike evaluate` prints of the exported model on the same photos."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lookalike.cli import main
from lookalike.errors import ConfigError, UnknownNameError

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Capture = pytest.CaptureFixture[str]

SETTINGS = """
name = "tiny"
products = 6
photos = 2
workers = 0
select = { "map@r" = 2, "0/accuracy@1[type]" = 1 }
[network]
backbone = "test_convnext"
embedding = 16
[input]
height = 64
width = 48
[[data]]
source = "sample/catalogue.csv"
heads = { type = 1.0, "gender+season" = 0.5 }
grades = ["product"]
ignore = ["Men"]
[[data]]
source = "sample/catalogue.csv"
heads = { colour = 1.0 }
grades = ["colour", "gender"]
apart = ["season"]
ignore = ["Men"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 0.5
learning_rate = 1e-2
backbone_rate = 1e-3
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from lookalike.catalogue.sample.drawn import write_drawn

    folder = tmp_path_factory.mktemp("figures")
    table = write_drawn(folder / "sample", products=16, photos=3)
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    split = ["dev" if number % 48 >= 24 else "train" for number in range(len(rows))]
    lines = [f"{header},split", *(f"{row},{part}" for row, part in zip(rows, split, strict=True))]
    table.write_text("\n".join(lines), encoding="utf-8")
    (table.parent / lines[30].split(",")[1]).write_bytes(b"no photo")  # of the dev split
    path = folder / "tiny.toml"
    path.write_text(SETTINGS, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def logged(config: Path) -> dict[str, Any]:
    from lookalike.training.run import loop

    checkpoint = loop.train(config, out=config.parent / "run").checkpoint
    lines = (checkpoint.parent / "log.jsonl").read_text(encoding="utf-8").splitlines()
    [entry] = [entry for entry in map(json.loads, lines) if "dev" in entry]
    from lookalike.models.export import export_onnx

    export_onnx(checkpoint, config.parent / "tiny.onnx")
    return dict(entry)


def evaluated(capsys: Capture, config: Path, model: str, *arguments: str) -> dict[str, float]:
    """Figures of `lookalike evaluate` on the dev split, one of whose photos cannot be read."""
    capsys.readouterr()
    same = [str(config.parent / "sample" / "catalogue.csv"), "--model", str(config.parent / model)]
    code = main(["evaluate", *same, "--where", "split = 'dev'", "--unknown", "Men", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)
    assert (code, found["absent"]) == (3, 1)
    return {name: figure["value"] for name, figure in found["metrics"].items()}


def test_every_figure_of_the_log_is_one_of_evaluate(config: Path, logged: dict[str, Any], capsys: Capture) -> None:
    deep = ("--weight", "deep=1")
    by_catalogue = [
        evaluated(capsys, config, "tiny.onnx", "--protocol", "product", *deep)
        | evaluated(capsys, config, "run/best.safetensors", "--protocol", "classes=type,gender+season"),
        evaluated(capsys, config, "tiny.onnx", "--protocol", "grades=colour,gender", "--apart", "season", *deep)
        | evaluated(capsys, config, "run/best.safetensors", "--protocol", "classes=colour"),
    ]
    expected = {
        f"{place}/{name}": value for place, figures in enumerate(by_catalogue) for name, value in figures.items()
    }
    assert {"0/hit_rate@1", "0/map@r", "1/precision@1[colour]", "0/accuracy@1[gender+season]"} <= {*expected}
    figures = {name: value for name, value in logged["dev"].items() if not name.endswith("hit_rate@1[changed]")}
    assert figures == pytest.approx(expected, abs=1e-6)
    assert 0 < figures["0/hit_rate@1"] < 1


def test_the_criterion_is_the_weighted_mean(logged: dict[str, Any]) -> None:
    figures = logged["dev"]
    retrieval = (figures["0/map@r"] + figures["1/map@r"]) / 2
    assert logged["criterion"] == pytest.approx((2 * retrieval + figures["0/accuracy@1[type]"]) / 3)
    assert {"0/type", "0/gender+season", "1/colour"} == {*logged["classes"]}
    by_class = logged["classes"]["1/colour"]
    mean = math.fsum(one["accuracy@1[colour]"] for one in by_class.values()) / len(by_class)
    assert figures["1/balanced_accuracy[colour]"] == pytest.approx(mean)


def test_an_unknown_metric_is_refused_before_the_first_step(config: Path, tmp_path: Path) -> None:
    from lookalike.training.run import loop

    with pytest.raises(UnknownNameError, match=r"unknown metric in `select` 'zzz'; known: hit_rate@1,.* map@r,"):
        loop.train(config, overrides=["select=zzz"], out=tmp_path / "run")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_a_resumed_run_keeps_the_criterion(config: Path, logged: dict[str, Any]) -> None:
    from lookalike.training.run import loop

    assert logged
    with pytest.raises(ConfigError, match=r"other settings.*: select was"):
        loop.train(config, overrides=["select=hit_rate@1"], resume=config.parent / "run")
