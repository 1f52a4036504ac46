"""Filters that are compiled by their shape are the same as those compiled by themselves, errors included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalike.errors import FilterError
from lookalike.gallery.filters.shapes import CompiledShapes, shape_of
from lookalike.gallery.filters.sqlite import Clause
from lookalike.gallery.local.reads import compile_filter
from lookalike.gallery.records import AttributeNames, Kinds

NAMES = AttributeNames(
    [
        (1, "price", int(Kinds.NUMBER)),
        (2, "mixed", int(Kinds.NUMBER | Kinds.TEXT | Kinds.BOOLEAN)),
        (3, "text", int(Kinds.TEXT | Kinds.NESTED)),
        (4, "lot2", int(Kinds.NUMBER)),
        (5, "base 5 colour", int(Kinds.TEXT)),
        (6, "größe", int(Kinds.NUMBER)),
    ]
)
WORDS = [
    *("price", "mixed", "text", "lot2", '"base 5 colour"', '"lot2"', "größe", "id", "unknown", "text.lot2"),
    *(
        "=",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "==",
        "-",
        "--",
        "- ",
        "(",
        ")",
        ",",
        ".",
        "+",
        "*",
        "/*",
        "*/",
        "#",
        "\\",
    ),
    *("and", "or", "not", "in", "between", "like", "is", "null", "true", "false", "AND", "limit", "interval"),
    *(
        "'Red'",
        "'it''s 5'",
        "'80'",
        "''",
        "'1000000000000000.5'",
        "'\\'",
        "'--'",
        "N'5'",
        "$$5$$",
        "`5`",
        "'\0w'",
        "\0w",
    ),
    *("0", "5", "007", "35", "85", "1.5", "0.1", "79.90", ".5", "5.", "1e3", "1.5e3", "1.5e3-2", "5x", "0x1F", "1_000"),
    *("999999999999999", "1000000000000000", "1000000000000001", "9223372036854775807", "9223372036854775808"),
    *("1000000000000000.5", "0.30000000000000004", "٣", "1e999", "\n", "\t"),
]
SENTENCES = [
    "price >= {} and price < {}",
    "price between {} and -{}",
    "mixed in ({}, 'a', {}, true, -{}) or lot2 != {}",
    "not (größe < {} or lot2 is null) and text like '%{}%'",
    "\"base 5 colour\" = '{}' and price = {}",
    "price > {}and lot2 < {}",
    "price in ({},{},{})",
]


def compiled(where: str) -> Clause:
    return compile_filter(where, NAMES, with_garments=False)


def result(compile_text: object, where: str) -> object:
    """The compiled filter, or what its error says."""
    assert callable(compile_text)
    try:
        return compile_text(where)
    except FilterError as error:
        return str(error)


numbers = st.one_of(
    st.integers(0, 10**20).map(str),
    st.floats(0, 1e6, allow_nan=False).map(repr),
    st.sampled_from([word for word in WORDS if word[:1].isdigit()]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(SENTENCES), st.lists(numbers, min_size=4, max_size=4)), max_size=6))
def test_sentences_with_other_numbers_are_compiled_as_by_themselves(asked: list[tuple[str, list[str]]]) -> None:
    shapes = CompiledShapes(compiled)
    for sentence, several in asked:
        where = sentence.format(*several)
        assert result(shapes.clause, where) == result(compiled, where)


SHARED = CompiledShapes(compiled)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9), st.sampled_from(["", " "]), st.booleans())
def test_texts_of_any_words_are_compiled_as_by_themselves(words: list[str], space: str, begins: bool) -> None:
    where = space.join([*(["price", ">"] if begins else []), *words])
    assert result(SHARED.clause, where) == result(compiled, where)


@pytest.mark.parametrize(
    ("where", "shape", "numbers"),
    [
        ("price >= 35 and lot2 < -8.50", "price >= \0w and lot2 < -\0f", [35, 8.5]),
        ("\"a 5\" = '5' or x = 1e5", "\"a 5\" = '5' or x = 1e5", []),
        ("a > 1.5e-3 and a < b-3", "a > 1.5e-3 and a < b-\0w", [3]),
        ("a in (1,2.0, 1234567890123456)", "a in (\0w,\0f, 1234567890123456)", [1, 2.0]),
    ],
)
def test_a_shape_has_marks_for_plain_numbers_alone(where: str, shape: str, numbers: list[float]) -> None:
    assert shape_of(where) == (shape, numbers)


def counted() -> tuple[CompiledShapes, list[str]]:
    """Shapes, and the texts that they have compiled so far."""
    texts: list[str] = []

    def told(where: str) -> Clause:
        texts.append(where)
        return compiled(where)

    return CompiledShapes(told), texts


def test_a_shape_is_compiled_once() -> None:
    shapes, texts = counted()
    found = [shapes.clause(f"price < {number} and mixed != {number}.25") for number in range(5)]
    assert [clause.parameters for clause in found] == [(number, f"{number}.25") for number in range(5)]
    assert len(texts) == 1


def test_a_text_whose_shape_does_not_do_is_compiled_once() -> None:
    shapes, texts = counted()
    for where in ("größe < 2", "price < 2\nand lot2 > 3"):
        assert [shapes.clause(where) for _ in range(3)] == 3 * [compiled(where)]
    assert texts == ["größe < 2", "price < 2\nand lot2 > 3"]


def test_a_filter_is_as_long_as_its_text() -> None:
    shapes = CompiledShapes(compiled)
    for count in (200, 240, 260):
        where = f"price in ({', '.join(['1.234567890123'] * count)})"
        assert result(shapes.clause, where) == result(compiled, where)
    assert "at most 4000 characters" in str(result(shapes.clause, where))
