"""Reads of rows from the collection: by expression, id or row number, in the order of adding, in pages, and counts."""

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
"""Rows with vectors that are read at once."""

MANY_AT_ONCE: Final = 16_384
"""Rows of a few short fields that are read at once: the largest number that Milvus allows."""

Row = dict[str, Any]


class MilvusReader:
    """Reads the collection.

    Attributes:
        wrote: Whether this process has written; its reads then include its own writes.
        removed: Whether this process has removed rows. Milvus's session consistency, which suffices for writes, may
            still return a row just after its own removal.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.wrote = self.removed = False

    def level(self, *, fresh: bool = False) -> str:
        """Consistency level of a read, as Milvus names it.

        Args:
            fresh: Read the latest data whatever the address says, as before rows are written again.
        """
        asked = self._connection.address.consistency
        if fresh or self.removed or asked == "Strong":
            return "Strong"
        return "Session" if self.wrote else asked

    def query(
        self,
        where: str,
        fields: Sequence[str],
        *,
        fresh: bool = False,
        limit: int | None = None,
        collection: str | None = None,
    ) -> list[Row]:
        """Rows that pass an expression, in the order of their ids.

        Args:
            where: Expression of Milvus.
            fields: Fields to read.
            fresh: As in `level`.
            limit: Largest number of rows; None is all.
            collection: Collection to read; None is the present one.
        """
        bounds = {} if limit is None else {"limit": limit}
        with self._connection.client(doing="reading") as client:
            return list(
                client.query(
                    collection or self._connection.collection,
                    filter=where,
                    output_fields=list(fields),
                    consistency_level=self.level(fresh=fresh),
                    **bounds,
                )
            )

    def count(self, where: str = ALL, *, fresh: bool = False, collection: str | None = None) -> int:
        """Number of rows that pass an expression, in the present collection or another one."""
        return int(self.query(where, ["count(*)"], fresh=fresh, collection=collection)[0]["count(*)"])

    def by_id(self, ids: Sequence[str], fields: Sequence[str], *, fresh: bool = False) -> list[Row]:
        """Rows by id, in any order; unknown ids are left out."""
        for item_id in ids:
            check_unicode(item_id)
        return list(self._named("id", ids, fields, fresh=fresh).values())

    def by_row(self, rows: Sequence[int], fields: Sequence[str]) -> dict[int, Row]:
        """Rows by row number; unknown numbers are left out."""
        return self._named("_row", [int(row) for row in rows], fields, fresh=False)

    def _named(self, key: str, wanted: Sequence[int | str], fields: Sequence[str], *, fresh: bool) -> dict[Any, Row]:
        """Rows by the values of a key field; unknown values are left out.

        While a row is being replaced, Milvus 2.3 may for an instant not find rows beside it. So missing rows are
        requested a second time.
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
        """Read the record of one item.

        Raises:
            UnknownNameError: There is no such item.
        """
        found = self.by_id([item_id], KNOWN, fresh=fresh)
        if not found:
            raise self.unknown(item_id)
        return to_record(found[0])

    def unknown(self, item_id: str) -> UnknownNameError:
        """The error for an unknown id, with a few known ones."""
        near = self.query(f"id >= {literal(item_id)}", ["id"], limit=3) or self.query(ALL, ["id"], limit=3)
        return UnknownNameError("item", item_id, [row["id"] for row in near])

    def ordered(self, where: str, fields: Sequence[str], *, size: int = AT_ONCE) -> Iterator[list[Row]]:
        """Iterate over the rows that pass an expression, in the order of adding, in batches of about `size`.

        Rows added meanwhile are not included, and a switch to another collection meanwhile is not followed.
        """
        collection = self._connection.collection
        for start, end, _ in self._windows(where, 0, now_us() + 1, size=size, collection=collection):
            yield self._between(where, start, end, fields, collection)

    def named(self, ids: Sequence[str], fields: Sequence[str]) -> Iterator[list[Row]]:
        """Iterate over the latest rows of some ids, in the order of adding, in batches; unknown ids are left out."""
        rows = sorted(self.by_id(ids, ["id", "_added"], fresh=True), key=lambda row: (row["_added"], row["id"]))
        for at in range(0, len(rows), AT_ONCE):
            part = [row["id"] for row in rows[at : at + AT_ONCE]]
            found = self.by_id(part, list(dict.fromkeys([*fields, "_added"])), fresh=True)
            yield sorted(found, key=lambda row: (row["_added"], row["id"]))

    def page(self, where: str, fields: Sequence[str], *, offset: int, limit: int | None) -> tuple[int, list[Row]]:
        """Number of rows that pass an expression, and a page of them in the order of adding."""
        collection = self._connection.collection
        total = self.count(where, collection=collection)
        last = total if limit is None else min(total, offset + limit)
        wanted: list[Row] = []
        passed = 0
        if offset >= last:
            return total, wanted
        for start, end, count in self._windows(where, 0, now_us() + 1, size=AT_ONCE, collection=collection):
            if passed + count > offset:
                rows = self._between(where, start, end, fields, collection)
                wanted += rows[max(0, offset - passed) : last - passed]
            passed += count
            if passed >= last:
                break
        return total, wanted

    def _between(self, where: str, start: int, end: int, fields: Sequence[str], collection: str) -> list[Row]:
        asked = list(dict.fromkeys([*fields, "id", "_added"]))
        rows = self.query(f"{within(start, end)} and ({where})", asked, collection=collection)
        return sorted(rows, key=lambda row: (row["_added"], row["id"]))

    def _windows(
        self, where: str, start: int, end: int, *, size: int, collection: str
    ) -> Iterator[tuple[int, int, int]]:
        """Split time into windows in which at most `size` rows were added: start, end and number of rows, in order.

        Milvus returns rows in the order of ids only. So a window is halved until its rows are few enough to be fetched
        and sorted. Empty windows are left out.
        """
        waiting = [(start, end)]
        while waiting:
            start, end = waiting.pop()
            count = self.count(f"{within(start, end)} and ({where})", collection=collection)
            if count > size and end - start > 1:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
            elif count:
                yield start, end, count


def within(start: int, end: int) -> str:
    """Expression for rows added from `start` on and before `end`, microseconds."""
    return f"_added >= {start} and _added < {end}"


def now_us() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def check_unicode(text: str) -> None:
    """Check that a text is Unicode.

    Raises:
        UsageError: It has lone surrogates, as names of files may have.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{text[:100]!r} is not Unicode text") from None
