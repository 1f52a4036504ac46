"""Rows of the collection: some by an expression, all in the order of adding, a page of them, or only their number."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.filters.milvus import literal
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.records import KNOWN, Record, to_record

ALL: Final = "_row >= 0"
AT_ONCE: Final = 1024
"""Rows with their vectors in one answer."""

MANY_AT_ONCE: Final = 16_384
"""Rows of a few short fields in one answer: the most that Milvus gives."""

Row = dict[str, Any]


class MilvusReader:
    """Asks the collection.

    Attributes:
        wrote: Whether this process has written; from then on it sees at least what it wrote itself.
        removed: Whether it has removed rows. Milvus's session consistency, which is enough for what was written,
            may still show a row at the instant of its own removal.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.wrote = self.removed = False

    def level(self, *, fresh: bool = False) -> str:
        """How fresh an answer must be, in Milvus's words.

        Args:
            fresh: As fresh as can be, whatever the address says; for what is going to be written again.
        """
        asked = self._connection.address.consistency
        if fresh or self.removed or asked == "Strong":
            return "Strong"
        return "Session" if self.wrote else asked

    def query(self, where: str, fields: Sequence[str], *, fresh: bool = False, limit: int | None = None) -> list[Row]:
        """Rows that pass an expression, in the order of their ids."""
        bounds = {} if limit is None else {"limit": limit}
        with self._connection.client(doing="reading") as client:
            return list(
                client.query(
                    self._connection.collection,
                    filter=where,
                    output_fields=list(fields),
                    consistency_level=self.level(fresh=fresh),
                    **bounds,
                )
            )

    def count(self, where: str = ALL, *, fresh: bool = False) -> int:
        """How many rows pass an expression."""
        return int(self.query(where, ["count(*)"], fresh=fresh)[0]["count(*)"])

    def by_id(self, ids: Sequence[str], fields: Sequence[str], *, fresh: bool = False) -> list[Row]:
        """Rows of ids, as far as they are there, in any order."""
        for item_id in ids:
            check_unicode(item_id)
        return list(self._named("id", ids, fields, fresh=fresh).values())

    def by_row(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, Row]:
        """Rows by their numbers, as far as they are there."""
        return self._named("_row", [int(row) for row in rows], fields, fresh=False)

    def _named(self, key: str, wanted: Sequence[int | str], fields: Sequence[str], *, fresh: bool) -> dict[Any, Row]:
        """Rows by what they are asked for by, as far as they are there.

        While one row is being replaced, Milvus 2.3 may for an instant not find others that lie beside it. So what is
        missing is asked for a second time.
        """
        found: dict[Any, Row] = {}
        for at in range(0, len(wanted), AT_ONCE):
            part = wanted[at : at + AT_ONCE]
            for _ in range(2):
                missing = [one for one in part if one not in found]
                if missing:
                    listed = ", ".join(str(one) if isinstance(one, int) else literal(one) for one in missing)
                    rows = self.query(f"{key} in [{listed}]", list(dict.fromkeys([key, *fields])), fresh=fresh)
                    found |= {row[key]: row for row in rows}
        return found

    def record(self, item_id: str, *, fresh: bool = False) -> Record:
        """One item.

        Raises:
            UnknownNameError: It is not there.
        """
        found = self.by_id([item_id], KNOWN, fresh=fresh)
        if not found:
            raise self.unknown(item_id)
        return to_record(found[0])

    def unknown(self, item_id: str) -> UnknownNameError:
        """The error for an id that is not there, with a few that are."""
        near = self.query(f"id >= {literal(item_id)}", ["id"], limit=3) or self.query(ALL, ["id"], limit=3)
        return UnknownNameError("item", item_id, [row["id"] for row in near])

    def ordered(self, where: str, fields: Sequence[str], *, size: int = AT_ONCE) -> Iterator[list[Row]]:
        """All rows that pass an expression, in the order of adding, in batches of about a size.

        What is added while this goes on is not among them.
        """
        for start, end, _ in self._windows(where, 0, now_us() + 1, size=size):
            yield self._between(where, start, end, fields)

    def page(self, where: str, fields: Sequence[str], *, offset: int, limit: int | None) -> tuple[int, list[Row]]:
        """How many rows pass an expression, and some of them in the order of adding."""
        total = self.count(where)
        last = total if limit is None else min(total, offset + limit)
        wanted: list[Row] = []
        passed = 0
        if offset >= last:
            return total, wanted
        for start, end, count in self._windows(where, 0, now_us() + 1, size=AT_ONCE):
            if passed + count > offset:
                rows = self._between(where, start, end, fields)
                wanted += rows[max(0, offset - passed) : last - passed]
            passed += count
            if passed >= last:
                break
        return total, wanted

    def _between(self, where: str, start: int, end: int, fields: Sequence[str]) -> list[Row]:
        asked = list(dict.fromkeys([*fields, "id", "_added"]))
        rows = self.query(f"{within(start, end)} and ({where})", asked)
        return sorted(rows, key=lambda row: (row["_added"], row["id"]))

    def _windows(self, where: str, start: int, end: int, *, size: int) -> Iterator[tuple[int, int, int]]:
        """Parts of time in which few rows were added, in order, with the number of rows; no empty ones.

        Milvus gives rows in the order of their ids only. So time is halved until what was added in a part of it is
        little enough to be fetched and sorted.
        """
        waiting = [(start, end)]
        while waiting:
            start, end = waiting.pop()
            count = self.count(f"{within(start, end)} and ({where})")
            if count > size and end - start > 1:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
            elif count:
                yield start, end, count


def within(start: int, end: int) -> str:
    """The expression for what was added from one time on and before another."""
    return f"_added >= {start} and _added < {end}"


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def check_unicode(text: str) -> None:
    """Refuse text that cannot be written.

    Raises:
        UsageError: It is not Unicode.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text[:100]!r} is not Unicode text") from None
