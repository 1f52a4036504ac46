"""The search request: checked when it is made, resolved once, and the one description that HTTP serves."""

from __future__ import annotations

import inspect
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError
from typer.main import get_command

import lookalike
from lookalike.cli.commands import make_app
from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import OPTIONS, PAGED_DEPTH, ResolvedRequest, SearchRequest
from lookalike.index import INDEXES
from lookalike.retrieval import ranking, results
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.retriever import Retriever
from lookalike.server.search_schema import ENCODING, FORM_PARTS, Options, Question, request_of
from lookalike.spaces import Space
from lookalike.types import Box, Item

SPACES = (Space("deep", 4, "m@1"), Space("color", 2, "color@1"))
DEFAULTS = {each.name: each.default for each in fields(SearchRequest)}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "k": ({"k": 0}, "k must be at least 1, got 0"),
    "probes": ({"probes": 0}, "probes must be at least 1, got 0"),
    "expand": ({"expand": -1}, "expand must be between 0 and 1,000, got -1"),
    "rerank": ({"rerank": 1001}, "rerank must be between 0 and 1,000, got 1001"),
    "k1": ({"rerank": 9, "k1": 0}, "k1 must be between 1 and 1,000, got 0"),
    "k2": ({"rerank": 9, "k2": 1001}, "k2 must be between 1 and 1,000, got 1001"),
    "trust": ({"rerank": 9, "trust": 1.5}, "trust must be a number from 0 to 1, got 1.5"),
    "trust that is no number": ({"rerank": 9, "trust": "0.5"}, "trust must be a number from 0 to 1, got '0.5'"),
    "alpha": ({"expand": 2, "alpha": -1}, "alpha must be a number from 0 to 1,000, got -1"),
    "infinite alpha": ({"expand": 2, "alpha": float("inf")}, "alpha must be a number from 0 to 1,000, got inf"),
    "no alpha": ({"expand": 2, "alpha": float("nan")}, "alpha must be a number from 0 to 1,000, got nan"),
    "k1 of nothing": ({"k1": 5}, "k1 is a parameter of rerank; give rerank as well"),
    "k2 of an expansion": ({"expand": 2, "k2": 5}, "k2 is a parameter of rerank; give rerank as well"),
    "trust of nothing": ({"trust": 0.0}, "trust is a parameter of rerank; give rerank as well"),
    "alpha of a re-ranking": ({"rerank": 9, "alpha": 0.0}, "alpha is a parameter of expand; give expand as well"),
    "offset below 0": ({"offset": -1}, "offset and k must be at least 0 and at most 2,000 together, got -1 and 10"),
    "offset too far": ({"offset": 1991}, "offset and k must be at least 0 and at most 2,000 together, got 1991 and 10"),
    "text for a number": ({"k": "5"}, "k must be a whole number, got '5'"),
    "fraction": ({"probes": 2.5}, "probes must be a whole number, got 2.5"),
    "filter": ({"where": 5}, "where must be a filter such as 'price < 80', got 5"),
    "one metric": ({"metrics": "cosine"}, "metrics must be a dict such as {'deep': 'euclidean'}, got 'cosine'"),
    "no index": ({"index": None}, "unknown index 'None'; known: auto"),
    "refined metric": ({"rerank": 5, "metrics": {"deep": "cosine"}}, "expand and rerank use the cosine; leave"),
    "a metric that is no text": (
        {"metrics": {"deep": 5}},
        "metrics must be a dict such as {'deep': 'euclidean'}, got {'deep': 5}",
    ),
    "group": ({"group": "products"}, "unknown group 'products'; did you mean 'product'?"),
    "sort": ({"sort": "price,,size"}, "sort expects up to 4 attributes, such as 'price' or '-in_stock,price', got"),
    "sort twice": ({"sort": "price,-price"}, "sort expects up to 4 attributes"),
    "sort by all": ({"sort": "a,b,c,d,e"}, "sort expects up to 4 attributes"),
    "sort that is no text": (
        {"sort": ["price"]},
        "sort must be text such as 'price' or '-in_stock,price', got ['price']",
    ),
    "sort and boost": ({"sort": "price", "boost": {"a": 1}}, "sort alone decides the order of the relevant matches"),
    "sort and diversity": ({"sort": "price", "diversity": 0.5}, "sort alone decides the order"),
    "diversity": ({"diversity": 1.5}, "diversity must be a number from 0 to 1, got 1.5"),
    "no boost": ({"boost": {}}, "boost must have 1 to 16 weights, got 0"),
    "boost": ({"boost": ["in_stock"]}, "boost must be a dict such as {'in_stock': 0.2}, got ['in_stock']"),
    "boost by text": ({"boost": {"price": "1"}}, "the boost of 'price' must be a number from -10 to 10, got '1'"),
    "infinite boost": (
        {"boost": {"price": float("inf")}},
        "the boost of 'price' must be a number from -10 to 10, got inf",
    ),
    "garment": ({"garment": "drees"}, "unknown garment 'drees'; did you mean 'dress'?"),
    "garment 0": ({"garment": "0"}, "unknown garment '0'"),
    "garment and box": ({"garment": "1", "box": Box(0, 0, 4, 4)}, "a box and a garment both say"),
    "index": ({"index": "hnws"}, "unknown index 'hnws'"),
    "metric": ({"metrics": {"deep": "cosin"}}, "unknown metric 'cosin'"),
    "metric by an index": (
        {"index": "ivf", "metrics": {"deep": "cosine"}},
        "metrics need the exact scan; the index 'i",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_is_checked_when_it_is_made_and_changed(case: str) -> None:
    options, message = REFUSED[case]
    for make in (lambda: SearchRequest(**options), lambda: replace(SearchRequest(), **options)):
        with pytest.raises(UsageError) as caught:
            make()
        assert str(caught.value).startswith(message)
    assert SearchRequest(offset=1990).offset == 1990
    assert type(SearchRequest(k=np.int64(3)).k) is int


def test_is_resolved_once_for_the_spaces_of_a_gallery() -> None:
    request = SearchRequest(
        k=3, weights={"de": 2}, metrics={"col": "cityblock"}, where="price < 3", box=Box(0, 0, 4, 4)
    )
    resolved = request.resolved(SPACES, stored=None)
    assert (resolved.weights, resolved.metrics) == ({"deep": 2.0, "color": 0.0}, {"color": "cityblock"})
    assert resolved.resolved((Space("deep", 4, "m@1"), Space("color", 2, "color@1")), stored={"deep": 9.0}) is resolved
    kept = {each.name for each in fields(SearchRequest)} - {"weights", "metrics"}
    assert {name: getattr(resolved, name) for name in kept} == {name: getattr(request, name) for name in kept}
    assert SearchRequest().resolved(SPACES, stored={"color": 1.0}).weights == {"deep": 0.0, "color": 1.0}
    assert SearchRequest().resolved(SPACES, stored=None).weights == {"deep": 1.0, "color": 0.1}
    with pytest.raises(UnknownNameError):
        resolved.resolved(SPACES[:1], stored=None)
    depths = {"k": 5, "offset": PAGED_DEPTH + 2, "sort": PAGED_DEPTH + 2, "group": 11}
    for name, depth in depths.items():
        asked = replace(resolved, **{name: {"k": 3, "offset": 0, "sort": "price", "group": "product"}[name]})  # type: ignore[arg-type]
        assert ranking.deep(asked, beside=2).k == depth, name


def test_only_a_refined_search_is_refined(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"deep": np.eye(4, dtype=np.float32), "color": np.ones((4, 2), dtype=np.float32)}
    refined: list[ResolvedRequest] = []
    plain = ranking.search_refined

    def noted(gallery: Any, query: Any, request: ResolvedRequest, **more: Any) -> Any:
        refined.append(request)
        return plain(gallery, query, request, **more)

    monkeypatch.setattr(ranking, "search_refined", noted)
    with LocalGallery(tmp_path / "shop", create=True) as gallery:
        gallery.add([Item(id=str(at), photo="x.jpg") for at in range(4)], rows, spaces=SPACES)
        examples = Examples.of(None, "1", (), ())
        for options, count in (({"k": 2}, 0), ({"k": 2, "where": None}, 0), ({"k": 2, "expand": 1}, 1)):
            request = SearchRequest(**options).resolved(SPACES, stored=None)  # type: ignore[arg-type]
            matches = results.search_gallery(gallery, gallery.vectors("1"), request, examples, None).matches
            assert (len(refined), len(matches)) == (count, 2)
            assert "1" not in [match.item.id for match in matches]


AS_OPTION = {"weights": "weight", "metrics": "metric", "text_search": "text_only"}
"""Options of the command line for the options of a request that have another name there."""


def test_every_option_is_described_and_reaches_python_and_the_command_line() -> None:
    assert list(OPTIONS) == list(DEFAULTS)
    python = {name: each.default for name, each in inspect.signature(Retriever.search).parameters.items()}
    assert {name: python[name] for name in OPTIONS} == DEFAULTS
    command = {each.name for each in get_command(make_app()).commands["search"].params}  # type: ignore[attr-defined]
    assert {AS_OPTION.get(name, name) for name in OPTIONS} <= command


def test_http_serves_the_ranges_of_the_description() -> None:
    served = Options.model_json_schema()["properties"]
    assert list(served) == [name for name, option in OPTIONS.items() if not option.of_photo]
    assert {*OPTIONS} - {*served} == {"box", "garment"}
    assert sorted(Question.model_fields) == sorted([*served, "id", "unlike_id", "remember"])
    assert set(FORM_PARTS) == {"photo", "id", "unlike", "unlike_id", "remember", *OPTIONS}
    for name, option in OPTIONS.items():
        assert option.description or option.choices, name
        if option.least is None:
            continue
        most = option.most if option.most_served is None else option.most_served
        assert most is not None
        for number in (option.least, most):
            assert getattr(Options.model_validate({name: str(number)}), name) == number
        for number in (option.least - 1, most + 1):
            with pytest.raises(ValidationError):
                Options.model_validate({name: number})
        assert (FORM_PARTS[name]["minimum"], FORM_PARTS[name]["maximum"]) == (option.least, most)
        assert FORM_PARTS[name].get("default") == DEFAULTS[name]
        assert FORM_PARTS[name]["description"] == option.description == served[name]["description"]
    assert served["index"]["enum"] == ["auto", *INDEXES]
    assert FORM_PARTS["index"]["enum"] == ["auto", *INDEXES, ""]  # an empty part is none
    assert get_args(Options.model_fields["index"].annotation) == ("auto", *INDEXES)
    in_json = [name for name, kind in ENCODING.items() if kind["contentType"] == "application/json"]
    assert in_json == ["weights", "metrics", "boost"]
    assert request_of(Options()) == SearchRequest()


def test_names_of_indexes_stand_in_one_table() -> None:
    (index,) = [each for each in get_command(make_app()).commands["search"].params if each.name == "index"]  # type: ignore[attr-defined]
    assert index.help == "Index: auto, exact, kmeans, ivf or hnsw."
    assert index.help == f"Index: {', '.join(['auto', *INDEXES][:-1])} or {[*INDEXES][-1]}."


@pytest.mark.parametrize("name", ["batch", "workers"])
@pytest.mark.parametrize("number", ["3", 2.0, b"3"])
def test_numbers_of_indexing_are_whole(tmp_path: Path, name: str, number: object) -> None:
    shop = lookalike.open(tmp_path / "shop.gallery", model="color")
    with pytest.raises(UsageError, match=f"{name} must be a whole number, got {number!r}"):
        shop.index("drawn", **{name: number})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_numbers_of_listing_are_whole(tmp_path: Path) -> None:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        for name in ("offset", "limit"):
            with pytest.raises(UsageError, match=f"{name} must be a whole number, got '3'"):
                gallery.list(**{name: "3"})  # type: ignore[arg-type]
            with pytest.raises(UsageError, match=f"{name} must be at least 0, got -1"):
                gallery.list(**{name: -1})
        with pytest.raises(UsageError, match="limit must be a whole number, got '3'"):
            gallery.facets(limit="3")  # type: ignore[arg-type]


def test_a_garment_may_be_a_number_of_numpy() -> None:
    assert SearchRequest(garment=np.int64(2)).garment == "2"  # type: ignore[arg-type]


@pytest.mark.parametrize("box", [(0, 0, 50, 50), [0, 0, 50, 50], "0,0,50,50"])
def test_a_box_of_another_type_is_refused(box: object) -> None:
    with pytest.raises(UsageError, match=r"box must be a Box such as Box\(20, 20, 200, 280\), got"):
        SearchRequest(box=box)  # type: ignore[arg-type]
