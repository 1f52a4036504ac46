"""Forms in pieces of any length, and what is refused."""

from __future__ import annotations

import tracemalloc

import pytest

from lookalike.server.errors import ApiError
from lookalike.server.form_parser import LONGEST_FIELD, Form, FormParser

TYPE = "multipart/form-data; boundary=seam"


def part(headers: str, data: bytes) -> bytes:
    """One part, with its boundary."""
    return f"--seam\r\n{headers}\r\n\r\n".encode() + data + b"\r\n"


def field(name: str, data: bytes) -> bytes:
    """A part that is a field."""
    return part(f'Content-Disposition: form-data; name="{name}"', data)


def parsed(body: bytes, *, piece: int = 2**20, parts: int = 8, content_type: str = TYPE) -> Form:
    """Parse a body in pieces of some bytes."""
    parser = FormParser(content_type, parts=parts)
    for start in range(0, len(body), piece):
        parser.write(body[start : start + piece])
    return parser.form()


PHOTO = bytes(range(256)) + b"\r\n--sea\r\n--" + b"\r\n" * 3
BODY = (
    field("k", b"5")
    + field("text", "Kleid, grün".encode())
    + field("where", b"")
    + part('Content-Disposition: form-data; name="photo"; filename="C:\\photos\\a.jpg"', PHOTO)
    + part('Content-Disposition: form-data; name="photo"\r\nContent-Type: image/png', b"png")
    + part("Content-Disposition: form-data; name=\"photo\"; filename*=UTF-8''gr%C3%BCn.jpg", b"named")
    + part('Content-Disposition: form-data; name="unlike"; filename=""', b"")
    + b"--seam--\r\n"
)


@pytest.mark.parametrize("piece", [1, 2, 7, 64, 2**20])
def test_a_form_is_the_same_in_pieces_of_any_length(piece: int) -> None:
    """Also where a boundary, or what looks like its beginning, is cut."""
    form = parsed(BODY, piece=piece)
    assert form.fields == {"k": ["5"], "text": ["Kleid, grün"]}
    assert [(file.name, file.getvalue()) for file in form.files["photo"]] == [
        ("a.jpg", PHOTO),
        ("photo", b"png"),
        ("grün.jpg", b"named"),
    ]
    assert [*form.untouched] == ["where", "unlike"]


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (field("k", b"5"), "bad_request", "its final boundary is missing"),
        (part("Content-Disposition: form-data", b"5") + b"--seam--", "bad_request", '"name" must be provided'),
        (field("k", b"\xff") + b"--seam--", "bad_request", "the field 'k' is not UTF-8"),
        (b"k=5", "bad_request", "Invalid multipart data"),
        (field("k", b"5") * 9 + b"--seam--", "too_many_parts", "more than the 8 parts"),
        (field("k", b"5" * (LONGEST_FIELD + 1)) + b"--seam--", "too_large", "longer than the 65,536 bytes"),
        (
            part('Content-Disposition: form-data; name="k"\r\nContent-Transfer-Encoding: base64', b"NQ==")
            + b"--seam--",
            "bad_request",
            "send the bytes unencoded",
        ),
    ],
)
def test_what_is_refused(body: bytes, code: str, words: str) -> None:
    """In one piece, and byte by byte."""
    for piece in (2**20, 1):
        with pytest.raises(ApiError, match=words) as caught:
            parsed(body, piece=piece)
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("content_type", "code"),
    [("multipart/form-data", "bad_request"), (f"{TYPE}; charset=utf-7", "unsupported_media_type")],
)
def test_the_media_type_is_checked(content_type: str, code: str) -> None:
    """Without a boundary there is no form, and another charset could name a codec that takes seconds."""
    with pytest.raises(ApiError) as caught:
        parsed(BODY, content_type=content_type)
    assert caught.value.code == code


def test_small_pieces_take_no_more_memory_than_their_bytes() -> None:
    """A slow network, or a client that means harm, sends few bytes at a time."""
    data = bytes(200_000)
    body = part('Content-Disposition: form-data; name="photo"; filename="a.jpg"', data) + b"--seam--\r\n"
    parser = FormParser(TYPE, parts=8)
    tracemalloc.start()
    for start in range(0, len(body), 2):
        parser.write(body[start : start + 2])
    form = parser.form()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert form.files["photo"][0].getvalue() == data
    assert peak < 3 * len(data)
