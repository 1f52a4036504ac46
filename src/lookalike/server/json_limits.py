"""Reading JSON that strangers send: how much of it there may be is seen before a single object is made of it.

A megabyte of `{"a":{"a":...` or of `[0,0,...` becomes a hundred megabytes of Python objects, and the interpreter does
nothing else meanwhile. So what stands between the strings is counted first, which takes a few milliseconds.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from lookalike.server.errors import Refusal

LONGEST: Final = 2**20
"""Bytes of a body that is JSON; photos are sent as forms."""

MOST_VALUES: Final = 10_000
"""Values of all objects and lists together."""

MOST_QUOTES: Final = 8 * MOST_VALUES
"""Each value has at most four, a key's and its own; a text with quotes in it may have some more."""

DEEPEST: Final = 64
"""Objects and lists inside each other."""

LONGEST_NUMBER: Final = 400
"""Characters: no number that a computer calculates with needs more, and a very long one takes very long to read."""

STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
NUMBER: Final = re.compile(rb"[0-9.eE+-]{%d}" % (LONGEST_NUMBER + 1))
BRACKETS: Final = bytes(sorted(set(range(256)) - set(b"[]{}")))


def parsed(data: bytes | str) -> object:
    """Read JSON.

    Raises:
        Refusal: It is none, holds numbers that JSON has not or a key twice, or has more values or is deeper than is
            allowed.
    """
    text = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    check_extent(text)
    try:
        return json.loads(data, parse_constant=refuse_constant, object_pairs_hook=distinct)
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, ValueError) else "it is nested too deeply"
        raise Refusal("bad_request", f"expected JSON: {reason}") from None


def refuse_constant(constant: str) -> NoReturn:
    """Refuse NaN and the infinities, which Python would read."""
    raise ValueError(f"{constant} is no number in JSON")


def distinct(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object of its keys and values, of which Python would keep the last where a key comes twice.

    Raises:
        ValueError: A key comes twice.
    """
    made = dict(pairs)
    if len(made) < len(pairs):
        seen = set[str]()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:200]!r} comes twice in an object")
    return made


def check_extent(text: bytes) -> None:
    """Count values and depth; what is no JSON is found out later.

    Raises:
        Refusal: There is too much.
    """
    if text[:4].find(b"\0") >= 0 or text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise Refusal("bad_request", "expected JSON in UTF-8")
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


def too_complex(message: str, limit: int) -> Refusal:
    """Refuse JSON that would take too much to read."""
    return Refusal("too_complex", message, facts={"limit": limit})
