"""HTTP gives the same answers as Python and the command line, in the documented shapes."""

from __future__ import annotations

import gc
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image
from small_shop import Shop, paint
from starlette.testclient import TestClient
from test_python_equals_cli import QUESTIONS, asked_in_terminal, without_times

import lookalike
from lookalike.server.app import create_app
from lookalike.server.context import AppContext
from lookalike.server.errors import ERROR_CODES
from lookalike.server.middleware import HEADERS
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context


def png(color: tuple[int, int, int] = (200, 30, 40), number: int = 2) -> bytes:
    file = io.BytesIO()
    paint(color, number).save(file, "PNG")
    return file.getvalue()


def form_of(options: dict[str, Any]) -> dict[str, str]:
    """The options of a search as the fields of a form."""
    return {name: json.dumps(value) if isinstance(value, dict) else str(value) for name, value in options.items()}


def refused(answer: Any, code: str) -> dict[str, Any]:
    """The facts of an error, which must be of that code and its status, and of the one shape."""
    error: dict[str, Any] = answer.json()["error"]
    assert (error["code"], answer.status_code) == (code, ERROR_CODES[code].status), answer.text
    assert error["message"]
    assert set(answer.json()) == {"error"}
    return error


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [match["id"] for match in answer.json()["matches"]]


# One core, three doors.


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_photo_gets_the_same_answer_by_all_doors(
    shop: Shop, client: TestClient, tiny_finder: Path, capsys: pytest.CaptureFixture[str], question: str
) -> None:
    options, arguments = QUESTIONS[question]
    photo = shop.photo("red-2")
    with photo.open("rb") as file:
        there = client.post("/v1/search", files={"photo": (str(photo), file)}, data=form_of(options)).json()
    with lookalike.open(shop.gallery, model=str(shop.model), finder=tiny_finder) as opened:
        here = json.loads(json.dumps(opened.search(photo, **options).to_json()))
    terminal = asked_in_terminal(shop, capsys, str(photo), "--finder", str(tiny_finder), *arguments)
    assert there["query"].pop("photo") == photo.name  # of the client's folders the server tells nothing
    assert here["query"].pop("photo") == terminal["query"].pop("photo") == str(photo)
    assert without_times(there) == without_times(here) == without_times(terminal)
    assert there["matches"]


