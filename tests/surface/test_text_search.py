"""Search by words, alone and beside photos and items, through every door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.tuning.pca import reduce
from tiny_text_encoder import write_tiny_text_encoder

TINY = "tiny@01234567"


@pytest.fixture
def worded(shop: Shop, tmp_path: Path) -> Iterator[lookalike.Retriever]:
    """The shop with a model that has a text encoder: the vector of a colour's name is that of its plain photo."""
    model = shutil.copy(shop.model, tmp_path / "shop.onnx")
    with lookalike.open(shop.gallery, model=model) as retriever:
        vectors = {name: retriever.gallery.vectors(f"{name}-0")["deep"][0] for name in ("red", "green", "blue")}
        vectors["shirt"] = vectors["blue"][::-1].copy()
        write_tiny_text_encoder(tmp_path / "shop.text.onnx", vectors, photo_model=TINY)
        yield retriever


def ids(answer: lookalike.Answer) -> list[str]:
    return [match.item.id for match in answer.matches]


def test_words_find_photos_by_what_they_mean(worded: lookalike.Retriever) -> None:
    by_photo = worded.search(item="green-0", k=5, weights={"deep": 1})
    by_words = worded.search(text="Green", k=6, weights={"deep": 1}, text_search="visual")
    assert ids(by_words)[0] == "green-0" and ids(by_words)[1:] == ids(by_photo)
    assert [match.scores["deep"] for match in by_words.matches[1:]] == pytest.approx(
        [match.score for match in by_photo.matches], abs=1e-5
    )
    assert all([*match.scores] == ["deep"] for match in by_words.matches)
    assert "embedder" not in vars(worded)  # words need no photo model


def test_words_beside_an_item_move_the_answer_towards_them(worded: lookalike.Retriever) -> None:
    alone = worded.search(item="red-1", k=11, weights={"deep": 1})
    options = {"item": "red-1", "k": 11, "weights": {"deep": 1}, "text": "green", "text_search": "visual"}
    for weight, nearest in ((0.0, ids(alone)[0]), (1.0, "green-0")):
        answer = worded.search(**options, text_weight=weight)  # type: ignore[arg-type]
        assert ids(answer)[0] == nearest
    mixed = worded.search(**options)  # type: ignore[arg-type]
    photo = worded.gallery.vectors("red-1")["deep"][0]
    green = worded.gallery.vectors("green-0")["deep"][0]
    for match in mixed.matches:
        row = worded.gallery.vectors(match.item.id)["deep"][0]
        assert match.scores["photo"] == pytest.approx(float(row @ photo), abs=1e-5)
        assert match.scores["text"] == pytest.approx(float(row @ green), abs=1e-5)
    assert "red-1" not in ids(mixed)


def test_letters_find_what_the_model_has_not_learnt(worded: lookalike.Retriever) -> None:
    answer = worded.search(text="green summer", k=12)
    assert answer.query.text is not None
    assert answer.query.text.to_json()["text_read"] == {
        "known": ["green"],
        "unknown": ["summer"],
        "not_found": [],
        "searched": ["visual", "full_text"],
        "corrected": {},
    }
    assert {"green-0", "green-1"} == set(ids(answer)[:2])
    with_letters = {match.item.id for match in answer.matches if "full_text" in match.scores}
    summer = {f"{color}-{number}" for color in ("red", "green", "blue", "white") for number in (1, 2)}
    assert with_letters == summer | {"green-0"}
    fused = [match.refined for match in answer.matches]
    assert fused == sorted(fused, reverse=True) and len(ids(answer)) == 12  # type: ignore[type-var]


