"""JSON of requests: parsed as by Python, within limits of values, depth and digits."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.server.errors import ApiError
from lookalike.server.json_limits import DEEPEST, MOST_VALUES, parse_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "text", ['{"id": "a", "id": "b"}', '{"a": {"b": 1, "c": 2, "\\u0062": 1}}', '[{"": 1, "": 1}]']
)
def test_a_key_that_comes_twice_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="is repeated"):
        parse_json(text)


@given(VALUES, st.booleans())
def test_what_is_small_is_read_as_it_is(value: object, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    assert parse_json(text) == value
    assert parse_json(text.encode("utf-8", "surrogatepass")) == value


@pytest.mark.parametrize("piece", [b",", b"[", b"{", b"]", b'\\"', b"9", b"\\\\"])
def test_what_stands_in_a_text_is_no_value(piece: bytes) -> None:
    text = (piece * 30_000).decode()
    assert parse_json(b'{"a": "' + piece * 30_000 + b'"}') == {"a": json.loads(f'"{text}"')}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" + "0," * MOST_VALUES + "0]", "values"),
        ("[" + '"",' * 5 * MOST_VALUES + "0]", "values"),
        ("{" + ",".join(f'"{at}":0' for at in range(MOST_VALUES + 1)) + "}", "values"),
        ("[{}," * (MOST_VALUES // 2) + "0", "values"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "levels"),
        ('{"a":' * (DEEPEST + 1), "levels"),
        ("9" * 401, "characters"),
        ('{"a": -0.' + "1" * 500 + "}", "characters"),
    ],
)
def test_what_is_too_much_is_refused(text: str, said: str) -> None:
    with pytest.raises(ApiError, match=said) as refused:
        parse_json(text)
    assert refused.value.status == 413


def test_the_limits_themselves_are_allowed() -> None:
    assert len(parse_json("[" + "0," * (MOST_VALUES - 2) + "0]")) == MOST_VALUES - 1  # type: ignore[arg-type]
    assert parse_json("[" * DEEPEST + "]" * DEEPEST)
    assert parse_json("9" * 400) == int("9" * 400)


@pytest.mark.parametrize("text", ["", "{", "[1,]", "NaN", "[Infinity]", '"a', "\ufeff1", "1 2", "'a'"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse_json(text)
    assert refused.value.status == 400
