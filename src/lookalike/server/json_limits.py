"""JSON parsing with limits of values, depth and length, checked before any object is made.

A megabyte of `{"a":{"a":...` or of `[0,0,...` becomes a hundred megabytes of Python objects, and parsing holds the
interpreter lock. Counting the brackets and commas outside of strings first takes a few milliseconds.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from lookalike.server.errors import ApiError

LONGEST: Final = 2**20
"""Longest JSON body in bytes. Photos are sent as forms."""

MOST_VALUES: Final = 10_000
"""Most values of all objects and lists together."""

MOST_QUOTES: Final = 8 * MOST_VALUES
"""Most quotation marks: two for the key and two for the text of each value, and as many again for escaped ones."""

DEEPEST: Final = 64
"""Deepest nesting of objects and lists."""

LONGEST_NUMBER: Final = 400
"""Longest number in characters; parsing takes quadratic time, and no float needs more."""

STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
NUMBER: Final = re.compile(rb"[0-9.eE+-]{%d}" % (LONGEST_NUMBER + 1))
BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


def parse_json(data: bytes | str) -> object:
    """Parse JSON.

    Raises:
        ApiError: The text is not JSON, has NaN, infinities or a repeated key, or exceeds a limit.
    """
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    check_extent(text)
    try:
        return json.loads(data, parse_constant=refuse_constant, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "nested too deeply"
        raise ApiError("bad_request", f"expected JSON: {reason}") from None


def refuse_constant(constant: str) -> NoReturn:
    """Reject NaN and infinities, which Python accepts."""
    raise ValueError(f"{constant} is not a JSON number")


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of distinct keys. Python would keep the last of repeated ones.

    Raises:
        ValueError: A key is repeated.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:200]!r} is repeated in an object")
    return made


def check_extent(text: bytes) -> None:
    """Check the limits; syntax is checked later.

    Raises:
        ApiError: A limit is exceeded, or the text is not UTF-8.
    """
    if text[:4].find(b"\0") >= 0 or text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise ApiError("bad_request", "expected JSON in UTF-8")
    if text.count(b'"') > MOST_QUOTES:
        raise too_complex(f"the JSON has more than the {MOST_VALUES:,} values allowed", MOST_VALUES)
    between = STRING.sub(b"", text)
    values = between.count(b",") + between.count(b"[") + between.count(b"{")
    if values > MOST_VALUES:
        raise too_complex(f"the JSON has more than the {MOST_VALUES:,} values allowed", MOST_VALUES)
    depth = 0
    for bracket in between.translate(None, BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEEPEST:
            raise too_complex(f"the JSON is nested more than the {DEEPEST} levels allowed", DEEPEST)
    if NUMBER.search(between):
        raise too_complex(f"the JSON has a number of more than the {LONGEST_NUMBER} characters allowed", LONGEST_NUMBER)


def too_complex(message: str, limit: int) -> ApiError:
    """Error for JSON beyond a limit."""
    return ApiError("too_complex", message, details={"limit": limit})
