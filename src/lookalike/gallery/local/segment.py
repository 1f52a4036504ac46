"""Segments: immutable rows and the indexes over them."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import numpy as np

from lookalike import index as indexes
from lookalike.errors import IndexFileError
from lookalike.gallery.local.version import Version
from lookalike.index import Allowed, Index, Rows, SearchesLater, checksummed
from lookalike.index.checksummed import ChecksummedFile
from lookalike.storage.durable import flush
from lookalike.types import Bool, Float32, Int64

LONG_TO_BUILD: Final = 20_000
"""Number of rows from which building an index takes seconds; a log entry announces it."""


class Segment:
    """Immutable rows with their indexes, which are loaded or built when first used.

    Attributes:
        version: Version of the database that the rows were copied from.
        numbers: (N,) int64, row numbers in the database, ascending.
        unit: (N, sum of D) unit vectors.
        raw: (N, sum of D) raw vectors; `unit` itself if all were of unit length.
        folder: Folder of the segment files; None for a segment in memory.
    """

    def __init__(
        self, version: Version, numbers: Int64, unit: Rows, raw: Rows | None = None, *, folder: Path | None
    ) -> None:
        self.version = version
        self.unit = unit
        self.raw = unit if raw is None else raw
        self.numbers = numbers
        self.folder = folder
        self._first = int(self.numbers[0])
        self._contiguous = int(self.numbers[-1]) - self._first + 1 == len(self.numbers)
        self._indexes: dict[str, Index] = {}
        self._files: dict[str, ChecksummedFile] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self.numbers)

    def positions(self, rows: Int64) -> Int64:
        """Positions of row numbers, (n,) int64; rows of other segments are left out."""
        if self._contiguous:
            places: Int64 = rows - self._first
            return places[(places >= 0) & (places < len(self))]
        places = np.searchsorted(self.numbers, rows)
        places[places == len(self)] = 0
        found: Int64 = places[self.numbers[places] == rows]
        return found

    def index(self, name: str, *, keep: bool) -> Index:
        """Load or build an index over the unit vectors; building takes seconds.

        Args:
            name: One of `lookalike.index.INDEXES`.
            keep: Save a built index, if the segment has a folder.

        Raises:
            UnknownNameError: There is no such index.
        """
        found = self._indexes.get(name)
        if found is None:
            with self._lock:
                if name not in self._indexes:
                    self._indexes[name] = self._load_or_build(name, keep=keep)
                found = self._indexes[name]
        return found if name == "exact" else SelfRepairingIndex(self, name, found, keep, self._files.get(name))

    def has(self, name: str) -> bool:
        """Whether an index is loaded or saved."""
        return name in self._indexes or name == "exact" or name in self.kept_indexes()

    def rebuilt(self, name: str, damaged: Index, *, keep: bool) -> Index:
        """Replace an index that a search found damaged; the first thread to call builds the new one.

        Args:
            name: One of `lookalike.index.INDEXES`.
            damaged: Index that was searched.
            keep: Save the new index in place of the damaged file.
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
        """Names of the saved indexes."""
        if self.folder is None:
            return []
        return sorted(name for name in indexes.INDEXES if (self.folder / f"index-{name}").exists())

    def damaged_indexes(self) -> list[str]:
        """Read all saved indexes, and list their damage, one message each.

        Damage that is found when an index is loaded or searched is repaired then by building it again.
        """
        problems = []
        for name in self.kept_indexes():
            assert self.folder is not None
            path, spaces = self.folder / f"index-{name}", self.version.spaces
            try:
                checksummed.check(path, name=name, count=len(self), spaces=spaces, all_of_it=True)
                indexes.load(name, path, rows=self.unit, spaces=spaces, settings=self.version.settings)
            except IndexFileError as error:
                problems.append(str(error))
        return problems

    def _load_or_build(self, name: str, *, keep: bool) -> Index:
        if name == "exact" or self.folder is None:
            return self._build(name)
        path = self.folder / f"index-{name}"
        try:
            file = ChecksummedFile(path, name=name, count=len(self), spaces=self.version.spaces)
            loaded = indexes.load(
                name, path, rows=self.unit, spaces=self.version.spaces, settings=self.version.settings
            )
            file.check_in_place()
        except FileNotFoundError:
            return self._build_and_keep(name) if keep else self._build(name)
        except (IndexFileError, OSError) as error:
            logging.getLogger(__name__).warning("%s; it is built again", error)
            return self._build_and_keep(name) if keep else self._build(name)
        self._files[name] = file
        return loaded

    def _build_and_keep(self, name: str) -> Index:
        built = self._build(name)
        if self.folder is None:
            return built
        path = self.folder / f"index-{name}"
        temporary = self.folder / f".index-{name}-{uuid.uuid4().hex}"
        # A deleted folder or a full disk, which FAISS reports as RuntimeError, is no error: the index is in memory.
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
        return indexes.build(name, self.unit, spaces=self.version.spaces, settings=self.version.settings)


@dataclass(frozen=True, slots=True)
class SelfRepairingIndex:
    """Index that is built again when a search finds its file damaged.

    Attributes:
        segment: Segment of the index.
        name: Name of the index.
        index: Index to search.
        keep: See `Segment.index`.
        file: File that the index was loaded from; None for a built one.
    """

    segment: Segment
    name: str
    index: Index
    keep: bool
    file: ChecksummedFile | None

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | Allowed | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find about the k best rows of each query; see `Index.search`."""
        try:
            if self.file is not None:
                self.file.check()
            return self.index.search(queries, k, allowed=allowed, probes=probes)
        except IndexFileError as error:
            logging.getLogger(__name__).warning("%s; it is built again", error)
        index = self.segment.rebuilt(self.name, self.index, keep=self.keep)
        return index.search(queries, k, allowed=allowed, probes=probes)

    def search_later(self, query: Float32, k: int, *, numbers: Int64, rows: Float32) -> tuple[Int64, Float32]:
        """Find about the k best of rows that were added later; see `SearchesLater.search_later`."""
        if hasattr(self.index, "search_later"):  # isinstance with a protocol takes 15 microseconds
            return cast(SearchesLater, self.index).search_later(query, k, numbers=numbers, rows=rows)
        return indexes.build("exact", rows, spaces=self.segment.version.spaces).search(query, k)

    def save(self, path: Path) -> None:
        """Write the index to a file; see `Index.save`."""
        self.index.save(path)
