"""Segments: rows that never change, and the indexes over them."""

from __future__ import annotations

import contextlib
import logging
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from lookalike import index as indexes
from lookalike.errors import IndexFileError
from lookalike.gallery.local.version import Version
from lookalike.index import Index, Rows, checksummed
from lookalike.index.checksummed import ChecksummedFile
from lookalike.storage.durable import flush
from lookalike.types import Bool, Float32, Int64

LONG_TO_BUILD: Final = 20_000
"""Rows; an index over as many or more takes seconds, which is said by a log entry beforehand."""


class Segment:
    """Rows that do not change any more, and the indexes over them, loaded or built when they are first asked for.

    Attributes:
        version: What they were made from.
        unit: N concatenated unit rows of all columns.
        raw: The same as they were added; `unit` itself when nothing was of another length.
        numbers: (N,) int64, the rows' numbers in the database, rising.
        folder: Where they are kept; None when they are only in memory.
    """

    def __init__(self, version: Version, arrays: Mapping[str, Any], folder: Path | None) -> None:
        self.version = version
        self.unit = Rows.of(arrays["unit"])
        self.raw = Rows.of(arrays["raw"]) if "raw" in arrays else self.unit
        self.numbers: Int64 = arrays["numbers"]
        self.folder = folder
        self._first = int(self.numbers[0])
        self._contiguous = int(self.numbers[-1]) - self._first + 1 == len(self.numbers)
        self._indexes: dict[str, Index] = {}
        self._files: dict[str, ChecksummedFile] = {}
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
        return found if name == "exact" else SelfRepairingIndex(self, name, found, keep, self._files.get(name))

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

        One whose damage is seen when it is opened, or by a search, is built again then.
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
        return indexes.build(name, self.unit, spaces=self.version.spaces, settings=self.version.settings)


@dataclass(frozen=True, slots=True)
class SelfRepairingIndex:
    """An index that may come from a file; where a search finds the file damaged, a new one answers.

    Attributes:
        segment: The rows.
        name: The index's.
        index: What is searched.
        keep: See `Segment.index`.
        file: Where the index was read from, if it was.
    """

    segment: Segment
    name: str
    index: Index
    keep: bool
    file: ChecksummedFile | None

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | None = None, probes: int | None = None
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

    def save(self, path: Path) -> None:
        """Write the index to a file; see `Index.save`."""
        self.index.save(path)
