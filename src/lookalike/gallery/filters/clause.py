"""SQL conditions of SQLite that filters are compiled to, by `sqlite`, and the expressions in them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

GARMENT: Final = "garment"
"""Field of the kind of a garment, a column of the table of garments."""

ITEMS_WITH_GARMENTS: Final = "items LEFT JOIN garments ON item = row"
"""Items with each of their garments; the row of the vectors is `coalesce(vector, row)`."""


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A filter that is nothing but comparisons of one attribute with numbers, all of which have to be true.

    Attributes:
        attribute: Number of the attribute, whose values are numbers, in all items that have one.
        comparisons: Operator of each comparison, one of `=`, `<`, `<=`, `>`, `>=`, and position of its parameter.
    """

    attribute: int
    comparisons: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Clause:
    """SQL condition after WHERE.

    Attributes:
        sql: SQL with a question mark for each parameter.
        parameters: Parameters in their order.
        attributes: Numbers of the attributes that are compared with values, for which an index is useful.
        by_garment: Whether it is a condition on garments, joined with their items, and not on items alone.
        range: The same, as a range of numbers; None if it is something else.
    """

    sql: str
    parameters: tuple[str | int | float, ...]
    attributes: frozenset[int]
    by_garment: bool = False
    range: NumberRange | None = None

    @property
    def on_items(self) -> str:
        """Condition on items: that one passes, or one of its garments."""
        if not self.by_garment:
            return self.sql
        return f"row IN (SELECT row FROM {ITEMS_WITH_GARMENTS} WHERE {self.sql})"


def attribute_expression(number: int) -> str:
    """SQL expression of an attribute's value, in the form that attribute indexes have."""
    return f"""json_extract(attributes, '$."{int(number)}"')"""


def number_parameter(value: int | float) -> int | str:
    """Parameter for a number: a float64 is JSON, which SQLite parses as it does stored values, to the last digit."""
    return json.dumps(value) if isinstance(value, float) else value