def test_an_item_gets_the_same_answer_by_all_doors(
    shop: Shop, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    as_json = client.post("/v1/search", json={"id": "red-2", "k": 4}).json()
    as_form = client.post("/v1/search", files={"id": (None, "red-2"), "k": (None, "4")}).json()
    terminal = asked_in_terminal(shop, capsys, "--item", "red-2", "-k", "4")
    assert without_times(as_json) == without_times(as_form) == without_times(terminal)


def test_several_examples_get_the_same_answer_by_all_doors(
    shop: Shop, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    photos = [shop.photo("red-2"), shop.photo("blue-1")]
    there = client.post(
        "/v1/search",
        files=[("photo", (photo.name, photo.read_bytes())) for photo in photos]
        + [("unlike", ("w.png", shop.photo("white-0").read_bytes()))],
        data={"id": "green-0", "unlike_id": ["blue-0", "blue-2"], "k": "5"},
    ).json()
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        here = opened.search(
            photos, item="green-0", unlike=[shop.photo("white-0")], unlike_item=["blue-0", "blue-2"], k=5
        ).to_json()
    arguments = [str(photos[0]), str(photos[1]), "--item", "green-0", "--unlike", str(shop.photo("white-0"))]
    arguments += ["--unlike-item", "blue-0", "--unlike-item", "blue-2", "-k", "5"]
    terminal = asked_in_terminal(shop, capsys, *arguments)
    assert there["matches"] == json.loads(json.dumps(here["matches"])) == terminal["matches"]
    assert there["query"]["examples"] == {
        "photos": ["red-2.png", "blue-1.png"],
        "items": ["green-0"],
        "unlike_photos": ["w.png"],
        "unlike_items": ["blue-0", "blue-2"],
    }
    assert not {"green-0", "blue-0", "blue-2"} & {match["id"] for match in there["matches"]}


def test_parameters_of_a_second_look_that_is_not_asked_for_are_refused(shop: Shop, client: TestClient) -> None:
    for given in ({"k1": 5}, {"k2": 1, "rerank": 0}, {"trust": 0.5, "expand": 3}, {"alpha": 0, "rerank": 5}):
        name, option = next(iter(given)), "expand" if "alpha" in given else "rerank"
        wanted = f"{name} is a parameter of {option}; give {option} as well"
        assert refused(client.post("/v1/search", json={"id": "red-2", **given}), "bad_request")["message"] == wanted
        form = {"id": (None, "red-2"), **{part: (None, str(value)) for part, value in given.items()}}
        assert refused(client.post("/v1/search", files=form), "bad_request")["message"] == wanted
    refused(client.post("/v1/search", json={"id": "red-2", "rerank": 5, "k2": 1001}), "invalid")
    refused(client.post("/v1/search", json={"id": "red-2", "expand": 5, "alpha": 1001}), "invalid")
    assert ids(client.post("/v1/search", json={"id": "red-2", "k1": None, "alpha": None}))


def test_a_mean_lies_between_and_a_counter_example_pushes_away(client: TestClient) -> None:
    def score(found: str, **question: Any) -> float:
        answer = client.post("/v1/search", json={"k": 12, **question}).json()
        return {match["id"]: match["score"] for match in answer["matches"]}[found]

    alone, both = score("blue-1", id="red-0"), score("blue-1", id=["red-0", "blue-0"])
    assert alone < both < score("blue-1", id="blue-0")
    assert score("blue-1", id="red-0", unlike_id="blue-0") < alone


def test_options_that_are_read_once_are_those_of_each_search(client: TestClient) -> None:
    """The second search of the same options, and another one between them, of equal letters under another name."""

    def asked(**options: str) -> Any:
        return client.post("/v1/search", files={"photo": png()}, data=options)

    first, other, refused_once = asked(k="2"), asked(offset="2"), asked(k="0")
    assert [len(ids(first)), len(ids(asked(k="2")))] == [2, 2]
    assert first.json()["query"].keys() == asked(k="2").json()["query"].keys()
    assert other.json()["query"]["offset"] == 2
    assert len(ids(asked(k="2", index="exact"))) == 2
    refused(refused_once, "invalid")
    refused(asked(k="0"), "invalid")
    for weights in ('{"deep": 1}', '{"color": 1}'):
        given = asked(weights=weights).json()["query"]["weights"]
        assert {name for name, weight in given.items() if weight} == {*json.loads(weights)}


def test_pages_fit_together(client: TestClient) -> None:
    whole = client.post("/v1/search", json={"id": "red-0", "k": 11}).json()["matches"]
    pages = [
        client.post("/v1/search", json={"id": "red-0", "k": 4, "offset": at}).json()["matches"] for at in (0, 4, 8, 12)
    ]
    assert [len(page) for page in pages] == [4, 4, 3, 0]
    assert [match for page in pages for match in page] == whole
    assert [match["rank"] for match in whole] == [*range(1, 12)]


def test_a_box_is_the_same_as_the_cut_out_photo(shop: Shop, client: TestClient) -> None:
    cut = io.BytesIO()
    Image.open(shop.photo("red-2")).crop((8, 10, 40, 50)).save(cut, "PNG")
    whole = {"photo": ("q.png", shop.photo("red-2").read_bytes())}
    boxed = client.post("/v1/search", files=whole, data={"box": "8,10,40,50"}).json()
    part = client.post("/v1/search", files={"photo": ("q.png", cut.getvalue())}).json()
    assert boxed["matches"] == part["matches"]
    assert boxed["query"]["box"] == [8, 10, 40, 50]


def test_an_answered_search_is_freed_without_a_garbage_collection(client: TestClient) -> None:
    """Collections stop all requests for milliseconds; so nothing of a request may be in a cycle of references."""
    photo = {"photo": ("q.png", png())}
    assert client.post("/v1/search", files=photo).status_code == 200  # loads what stays
    gc.collect()
    gc.disable()
    try:
        assert client.post("/v1/search", files=photo).status_code == 200
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kept = {type(each) for each in gc.garbage if type(each).__module__.startswith("lookalike")}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not kept


# Items, facets, what is served.


def test_items_are_listed_and_shown(client: TestClient) -> None:
    page = client.get("/v1/items", params={"where": "colour = 'Red'", "offset": 1, "limit": 1}).json()
    assert page["total"] == 3
    item = {"colour": "Red", "price": 1, "season": "Summer"}
    assert page["items"] == [
        {"id": "red-1", "product": "red", "photo": "photos/red-1.png", "box": None, "attributes": item}
    ]
    assert client.get("/v1/items/red-1").json() == page["items"][0]
    error = refused(client.get("/v1/items/red-7"), "unknown_item")
    assert (error["kind"], error["name"]) == ("item", "red-7")


def test_facets_count_what_passes_and_know_their_kinds(client: TestClient) -> None:
    facets = client.get("/v1/facets", params={"where": "price < 12"}).json()
    assert facets["total"] == 5
    assert facets["facets"] == [
        {
            "name": "colour",
            "kinds": ["text"],
            "range": None,
            "values": [{"value": "Red", "count": 3}, {"value": "Green", "count": 2}],
        },
        {
            "name": "price",
            "kinds": ["number"],
            "range": [0, 11],
            "values": [{"value": price, "count": 1} for price in (0, 1, 10, 11, 2)],
        },
        {
            "name": "season",
            "kinds": ["text"],
            "range": None,
            "values": [{"value": "Summer", "count": 3}, {"value": "Winter", "count": 2}],
        },
    ]


def test_what_is_served_is_told(client: TestClient) -> None:
    info = client.get("/v1/info").json()
    assert (info["items"], info["model"], info["photos"], info["writable"]) == (12, "tiny@01234567", True, True)
    assert [(space["name"], space["dimension"], space["weight"]) for space in info["spaces"]] == [
        ("deep", 16, 1.0),
        ("color", 64, 0.1),
    ]
    assert info["attributes"] == {"colour": ["text"], "price": ["number"], "season": ["text"]}
    assert info["limits"] == {"upload_bytes": 200_000, "pixels": 1_000_000, "k": 1000, "offset": 1000}


# Photos.


def test_a_photo_comes_whole_in_parts_and_small(shop: Shop, client: TestClient) -> None:
    original = shop.photo("red-0").read_bytes()
    whole = client.get("/v1/items/red-0/photo")
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (200, original, "image/png")
    part = client.get("/v1/items/red-0/photo", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, original[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(original)}"
    beyond = client.get("/v1/items/red-0/photo", headers={"Range": f"bytes={len(original)}-"})
    assert refused(beyond, "bad_range")["size"] == len(original)
    assert beyond.headers["content-range"] == f"bytes */{len(original)}"
    nonsense = client.get("/v1/items/red-0/photo", headers={"Range": "bytes=z"})
    assert nonsense.content == original

    small = client.get("/v1/items/red-0/photo", params={"size": 30})
    assert small.headers["content-type"] == "image/jpeg"
    assert Image.open(io.BytesIO(small.content)).size == (24, 30)
    assert client.get("/v1/items/red-0/photo", params={"size": 30}).content == small.content
    large = client.get("/v1/items/red-0/photo", params={"size": 1000})
    assert Image.open(io.BytesIO(large.content)).size == (48, 60)  # never larger than it is


@pytest.mark.parametrize("size", [{}, {"size": 32}])
def test_a_photo_is_not_sent_twice(shop: Shop, writer: TestClient, size: dict[str, int]) -> None:
    path = "/v1/items/mine/photo"
    writer.put("/v1/items/mine", files={"photo": ("q.png", png(number=0))})
    tag = writer.get(path, params=size).headers["etag"]
    again = writer.get(path, params=size, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    writer.put("/v1/items/mine", files={"photo": ("q.png", png(number=1))})
    changed = writer.get(path, params=size, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_thumbnails_are_kept_up_to_a_bound(shop: Shop, context: AppContext, client: TestClient) -> None:
    context.thumbnails._limit = 1500
    for name in ("red-0", "red-1", "blue-0", "white-2"):
        assert client.get(f"/v1/items/{name}/photo", params={"size": 48}).status_code == 200
    kept = context.thumbnails._kept
    assert 0 < sum(map(len, kept.values())) == context.thumbnails._held <= 1500


@pytest.mark.parametrize(
    "name", ["a/photo", "a/b/c", "ü ñ 漢字 🧥", 'it\'s "x" & <y>', "?a=b#c", "%2F", "a%01b", ".", "..\\x", "a+b c"]
)
def test_any_text_is_an_id(writer: TestClient, name: str) -> None:
    path = f"/v1/items/{quote(name, safe='')}".replace("/.", "/%2E")
    assert writer.put(path, files={"photo": ("q.png", png())}).status_code == 201
    assert writer.get(path).json()["id"] == name
    assert writer.get(path + "/photo").content == png()
    assert ids(writer.post("/v1/search", json={"id": "red-2", "k": 1})) == [name]
    assert name not in ids(writer.post("/v1/search", json={"id": name, "k": 12}))
    assert writer.delete(path).status_code == 204
    refused(writer.get(path), "unknown_item")


@pytest.mark.parametrize("name", ["red-0%00", "red-0%00b", "%00"])
def test_no_id_has_the_character_that_ends_texts_in_sqlite(shop: Shop, writer: TestClient, name: str) -> None:
    """It would name another item."""
    before = shop.contents()
    assert (
        "U+0000"
        in refused(writer.put(f"/v1/items/{name}", files={"photo": ("q.png", png())}), "bad_request")["message"]
    )
    for method in ("GET", "PATCH", "DELETE"):
        refused(writer.request(method, f"/v1/items/{name}", json={"attributes": {}}), "unknown_item")
    for attributes in ({"colour": "Red\0"}, {"colour": ["Red", {"a": "\0"}]}, {"col\0our": "Red"}):
        message = refused(writer.patch("/v1/items/red-0", json={"attributes": attributes}), "bad_request")["message"]
        assert "U+0000" in message
    assert shop.contents() == before
    text = r"C:\u0000"  # a backslash is one
    assert writer.patch("/v1/items/red-0", json={"attributes": {"colour": text}}).json()["attributes"]["colour"] == text


# What holds for every answer.


@pytest.mark.parametrize(
    "path", ["/", "/v1/items/red-0", "/v1/items/red-0/photo", "/nothing", "/v1/facets?where=x", "/docs"]
)
def test_every_answer_has_its_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name in HEADERS:
        assert answer.headers[name.decode()]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers
    assert len(answer.headers["x-request-id"]) == 32


def test_a_request_id_is_taken_over_when_it_is_harmless(client: TestClient) -> None:
    assert client.get("/healthz", headers={"X-Request-Id": "abc-1.2_3"}).headers["x-request-id"] == "abc-1.2_3"
    for strange in ("a b", "x" * 65, '"}'):
        assert client.get("/healthz", headers={"X-Request-Id": strange}).headers["x-request-id"] != strange


def test_other_origins_are_let_in_only_when_configured(shop: Shop) -> None:
    settings = Settings(origins=("https://shop.example",))
    context = open_context(str(shop.gallery), settings=settings, model=str(shop.model))
    with TestClient(create_app(context)) as client:
        good = client.get("/v1/items/red-0", headers={"Origin": "https://shop.example"})
        assert good.headers["access-control-allow-origin"] == "https://shop.example"
        other = client.get("/v1/items/red-0", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_the_page_is_served_and_nothing_beside_it(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<title>" in page.text
    assert client.get("/", headers={"If-None-Match": page.headers["etag"]}).status_code == 304
    for path in ("/../app.py", "/%2e%2e/errors.py", "/..%2f..%2fpyproject.toml", "//etc/passwd", "/index.html/../x"):
        refused(client.get(path), "not_found")
    refused(client.post("/"), "method_not_allowed")


def test_health_and_figures(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    client.post("/v1/search", files={"photo": ("q.png", png())})
    client.get("/v1/items/none")
    figures = dict(line.rsplit(" ", 1) for line in client.get("/metrics").text.splitlines() if not line.startswith("#"))
    assert figures['lookalike_gallery_items{gallery="default"}'] == "12.0"
    assert figures['lookalike_requests_total{gallery="default",method="POST",route="/v1/search",status="200"}'] == "1.0"
    assert (
        figures['lookalike_requests_total{gallery="default",method="GET",route="/v1/items/{id}",status="404"}'] == "1.0"
    )
    assert figures['lookalike_refused_total{code="unknown_item"}'] == "1.0"
    assert figures["lookalike_batch_photos_count"] == "1.0"
    for phase in ("decode", "embed", "search"):
        assert figures[f'lookalike_phase_seconds_count{{phase="{phase}"}}'] == "1.0"
    assert figures['lookalike_queue_depth{lane="searches"}'] == "0.0"


def test_a_gallery_without_items_and_one_without_photos(shop: Shop, client: TestClient, writer: TestClient) -> None:
    with lookalike.open(shop.gallery) as opened:
        opened.gallery.remove([item.id for item in opened.gallery.list(limit=None)[1]])
    assert client.post("/v1/search", files={"photo": ("q.png", png())}).json()["matches"] == []
    assert client.get("/v1/items").json() == {"total": 0, "items": []}
    assert client.get("/v1/facets").json() == {"total": 0, "facets": []}
