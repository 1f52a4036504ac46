"""Words that are read as others: errors between words against a slow count, and the choice among near words."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.text.spelling import distance, most_errors, nearest

WORD = st.text("abc", max_size=6)


@cache
def slow_distance(first: str, second: str) -> int:
    """The fewest steps, each on the last letters, that leave nothing of both words."""
    if not first or not second:
        return len(first) + len(second)
    steps = [
        slow_distance(first[:-1], second) + 1,
        slow_distance(first, second[:-1]) + 1,
        slow_distance(first[:-1], second[:-1]) + (first[-1] != second[-1]),
    ]
    if len(first) > 1 and len(second) > 1 and (first[-2], first[-1]) == (second[-1], second[-2]):
        steps.append(slow_distance(first[:-2], second[:-2]) + 1)
    return min(steps)


@given(WORD, WORD)
def test_errors_are_the_fewest_steps(first: str, second: str) -> None:
    assert distance(first, second) == slow_distance(first, second)


@pytest.mark.parametrize(
    ("word", "errors"), [("red", 0), ("caot", 1), ("florla", 1), ("zanzbar", 2), ("zan4bar", 0), ("tai11e", 0)]
)
def test_long_words_may_have_more_errors(word: str, errors: int) -> None:
    assert most_errors(word) == errors


@pytest.mark.parametrize(
    ("word", "items", "meant"),
    [
        ("caot", {"coat": 1, "goat": 9}, "coat"),  # fewer errors before more items
        ("boat", {"coat": 1, "goat": 9}, "goat"),
        ("boat", {"coat": 3, "goat": 3}, "coat"),
        ("boat", {"coat": 0, "goat": 1}, "goat"),
        ("boat", {"coat": 0}, None),
        ("boat", {"boots": 1}, None),
        ("trousesr", {"trousers": 1}, "trousers"),
    ],
)
def test_the_nearest_word_that_items_have_is_meant(word: str, items: dict[str, int], meant: str | None) -> None:
    assert nearest(word, items, items.__getitem__) == meant
