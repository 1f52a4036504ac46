"""Random filters give the same items in SQLite, and on Milvus, as an evaluation in Python."""

from __future__ import annotations

import operator
import random
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike.errors import FilterError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.protocol import Gallery
from lookalike.spaces import Space
from lookalike.types import JSON, Item
from milvus_server import MilvusServer

Truth: TypeAlias = bool | None

NAMES = ["price", "season", "base colour", 'a"b', "größe", "order"]
TEXTS = ["", "a", "A", "ab", "Ab c", "80", "100%", "a_b", "it's", "ß", "日本", "\\", "\U0001f457", "\uffff"]
NUMBERS = [0, 1, -1, 80, 2.5, -0.25, 19.99, 0.1, 1e300, 5e-324, 2**53 + 1, 2**62]
OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

values: st.SearchStrategy[JSON] = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.booleans(),
    st.none(),
    st.sampled_from([["a"], {"a": 1}, []]),
)
catalogues = st.lists(st.dictionaries(st.sampled_from(NAMES), values, max_size=4), min_size=1, max_size=8)


def kind(value: JSON) -> str:
    if isinstance(value, bool):
        return "boolean"
    return {int: "number", float: "number", str: "text"}.get(type(value), "nested")


def compares(symbol: str, held: JSON, asked: JSON) -> Truth:
    if held is None:
        return None
    if kind(held) != kind(asked):
        return symbol in ("!=", "<>")
    return OPERATORS[symbol](held, asked)


def resembles(held: JSON, pattern: str) -> Truth:
    """Whether a text fits a pattern, by way of a regular expression."""
    if held is None:
        return None
    parts = {"%": ".*", "_": "."}
    expression = "".join(parts.get(letter, re.escape(letter)) for letter in ascii_lower(pattern))
    return isinstance(held, str) and re.fullmatch(expression, ascii_lower(held), re.DOTALL) is not None


def ascii_lower(text: str) -> str:
    return re.sub("[A-Z]", lambda found: found[0].lower(), text)


def negated(truth: Truth) -> Truth:
    return None if truth is None else not truth


def every(truths: list[Truth]) -> Truth:
    return False if False in truths else None if None in truths else True


def some(truths: list[Truth]) -> Truth:
    return True if True in truths else None if None in truths else False


Test: TypeAlias = Callable[[dict[str, JSON]], Truth]
Filter: TypeAlias = tuple[str, Test]
"""An expression, and what it means as a function of an item's attributes."""


def quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


def written(value: JSON) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    name = draw(st.sampled_from(NAMES))
    scalars = st.one_of(st.sampled_from(TEXTS), st.sampled_from(NUMBERS), st.booleans())
    asked = draw(scalars)
    shape = draw(st.sampled_from(["compare", "compare", "in", "like", "null", "between"]))
    no = draw(st.sampled_from(["", "not "]))
    flip: Callable[[Truth], Truth] = negated if no else bool_or_none
    if shape == "compare":
        symbol = draw(st.sampled_from(["=", "!=", "<>"] if isinstance(asked, bool) else list(OPERATORS)))
        return f"{quoted(name)} {symbol} {written(asked)}", lambda item: compares(symbol, item.get(name), asked)
    if shape == "in":
        among = [asked, *draw(st.lists(scalars, max_size=3))]
        text = ", ".join(written(value) for value in among)
        return (
            f"{quoted(name)} {no}in ({text})",
            lambda item: flip(some([compares("=", item.get(name), value) for value in among])),
        )
    if shape == "like":
        pattern = "".join(draw(st.lists(st.sampled_from(["%", "_", "a", "B", "8", "ß", "'", "\\"]), max_size=4)))
        return f"{quoted(name)} {no}like {written(pattern)}", lambda item: flip(resembles(item.get(name), pattern))
    if shape == "null":
        return f"{quoted(name)} is {no}null", lambda item: flip(item.get(name) is None)
    low, high = draw(st.one_of(st.tuples(*[st.sampled_from(TEXTS)] * 2), st.tuples(*[st.sampled_from(NUMBERS)] * 2)))
    return (
        f"{quoted(name)} {no}between {written(low)} and {written(high)}",
        lambda item: flip(every([compares(">=", item.get(name), low), compares("<=", item.get(name), high)])),
    )


