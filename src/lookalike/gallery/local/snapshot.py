"""Snapshots: a segment, the unindexed rows added since, and the deletion bitmap of the segment.

A snapshot is immutable. After a change of the database the next search takes a new one, which shares unchanged arrays.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

import numpy as np

from lookalike.gallery import stored_parameters
from lookalike.gallery.filters.shapes import CompiledShapes
from lookalike.gallery.local import garments_table, reads
from lookalike.gallery.local.allowed_rows import FILTERS_REMEMBERED, PassingRows, RememberedRows
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.number_columns import NumberColumns
from lookalike.gallery.local.row_checksums import REMOVED_SUM, checked_vectors, damaged
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.version import Version
from lookalike.gallery.records import AttributeNames, read_raw_vectors, read_unit_vectors
from lookalike.gallery.weighting import Weighting
from lookalike.index import RowFormat
from lookalike.spaces import Space, width
from lookalike.types import Bool, Float32, Int64

SMALL: Final = 1000
"""Number of rows up to which no segment is built: reading and scanning them takes a few milliseconds."""


@dataclass(frozen=True, slots=True)
class UnindexedRows:
    """Rows added since the segment.

    Attributes:
        numbers: (M,) int64, row numbers in the database, ascending.
        unit: (M, sum of D) float32 unit vectors.
        raw: (M, sum of D) float32 raw vectors; `unit` itself if all were of unit length.
    """

    numbers: Int64
    unit: Float32
    raw: Float32

    def __len__(self) -> int:
        return len(self.numbers)

    def among(self, rows: Int64) -> Bool:
        """Which of these rows are among some, by row number, (n,) int64 in any order: (M,) bool."""
        if not len(self):
            return np.zeros(0, dtype=np.bool_)
        return np.isin(self.numbers, rows[rows >= self.numbers[0]])  # the others, of the segment, would be sorted too

    def without(self, removed: Int64) -> UnindexedRows:
        """These rows without some, by row number."""
        kept = ~np.isin(self.numbers, removed)
        if kept.all():
            return self
        unit = self.unit[kept]
        return UnindexedRows(self.numbers[kept], unit, unit if self.raw is self.unit else self.raw[kept])

    def followed_by(self, later: UnindexedRows, *, room: int) -> UnindexedRows:
        """These rows followed by more; call it once, since the result may use the spare room behind these arrays.

        Args:
            later: The rows to follow.
            room: Number of rows that new arrays have room for at least.
        """
        if not len(later):
            return self
        unit = extended(self.unit, later.unit, room=room)
        if len(self) and self.raw is not self.unit:
            raw = extended(self.raw, later.raw, room=room)
        elif later.raw is later.unit:
            raw = unit
        else:  # unit and raw differ from here on, so each needs its own array
            raw = extended(self.raw.copy(), later.raw, room=room)
        return UnindexedRows(extended(self.numbers, later.numbers, room=room), unit, raw)


Values = TypeVar("Values", Float32, Int64)


def extended(rows: Values, more: Values, *, room: int) -> Values:
    """Append rows, in the spare room that an earlier call left behind the first ones.

    So unindexed rows that grow in many small steps are not copied at each step. Copying those of a large gallery takes
    50 ms, which a search waits for; the system gives memory to room only when it is used.

    Args:
        rows: The first rows.
        more: Rows to append.
        room: Number of rows that a new array has room for at least.
    """
    count, whole = len(rows) + len(more), rows.base
    usable = len(rows) and isinstance(whole, np.ndarray) and whole.flags.writeable and whole.shape[1:] == rows.shape[1:]
    if whole is None or not usable or len(whole) < count:
        whole = np.empty((max(room, count + count // 2), *rows.shape[1:]), dtype=rows.dtype)
        whole[: len(rows)] = rows
    whole[len(rows) : count] = more
    return whole[:count]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows to search at one version of the database.

    Attributes:
        change: Number of commits.
        version: Version of the database.
        names: Names of attributes.
        segment: Segment; None in a small gallery.
        deletion_bitmap: (N,) bool, true for rows of the segment that were removed since; None if none were.
        deleted_count: Number of these rows.
        unindexed: Rows added since the segment.
        weights: Learned weights of the spaces; None without.
        answers: Cache of allowed rows by filter; the filter None is no filter.
        altered: Cache of rows altered after an earlier change, from `altered_since`.
        earlier: Rows that passed filters at earlier versions, with the same segment.
        filters: Compiles filters, and keeps them.
        columns: Numbers of attributes with their rows; shared with later snapshots.
        weightings: Cache of weightings, by `weights_key`.
        with_index: Attributes, by number, whose index was looked for; it is made where that is possible.
        with_garments: Whether items may have several rows, one for each garment.
    """

    change: int
    version: Version
    names: AttributeNames
    segment: Segment | None
    deletion_bitmap: Bool | None
    deleted_count: int
    unindexed: UnindexedRows
    filters: CompiledShapes
    columns: NumberColumns
    weights: Mapping[str, float] | None = None
    answers: RememberedRows = field(default_factory=RememberedRows)
    altered: dict[int, set[int] | None] = field(default_factory=dict)
    earlier: Mapping[str, PassingRows] = field(default_factory=dict)
    weightings: dict[tuple[tuple[str, float], ...], Weighting] = field(default_factory=dict)
    with_index: set[int] = field(default_factory=set)
    with_garments: bool = False

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces of the gallery."""
        return self.version.spaces

    @property
    def split(self) -> int:
        """Number of rows in the segment, which is the position of the first unindexed row."""
        return 0 if self.segment is None else len(self.segment)

    def passing(self) -> dict[str, PassingRows]:
        """Rows that passed the filters asked for last, the latest at the end."""
        kept = dict(self.earlier)
        for where, allowed in self.answers.items():
            if where is not None:
                kept.pop(where, None)
                numbers = self.unindexed.numbers[allowed.unindexed]
                kept[where] = PassingRows(self.version, allowed.segment, numbers)
        return dict(islice(kept.items(), max(0, len(kept) - FILTERS_REMEMBERED), None))

    def _all_in_segment(self, positions: Int64) -> bool:
        """Whether all positions are in the segment, which is the usual case."""
        return self.segment is not None and not len(self.unindexed) and bool((positions >= 0).all())

    def numbers(self, positions: Int64) -> Int64:
        """Row numbers at positions; -1 where the position is -1."""
        if self._all_in_segment(positions):
            assert self.segment is not None
            return self.segment.numbers[positions]
        found = np.full(positions.shape, -1, dtype=np.int64)
        if self.segment is not None:
            held = (positions >= 0) & (positions < self.split)
            found[held] = self.segment.numbers[positions[held]]
        later = positions >= self.split
        found[later] = self.unindexed.numbers[positions[later] - self.split]
        return found

    def unit(self, positions: Int64) -> Float32:
        """Unit vectors at positions: (..., sum of D) float32; nan where the position is -1.

        Checksums are not checked again: the positions are those that a search has just scored.
        """
        if self._all_in_segment(positions):
            assert self.segment is not None
            return self.segment.unit[positions]
        rows = np.full((*positions.shape, width(self.spaces)), np.nan, dtype=np.float32)
        if self.segment is not None:
            held = (positions >= 0) & (positions < self.split)
            rows[held] = self.segment.unit[positions[held]]
        later = positions >= self.split
        rows[later] = self.unindexed.unit[positions[later] - self.split]
        return rows

    def units_of(self, numbers: Int64) -> Float32 | None:
        """Unit vectors of rows by their numbers, (B, sum of D) float32; None unless all are in the segment.

        Raises:
            RowFileError: A row is damaged.
        """
        if self.segment is None:
            return None
        places = np.minimum(np.searchsorted(self.segment.numbers, numbers), self.split - 1)
        if (self.segment.numbers[places] != numbers).any():
            return None
        if self.deletion_bitmap is not None and self.deletion_bitmap[places].any():
            return None
        return self.segment.unit.take(places)


def is_stale(segment: Segment | None, now: Version) -> bool:
    """Whether the rows added and removed since the segment exceed a tenth of it."""
    if segment is None or now.count == 0:
        return now.count > SMALL
    return has_outgrown(segment.version, now)


def has_outgrown(then: Version, now: Version) -> bool:
    """Whether the rows added and removed since a version exceed a tenth of its rows, and `SMALL`."""
    since = now.last_row - then.last_row + now.last_removal - then.last_removal
    return since > allowed_changes(then.count)


def allowed_changes(count: int) -> int:
    """Rows added and removed since a segment of `count` rows, up to which it is not stale."""
    return max(SMALL, count // 10)


def removed_since(connection: sqlite3.Connection, removal: int) -> Int64:
    """Numbers of the rows removed after the removal with a number."""
    statement = f"SELECT row, checksum IS {REMOVED_SUM} FROM removed WHERE number > ?"
    found = connection.execute(statement, (removal,)).fetchall()
    if not all(sound for _, sound in found):
        raise damaged("the table of removed rows")
    return np.array([row for row, _ in found], dtype=np.int64)


def added_since(connection: sqlite3.Connection, row: int, *, spaces: Sequence[Space]) -> UnindexedRows:
    """Rows added after a row number.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    statement = "SELECT row, unit, raw, checksum FROM vectors WHERE row > ? ORDER BY row"
    row_format = RowFormat.of(spaces)
    found = checked_vectors(connection.execute(statement, (row,)).fetchall(), row_format)
    unit = read_unit_vectors([unit for _, unit, _, _ in found], row_format)
    strange = any(raw is not None for _, _, raw, _ in found)
    raw = read_raw_vectors([(unit, raw) for _, unit, raw, _ in found], row_format) if strange else unit
    return UnindexedRows(np.array([row for row, *_ in found], dtype=np.int64), unit, raw)


