"""The words of the present version of a gallery: those in the file, and those of items written since."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.gallery.local.current_snapshot import Sight
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles, open_words
from lookalike.gallery.local.full_text.query_words import Splitter
from lookalike.gallery.local.full_text.word_table import WordTable, texts_of
from lookalike.gallery.local.metadata_table import altered_since
from lookalike.gallery.local.refresh import BUILDS, has_only_commits_since
from lookalike.gallery.local.segment_files import SegmentFiles, SegmentFolderError
from lookalike.gallery.local.snapshot import SMALL, removed_since
from lookalike.gallery.local.version import Version, VersionId
from lookalike.storage.fork import watch

TRIES: Final = 20
"""Largest number of attempts to read the words while the database is replaced or written to by another program."""


@dataclass(slots=True)
class Words:
    """Words of a gallery at a version.

    Attributes:
        version: Version of the database.
        sight: What was seen of the database.
        stored: Words in a file, or of all items in memory.
        later: Words of items that were added or have changed since, in memory.
        folder: Folder of `stored`; None in memory.
    """

    version: Version
    sight: Sight
    stored: WordTable
    later: WordTable
    folder: Path | None

    @property
    def tables(self) -> tuple[WordTable, WordTable]:
        """All tables; an item is live in one of them."""
        return self.stored, self.later

    def has_outgrown(self) -> bool:
        """Whether the changes since the stored words exceed a tenth of these, and `SMALL`."""
        changes = len(self.later) + int((~self.stored.live).sum())
        return changes > max(SMALL, len(self.stored) // 10)

    def close(self) -> None:
        """Close the tables."""
        for table in self.tables:
            table.connection.close()


class CurrentWords:
    """Keeps the words of a gallery at its present version, as this and other processes change it.

    Args:
        database: The database.
        segment_files: Its segment files, whose lock for building is used here, too.
        files: Files of full text.
    """

    def __init__(self, database: Database, segment_files: SegmentFiles, files: TextFiles) -> None:
        self._database = database
        self._segment_files = segment_files
        self._files = files
        self._words: Words | None = None
        self._splitter: Splitter | None = None
        self._lock = threading.RLock()
        watch(self)

    def before_fork(self) -> None:
        """Do nothing: the file is never written to again, and is read without locks."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, start with a new lock and without words."""
        if child:
            self._lock, self._words, self._splitter = threading.RLock(), None, None

    def close(self) -> None:
        """Close the tables; the next call opens them again."""
        with self._lock:
            if self._words is not None:
                self._words.close()
                self._words = None

    def split(self, texts: Sequence[str]) -> list[str]:
        """Split the texts of a query into words; see `Splitter`."""
        with self._lock:
            if self._splitter is None:
                self._splitter = Splitter()
            return self._splitter.split(texts)

    @contextmanager
    def at(self, version: VersionId) -> Iterator[Words | None]:
        """The words at a version of the database, for one thread at a time; None if that is not the present version.

        Args:
            version: `Version.id` of the present version.

        Raises:
            LookalikeError: The database was replaced at each attempt.
        """
        with self._lock:
            words = self._present()
            yield words if words.version.id == version else None

    def discard(self, words: Words) -> None:
        """Drop words whose file turned out to be damaged, so that the next call builds others."""
        with self._lock:
            self._drop(words)
            logging.getLogger(__name__).warning("%s: damaged words; they are built again", words.folder)
            if words.folder is not None:
                self._files.refuse(words.folder, delete=self._database.writable)

    def _drop(self, words: Words) -> None:
        words.close()
        if self._words is words:
            self._words = None

    def _present(self) -> Words:
        for _ in range(TRIES):
            with self._database.viewing() as reader:
                sight = Sight.of(self._database, reader)
                words = self._trusted(reader.connection, sight)
                if words is not None and self._is_advanced(words, reader.connection, sight):
                    return words
            self._renew()
        raise LookalikeError(f"{self._database.folder} is being replaced all the time; try again")

    def _trusted(self, connection: sqlite3.Connection, sight: Sight) -> Words | None:
        """The words that are held, if they are of the database's history; see `CurrentSnapshot`."""
        words = self._words
        if words is None:
            return None
        if words.sight.is_overwritten(sight):
            self._files.refuse_version(sight.version, delete=self._database.writable)
        elif words.version.is_past_of(connection):
            return words
        self._drop(words)
        return None

    def _is_advanced(self, words: Words, connection: sqlite3.Connection, sight: Sight) -> bool:
        """Bring words to the version that a connection sees; false if too much has changed.

        Raises:
            GalleryDamagedError: A checksum is wrong.
        """
        try:
            if words.has_outgrown() or not advanced(words, connection):
                return False
        except BaseException:
            self._drop(words)  # it may have some of the changes
            raise
        words.sight = sight
        return True

    def _renew(self) -> None:
        """Hold the words in the newest file, or read all of them again."""
        if self._takes_saved():
            return
        with self._database.reading() as connection:
            is_small = Version.now(connection).count <= SMALL
        if self._database.writable and not is_small:
            try:
                with self._segment_files.building(wait_s=0) as mine:
                    if mine and self._takes_saved():  # another process was first
                        return
                    if mine:
                        self._hold(self._read_all(keep=True))
                        return
            except SegmentFolderError as error:
                logging.getLogger(__name__).warning("%s; words are looked up in memory", error)
        self._hold(self._read_all(keep=False))

    def _hold(self, words: Words) -> None:
        if self._words is not None:
            self._words.close()
        self._words = words

    def _takes_saved(self) -> bool:
        """Hold the words of the newest file, if there are some and not too much has changed since."""
        with self._database.viewing() as reader:
            sight = Sight.of(self._database, reader)
            saved = self._files.open(reader.connection)
            if saved is None:
                return False
            version, folder, table = saved
            words = Words(version, sight, table, WordTable(), folder)
            if self._is_advanced(words, reader.connection, sight):
                self._hold(words)
                return True
            words.close()
        return False

    def _read_all(self, *, keep: bool) -> Words:
        """Read the words of all items.

        Args:
            keep: Write them to a file; the caller holds the lock for building.

        Raises:
            SegmentFolderError: The file cannot be written.
            LookalikeError: The database was written to by another program each time.
        """
        for _ in range(BUILDS):
            with self._database.viewing() as reader:
                version, sight = Version.now(reader.connection), Sight.of(self._database, reader)
                folder = self._files.build(reader.connection) if keep else None
                table = in_memory(reader.connection) if folder is None else open_words(folder)
                words = Words(version, sight, table, WordTable(), folder)
                is_steady = self._database.is_untouched(reader)
            if is_steady or has_only_commits_since(self._database, version):
                if keep:
                    self._files.keep_only(folder)
                return words
            words.close()
            if folder is not None:
                self._files.refuse(folder, delete=True)
        raise LookalikeError(
            f"{self._database.path} is written to by another program all the time; ask again when it has ended"
        )


def in_memory(connection: sqlite3.Connection) -> WordTable:
    """Words of all items of a gallery, in memory.

    Args:
        connection: Connection to the gallery's database, in a transaction.
    """
    table = WordTable()
    for texts in texts_of(connection, "1"):
        table.add(texts)
    return table


def advanced(words: Words, connection: sqlite3.Connection) -> bool:
    """Bring words to the version that a connection sees; false if too much has changed.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    then, now = words.version, Version.now(connection)
    if then.change == now.change:
        return True
    altered = altered_since(connection, then.change)
    most = max(SMALL, len(words.stored) // 10)
    if altered is None or len(altered) > most or now.last_row - then.last_row > most:
        return False
    rows = sorted(altered)
    gone = np.concatenate([removed_since(connection, then.last_removal), np.array(rows, dtype=np.int64)])
    for table in words.tables:
        table.forget(gone)
    condition = "row > ? OR row IN (SELECT value FROM json_each(?))"
    for texts in texts_of(connection, condition, then.last_row, json.dumps(rows)):
        words.later.add(texts)
    words.version = now
    return True