def bool_or_none(truth: Truth) -> Truth:
    return truth


def combined(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    def join(word: str, meaning: Callable[[list[Truth]], Truth]) -> st.SearchStrategy[Filter]:
        return st.lists(inner, min_size=2, max_size=3).map(
            lambda terms: (
                f" {word} ".join(f"({text})" for text, _ in terms),
                lambda item: meaning([test(item) for _, test in terms]),
            )
        )

    return st.one_of(
        join("and", every),
        join("or", some),
        inner.map(lambda term: (f"not ({term[0]})", lambda item: negated(term[1](item)))),
    )


conditions = st.recursive(comparisons(), combined, max_leaves=6)


@pytest.fixture(scope="module")
def gallery() -> Iterator[LocalGallery]:
    with tempfile.TemporaryDirectory() as folder, LocalGallery(Path(folder) / "any.gallery", create=True) as gallery:
        yield gallery


SPACES = [Space("deep", 1, "test")]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(catalogue=catalogues, condition=conditions)
def test_finds_what_python_finds(gallery: LocalGallery, catalogue: list[dict[str, JSON]], condition: Filter) -> None:
    gallery.remove([str(number) for number in range(8)])
    items = put_into(gallery, catalogue)
    finds_what_python_finds(gallery, items, condition)


def put_into(gallery: Gallery, catalogue: Sequence[dict[str, JSON]]) -> list[Item]:
    items = [Item(id=str(number), photo="x.jpg", attributes=known) for number, known in enumerate(catalogue)]
    # One item with a value of every kind for every name, so that no comparison is refused for its kind.
    kinds = [dict.fromkeys(NAMES, value) for value in ("a", 1, True)]
    items += [Item(id=f"kind {number}", photo="x.jpg", attributes=known) for number, known in enumerate(kinds)]
    gallery.add(items, {"deep": np.ones((len(items), 1), dtype=np.float32)}, spaces=SPACES)
    return items


def finds_what_python_finds(gallery: Gallery, items: Sequence[Item], condition: Filter) -> None:
    where, test = condition
    _, found = gallery.list(where=where, limit=None)
    assert [item.id for item in found] == [item.id for item in items if test(dict(item.attributes)) is True], where


@pytest.fixture(scope="module")
def on_milvus(milvus_server: MilvusServer) -> Iterator[tuple[Gallery, list[Item]]]:
    """A gallery with values of all kinds, whatever they are, under all names."""
    dice = random.Random(4)
    held: list[JSON] = [*TEXTS, *NUMBERS, True, False, None, ["a"], {"a": 1}, []]
    catalogue = [{name: dice.choice(held) for name in dice.sample(NAMES, 4)} for _ in range(60)]
    with open_gallery(f"{milvus_server.address}/filters", create=True) as gallery:
        yield gallery, put_into(gallery, catalogue)


@pytest.mark.milvus
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions)
def test_milvus_finds_what_python_finds(on_milvus: tuple[Gallery, list[Item]], condition: Filter) -> None:
    finds_what_python_finds(*on_milvus, condition)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(condition=conditions, wrong=st.text(alphabet="()=<>!'\"%-., abnotinlikeandor015[]{};:?@$#`\\/*\n", max_size=12))
def test_any_text_is_understood_or_refused(gallery: LocalGallery, condition: Filter, wrong: str) -> None:
    where = condition[0]
    middle = len(where) // 2
    for text in (wrong, where + wrong, where[:middle] + wrong + where[middle:]):
        try:
            gallery.list(where=text)
        except FilterError as error:
            assert 0 <= error.position <= len(text)