def check_count(version: Version, segment: Segment | None, deleted_count: int, unindexed: UnindexedRows) -> None:
    """Check that there are as many vectors as items.

    Raises:
        GalleryDamagedError: The numbers differ.
    """
    if (0 if segment is None else len(segment)) - deleted_count + len(unindexed) != version.count:
        raise damaged("the table of vectors, or that of removed rows,")


def take_snapshot(connection: sqlite3.Connection, segment: Segment | None) -> Snapshot:
    """Take a snapshot of the version that a connection sees.

    Args:
        connection: Connection in a transaction.
        segment: Segment of this version or an earlier one; None reads all rows as unindexed.
    """
    version = Version.now(connection)
    deletion_bitmap, deleted_count = None, 0
    if segment is not None:
        places = segment.positions(removed_since(connection, segment.version.last_removal))
        if len(places):
            deletion_bitmap = np.zeros(len(segment), dtype=np.bool_)
            deletion_bitmap[places] = True
            deleted_count = len(places)
    unindexed = added_since(connection, 0 if segment is None else segment.version.last_row, spaces=version.spaces)
    check_count(version, segment, deleted_count, unindexed)
    names, with_garments = AttributeNames.read(connection), garments_table.exists(connection)
    weights = stored_parameters.read(connection).weights
    return Snapshot(
        change=meta_number(connection, "change"),
        version=version,
        names=names,
        segment=segment,
        deletion_bitmap=deletion_bitmap,
        deleted_count=deleted_count,
        unindexed=unindexed,
        filters=reads.filters_of(names, with_garments=with_garments),
        columns=NumberColumns(),
        weights=weights,
        with_garments=with_garments,
    )


