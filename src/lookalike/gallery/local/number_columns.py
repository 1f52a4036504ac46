"""Rows by the numbers that an attribute has, so that the rows of a range are found without a step for each of them.

SQLite lists the rows of a range in 0.1 microseconds each, and the arrays here are made in 0.2 of each row of the
gallery. So they are made once filters by the attribute have listed as many rows as there are, and a gallery that is
filtered rarely does without. Rows that were added or altered since are asked of SQLite.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from lookalike.gallery.filters.clause import Clause, NumberRange, attribute_expression
from lookalike.gallery.local import reads
from lookalike.gallery.local.attribute_indexes import MOST, WORTH_IT
from lookalike.gallery.local.integrity import CHECKED
from lookalike.gallery.local.metadata_table import altered_since, last_number
from lookalike.gallery.local.version import Version, version_id
from lookalike.types import Int64

LARGEST: Final = 1 << 20
"""Largest number of items, whose numbers take 16 MB; a query would wait for those of more for too long."""

MOST_CHANGED: Final = 1000
"""Largest number of items that may have been added, and of those altered, since the arrays were made."""

EXACT: Final = 1 << 53
"""Integers up to this one are float64 numbers, so that comparing these is comparing them."""


@dataclass(frozen=True, slots=True)
class NumberColumn:
    """Numbers of an attribute with their rows.

    Attributes:
        version: Version, at or after which the numbers were read.
        values: (V,) float64, distinct and ascending.
        starts: (V + 1,) int64, where the rows of each number begin in `rows`, and where the last ones end.
        rows: (n,) int64, numbers of the rows.
    """

    version: Version
    values: npt.NDArray[np.float64]
    starts: Int64
    rows: Int64

    @classmethod
    def read(cls, connection: sqlite3.Connection, attribute: int, *, version: Version) -> NumberColumn | None:
        """Read the numbers of an attribute; None if a float64 does not hold one of them.

        Args:
            connection: Connection in a transaction, which sees the version or a later one.
            attribute: Number of the attribute, which has numbers only.
            version: Version of a snapshot.
        """
        value = attribute_expression(attribute)
        found = connection.execute(
            f"SELECT {value}, count(*), group_concat(row) FROM items WHERE {value} IS NOT NULL GROUP BY {value}"
        ).fetchall()
        if not all(is_exact(number) for number, _, _ in found):
            return None
        starts = np.zeros(len(found) + 1, dtype=np.int64)
        np.cumsum([count for _, count, _ in found], out=starts[1:])
        rows = np.fromstring(",".join([text for _, _, text in found]), dtype=np.int64, sep=",")
        return cls(version, np.array([number for number, _, _ in found], dtype=np.float64), starts, rows)

    def between(self, bounds: list[tuple[str, float]]) -> Int64:
        """Rows whose numbers compare so with all of some numbers, by `=`, `<`, `<=`, `>` or `>=`: (n,) int64."""
        start, stop = 0, len(self.values)
        for operator, number in bounds:
            left, right = (int(np.searchsorted(self.values, number, side)) for side in ("left", "right"))
            if operator in ("=", ">=", ">"):
                start = max(start, right if operator == ">" else left)
            if operator in ("=", "<=", "<"):
                stop = min(stop, left if operator == "<" else right)
        return self.rows[self.starts[start] : self.starts[max(start, stop)]]


class NumberColumns:
    """Columns of a gallery without garments, made when they are worth it."""

    def __init__(self) -> None:
        self._made: dict[int, NumberColumn | None] = {}
        self._listed: dict[int, int] = {}

    def remembered_rows(self, clause: Clause, *, version: Version) -> Int64 | None:
        """Numbers of the rows that a filter passes, (n,) int64, without the database; None if it has to be asked.

        A small gallery is asked, since its items are checked before each filter; and so is SQLite for the value of a
        fraction, see `number_of`.

        Args:
            clause: The compiled filter.
            version: Present version of the database.
        """
        wanted = clause.range
        column = None if wanted is None else self._made.get(wanted.attribute)
        if wanted is None or column is None or version.count <= CHECKED or column.version.id != version.id:
            return None
        bounds: list[tuple[str, float]] = []
        for operator, place in wanted.comparisons:
            number = clause.parameters[place]
            if isinstance(number, str) or not is_exact(number):
                return None
            bounds.append((operator, float(number)))
        return column.between(bounds)

    def matching_rows(self, connection: sqlite3.Connection, clause: Clause, *, version: Version) -> Int64:
        """Numbers of the rows that a filter passes, (n,) int64, in any order; some twice, or removed since.

        Args:
            connection: Connection in a transaction, which sees the version or a later one.
            clause: The compiled filter.
            version: Version of a snapshot.
        """
        wanted = clause.range
        if wanted is None or not WORTH_IT <= version.count <= LARGEST:
            return reads.matching_rows(connection, clause)
        found = self._from_column(connection, clause, wanted)
        if found is not None:
            return found
        found = reads.matching_rows(connection, clause)
        listed = self._listed.get(wanted.attribute, 0) + len(found)
        if listed >= version.count and wanted.attribute not in self._made:
            for oldest in list(self._made)[: max(0, len(self._made) - MOST + 1)]:
                self._made.pop(oldest, None)
            self._made[wanted.attribute] = NumberColumn.read(connection, wanted.attribute, version=version)
            listed = 0
        self._listed[wanted.attribute] = listed
        return found

    def _from_column(self, connection: sqlite3.Connection, clause: Clause, wanted: NumberRange) -> Int64 | None:
        """Rows of a column, and of SQLite those that were added or altered since; None if it does not serve."""
        column = self._made.get(wanted.attribute)
        if column is None:
            return None
        numbers = [number_of(connection, clause.parameters[place]) for _, place in wanted.comparisons]
        if not all(is_exact(number) for number in numbers):
            return None
        operators = [operator for operator, _ in wanted.comparisons]
        found = column.between(list(zip(operators, map(float, numbers), strict=True)))
        if version_id(connection) == column.version.id:
            return found
        altered = None
        if column.version.is_past_of(connection):
            altered = altered_since(connection, column.version.change, most=MOST_CHANGED)
        if altered is None or last_number(connection, "items") - column.version.last_row > MOST_CHANGED:
            self._made.pop(wanted.attribute, None)
            return None
        parts = [found, reads.matching_rows(connection, clause, after=column.version.last_row)]
        if altered:
            parts[0] = found[~np.isin(found, np.array([*altered], dtype=np.int64))]
            parts.append(reads.matching_rows(connection, clause, among=altered))
        return np.concatenate(parts)


def number_of(connection: sqlite3.Connection, parameter: str | int | float) -> int | float:
    """The number of a parameter: of JSON, as SQLite parses it."""
    if not isinstance(parameter, str):
        return parameter
    number: float = connection.execute("SELECT json_extract(?, '$')", (parameter,)).fetchone()[0]
    return number


def is_exact(value: object) -> bool:
    """Whether a value of SQLite is a number that a float64 holds."""
    return isinstance(value, float) or (isinstance(value, int) and -EXACT <= value <= EXACT)
