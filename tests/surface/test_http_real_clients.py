"""Requests of real clients: forms of browsers and old libraries, incomplete bodies, HEAD, malformed URLs."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import textwrap
from random import Random
from typing import Any

import pytest
from small_shop import Shop
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from test_http_answers import ids, png, refused

from fault_tries import Tries
from lookalike.server.convertors import EncodedItemPathsMiddleware, ItemIdConvertor

NDJSON = {"Content-Type": "application/x-ndjson"}
FORM = {"Content-Type": "multipart/form-data; boundary=frontier"}


def part(headers: str, content: bytes) -> bytes:
    """One part of a form."""
    return b"--frontier\r\n" + headers.replace("\n", "\r\n").encode() + b"\r\n\r\n" + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


PHOTO = part('Content-Disposition: form-data; name="photo"; filename="q.png"\nContent-Type: image/png', png())
ATTRIBUTES = part('Content-Disposition: form-data; name="attributes"', b'{"price": 1}')
WHERE = part('Content-Disposition: form-data; name="where"', b"colour = 'Blue'")
K = part('Content-Disposition: form-data; name="k"', b"2")
ITEMS = part('Content-Disposition: form-data; name="items"', b'{"id": "red-0", "attributes": {}}')

CUT: dict[str, tuple[str, str, bytes]] = {
    "put": ("PUT", "/v1/items/red-0", form(PHOTO, ATTRIBUTES)),
    "put a new item": ("PUT", "/v1/items/new", form(ATTRIBUTES, PHOTO)),
    "search": ("POST", "/v1/search", form(PHOTO, K, WHERE)),
    "bulk": ("POST", "/v1/items", form(ITEMS, PHOTO)),
}


@pytest.mark.parametrize("case", CUT)
def test_a_form_whose_end_is_cut_off_is_refused(
    shop: Shop, writer: TestClient, case: str, tries: Tries, luck: Random
) -> None:
    """Wherever it is cut, up to the two hyphens that end it."""
    method, path, body = CUT[case]
    before = shop.contents()
    whole = len(body) - len(b"\r\n")
    ends = {body.rindex(b"--frontier"), whole - 1, whole - 2, 1}
    ends |= {body.rindex(mark) + len(mark) for mark in (b"\r\n\r\n", b"form-data", b"Content-Dis")}
    ends |= {luck.randrange(1, whole) for _ in range(tries("cut-forms", short=10, long=500))}
    for end in sorted(ends):
        refused(writer.request(method, path, content=body[:end], headers=FORM), "bad_request")
    assert shop.contents() == before
    assert writer.request(method, path, content=body[:whole], headers=FORM).status_code in (200, 201)


def test_lines_and_json_that_are_cut_off_write_nothing(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    lines = b"\n".join(
        json.dumps({"id": name, "attributes": {"price": 3}}).encode() for name in ("red-0", "red-1", "blue-0")
    )
    first = lines.rindex(b"\n") + 1
    for end in range(first + 1, len(lines)):
        message = refused(writer.post("/v1/items", content=lines[:end], headers=NDJSON), "bad_request")["message"]
        assert "cut off in line 3" in message
    item = json.dumps({"product": "p", "attributes": {"price": 3}}).encode()
    for end in range(len(item)):
        for method in ("PUT", "PATCH"):
            answer = writer.request(
                method, "/v1/items/red-0", content=item[:end], headers={"Content-Type": "application/json"}
            )
            refused(answer, "bad_request")
    assert shop.contents() == before
    assert writer.post("/v1/items", content=lines, headers=NDJSON).json()["updated"] == 3


def test_an_id_that_is_not_percent_encoded_is_found() -> None:
    """As curl sends it, in UTF-8."""
    routed: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        routed.append(scope["path"])

    scope = {"type": "http", "path": "/v1/items/café/photo", "raw_path": "/v1/items/café/photo?size=48".encode()}
    asyncio.run(EncodedItemPathsMiddleware(app)(scope, None, None))  # type: ignore[arg-type]
    assert routed == ["/v1/items/caf%C3%A9/photo"]
    assert ItemIdConvertor().convert("caf%C3%A9") == "café"


def test_parts_as_several_clients_write_them(writer: TestClient) -> None:
    """Names as RFC 5987 has them, capitals in every header, a photo without a name."""
    spoken = (
        "Content-Disposition: form-data; name=\"photo\"; filename*=UTF-8''caf%C3%A9.png\nContent-Type: image/png",
        "Content-Disposition: form-data; name=\"photo\"; FileName*=utf-8'de'q%22.png",
        "Content-Disposition: form-data; name=photo; filename*=nonsense''q.png",
        'CONTENT-DISPOSITION: FORM-DATA; NAME="photo"; FILENAME="q.png"\nCONTENT-TYPE: IMAGE/PNG',
        'content-disposition: form-data; name="photo"\ncontent-type: Image/PNG',
    )
    for head in spoken:
        for kind in ("multipart/form-data; boundary=frontier", 'MULTIPART/FORM-DATA; BOUNDARY="frontier"'):
            body = form(part(head, png()), K)
            answer = writer.post("/v1/search", content=body, headers={"Content-Type": kind})
            assert ids(answer)[0] == "red-2", (head, kind)
    put = writer.put("/v1/items/x", content=form(part(spoken[0], png())), headers=FORM)
    assert put.status_code == 201
    bulk = form(
        part("Content-Disposition: form-data; name=items", b'{"id": "y", "photo": "caf\xc3\xa9.png"}'),
        part(spoken[0], png()),
    )
    assert writer.post("/v1/items", content=bulk, headers=FORM).json()["added"] == 1
    for kind in ("Application/JSON", "APPLICATION/JSON; CHARSET=UTF-8"):
        answer = writer.post("/v1/search", content=b'{"id": "red-0", "k": 1}', headers={"Content-Type": kind})
        assert answer.status_code == 200
    line = b'{"id": "red-0", "attributes": {}}'
    assert writer.post("/v1/items", content=line, headers={"Content-Type": "Application/X-NDJSON"}).status_code == 200


def test_untouched_inputs_of_a_web_page_are_not_given(writer: TestClient) -> None:
    """A browser sends an empty text for each input left alone, and an empty file without a name for each file."""

    def empty(name: str) -> bytes:
        return part(f'Content-Disposition: form-data; name="{name}"', b"")

    def no_file(name: str) -> bytes:
        head = f'Content-Disposition: form-data; name="{name}"; filename=""\nContent-Type: application/octet-stream'
        return part(head, b"")

    names = (
        "id",
        "unlike_id",
        "box",
        "k",
        "offset",
        "weights",
        "where",
        "index",
        "probes",
        "expand",
        "rerank",
        "metrics",
    )
    body = form(PHOTO, no_file("unlike"), *map(empty, names))
    plain = writer.post("/v1/search", files={"photo": ("q.png", png())}).json()
    answer = writer.post("/v1/search", content=body, headers=FORM)
    assert answer.status_code == 200, answer.text
    assert answer.json()["matches"] == plain["matches"]
    refused(writer.post("/v1/search", content=form(PHOTO, empty("wher")), headers=FORM), "bad_request")
    refused(writer.post("/v1/search", content=form(no_file("photo"), K), headers=FORM), "invalid")

    put = form(PHOTO, empty("product"), empty("box"), empty("attributes"))
    made = writer.put("/v1/items/x", content=put, headers=FORM)
    assert (made.status_code, made.json()["product"], made.json()["attributes"]) == (201, None, {})
    refused(writer.put("/v1/items/x", content=form(no_file("photo"), ATTRIBUTES), headers=FORM), "invalid")
    refused(writer.put("/v1/items/x", content=form(PHOTO, empty("colour")), headers=FORM), "bad_request")
    bulk = writer.post("/v1/items", content=form(ITEMS, no_file("photo")), headers=FORM)
    assert bulk.json()["unchanged"] == 1


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip"])
def test_bodies_that_are_packed_are_refused_as_such(shop: Shop, writer: TestClient, encoding: str) -> None:
    before = shop.contents()
    body = gzip.compress(b'{"attributes": {"price": 1}}')
    for method, path, kind in (
        ("PATCH", "/v1/items/red-0", "application/json"),
        ("PUT", "/v1/items/red-0", "application/json"),
        ("PUT", "/v1/items/red-0", FORM["Content-Type"]),
        ("POST", "/v1/items", "application/x-ndjson"),
        ("POST", "/v1/search", "application/json"),
    ):
        answer = writer.request(
            method, path, content=body, headers={"Content-Type": kind, "Content-Encoding": encoding}
        )
        assert "Content-Encoding" in refused(answer, "unsupported_media_type")["message"]
    assert shop.contents() == before
    plain = {"Content-Type": "application/json", "Content-Encoding": "identity"}
    assert writer.patch("/v1/items/red-0", content=b'{"attributes": {"price": 1}}', headers=plain).status_code == 200


def test_parts_that_are_encoded_are_refused_as_such(writer: TestClient) -> None:
    head = 'Content-Disposition: form-data; name="attributes"\nContent-Transfer-Encoding: base64'
    body = form(PHOTO, part(head, base64.b64encode(b'{"price": 1}')))
    assert "base64" in refused(writer.put("/v1/items/x", content=body, headers=FORM), "bad_request")["message"]


@pytest.mark.parametrize("charset", ["utf-16", "punycode", "latin-1", "undefined", "x" * 5000])
def test_forms_of_other_charsets_are_refused(client: TestClient, charset: str) -> None:
    """Some of Python's codecs take time that grows with the square of the text, on the event loop."""
    body = form(part('Content-Disposition: form-data; name="id"', b"red-0"))
    kind = {"Content-Type": f"{FORM['Content-Type']}; charset={charset}"}
    answer = client.post("/v1/search", content=body, headers=kind)
    assert "UTF-8" in refused(answer, "unsupported_media_type")["message"]
    assert len(answer.content) < 1000
    for plain in ("UTF-8", '"utf-8"', "us-ascii"):
        kind = {"Content-Type": f"{FORM['Content-Type']}; charset={plain}"}
        assert client.post("/v1/search", content=body, headers=kind).status_code == 200


