"""One state of a gallery, as a search sees it: frozen rows, the tail added since, and what has been removed since.

A snapshot never changes; when the database does, the next search takes a new one, which shares all that is the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from lookalike.gallery import stored_parameters
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.row_checksums import REMOVED_SUM, checked_vectors, damaged
from lookalike.gallery.local.segment import Frozen, Origin
from lookalike.gallery.records import AttributeNames, read_vectors
from lookalike.spaces import Space, width
from lookalike.types import Bool, Float32, Int64

if TYPE_CHECKING:
    from lookalike.gallery.local.ranking import Allowed

SMALL: Final = 1000
"""So many rows are scanned, and read from the database, in no time: nothing need be derived for them."""


@dataclass(frozen=True, slots=True)
class Tail:
    """Rows added since the frozen ones; see `Frozen` for the arrays."""

    numbers: Int64
    unit: Float32
    raw: Float32

    def __len__(self) -> int:
        return len(self.numbers)

    def without(self, removed: Int64) -> Tail:
        """The same, less some rows."""
        kept = ~np.isin(self.numbers, removed)
        if kept.all():
            return self
        unit = self.unit[kept]
        return Tail(self.numbers[kept], unit, unit if self.raw is self.unit else self.raw[kept])

    def followed_by(self, later: Tail) -> Tail:
        """The same, and more rows; only once, for what follows may take the room behind these."""
        if not len(later):
            return self
        if not len(self):
            return later
        unit = extended(self.unit, later.unit)
        if self.raw is not self.unit:
            raw = extended(self.raw, later.raw)
        elif later.raw is later.unit:
            raw = unit
        else:  # from here on they differ, so each needs room of its own
            raw = extended(self.raw.copy(), later.raw)
        return Tail(extended(self.numbers, later.numbers), unit, raw)


Rows = TypeVar("Rows", Float32, Int64)


def extended(rows: Rows, more: Rows) -> Rows:
    """Rows and more of them, which take the room behind the first that an earlier call has left.

    So a tail that grows by little many times is not copied each time.
    """
    count, whole = len(rows) + len(more), rows.base
    usable = isinstance(whole, np.ndarray) and whole.flags.writeable and whole.shape[1:] == rows.shape[1:]
    if whole is None or not usable or len(whole) < count:
        whole = np.empty((count + count // 2, *rows.shape[1:]), dtype=rows.dtype)
        whole[: len(rows)] = rows
    whole[len(rows) : count] = more
    return whole[:count]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state of the database and the rows to search in it.

    Attributes:
        change: Counts the commits.
        origin: The state.
        names: The attributes that are known.
        frozen: Rows with indexes over them; None while there are few.
        alive: (N,) bool, which frozen rows have not been removed since; None when all of them are.
        dead: How many have been.
        tail: Rows added since.
        weights: Those of the spaces that were learned for the gallery; None where none were.
        answers: What filters pass, good for as long as this state is.
    """

    change: int
    origin: Origin
    names: AttributeNames
    frozen: Frozen | None
    alive: Bool | None
    dead: int
    tail: Tail
    weights: Mapping[str, float] | None = None
    answers: dict[str, Allowed] = field(default_factory=dict)

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The gallery's."""
        return self.origin.spaces

    @property
    def split(self) -> int:
        """How many positions belong to frozen rows; those after them belong to the tail."""
        return 0 if self.frozen is None else len(self.frozen)

    def _all_frozen(self, positions: Int64) -> bool:
        """Whether all positions are of frozen rows, as they nearly always are."""
        return self.frozen is not None and not len(self.tail) and bool((positions >= 0).all())

    def numbers(self, positions: Int64) -> Int64:
        """Row numbers at positions; -1 where the position is."""
        if self._all_frozen(positions):
            assert self.frozen is not None
            return self.frozen.numbers[positions]
        found = np.full(positions.shape, -1, dtype=np.int64)
        if self.frozen is not None:
            held = (positions >= 0) & (positions < self.split)
            found[held] = self.frozen.numbers[positions[held]]
        later = positions >= self.split
        found[later] = self.tail.numbers[positions[later] - self.split]
        return found

    def unit(self, positions: Int64) -> Float32:
        """Unit rows at positions: (..., sum of D) float32; nan where the position is -1.

        They are those that a search has just found, and so checked.
        """
        if self._all_frozen(positions):
            assert self.frozen is not None
            return self.frozen.unit.array[positions]
        rows = np.full((*positions.shape, width(self.spaces)), np.nan, dtype=np.float32)
        if self.frozen is not None:
            held = (positions >= 0) & (positions < self.split)
            rows[held] = self.frozen.unit.array[positions[held]]
        later = positions >= self.split
        rows[later] = self.tail.unit[positions[later] - self.split]
        return rows