def next_snapshot(connection: sqlite3.Connection, previous: Snapshot) -> Snapshot:
    """Take a snapshot that reuses the arrays of an earlier one of the same generation.

    Args:
        connection: Connection in a transaction.
        previous: Earlier snapshot.
    """
    version = Version.now(connection)
    deletion_bitmap, deleted_count, unindexed = (
        previous.deletion_bitmap,
        previous.deleted_count,
        previous.unindexed,
    )
    removed = removed_since(connection, previous.version.last_removal)
    if len(removed):
        places = removed[:0] if previous.segment is None else previous.segment.positions(removed)
        if len(places):
            deletion_bitmap = (
                np.zeros(previous.split, dtype=np.bool_) if deletion_bitmap is None else deletion_bitmap.copy()
            )
            deletion_bitmap[places] = True
            deleted_count += len(places)
        unindexed = unindexed.without(removed)
    if version.last_row > previous.version.last_row:
        later = added_since(connection, previous.version.last_row, spaces=version.spaces)
        unindexed = unindexed.followed_by(later, room=allowed_changes(previous.split))
    check_count(version, previous.segment, deleted_count, unindexed)
    names, with_garments = AttributeNames.read(connection), garments_table.exists(connection)
    return Snapshot(
        change=meta_number(connection, "change"),
        version=version,
        names=names,
        segment=previous.segment,
        deletion_bitmap=deletion_bitmap,
        deleted_count=deleted_count,
        unindexed=unindexed,
        filters=previous.filters
        if (names.kinds, with_garments) == (previous.names.kinds, previous.with_garments)
        else reads.filters_of(names, with_garments=with_garments),
        columns=previous.columns,
        weights=stored_parameters.read(connection).weights,
        earlier=previous.passing() if with_garments == previous.with_garments else {},
        with_garments=with_garments,
    )
