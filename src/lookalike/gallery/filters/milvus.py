"""Writes filters as Milvus's expressions: the second back end of `lookalike.gallery.filters.expression`.

Milvus knows only true and false, and what is missing equals nothing. Filters have a third value, unknown, which stays
unknown when it is negated. So `not` is carried inwards to the single comparisons, and a negated one asks that the
attribute be there: an item passes when its expression is certainly true, exactly as in SQLite.

Milvus 2.3 matches only beginnings of text, and tells A from a. So `like` is answered from the values that there are:
those that fit are found first, and the expression lists them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, assert_never

from lookalike.gallery.filters.expression import (
    Among,
    Between,
    Compare,
    Condition,
    Every,
    Like,
    Missing,
    Not,
    Some,
    Value,
)
from lookalike.gallery.milvus.records import shown_as

NOTHING: Final = "_row < 0"
"""Passes no item; row numbers are not negative."""


class MilvusCompiler:
    """Writes one condition.

    Args:
        fitting: Finds the values of an attribute, by its name, that fit a pattern of `like`.
    """

    def __init__(self, fitting: Callable[[str, str], Sequence[str]]) -> None:
        self._fitting = fitting

    def passing(self, condition: Condition) -> str:
        """An expression that is true where the condition is certainly true."""
        match condition:
            case Every(terms):
                return joined(" and ", [self.passing(term) for term in terms])
            case Some(terms):
                return joined(" or ", [self.passing(term) for term in terms])
            case Not(term):
                return self.failing(term)
            case Missing(name):
                return NOTHING if name == "id" else f"not ({there(name)})"
            case Compare():
                return compared(condition)
            case Between(name, low, high):
                return f"({column(name)} >= {literal(low)} and {column(name)} <= {literal(high)})"
            case Among(name, values):
                return among(name, values)
            case Like(name, pattern):
                return among(name, tuple(self._fitting(name, pattern)))
        assert_never(condition)

    def failing(self, condition: Condition) -> str:
        """An expression that is true where the condition is certainly false."""
        match condition:
            case Every(terms):
                return joined(" or ", [self.failing(term) for term in terms])
            case Some(terms):
                return joined(" and ", [self.failing(term) for term in terms])
            case Not(term):
                return self.passing(term)
            case Missing(name):
                return there(name)
            case Compare(name, "!=", value):
                return f"({equal(name, value)})"
            case Compare(name) | Between(name) | Among(name) | Like(name):
                return f"({there(name)} and not {self.passing(condition)})"
        assert_never(condition)


def within_partitions(expression: str, condition: Condition, partition_by: str | None) -> str:
    """The expression of a condition, kept to the partitions of those texts that pass it at all."""
    terms = condition.terms if isinstance(condition, Every) else (condition,)
    for term in terms:
        match term:
            case Compare(name, "=", str(value)) if name == partition_by:
                return f"_partition == {literal(value)} and {expression}"
            case Among(name, values) if name == partition_by and all(isinstance(value, str) for value in values):
                return f"_partition in [{', '.join(map(literal, values))}] and {expression}"
    return expression


def compared(condition: Compare) -> str:
    """An attribute against a value."""
    name, value = condition.name, condition.value
    if condition.operator == "!=":
        return f"({there(name)} and not ({equal(name, value)}))"
    if condition.operator == "=":
        return f"({equal(name, value)})"
    return f"({column(name)} {condition.operator} {literal(value)})"


def joined(word: str, terms: Sequence[str]) -> str:
    """Terms with a word between them, in parentheses."""
    return f"({word.join(terms)})"


def column(name: str) -> str:
    """A field as an expression names it."""
    if name == "id":
        return "id"
    return f"$meta[{literal(shown_as(name))}]"


def there(name: str) -> str:
    """Whether an item has an attribute."""
    return "_row >= 0" if name == "id" else f"(exists {column(name)})"


def equal(name: str, value: Value) -> str:
    """Whether an attribute has a value."""
    return f"{column(name)} == {literal(value)}"


def among(name: str, values: Sequence[Value]) -> str:
    """Whether an attribute has one of some values; numbers, whole and broken, may not stand in one list."""
    texts = [literal(value) for value in values if isinstance(value, str)]
    terms = [f"{column(name)} in [{', '.join(texts)}]"] if texts else []
    terms += [equal(name, value) for value in values if not isinstance(value, str)]
    return joined(" or ", terms or [NOTHING])


def literal(value: Value) -> str:
    """A value as an expression writes it."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) < value < 2**63:
        value = float(value)
    return json.dumps(value, ensure_ascii=False)