def is_stale(frozen: Frozen | None, now: Origin) -> bool:
    """Whether the rows added and removed since the frozen ones pass a tenth of them."""
    if frozen is None or now.count == 0:
        return now.count > SMALL
    return has_outgrown(frozen.origin, now)


def has_outgrown(then: Origin, now: Origin) -> bool:
    """Whether the rows added and removed since a state pass a tenth of those it had."""
    since = now.last_row - then.last_row + now.last_removal - then.last_removal
    return since > max(SMALL, then.count // 10)


def removed_since(connection: sqlite3.Connection, removal: int) -> Int64:
    """Rows that were removed after a removal, which is named by its number."""
    statement = f"SELECT row, checksum IS {REMOVED_SUM} FROM removed WHERE number > ?"
    found = connection.execute(statement, (removal,)).fetchall()
    if not all(sound for _, sound in found):
        raise damaged("the table of removed rows")
    return np.array([row for row, _ in found], dtype=np.int64)


def added_since(connection: sqlite3.Connection, row: int, *, columns: int) -> Tail:
    """Rows that come after a row.

    Raises:
        GalleryDamagedError: One is not as it was written.
    """
    statement = "SELECT row, unit, raw, checksum FROM vectors WHERE row > ? ORDER BY row"
    found = checked_vectors(connection.execute(statement, (row,)).fetchall(), width=columns)
    unit = read_vectors([unit for _, unit, _, _ in found], width=columns)
    strange = any(raw is not None for _, _, raw, _ in found)
    raw = read_vectors([raw or unit for _, unit, raw, _ in found], width=columns) if strange else unit
    return Tail(np.array([row for row, *_ in found], dtype=np.int64), unit, raw)


def check_count(origin: Origin, frozen: Frozen | None, dead: int, tail: Tail) -> None:
    """Make sure that there are as many vectors as items.

    Raises:
        GalleryDamagedError: There are not.
    """
    if (0 if frozen is None else len(frozen)) - dead + len(tail) != origin.count:
        raise damaged("the table of vectors, or that of removed rows,")


def take(connection: sqlite3.Connection, frozen: Frozen | None) -> Snapshot:
    """Take a snapshot of the state that a connection, in a transaction, sees.

    Args:
        connection: In a transaction.
        frozen: Rows of this generation of the database, at most as new as the state.
    """
    origin = Origin.now(connection)
    columns = width(origin.spaces)
    alive, dead = None, 0
    if frozen is not None:
        places = frozen.positions(removed_since(connection, frozen.origin.last_removal))
        if len(places):
            alive = np.ones(len(frozen), dtype=np.bool_)
            alive[places] = False
            dead = len(places)
    tail = added_since(connection, 0 if frozen is None else frozen.origin.last_row, columns=columns)
    check_count(origin, frozen, dead, tail)
    names = AttributeNames.read(connection)
    weights = stored_parameters.read(connection).weights
    return Snapshot(meta_number(connection, "change"), origin, names, frozen, alive, dead, tail, weights)


def follow(connection: sqlite3.Connection, previous: Snapshot) -> Snapshot:
    """Take a snapshot that goes on from an earlier one of the same generation."""
    origin = Origin.now(connection)
    alive, dead, tail = previous.alive, previous.dead, previous.tail
    removed = removed_since(connection, previous.origin.last_removal)
    if len(removed):
        places = removed[:0] if previous.frozen is None else previous.frozen.positions(removed)
        if len(places):
            alive = np.ones(previous.split, dtype=np.bool_) if alive is None else alive.copy()
            alive[places] = False
            dead += len(places)
        tail = tail.without(removed)
    if origin.last_row > previous.origin.last_row:
        columns = width(origin.spaces)
        tail = tail.followed_by(added_since(connection, previous.origin.last_row, columns=columns))
    check_count(origin, previous.frozen, dead, tail)
    names = AttributeNames.read(connection)
    return Snapshot(
        change=meta_number(connection, "change"),
        origin=origin,
        names=names,
        frozen=previous.frozen,
        alive=alive,
        dead=dead,
        tail=tail,
        weights=stored_parameters.read(connection).weights,
    )
