"""Rows that do not change any more, what they were made from, and the indexes over them."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np

from lookalike import index as indexes
from lookalike.errors import IndexFileError
from lookalike.gallery.local.metadata_table import (
    last_number,
    meta_number,
    must_get,
    read_index_settings,
    read_spaces,
    signature_of,
)
from lookalike.index import Index, Rows, checksummed
from lookalike.index.checksummed import SealedFile
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space
from lookalike.storage.durable import flush
from lookalike.types import Bool, Float32, Int64

LONG_TO_BUILD: Final = 20_000
"""Rows; an index over as many or more takes seconds, which is said by a log entry beforehand."""


Moment: TypeAlias = tuple[str, int, str]
"""Generation, count and signature of the last commit: the same only for the same state of the same database."""


def moment_of(connection: sqlite3.Connection) -> Moment:
    """The present moment of the database that a connection sees."""
    generation = str(must_get(connection, "generation"))
    change = meta_number(connection, "change")
    return generation, change, signature_of(connection, change)


def was_once(connection: sqlite3.Connection, moment: Moment) -> bool:
    """Whether the database that a connection sees is, or was once, at a moment."""
    generation, change, signature = moment
    now = must_get(connection, "generation"), meta_number(connection, "change")
    return generation == now[0] and change <= now[1] and signature == signature_of(connection, change)


@dataclass(frozen=True, slots=True)
class Origin:
    """Which state of which database something was derived from.

    Attributes:
        generation: Of the database; a compacted one is another generation.
        spaces: What the columns are.
        change: Counts the commits.
        signature: Of the last commit. A database brought back from a copy counts, and numbers its rows, as before, but
            signs otherwise.
        last_row: Rows up to this number were considered.
        last_removal: Removals up to this number were considered.
        count: N, how many rows there were.
        raw: Whether any row was not of unit length when it was added.
        settings: Of the indexes over the rows.
    """

    generation: str
    spaces: tuple[Space, ...]
    change: int
    signature: str
    last_row: int
    last_removal: int
    count: int
    raw: bool
    settings: IndexSettings = USUAL

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Origin:
        """Read what `dataclasses.asdict` made of one."""
        spaces = tuple(Space(**space) for space in facts["spaces"])
        return cls(**{**facts, "spaces": spaces, "settings": IndexSettings(**facts["settings"])})

    @classmethod
    def now(cls, connection: sqlite3.Connection) -> Origin:
        """The state that a connection sees."""
        generation, change, signature = moment_of(connection)
        return cls(
            generation=generation,
            spaces=read_spaces(connection),
            change=change,
            signature=signature,
            last_row=last_number(connection, "items"),
            last_removal=last_number(connection, "removed"),
            count=meta_number(connection, "items"),
            raw=bool(meta_number(connection, "raw")),
            settings=read_index_settings(connection),
        )

    @property
    def moment(self) -> Moment:
        """What tells the state from all others."""
        return self.generation, self.change, self.signature

    def is_past_of(self, connection: sqlite3.Connection) -> bool:
        """Whether the database that a connection sees was once in this state."""
        now = Origin.now(connection)
        same = (self.generation, self.spaces, self.settings) == (now.generation, now.spaces, now.settings)
        return same and self.change <= now.change and self.signature == signature_of(connection, self.change)


class Frozen:
    """Rows that do not change any more, and the indexes over them, loaded or built when they are first asked for.

    Attributes:
        origin: What they were made from.
        unit: N concatenated unit rows of all columns.
        raw: The same as they were added; `unit` itself when nothing was of another length.
        numbers: (N,) int64, the rows' numbers in the database, rising.
        folder: Where they are kept; None when they are only in memory.
    """

    def __init__(self, origin: Origin, arrays: Mapping[str, Any], folder: Path | None) -> None:
        self.origin = origin
        self.unit = Rows.of(arrays["unit"])
        self.raw = Rows.of(arrays["raw"]) if "raw" in arrays else self.unit
        self.numbers: Int64 = arrays["numbers"]
        self.folder = folder
        self._first = int(self.numbers[0])
        self._contiguous = int(self.numbers[-1]) - self._first + 1 == len(self.numbers)
        self._indexes: dict[str, Index] = {}
        self._files: dict[str, SealedFile] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, rows: Int64) -> Int64:
        """Where rows stand; those that are not here are left out."""
        if self._contiguous:
            places: Int64 = rows - self._first
            return places[(places >= 0) & (places < len(self))]
        places = np.searchsorted(self.numbers, rows)
        places[places == len(self)] = 0
        found: Int64 = places[self.numbers[places] == rows]
        return found

    def index(self, name: str, *, keep: bool) -> Index:
        """An index over the unit rows; building one that is missing or damaged takes seconds.

        Args:
            name: One of `lookalike.index.INDEXES`.
            keep: Save one that had to be built, if there is a folder for it.

        Raises:
            UnknownNameError: There is no such index.
        """
        found = self._indexes.get(name)
        if found is None:
            with self._lock:
                if name not in self._indexes:
                    self._indexes[name] = self._load_or_build(name, keep=keep)
                found = self._indexes[name]
        return found if name == "exact" else Mending(self, name, found, keep, self._files.get(name))

    def has(self, name: str) -> bool:
        """Whether an index is there, loaded or in its file."""
        return name in self._indexes or name == "exact" or name in self.kept_indexes()

    def rebuilt(self, name: str, damaged: Index, *, keep: bool) -> Index:
        """The index that takes the place of one in which a search found damage; the first thread to ask builds it.

        Args:
            name: One of `lookalike.index.INDEXES`.
            damaged: The one that was searched.
            keep: Save the new one in the place of the damaged file.
        """
        with self._lock:
            if self._indexes[name] is damaged:
                self._files.pop(name, None)
                if keep and self.folder is not None:
                    with contextlib.suppress(OSError):
                        (self.folder / f"index-{name}").unlink()
                self._indexes[name] = self._build_and_keep(name) if keep else self._build(name)
            return self._indexes[name]

    def kept_indexes(self) -> list[str]:
        """Names of the indexes in the folder."""
        if self.folder is None:
            return []
        return sorted(name for name in indexes.INDEXES if (self.folder / f"index-{name}").exists())

    def damaged_indexes(self) -> list[str]:
        """What is wrong with the indexes in the folder, which are read whole.

        One whose damage is seen when it is opened, or by a search, is built anew then.
        """
        problems = []
        for name in self.kept_indexes():
            assert self.folder is not None
            path, spaces = self.folder / f"index-{name}", self.origin.spaces
            try:
                checksummed.check(path, name=name, count=len(self), spaces=spaces, all_of_it=True)
                indexes.load(name, path, rows=self.unit, spaces=spaces, settings=self.origin.settings)
            except IndexFileError as error:
                problems.append(str(error))
        return problems

    def _load_or_build(self, name: str, *, keep: bool) -> Index:
        if name == "exact" or self.folder is None:
            return self._build(name)
        path = self.folder / f"index-{name}"
        try:
            file = SealedFile(path, name=name, count=len(self), spaces=self.origin.spaces)
            loaded = indexes.load(name, path, rows=self.unit, spaces=self.origin.spaces, settings=self.origin.settings)
            file.check_in_place()
        except FileNotFoundError:
            return self._build_and_keep(name) if keep else self._build(name)
        except (IndexFileError, OSError) as error:
            logging.getLogger(__name__).warning("%s; it is built anew", error)
            return self._build_and_keep(name) if keep else self._build(name)
        self._files[name] = file
        return loaded

    def _build_and_keep(self, name: str) -> Index:
        built = self._build(name)
        if self.folder is None:
            return built
        path = self.folder / f"index-{name}"
        temporary = self.folder / f".index-{name}-{uuid.uuid4().hex}"
        # The folder may be deleted or the disk full, and FAISS says so by a RuntimeError: the one in memory serves too.
        with contextlib.suppress(OSError, RuntimeError):
            try:
                built.save(temporary)
                flush(temporary)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)
        return built

    def _build(self, name: str) -> Index:
        if name != "exact" and len(self) >= LONG_TO_BUILD:
            logging.getLogger(__name__).info("building the index %s over %s items, once", name, f"{len(self):,}")
        return indexes.build(name, self.unit, spaces=self.origin.spaces, settings=self.origin.settings)


@dataclass(frozen=True, slots=True)
class Mending:
    """An index that may come from a file; where a search finds the file damaged, one built anew answers.

    Attributes:
        frozen: The rows.
        name: The index's.
        index: What is searched.
        keep: See `Frozen.index`.
        file: Where the index was read from, if it was.
    """

    frozen: Frozen
    name: str
    index: Index
    keep: bool
    file: SealedFile | None

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find about the k best rows of each query; see `Index.search`."""
        try:
            if self.file is not None:
                self.file.check()
            return self.index.search(queries, k, allowed=allowed, probes=probes)
        except IndexFileError as error:
            logging.getLogger(__name__).warning("%s; it is built anew", error)
        index = self.frozen.rebuilt(self.name, self.index, keep=self.keep)
        return index.search(queries, k, allowed=allowed, probes=probes)

    def save(self, path: Path) -> None:
        """Write the index to a file; see `Index.save`."""
        self.index.save(path)