def test_fields_that_are_not_unicode_are_refused(client: TestClient, writer: TestClient) -> None:
    for name, data in (("id", b"red-\xff"), ("where", b"colour = 'Gr\xfcn'"), ("weights", b'{"deep\xe9": 1}')):
        body = form(part(f'Content-Disposition: form-data; name="{name}"', data))
        answer = client.post("/v1/search", content=body, headers=FORM)
        assert "UTF-8" in refused(answer, "bad_request")["message"]
    body = form(PHOTO, part('Content-Disposition: form-data; name="product"', b"\x80"))
    assert "UTF-8" in refused(writer.put("/v1/items/x", content=body, headers=FORM), "bad_request")["message"]


@pytest.mark.parametrize("charset", ["rot13", "zlib", "undefined", "punycode", "idna"])
def test_a_file_name_of_an_odd_charset_is_no_name(client: TestClient, charset: str) -> None:
    head = f"Content-Disposition: form-data; name=\"photo\"; filename*={charset}''abc.png"
    answer = client.post("/v1/search", content=form(part(head, png())), headers=FORM)
    assert (answer.status_code, answer.json()["query"]["photo"]) == (200, "photo")


def test_a_key_that_comes_twice_is_refused(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    twice = '{"id": "red-0", "id": "red-1"}'
    json_type = {"Content-Type": "application/json"}
    answers = (
        writer.post("/v1/search", content=twice, headers=json_type),
        writer.patch("/v1/items/red-0", content='{"attributes": {"a": 1, "a": 2}}', headers=json_type),
    )
    for answer in answers:
        assert "repeated" in refused(answer, "bad_request")["message"]
    (line,) = writer.post("/v1/items", content=twice + "\n", headers=NDJSON).json()["lines"]
    assert "repeated" in line["error"]["message"]
    assert shop.contents() == before


def test_base64_in_all_its_clothes(writer: TestClient) -> None:
    plain = base64.b64encode(png()).decode()
    texts = [
        plain,
        "\n".join(textwrap.wrap(plain, 76)),
        "\r\n".join(textwrap.wrap(plain, 64)) + "\r\n",
        plain.rstrip("="),
        base64.urlsafe_b64encode(png()).decode(),
        f"data:image/png;base64,{plain}",
        f"DATA:;BASE64,{plain}",
        f" \n data:image/png; base64,{plain}",
        f"data:image/png;charset=utf-8;base64,{plain}\n",
        "data:image/png;base64," + plain.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
    ]
    body = "\n".join(json.dumps({"id": f"b{at}", "photo_base64": text}) for at, text in enumerate(texts))
    report = writer.post("/v1/items", content=body, headers=NDJSON).json()
    assert report["added"] == len(texts), report
    for at in range(len(texts)):
        assert writer.get(f"/v1/items/b{at}/photo").content == png()
    for text in ("data:image/png,abc", "data:image/png;base64", "ab*d", "abcde"):
        body = json.dumps({"id": "bad", "photo_base64": text})
        (line,) = writer.post("/v1/items", content=body, headers=NDJSON).json()["lines"]
        assert (line["status"], line["error"]["code"]) == ("failed", "invalid"), text


READ = ["/", "/v1/items", "/v1/items/red-0", "/v1/items/red-0/photo", "/v1/items/red-0/photo?size=32", "/v1/facets",
        "/v1/info", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json",
        "/v1/items/none", "/v1/none"]  # fmt: skip


@pytest.mark.parametrize("path", READ)
def test_head_is_get_without_a_body(client: TestClient, path: str) -> None:
    get, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    varying = {"x-request-id", *(["content-length"] if path == "/metrics" else [])}
    assert {name: value for name, value in head.headers.items() if name not in varying} == {
        name: value for name, value in get.headers.items() if name not in varying
    }


def test_head_is_no_way_to_write(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    answer = writer.head("/v1/search")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "HEAD" in writer.delete("/v1/info").headers["allow"]
    assert shop.contents() == before


SLIPS: dict[str, tuple[str, str]] = {
    "/v1/items?wher=price%20%3C%203": ("unknown_name", "did you mean 'where'?"),
    "/v1/items?LIMIT=3": ("unknown_name", "unknown query parameter 'LIMIT'"),
    "/v1/items?limit=3&limit=4": ("bad_request", "comes 2 times"),
    "/v1/items?ofset=": ("unknown_name", "did you mean 'offset'?"),
    "/v1/items/red-0?x": ("unknown_name", "unknown query parameter 'x'"),
    "/v1/items/red-0/photo?sise=32": ("unknown_name", "did you mean 'size'?"),
    "/v1/facets?value=3": ("unknown_name", "did you mean 'values'?"),
    "/v1/info?a=b": ("unknown_name", "unknown query parameter 'a'"),
}


@pytest.mark.parametrize("address", SLIPS)
def test_slips_in_an_address_are_told(client: TestClient, address: str) -> None:
    code, words = SLIPS[address]
    assert words in refused(client.get(address), code)["message"]


def test_what_belongs_into_a_body_is_not_taken_from_the_address(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/search?k=3", {"json": {"id": "red-0"}}),
        ("PUT", "/v1/items/red-0?product=p", {"json": {"attributes": {}}}),
        ("PATCH", "/v1/items/red-0?price=3", {"json": {"attributes": {}}}),
        ("DELETE", "/v1/items/red-0?force=1", {}),
        ("POST", "/v1/items?dry=1", {"content": b"{}", "headers": NDJSON}),
    ]
    for method, path, body in requests:
        refused(writer.request(method, path, **body), "unknown_name")
    assert shop.contents() == before
