"""Compiles filters to SQL of SQLite. Values are always parameters, and attributes are named by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, assert_never

from lookalike.gallery.filters.clause import GARMENT, Clause, NumberRange, attribute_expression, number_parameter
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

FIELDS_WITH_GARMENTS: Final[Mapping[str, Kinds]] = {**FIELDS, GARMENT: Kinds.TEXT}
"""Fields in a gallery with garments; a filter by their kind looks at each garment by itself."""


class SqliteCompiler:
    """Compiler of conditions.

    Args:
        number: Returns the number of an attribute.
        kinds: Kinds of values of each attribute, which determine the guards against other kinds.
        fields: Fields, which are columns.
    """

    def __init__(
        self, number: Callable[[str], int], kinds: Mapping[str, Kinds], *, fields: Mapping[str, Kinds]
    ) -> None:
        self._number = number
        self._kinds = {**kinds, **fields}
        self._fields = fields
        self._parameters: list[str | int | float] = []
        self._attributes: set[int] = set()
        self._by_garment = False

    def clause(self, condition: Condition) -> Clause:
        """Compile a condition."""
        sql = self._write(condition)
        return Clause(
            sql, tuple(self._parameters), frozenset(self._attributes), self._by_garment, self._range(condition)
        )

    def _range(self, condition: Condition) -> NumberRange | None:
        """The condition as a range of numbers."""
        comparisons: list[tuple[str, int]] = []
        names = set()
        for term in condition.terms if isinstance(condition, Every) else (condition,):
            match term:
                case Compare(name, operator, value) if kind_of(value) == Kinds.NUMBER and operator != "!=":
                    comparisons.append((operator, len(comparisons)))
                case Between(name, low, _) if kind_of(low) == Kinds.NUMBER:
                    comparisons += [(">=", len(comparisons)), ("<=", len(comparisons) + 1)]
                case _:
                    return None
            names.add(name)
        name = names.pop()
        if names or name in self._fields or self._kinds.get(name) != Kinds.NUMBER:
            return None
        return NumberRange(self._number(name), tuple(comparisons))

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
                # LIKE converts numbers to text; in SQLite's order all numbers come before all text.
                return self._guarded(name, Kinds.TEXT, f"{self._column(name)} LIKE ?", f"{self._column(name)} >= ''")
            case Between(name, low, high):
                sql = f"{self._indexable(name)} BETWEEN {self._parameter(low)} AND {self._parameter(high)}"
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
        column = self._indexable(name)
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
                terms.append(self._guarded(name, kind, f"{self._indexable(name)} IN ({', '.join(parameters)})"))
        terms += [self._compare(Compare(name, "=", value)) for value in values if isinstance(value, bool)]
        return "(" + " OR ".join(terms) + ")"

    def _indexable(self, name: str) -> str:
        """Column of an attribute, recorded as one that an index is useful for."""
        if name not in self._fields:
            self._attributes.add(self._number(name))
        return self._column(name)

    def _guarded(self, name: str, kind: Kinds, sql: str, order: str = "") -> str:
        """Exclude values of other kinds, if the attribute has any, by conditions that are null for a missing attribute.

        Args:
            name: Name of the attribute.
            kind: Kind of the compared value.
            sql: SQL of the comparison.
            order: SQL that separates numbers from text by their order, which an index serves, where `sql` does not.
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
        if name in self._fields:
            self._by_garment |= name == GARMENT
            return name
        return attribute_expression(self._number(name))

    def _json_type(self, name: str) -> str:
        return f"""nullif(json_type(attributes, '$."{self._number(name)}"'), 'null')"""

    def _parameter(self, value: Value) -> str:
        self._parameters.append(value if isinstance(value, str) else number_parameter(value))
        return "json_extract(?, '$')" if isinstance(value, float) else "?"
