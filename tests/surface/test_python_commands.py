"""The Python functions of the commands other than index and search: the same results as the commands."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_shop import Shop
from typer.main import get_command

import lookalike
from lookalike.cli import main
from lookalike.cli.commands import make_app


def in_terminal(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main([*map(str, arguments), "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def as_shown(made: Any) -> Any:
    return json.loads(json.dumps(made.to_json()))


def test_an_evaluation_is_the_same(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = lookalike.evaluate(
        shop.table, gallery=shop.gallery, protocol="grades=season", weights={"color": 1}, report=tmp_path / "report"
    )
    words = ["evaluate", shop.table, "--gallery", shop.gallery, "--protocol", "grades=season", "--weight", "color=1"]
    assert as_shown(found) == in_terminal(capsys, *words)
    assert found.figures == {name: figure["value"] for name, figure in found.to_json()["metrics"].items()}
    assert json.loads((tmp_path / "report" / "report.json").read_text())["metrics"] == as_shown(found)["metrics"]
    by_model = lookalike.evaluate(shop.table, model=shop.model, protocol="grades=season", weights={"color": 1})
    assert by_model.figures == found.figures
    with pytest.raises(lookalike.UsageError, match="either a gallery"):
        lookalike.evaluate(shop.table)
    with pytest.raises(lookalike.UsageError, match="either a gallery"):
        lookalike.evaluate(shop.table, gallery=shop.gallery, model=shop.model)


def test_a_comparison_of_evaluations_is_the_same(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = tmp_path / "deep", tmp_path / "color"
    found = [
        lookalike.evaluate(shop.table, gallery=shop.gallery, protocol="product", weights={space: 1}, report=folder)
        for space, folder in zip(("deep", "color"), folders, strict=True)
    ]
    compared = lookalike.compare_evaluations(*folders)
    assert as_shown(compared) == in_terminal(capsys, "evaluate", "--compare", *folders)
    assert list(compared.metrics) == list(found[0].figures)
    for name, one in compared.metrics.items():
        a, b = (evaluation.figures[name] for evaluation in found)
        assert (one.a, one.b, one.difference) == pytest.approx((a, b, b - a))
        assert one.interval[0] <= one.difference <= one.interval[1]
    assert compared._repr_html_().count("<tr>") == 1 + len(compared.metrics)
    with pytest.raises(lookalike.UsageError, match="not a report"):
        lookalike.compare_evaluations(folders[0], tmp_path)


def test_learned_weights_are_the_same_and_kept(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fuse", shop.table, "-g", shop.gallery, "--protocol", "product", "--keep"]
    shown = in_terminal(capsys, *words, "never")
    for gallery in (shop.gallery, lookalike.open(shop.gallery)):
        assert as_shown(lookalike.learn_weights(gallery, shop.table, protocol="product", keep="never")) == shown
    assert shown["kept"] is False
    with lookalike.open(shop.gallery) as opened:
        assert opened.gallery.stored_weights.weights is None
        fusion = lookalike.learn_weights(opened, shop.table, protocol="product", keep="always")
        assert fusion.kept and opened.gallery.stored_weights.weights == fusion.after.weights
        assert opened.search(item="red-1").query.weights == fusion.after.weights
    lookalike.forget_weights(shop.gallery)
    with lookalike.open(shop.gallery) as opened:
        assert opened.gallery.stored_weights.weights is None
    with pytest.raises(lookalike.UnknownNameError, match="did you mean 'always'"):
        lookalike.learn_weights(shop.gallery, shop.table, protocol="product", keep="alway")


def test_reduced_and_augmented_galleries_are_the_same(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reduced = lookalike.reduce(shop.gallery, tmp_path / "a", dimensions={"deep": 4}, whiten=0.5)
    words = ["-g", shop.gallery, "--to"]
    assert as_shown(reduced) == in_terminal(
        capsys, "reduce", *words, tmp_path / "b", "--dimension", "deep=4", "--whiten", 0.5
    )
    augmented = lookalike.augment(shop.gallery, tmp_path / "c", neighbours=2)
    assert as_shown(augmented) == in_terminal(capsys, "augment", *words, tmp_path / "d", "--neighbours", 2)
    assert (augmented.items, augmented.neighbours) == (12, 2)
    for ours, theirs in (("a", "b"), ("c", "d")):
        with lookalike.open(tmp_path / ours) as one, lookalike.open(tmp_path / theirs) as other:
            assert one.search(item="red-1").matches == other.search(item="red-1").matches
            assert one.gallery.spaces == other.gallery.spaces


def test_an_open_retriever_is_a_gallery_everywhere_and_stays_open(shop: Shop, tmp_path: Path) -> None:
    with lookalike.open(shop.gallery) as opened:
        wanted = opened.search(item="red-1").matches
        found = lookalike.evaluate(shop.table, gallery=opened, protocol="product")
        assert found.figures == lookalike.evaluate(shop.table, gallery=shop.gallery, protocol="product").figures
        assert lookalike.reduce(opened, tmp_path / "a", dimensions={"deep": 4}).items == 12
        assert lookalike.augment(opened, tmp_path / "b", neighbours=2).items == 12
        assert opened.search(item="red-1").matches == wanted


def test_one_text_is_not_taken_apart(shop: Shop) -> None:
    def figures(**options: Any) -> dict[str, float]:
        return lookalike.evaluate(shop.table, gallery=shop.gallery, protocol="grades=season", **options).figures

    for name, value in (("apart", "season"), ("unknown", "Summer")):
        assert figures(**{name: value}) == figures(**{name: [value]}) != figures()
    with pytest.raises(lookalike.UnknownNameError, match="unknown attribute 'nope'"):
        lookalike.learn_weights(shop.gallery, shop.table, protocol="product", apart="nope")


@pytest.mark.parametrize("dimensions", [4, {"deep": "4"}, {"deep": 4.0}])
def test_dimensions_of_another_type_are_refused(shop: Shop, tmp_path: Path, dimensions: Any) -> None:
    with pytest.raises(lookalike.UsageError, match="dimensions must be a dict of whole numbers such as"):
        lookalike.reduce(shop.gallery, tmp_path / "a", dimensions=dimensions)
    assert not (tmp_path / "a").exists()


def test_columns_of_another_type_are_refused(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened, pytest.raises(lookalike.UsageError, match="columns must be a dict"):
        opened.index(shop.table, columns="image=file")  # type: ignore[arg-type]


def test_training_and_exporting_refuse_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(lookalike.UnknownNameError, match="unknown preset"):
        lookalike.train("no-such-preset")
    with pytest.raises(lookalike.UsageError, match="no such file"):
        lookalike.train(tmp_path / "none.toml")
    with pytest.raises(lookalike.UsageError, match="no such folder"):
        lookalike.train("catalogue-mobile-items", resume=tmp_path / "none")
    with pytest.raises(lookalike.UsageError, match="no such file"):
        lookalike.export(tmp_path / "none.safetensors", tmp_path / "new.onnx")


DOORS: dict[str, tuple[Callable[..., Any], ...]] = {
    "evaluate": (lookalike.evaluate, lookalike.tabulate_evaluations),
    "fuse": (lookalike.learn_weights,),
    "reduce": (lookalike.reduce,),
    "augment": (lookalike.augment,),
    "train": (lookalike.train,),
    "sweep": (lookalike.sweep,),
    "export": (lookalike.export, lookalike.export_encoder),
}
PLURALS = {"weight": "weights", "metric": "metrics", "column": "columns", "dimension": "dimensions"}
IN_TERMINALS_ONLY = {
    "json",
    *("compare", "table", "cross_domain", "format"),  # reports that lie there; functions and methods of their own
    *("grades", "reset"),  # protocol="grades=...", forget_weights
    *("model", "runtime", "device"),  # of a retriever, which is handed to learn_weights
    *("override", "listed"),  # overrides, a list
    "find_rate",  # a function of its own
}


@pytest.mark.parametrize("command", DOORS)
def test_each_option_is_an_argument_with_the_same_default(command: str) -> None:
    ours = {name: one for door in DOORS[command] for name, one in inspect.signature(door).parameters.items()}
    for parameter in get_command(make_app()).commands[command].params:  # type: ignore[attr-defined]
        name = parameter.name if parameter.name in ours else PLURALS.get(parameter.name, parameter.name)
        if name not in ours:
            assert parameter.name in IN_TERMINALS_ONLY, parameter.name
        elif ours[name].default is not inspect.Parameter.empty:
            assert (parameter.default or None) == (ours[name].default or None), name
