"""Python and the command line give the same answers, with the same defaults."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
from small_shop import Shop
from typer.main import get_command

import lookalike
from lookalike.cli import main
from lookalike.cli.commands import make_app
from lookalike.retrieval.retriever import Retriever

QUESTIONS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "defaults": ({}, []),
    "k": ({"k": 3}, ["-k", "3"]),
    "weights": ({"weights": {"deep": 0.2, "color": 1.0}}, ["--weight", "deep=0.2", "--weight", "color=1"]),
    "filter": ({"where": "price < 12"}, ["--where", "price < 12"]),
    "box": ({"box": lookalike.Box(8, 10, 40, 50)}, ["--box", "8,10,40,50"]),
    "metric": ({"metrics": {"deep": "cityblock"}}, ["--metric", "deep=cityblock"]),
    "refined": ({"expand": 2, "rerank": 6, "k": 4}, ["--expand", "2", "--rerank", "6", "-k", "4"]),
    "refined with parameters": (
        {"expand": 3, "alpha": 0.5, "rerank": 9, "k1": 4, "k2": 2, "trust": 0.25},
        ["--expand", "3", "--alpha", "0.5", "--rerank", "9", "--k1", "4", "--k2", "2", "--trust", "0.25"],
    ),
    "page": ({"k": 3, "offset": 2}, ["-k", "3", "--offset", "2"]),
    "index": ({"index": "ivf", "probes": 2}, ["--index", "ivf", "--probes", "2"]),
}


def asked_in_terminal(shop: Shop, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["search", *arguments, "-g", str(shop.gallery), "--model", str(shop.model), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    query = {name: value for name, value in answer["query"].items() if name != "id"}  # of HTTP, another each time
    return {**answer, "query": query, "took_ms": sorted(answer["took_ms"])}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_same_question_gets_the_same_answer(shop: Shop, capsys: pytest.CaptureFixture[str], question: str) -> None:
    options, arguments = QUESTIONS[question]
    photo = str(shop.photo("red-2"))
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        here = json.loads(json.dumps(opened.search(photo, **options).to_json()))
    assert without_times(here) == without_times(asked_in_terminal(shop, capsys, photo, *arguments))
    assert here["matches"]


def test_an_item_gets_the_same_answer_too(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    with lookalike.open(shop.gallery) as opened:
        here = json.loads(json.dumps(opened.search(item="red-2", k=4).to_json()))
    assert without_times(here) == without_times(asked_in_terminal(shop, capsys, "--item", "red-2", "-k", "4"))


def test_bytes_and_open_files_are_photos_too(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened, shop.photo("red-2").open("rb") as file:
        answers = [
            opened.search(photo, k=4).matches for photo in (shop.photo("red-2"), shop.photo("red-2").read_bytes(), file)
        ]
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(("command", "method"), [("search", Retriever.search), ("index", Retriever.index)])
def test_the_defaults_are_the_same(command: str, method: Any) -> None:
    ours = {name: parameter.default for name, parameter in inspect.signature(method).parameters.items()}
    named_otherwise = {"weight": "weights", "metric": "metrics", "column": "columns"}
    shared = 0
    for parameter in get_command(make_app()).commands[command].params:  # type: ignore[attr-defined]
        name = named_otherwise.get(parameter.name, parameter.name)
        if name in ours and ours[name] is not inspect.Parameter.empty:
            assert (parameter.default or None) == (ours[name] or None), name
            shared += 1
    assert shared >= 5


def test_a_second_index_run_in_python_continues_the_first_in_the_terminal(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        report = opened.index(shop.table)
    assert (report.unchanged, report.added, report.embedded) == (12, 0, 0)


def test_every_public_name_is_there_and_unknown_ones_are_not() -> None:
    for name in lookalike.__all__:
        assert getattr(lookalike, name).__module__.startswith("lookalike.")
    assert set(lookalike.__all__) <= set(dir(lookalike))
    with pytest.raises(AttributeError, match="no attribute 'search'"):
        lookalike.search  # noqa: B018
