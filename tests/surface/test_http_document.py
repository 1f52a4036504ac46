"""The OpenAPI document is complete and true: schemathesis sends valid and invalid requests."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import schemathesis
from fastapi import FastAPI
from hypothesis import strategies as st
from PIL import Image
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.embedding.calibration import Calibration, RelevanceCurve
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.tuning.calibration import write_calibration
from tiny_text_encoder import write_tiny_text_encoder

FILTERS = [
    "price < 80",
    "colour in ('Green', 'Navy')",
    "season != 'Winter' and not (colour = 'Red')",
    "price between 1 and 20 or season is null",
    "colour like '%e%'",
]


def small_photo(side: int, shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), (shade, 90, 255 - shade)).save(file, "PNG")
    return file.getvalue()


def a_box(left: int, top: int) -> str:
    return f"{left},{top},{left + 7},{top + 5.5}"


# What the document's formats mean, which no JSON schema can say.
schemathesis.openapi.format("filter", st.sampled_from(FILTERS))
schemathesis.openapi.format("box", st.builds(a_box, st.integers(0, 3), st.integers(0, 3)))
schemathesis.openapi.format("ndjson", st.sampled_from(['{"id": "red-0", "attributes": {"price": 1}}\n', ""]))
schemathesis.openapi.format("photo-url", st.just("https://cdn.example/1.jpg"))
schemathesis.openapi.format("words", st.sampled_from(["red", "blue shirt"]))
schemathesis.openapi.format("attribute", st.sampled_from(["colour", "price", "season"]))
schemathesis.openapi.format("space", st.sampled_from(["deep", "color"]))
schemathesis.openapi.format("metric", st.sampled_from(["cosine", "cityblock"]))
schemathesis.openapi.format("sort", st.sampled_from(["price", "-season,price"]))
schemathesis.openapi.format("boost", st.sampled_from(["price", "season:Summer"]))
LINES = st.sampled_from([b'{"id": "red-0", "attributes": {"price": 1}}\n', b"", b'{"id": "x"}\nnonsense\n'])
schemathesis.openapi.media_type("application/x-ndjson", LINES)
PHOTOS = st.builds(small_photo, st.integers(8, 40), st.integers(0, 255))
schemathesis.openapi.media_type("image/*", PHOTOS)


def cannot_be_held(value: object) -> bool:
    """Whether a value has an integer of more than 64 bits, or the character U+0000, which no item can hold."""
    if isinstance(value, dict):
        return any(map(cannot_be_held, [*value, *value.values()]))
    if isinstance(value, list):
        return any(map(cannot_be_held, value))
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, int) and not -(2**63) <= value < 2**63


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    """Pass what goes together: what does not, the document says in words."""
    body, filtered = case.body, (case.query or {}).get("where")
    if filtered is not None and filtered not in FILTERS and case.meta and case.meta.generation.mode.is_positive:
        return False  # text in place of a filter
    broken = (getattr(case.meta.phase.data, "description", None) if case.meta else None) or ""
    if isinstance(body, dict) and isinstance(body.get("photo"), bytes) and "`maxItems`" in broken:
        return False  # the array that was to be too long has become one photo
    if isinstance(body, dict) and isinstance(body.get("photo_url"), str) and not body["photo_url"].startswith("http"):
        return False  # text in place of an address
    if isinstance(body, dict) and case.operation.method.upper() == "PUT" and isinstance(body.get("box"), list):
        return False  # most corners are no box
    if isinstance(body, dict) and case.operation.method.upper() == "PATCH":
        attributes, unset = body.get("attributes"), body.get("unset")
        if isinstance(attributes, dict) and isinstance(unset, list) and {*attributes} & {*map(str, unset)}:
            return False
    if "\0" in str((case.path_parameters or {}).get("id")) and case.operation.method.upper() == "PUT":
        return False
    if not isinstance(body, dict) or cannot_be_held([body.get("attributes"), body.get("product")]):
        return not isinstance(body, dict)
    if case.operation.label not in ("POST /v1/search", "POST /v1/{gallery}/search"):
        return True
    weights, several = body.get("weights"), [body.get(name) for name in ("photo", "id", "unlike", "unlike_id")]
    examples = sum(len(given) if isinstance(given, list) else 1 for given in several if given)
    return not (
        (isinstance(weights, dict) and not any(weights.values()))
        or (body.get("metrics") and (examples > 1 or body.get("index") not in (None, "auto", "exact")))
        or (body.get("metrics") and (body.get("expand") or body.get("rerank")))
        or not any(map(str.isalnum, str(body.get("text"))))  # no word
        or (any(body.get(name) is not None for name in ("k1", "k2", "trust")) and not body.get("rerank"))
        or (body.get("alpha") is not None and not body.get("expand"))
        or ((body.get("box") or body.get("garment")) and (examples > 1 or not body.get("photo")))
        or (body.get("box") and body.get("garment"))
        or (body.get("explain") and examples != 1)
        or (body.get("sort") and (body.get("boost") or body.get("diversity")))
        or body.get("garment") not in (None, "auto", "whole")  # the photo may not show it
    )


def test_every_form_is_a_class_that_generators_can_make(shop: Shop) -> None:
    context = open_context(str(shop.gallery), settings=Settings(), token=TOKEN.encode(), model=str(shop.model))
    document = create_app(context).openapi()
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    bodies = [one["requestBody"]["content"] for one in operations if "requestBody" in one]
    forms = [body["multipart/form-data"]["schema"]["$ref"] for body in bodies if "multipart/form-data" in body]
    names = [reference.removeprefix("#/components/schemas/") for reference in forms]
    assert sorted({*names}) == ["BulkForm", "GarmentsForm", "ItemForm", "SearchForm"]
    for name in names:
        shape = document["components"]["schemas"][name]
        assert shape["type"] == "object"
        assert not {"anyOf", "oneOf", "allOf"} & shape.keys()


def found_by_schemathesis(app: FastAPI) -> tuple[list[str], set[str], int]:
    """Everything that it finds fault with, the checks that it made, and how many requests it sent."""
    config = SchemathesisConfig.from_dict(
        {
            "headers": {"Authorization": f"Bearer {TOKEN}"},
            "generation": {"max-examples": 20, "deterministic": True, "database": "none"},
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=config)
    faults, checks, requests = [], set(), 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            faults.append(str(event.info if isinstance(event, events.NonFatalError) else event.exception))
        if not isinstance(event, events.ScenarioFinished):
            continue
        requests += len(event.recorder.interactions)
        for case_id, nodes in event.recorder.checks.items():
            for node in nodes:
                checks.add(node.name)
                if node.failure_info is not None:
                    case = event.recorder.cases[case_id].value
                    faults.append(f"{node.failure_info.failure}\n{case.as_curl_command()}")
    return faults, checks, requests


def test_schemathesis_finds_nothing(shop: Shop, mapped_model: Path, tiny_finder: Path, tmp_path: Path) -> None:
    model = tmp_path / "shop.onnx"
    write_calibration(mapped_model, Calibration(RelevanceCurve(12.0, -12.0), RelevanceCurve(9.0, -6.0)), model)
    vectors = {"red": np.ones(16, dtype=np.float32)}
    write_tiny_text_encoder(tmp_path / "shop.text.onnx", vectors, photo_model="tiny@01234567", learnt=False)
    ranking = LearnedRanking("tiny@01234567", {"attribute:price": -1.0}, {"attribute:price": 1.0})
    with lookalike.open(shop.gallery) as opened:
        opened.gallery.store_weights(StoredWeights(ranking=ranking))
    context = open_context(
        str(shop.gallery),
        settings=Settings(),
        token=TOKEN.encode(),
        model=str(model),
        finder=str(tiny_finder),
    )
    app = create_app(context)
    with TestClient(app):
        faults, checks, requests = found_by_schemathesis(app)
    assert not faults, "\n\n".join(faults)
    assert requests > 500
    assert {
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "positive_data_acceptance",
        "unsupported_method",
        "ignored_auth",
    } <= checks