def test_full_text_alone_needs_no_text_encoder(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        answer = opened.search(text="sumer winter", text_search="full_text", where="price > 9", k=20)
    expected = {f"{color}-{number}" for color in ("green", "blue", "white") for number in range(3)}
    assert set(ids(answer)) == expected
    assert answer.query.index == "full_text"
    assert [match.score for match in answer.matches] == sorted((m.score for m in answer.matches), reverse=True)
    assert answer.query.text is not None and answer.query.text.corrected == {"sumer": "summer"}
    with lookalike.open(shop.gallery) as opened:
        nothing = opened.search(text="zebra", text_search="full_text")
    assert nothing.matches == [] and nothing.query.text is not None and nothing.query.text.not_found == ("zebra",)


def test_a_model_without_a_text_encoder_says_so(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        with pytest.raises(UsageError, match="needs a model with a text encoder"):
            opened.search(text="red", text_search="visual")
        answer = opened.search(text="red")
    assert answer.query.text is not None and list(answer.query.text.searched) == ["full_text"]


def test_a_text_encoder_of_another_model_is_refused(shop: Shop, tmp_path: Path) -> None:
    model = Path(shutil.copy(shop.model, tmp_path / "shop.onnx"))
    vectors = {"red": np.ones(16, dtype=np.float32)}
    write_tiny_text_encoder(tmp_path / "shop.text.onnx", vectors, photo_model="other@fedcba98")
    with (
        lookalike.open(shop.gallery, model=model) as opened,
        pytest.raises(MismatchError, match="text encoder of the model other@fedcba98"),
    ):
        opened.search(text="red")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"text": " "}, "text must be words"),
        ({"text": 7}, "text must be words"),
        ({"text": "!?"}, "a word of letters or digits"),
        ({"text": "x" * 257}, "at most 256 characters, got 257"),
        ({"text": "red", "min_relevance": 0.5}, "min_relevance is for searches by photos and items alone"),
        ({"text": "red", "expand": 3}, "expand is for searches"),
        ({"text": "red", "metrics": {"deep": "euclidean"}}, "metrics is for searches"),
        ({"text": "red", "text_weight": 1.5}, "text_weight must be a number from 0 to 1"),
        ({"text": "red", "text_weight": 0.5}, "leave it out with words alone"),
        ({"text": "red", "text_weight": 0.5, "text_search": "full_text"}, "text_weight weighs what words mean"),
        ({"text": "red", "same_kind": True}, "with words alone"),
        ({"text": "red", "unlike_item": "red-0"}, "less like goes with a photo or an item"),
        ({"text": "shirt", "weights": {"color": 1}, "text_search": "visual"}, "the weights leave only other spaces"),
        ({"text": "zebra", "text_search": "visual"}, "has learnt no word of"),
        ({"item": "red-0", "text_weight": 0.5}, "give text as well"),
        ({"item": "red-0", "text_search": "visual"}, "give text as well"),
        ({}, "give a photo, the id of an item, or words as text"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_line(
    worded: lookalike.Retriever, options: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        worded.search(**options)  # type: ignore[arg-type]


def test_an_unknown_way_of_searching_is_named(worded: lookalike.Retriever) -> None:
    with pytest.raises(UnknownNameError, match="full_text"):
        worded.search(text="red", text_search="fulltext")


def test_the_command_line_http_and_python_agree(
    worded: lookalike.Retriever, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(tmp_path / "shop.onnx")
    python = json.loads(json.dumps(worded.search(text="green summer", k=4).to_json()))
    assert (
        main(["search", "-g", str(shop.gallery), "--model", model, "--text", "green summer", "-k", "4", "--json"]) == 0
    )
    terminal = json.loads(capsys.readouterr().out)
    context = open_context(str(shop.gallery), settings=Settings(), token=None, model=model)
    with TestClient(create_app(context)) as client:
        http = client.post("/v1/search", json={"text": "green summer", "k": 4})
        beside = client.post(
            "/v1/search",
            data={"text": "green", "text_weight": "1", "text_search": "visual", "weights": '{"deep": 1}'},
            files={"photo": ("red.png", shop.photo("red-1").read_bytes())},
        )
        nothing = client.post("/v1/search", json={"k": 4})
    assert http.status_code == 200, http.text
    for answer in (terminal, http.json()):
        assert [each["id"] for each in answer["matches"]] == [each["id"] for each in python["matches"]]
        assert [each["scores"] for each in answer["matches"]] == [each["scores"] for each in python["matches"]]
        assert {**answer["query"], "id": None} == {**python["query"], "id": None}  # HTTP gives another each time
    assert beside.json()["matches"][0]["id"] == "green-0"
    assert nothing.status_code == 422 and "words as text" in nothing.text


def test_options_of_the_command_line_exclude_each_other(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "-g", str(shop.gallery), "--text", "red", "--text-only", "--visual-only"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_words_that_no_item_has_are_not_laid_to_the_filter(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "answer.html"
    command = ["search", "-g", str(shop.gallery), "--text-only", "--text"]
    for words, where, said in (
        ("zebra", [], "no item has these words"),
        ("zebra", ["--where", "price > 0"], "no item that passes the filter has these words"),
        ("red", ["--where", "price < 0"], "no item that passes the filter has these words"),
    ):
        assert main([*command, words, *where, "--html", str(page)]) == 0
        printed = capsys.readouterr().err
        assert said in printed.splitlines() and "weights" not in printed
        assert "Weights" not in page.read_text(encoding="utf-8")  # no space was searched


def test_a_picture_and_a_page_show_the_words(
    worded: lookalike.Retriever, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "answer.png", tmp_path / "answer.html"]
    model = str(tmp_path / "shop.onnx")
    arguments = ["--text", "green zebra", "-k", "3", "--montage", str(files[0]), "--html", str(files[1])]
    assert main(["search", "-g", str(shop.gallery), "--model", model, *arguments]) == 0
    printed = capsys.readouterr().err
    assert "unknown: 'zebra', taken as letters only; in no text: 'zebra'" in printed
    page = files[1].read_text(encoding="utf-8")
    assert '<div class="photo words">&quot;green zebra&quot;</div>' in page
    assert files[0].stat().st_size > 1000


def test_a_server_starts_beside_a_text_encoder_of_another_model(shop: Shop, tmp_path: Path) -> None:
    model = Path(shutil.copy(shop.model, tmp_path / "shop.onnx"))
    vectors = {"red": np.ones(16, dtype=np.float32)}
    write_tiny_text_encoder(tmp_path / "shop.text.onnx", vectors, photo_model="other@fedcba98")
    said: list[str] = []
    context = open_context(str(shop.gallery), settings=Settings(), token=None, model=str(model), say=said.append)
    with TestClient(create_app(context)) as client:
        answer = client.post("/v1/search", json={"text": "red"}).json()
    assert ["texts of the items only" in line for line in said] == [True]
    assert answer["query"]["text_read"]["searched"] == ["full_text"]
    assert {match["attributes"]["colour"] for match in answer["matches"]} == {"Red"}


def test_a_gallery_of_shortened_vectors_is_asked_in_words(shop: Shop, tmp_path: Path) -> None:
    model = Path(shutil.copy(shop.model, tmp_path / "shop.onnx"))
    with lookalike.open(shop.gallery, model=model) as opened:
        opened.gallery.remember_model(str(model))
        vectors = {name: opened.gallery.vectors(f"{name}-0")["deep"][0] for name in ("red", "green")}
    write_tiny_text_encoder(tmp_path / "shop.text.onnx", vectors, photo_model=TINY)
    reduce(str(shop.gallery), str(tmp_path / "short.gallery"), dimensions={"deep": 4})
    with lookalike.open(tmp_path / "short.gallery") as short:
        answer = short.search(text="green", text_search="visual", weights={"deep": 1}, k=3)
        assert short.gallery.spaces[0].dimension == 4
    assert ids(answer)[0] == "green-0"
    assert answer.matches[0].score == pytest.approx(1, abs=1e-5)
