"""Compiles filters to expressions of Milvus.

Milvus has two truth values, and a missing field equals nothing. Filters have a third value, unknown, which stays
unknown when negated. So `not` is pushed inwards to the comparisons, and a negated comparison also requires that the
attribute exists: an item passes if its expression is certainly true, exactly as in SQLite.

Milvus 2.3 matches prefixes only, and with case. So for `like`, the matching values in the gallery are determined first,
and the expression lists them.
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
"""Expression that no item passes; row numbers are not negative."""


class MilvusCompiler:
    """Compiler of conditions.

    Args:
        matching_texts: Returns the values of an attribute, by name, that match a `like` pattern.
    """

    def __init__(self, matching_texts: Callable[[str, str], Sequence[str]]) -> None:
        self._matching_texts = matching_texts

    def passing(self, condition: Condition) -> str:
        """Expression that is true where the condition is true."""
        match condition:
            case Every(terms):
                return joined(" and ", [self.passing(term) for term in terms])
            case Some(terms):
                return joined(" or ", [self.passing(term) for term in terms])
            case Not(term):
                return self.failing(term)
            case Missing(name):
                return NOTHING if name == "id" else f"not ({exists(name)})"
            case Compare():
                return compared(condition)
            case Between(name, low, high):
                return f"({column(name)} >= {literal(low)} and {column(name)} <= {literal(high)})"
            case Among(name, values):
                return among(name, values)
            case Like(name, pattern):
                return among(name, tuple(self._matching_texts(name, pattern)))
        assert_never(condition)

    def failing(self, condition: Condition) -> str:
        """Expression that is true where the condition is false, not unknown."""
        match condition:
            case Every(terms):
                return joined(" or ", [self.failing(term) for term in terms])
            case Some(terms):
                return joined(" and ", [self.failing(term) for term in terms])
            case Not(term):
                return self.passing(term)
            case Missing(name):
                return exists(name)
            case Compare(name, "!=", value):
                return f"({equal(name, value)})"
            case Compare(name) | Between(name) | Among(name) | Like(name):
                return f"({exists(name)} and not {self.passing(condition)})"
        assert_never(condition)


def within_partitions(expression: str, condition: Condition, partition_by: str | None) -> str:
    """Restrict an expression to the partitions whose texts can pass its condition."""
    terms = condition.terms if isinstance(condition, Every) else (condition,)
    for term in terms:
        match term:
            case Compare(name, "=", str(value)) if name == partition_by:
                return f"_partition == {literal(value)} and {expression}"
            case Among(name, values) if name == partition_by and all(isinstance(value, str) for value in values):
                return f"_partition in [{', '.join(map(literal, values))}] and {expression}"
    return expression


def compared(condition: Compare) -> str:
    """Expression for a comparison."""
    name, value = condition.name, condition.value
    if condition.operator == "!=":
        return f"({exists(name)} and not ({equal(name, value)}))"
    if condition.operator == "=":
        return f"({equal(name, value)})"
    return f"({column(name)} {condition.operator} {literal(value)})"


def joined(word: str, terms: Sequence[str]) -> str:
    """Join terms with a word, in parentheses."""
    return f"({word.join(terms)})"


def column(name: str) -> str:
    """Field of an attribute in an expression."""
    if name == "id":
        return "id"
    return f"$meta[{literal(shown_as(name))}]"


def exists(name: str) -> str:
    """Expression for an existing attribute."""
    return "_row >= 0" if name == "id" else f"(exists {column(name)})"


def equal(name: str, value: Value) -> str:
    """Expression for equality."""
    return f"{column(name)} == {literal(value)}"


def among(name: str, values: Sequence[Value]) -> str:
    """Expression for membership; Milvus does not allow integers and floats in one list."""
    texts = [literal(value) for value in values if isinstance(value, str)]
    terms = [f"{column(name)} in [{', '.join(texts)}]"] if texts else []
    terms += [equal(name, value) for value in values if not isinstance(value, str)]
    return joined(" or ", terms or [NOTHING])


def literal(value: Value) -> str:
    """Literal of a value in an expression."""
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) < value < 2**63:
        value = float(value)
    return json.dumps(value, ensure_ascii=False)
