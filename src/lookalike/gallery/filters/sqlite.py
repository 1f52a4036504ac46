"""Writes filters as SQLite's SQL. Values are always parameters, and attributes go by their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import assert_never

from lookalike.gallery.filters.expression import (
    FIELDS,
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
    kind_of,
)
from lookalike.gallery.records import Kinds


@dataclass(frozen=True, slots=True)
class Clause:
    """What goes after WHERE.

    Attributes:
        sql: With a question mark for each parameter.
        parameters: In their order.
        attributes: Numbers of the attributes that are compared with values: an index on each would help.
    """

    sql: str
    parameters: tuple[str | int | float, ...]
    attributes: frozenset[int]


def attribute_expression(number: int) -> str:
    """The value of an attribute, written so that an index on the expression serves it."""
    return f"""json_extract(attributes, '$."{int(number)}"')"""


class SqliteCompiler:
    """Writes one condition.

    Args:
        number: Gives the number of an attribute.
        kinds: The kinds of values of each attribute, which decide what must be guarded against.
    """

    def __init__(self, number: Callable[[str], int], kinds: Mapping[str, Kinds]) -> None:
        self._number = number
        self._kinds = kinds
        self._parameters: list[str | int | float] = []
        self._attributes: set[int] = set()

    def clause(self, condition: Condition) -> Clause:
        """The whole of it."""
        sql = self._write(condition)
        return Clause(sql, tuple(self._parameters), frozenset(self._attributes))

    def _write(self, condition: Condition) -> str:
        match condition:
            case Every(terms):
                return "(" + " AND ".join([self._write(term) for term in terms]) + ")"
            case Some(terms):
                return "(" + " OR ".join([self._write(term) for term in terms]) + ")"
            case Not(term):
                return f"NOT {self._write(term)}"
            case Missing(name):
                return f"({self._column(name)} IS NULL)"
            case Like(name, pattern):
                self._parameters.append(pattern)
                # SQLite would take a number for its digits; in its order numbers come before all text.
                return self._guarded(name, Kinds.TEXT, f"{self._column(name)} LIKE ?", f"{self._column(name)} >= ''")
            case Between(name, low, high):
                sql = f"{self._noted(name)} BETWEEN {self._parameter(low)} AND {self._parameter(high)}"
                return self._guarded(name, kind_of(low), sql)
            case Among(name, values):
                return self._among(name, values)
            case Compare():
                return self._compare(condition)
        assert_never(condition)

    def _compare(self, condition: Compare) -> str:
        name, value = condition.name, condition.value
        if condition.operator == "!=":
            return f"NOT {self._compare(Compare(name, '=', value))}"
        kind = kind_of(value)
        if kind == Kinds.BOOLEAN:
            return f"({self._json_type(name)} = '{'true' if value else 'false'}')"
        column = self._noted(name)
        sql = f"{column} {condition.operator} {self._parameter(value)}"
        if condition.operator in (">", ">=") and kind == Kinds.NUMBER:
            return self._guarded(name, kind, sql, f"{column} < ''")
        if condition.operator in ("<", "<=") and kind == Kinds.TEXT:
            return self._guarded(name, kind, sql, f"{column} >= ''")
        return self._guarded(name, kind, sql)

    def _among(self, name: str, values: tuple[Value, ...]) -> str:
        terms = []
        for kind in (Kinds.TEXT, Kinds.NUMBER):
            parameters = [self._parameter(value) for value in values if kind_of(value) == kind]
            if parameters:
                terms.append(self._guarded(name, kind, f"{self._noted(name)} IN ({', '.join(parameters)})"))
        terms += [self._compare(Compare(name, "=", value)) for value in values if isinstance(value, bool)]
        return "(" + " OR ".join(terms) + ")"

    def _noted(self, name: str) -> str:
        """The column of an attribute that is compared in a way that an index helps with."""
        if name not in FIELDS:
            self._attributes.add(self._number(name))
        return self._column(name)

    def _guarded(self, name: str, kind: Kinds, sql: str, order: str = "") -> str:
        """Keep values of other kinds out, where the attribute has any, by parts that are null where it is missing.

        Args:
            name: Of the attribute.
            kind: The kind that is meant.
            sql: The comparison.
            order: Keeps the other one of numbers and text out, where `sql` does not; an index serves it.
        """
        kinds = self._kinds.get(name, Kinds.TEXT)
        parts = [sql]
        if order and kinds & ~kind:
            parts.append(order)
        if (kind == Kinds.NUMBER and Kinds.BOOLEAN in kinds) or (kind == Kinds.TEXT and Kinds.NESTED in kinds):
            types = "('text')" if kind == Kinds.TEXT else "('integer', 'real')"
            parts.append(f"{self._json_type(name)} IN {types}")
        return "(" + " AND ".join(parts) + ")"

    def _column(self, name: str) -> str:
        if name in FIELDS:
            return name
        return attribute_expression(self._number(name))

    def _json_type(self, name: str) -> str:
        return f"""nullif(json_type(attributes, '$."{self._number(name)}"'), 'null')"""

    def _parameter(self, value: Value) -> str:
        if isinstance(value, float):  # read by the same routine as the stored ones, whose last digit may differ
            self._parameters.append(json.dumps(value))
            return "json_extract(?, '$')"
        self._parameters.append(value)
        return "?"
