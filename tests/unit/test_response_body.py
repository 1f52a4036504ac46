"""Responses: compressed bodies, and when to ask again."""

from __future__ import annotations

import gzip
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from lookalike.errors import PhotoError
from lookalike.remote.addresses import parse
from lookalike.remote.response_body import ResponseBody, seconds_of

MEMBERS = gzip.compress(b"one" * 100) + gzip.compress(b"two" * 100)


def body() -> ResponseBody:
    return ResponseBody("gzip", parse("http://shop.example/table.csv"))


@pytest.mark.parametrize("size", [1, 7, len(MEMBERS)])
def test_all_members_of_a_gzip_body_are_decoded(size: int) -> None:
    whole = body()
    pieces = (MEMBERS[at : at + size] for at in range(0, len(MEMBERS), size))
    assert b"".join(whole.take(each, room=1000) for each in pieces) == b"one" * 100 + b"two" * 100
    whole.end()
    assert len(body().take(MEMBERS, room=310)) == 310


@pytest.mark.parametrize("rest", [b"\0", b"\0" * 512])
def test_padding_after_a_body_is_left_out(rest: bytes) -> None:
    padded = body()
    assert padded.take(MEMBERS + rest, room=1000) == b"one" * 100 + b"two" * 100
    assert padded.take(rest, room=400) == b""
    padded.end()
    deflated = ResponseBody("deflate", parse("http://shop.example/table.csv"))
    assert deflated.take(zlib.compress(b"one") + rest + b"\r\n", room=400) == b"one"
    deflated.end()


def test_a_gzip_body_is_complete_when_its_last_member_is() -> None:
    cut = body()
    cut.take(MEMBERS[:-3], room=1000)
    with pytest.raises(ConnectionError):
        cut.end()
    with pytest.raises(PhotoError, match="says it is compressed"):
        body().take(gzip.compress(b"one") + b"not a member", room=1000)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("", 0),
        ("soon", 0),
        ("Mon, 01 Jan 2024 00:00:00 GMT", 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", 0),
    ],
)
def test_a_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


def test_a_retry_after_counts_from_now() -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    assert seconds_of(in_an_hour) == pytest.approx(3600, abs=60)
