"""Tables of models over data sets: training data, in-domain marks, seeds, and what cannot stand in one table."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from scipy import stats

import lookalike
from lookalike.catalogue.protocol import Catalogue
from lookalike.cli import main
from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.evaluation.vectors import trained_on
from lookalike.models.photo_choices import TRAINED_ON, choices_text, read_choices
from lookalike.training.data.training_data import TrainingData
from lookalike.training.settings.run_settings import load_settings
from lookalike.types import PhotoChoice
from tiny_model import write_tiny_model

Capture = pytest.CaptureFixture[str]


def report(
    folder: Path,
    value: float,
    *,
    model: str,
    data: str,
    trained_on: Sequence[str] | None,
    protocol: str | None = None,
    queries: str = "ab",
    **more: float,
) -> Path:
    """A report folder with these figures."""
    folder.mkdir()
    figures = {"hit_rate@1": value, **more}
    summary = {
        "protocol": data if protocol is None else protocol,
        "model": model,
        "queries": len(queries),
        "gallery": 9,
        "metrics": {name: {"value": one, "interval": [one - 0.02, one + 0.02]} for name, one in figures.items()},
        "data": data,
        "trained_on": trained_on,
    }
    (folder / "report.json").write_text(json.dumps(summary), encoding="utf-8")
    rows = [",".join(["query", *figures]), *(",".join([query, *map(str, figures.values())]) for query in queries)]
    (folder / "queries.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture
def reports(tmp_path: Path) -> dict[str, list[Path]]:
    """Three seeds trained on CUB, measured on CUB and SOP; one encoder of others, measured on SOP."""
    ours = [
        report(
            tmp_path / f"{data}{seed}",
            (0.6 if data == "cub" else 0.4) + 0.01 * seed,
            model=f"ours@{seed}",
            data=data,
            trained_on=["cub"],
        )
        for data in ("cub", "sop")
        for seed in range(3)
    ]
    other = report(tmp_path / "clip", 0.5, model="clip@1", data="sop", trained_on=None)
    return {"ours_v2": ours, "CLIP": [other]}


def test_each_data_set_has_its_figures_over_seeds(reports: dict[str, list[Path]]) -> None:
    table = lookalike.tabulate_cross_domain(reports)
    assert [(one.label, one.protocol, one.queries, one.gallery) for one in table.data] == [
        ("cub", "cub", 2, 9),
        ("sop", "sop", 2, 9),
    ]
    ours, clip = table.rows
    assert (ours.trained_on, clip.trained_on, list(ours.models)) == (("cub",), None, ["ours@0", "ours@1", "ours@2"])
    assert [ours.is_in_domain(one) for one in table.data] == [True, False]
    assert [clip.is_in_domain(one) for one in table.data] == [None, None]
    cell = ours.cells["sop"]["hit_rate@1"]
    assert (cell.mean, cell.deviation) == (pytest.approx(0.41), pytest.approx(0.01))
    values = [0.4, 0.41, 0.42]
    assert cell.interval == pytest.approx(stats.t.interval(0.95, 2, loc=0.41, scale=stats.sem(values)))
    assert clip.cells == {"sop": {"hit_rate@1": clip.cells["sop"]["hit_rate@1"]}}
    assert clip.cells["sop"]["hit_rate@1"].interval == pytest.approx((0.48, 0.52))


def test_the_formats_mark_what_is_in_domain(reports: dict[str, list[Path]]) -> None:
    table = lookalike.tabulate_cross_domain(reports)
    lines = table.to_markdown().splitlines()
    assert lines[0].startswith("R@1 on cub (2 queries, gallery of 9), sop (2 queries, gallery of 9). † in-domain:")
    assert lines[2] == "| method | trained on | seeds | cub | sop |"
    assert lines[4:] == [
        r"| ours\_v2 | cub | 3 | 61.0 ± 1.0 (58.5 to 63.5) † | 41.0 ± 1.0 (38.5 to 43.5) |",
        "| CLIP | unknown | 1 | - | 50.0 (48.0 to 52.0) |",
    ]
    latex = table.to_latex()
    assert r"ours\_v2 & cub & 3 & 61.0 $\pm$ 1.0 (58.5 to 63.5)$^\dagger$ & 41.0 $\pm$ 1.0 (38.5 to 43.5) \\" in latex
    assert r"CLIP & unknown & 1 & -- & 50.0 (48.0 to 52.0) \\" in latex
    assert r"\begin{tabular}{llrll}" in latex and latex.count(r"\toprule") == latex.count(r"\bottomrule") == 1
    rows = list(csv.DictReader(io.StringIO(table.to_csv())))
    assert [(row["method"], row["data"], row["in-domain"], row["trained on"]) for row in rows] == [
        ("ours_v2", "cub", "true", "cub"),
        ("ours_v2", "sop", "false", "cub"),
        ("CLIP", "sop", "", ""),
    ]
    assert float(rows[1]["hit_rate@1"]) == pytest.approx(0.41) and rows[2]["hit_rate@1 deviation"] == ""
    found = table.to_json()
    assert found["rows"][0]["data"]["cub"]["in_domain"] is True  # type: ignore[index,call-overload]
    assert found["rows"][1]["trained_on"] is None  # type: ignore[index,call-overload]


def test_several_metrics_are_columns_of_each_data_set(tmp_path: Path) -> None:
    one = report(tmp_path / "a", 0.5, model="m@1", data="cub", trained_on=["cub", "sop"], map=0.25)
    two = report(tmp_path / "b", 0.5, model="m@1", data="shop", protocol="product", trained_on=["cub", "sop"], map=0.75)
    table = lookalike.tabulate_cross_domain({"m": [one, two]}, figures=["hit_rate@1", "map"])
    lines = table.to_markdown().splitlines()
    assert lines[0].startswith("cub (2 queries, gallery of 9), shop (product, 2 queries, gallery of 9).")
    assert lines[2] == "| method | trained on | seeds | cub R@1 | cub mAP | shop R@1 | shop mAP |"
    assert lines[4].startswith("| m | cub, sop | 1 | 50.0 (48.0 to 52.0) † | 25.0 (23.0 to 27.0) † | 50.0")
    with pytest.raises(UnknownNameError, match="unknown metric of the reports 'mrr'"):
        lookalike.tabulate_cross_domain({"m": [one, two]}, figures=["mrr"])


def test_the_command_prints_what_python_makes(reports: dict[str, list[Path]], capsys: Capture) -> None:
    given = [f"--table={name}={folder}" for name, folders in reports.items() for folder in folders]
    table = lookalike.tabulate_cross_domain(reports)
    for format, text in {"markdown": table.to_markdown(), "latex": table.to_latex(), "csv": table.to_csv()}.items():
        assert main(["evaluate", *given, "--cross-domain", "--format", format]) == 0
        assert capsys.readouterr().out == text
    assert main(["evaluate", *given, "--cross-domain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(table.to_json()))


def test_what_cannot_stand_in_one_table_is_refused(tmp_path: Path) -> None:
    cub = report(tmp_path / "cub", 0.5, model="m@1", data="cub", trained_on=["cub"])
    sop = report(tmp_path / "sop", 0.5, model="m@1", data="sop", trained_on=["cub"])
    other = report(tmp_path / "other", 0.5, model="m@2", data="sop", trained_on=["cub"])
    more = report(tmp_path / "more", 0.5, model="n@1", data="cub", trained_on=["sop"], queries="abc")
    of_sop = report(tmp_path / "of sop", 0.5, model="m@2", data="cub", trained_on=["sop"])
    with pytest.raises(MismatchError, match="m: its models on sop are m@2, and on cub m@1; measure the same seeds"):
        lookalike.tabulate_cross_domain({"m": [cub, other]})
    with pytest.raises(MismatchError, match="the evaluations have different queries"):
        lookalike.tabulate_cross_domain({"m": [cub, sop], "n": [more]})
    with pytest.raises(MismatchError, match="m: its models were trained on cub and sop; give them other names"):
        lookalike.tabulate_cross_domain({"m": [cub, of_sop]})
    with pytest.raises(UsageError, match="two of its reports are of the same model"):
        lookalike.tabulate_cross_domain({"m": [cub, cub]})
    old = json.loads((cub / "report.json").read_text())
    (cub / "report.json").write_text(json.dumps({name: old[name] for name in old if name != "data"}))
    with pytest.raises(UsageError, match="does not tell its data set and training data; evaluate again"):
        lookalike.tabulate_cross_domain({"m": [cub]})
    with pytest.raises(UsageError, match="a table is made of 1 to 1,000 report folders"):
        lookalike.tabulate_cross_domain({})


def test_a_data_set_by_two_protocols_has_two_columns(tmp_path: Path) -> None:
    reports = [
        report(tmp_path / protocol, 0.5, model="m@1", data="cub", protocol=protocol, trained_on=["cub"])
        for protocol in ("cub", "grades=family")
    ]
    table = lookalike.tabulate_cross_domain({"m": reports})
    assert [one.label for one in table.data] == ["cub, cub", "cub, grades=family"]
    assert table.to_markdown().count("†") == 3, "both are in-domain, and the mark is explained"


def test_evaluations_tell_their_data_and_the_training_data(tmp_path: Path, capsys: Capture) -> None:
    """From drawn data sets to the table, with vectors of the model and of a gallery, whose model tells as much."""
    choices = choices_text([PhotoChoice(False, "", "cub")])
    model = write_tiny_model(tmp_path / "tiny.onnx", metadata={TRAINED_ON: choices})
    known: dict[str, Any] = {}
    for data in ("cub", "sop"):
        root, folder = tmp_path / data, tmp_path / f"report-{data}"
        assert main(["catalogue", "draw", data, "--to", str(root), "--products", "8"]) == 0
        if data == "cub":
            known[data] = lookalike.evaluate(root, model=model, report=folder).to_json()
        else:
            with lookalike.open(tmp_path / "gallery", model=str(model)) as opened:
                opened.index(root)
            known[data] = lookalike.evaluate(root, gallery=tmp_path / "gallery", report=folder).to_json()
        assert (known[data]["data"], known[data]["trained_on"]) == (data, ["cub"])
        assert known[data]["whole"] is False, "the published benchmark is larger"
        assert known[data]["usual_boxes"] is True
    assert lookalike.evaluate(tmp_path / "cub", model=model, boxes=True).usual_boxes is False
    assert lookalike.evaluate(tmp_path / "cub", model=model, protocol="product").usual_boxes is None
    capsys.readouterr()
    given = [f"--table=tiny={tmp_path / f'report-{data}'}" for data in known]
    assert main(["evaluate", *given, "--cross-domain", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["trained_on"] == ["cub"]
    for data, summary in known.items():
        assert row["data"][data]["in_domain"] is (data == "cub")
        assert row["data"][data]["figures"]["hit_rate@1"]["mean"] == summary["metrics"]["hit_rate@1"]["value"]
    model.unlink()
    gone = lookalike.evaluate(tmp_path / "sop", gallery=tmp_path / "gallery")
    assert gone.trained_on is None, "the file of the gallery's model is gone"
    assert gone.figures == pytest.approx({name: one["value"] for name, one in known["sop"]["metrics"].items()})
    write_tiny_model(model, fingerprint="fedcba9876543210", metadata={TRAINED_ON: choices})
    assert lookalike.evaluate(tmp_path / "sop", gallery=tmp_path / "gallery").trained_on is None, "another model"


class Model(NamedTuple):
    trained_on: Sequence[PhotoChoice]


def test_what_the_start_and_the_teacher_saw_is_known(tmp_path: Path) -> None:
    """The checkpoint of a run from others tells their data; a file that tells nothing makes the rest unknown."""
    root = tmp_path / "sop"
    assert main(["catalogue", "draw", "sop", "--to", str(root), "--products", "4"]) == 0
    for name in ("cub", "inshop"):
        write_tiny_model(tmp_path / f"{name}.onnx", metadata={TRAINED_ON: choices_text([PhotoChoice(True, "", name)])})
    write_tiny_model(tmp_path / "silent.onnx")
    run = tmp_path / "run.toml"
    run.write_text(
        f'name = "x"\nproducts = 2\nphotos = 1\n[network]\nbackbone = "test_resnet"\ninit = ""\n'
        f'[[data]]\nsource = "{root}"\n[[loss]]\nname = "ProxyAnchorLoss"\n'
        "[[stage]]\nepochs = 1\nlearning_rate = 0.1\n",
        encoding="utf-8",
    )

    def seen(init: str, teacher: str = "") -> tuple[list[PhotoChoice], tuple[str, ...] | None]:
        given = (f'network.init="{init}"', *([f'teacher.model="{teacher}"'] if teacher else []))
        data = TrainingData(load_settings(run, overrides=given), base=tmp_path)
        return data.seen, trained_on([Model(data.seen)])

    own = PhotoChoice(False, "", "sop")
    assert seen("") == ([own], ("sop",))
    assert seen("timm") == ([own], ("sop",)), "published weights by name are no catalogue"
    assert seen("cub.onnx") == ([own, PhotoChoice(True, "", "cub", earlier=True)], ("sop", "cub"))
    assert seen("cub.onnx", "inshop.onnx")[1] == ("sop", "cub", "inshop")
    for start in ("silent.onnx", "default", "gone/weights.safetensors"):
        assert seen(start) == ([own, PhotoChoice(False, earlier=True)], ("sop", "unknown"))
    choices, _ = seen("cub.onnx", "silent.onnx")
    assert list(read_choices(choices_text(choices), file="m")) == choices, "as checkpoints keep them"


def test_partly_known_training_marks_what_is_known(tmp_path: Path) -> None:
    folders = [
        report(tmp_path / data, 0.5, model="m@1", data=data, trained_on=["cub", "unknown"]) for data in ("cub", "sop")
    ]
    table = lookalike.tabulate_cross_domain({"m": folders})
    assert [table.rows[0].is_in_domain(one) for one in table.data] == [True, None]
    assert "| m | cub, unknown | 1 | 50.0 (48.0 to 52.0) † | 50.0 (48.0 to 52.0) |" in table.to_markdown()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/a/catalogue.csv", "a"),
        ("/b/catalogue.csv", "b"),
        ("/home/me/demo/catalogue/Catalogue.csv", "demo"),
        ("/shops/myntra.csv", "myntra"),
        ("/shops/photos.2026", "photos.2026"),
        ("/shops/summer/feed.xml.gz", "summer"),
        ("https://me:secret@shop.example/feed.xml?key=secret", "shop.example"),
        ("https://me:secret@shop.example", "shop.example"),
        ("s3://bucket/items.parquet", "bucket"),
        ("/data/catalogue.csv", "catalogue"),
        ("drawn", "drawn"),
        ("-", "-"),
    ],
)
def test_own_tables_are_told_apart_by_their_folders(source: str, name: str) -> None:
    assert Catalogue("csv", source, items=lambda: iter(()), count=0).name == name
