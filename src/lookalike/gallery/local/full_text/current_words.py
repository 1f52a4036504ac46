"""The words of the present version of a gallery."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lookalike import deadline
from lookalike.errors import LookalikeError, UsageError
from lookalike.gallery.local.current_snapshot import Sight
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.full_text.words import Words
from lookalike.gallery.local.pooled_connection import PooledConnection
from lookalike.gallery.local.refresh import BUILDS, BackgroundBuild, has_only_commits_since
from lookalike.gallery.local.segment_files import SegmentFiles, SegmentFolderError
from lookalike.gallery.local.snapshot import SMALL
from lookalike.gallery.local.version import Version
from lookalike.storage.fork import watch

if TYPE_CHECKING:
    from lookalike.gallery.local.full_text.query_words import Splitter

TRIES: Final = 20
"""Largest number of attempts to read the words while the database is replaced or written to by another program."""


class CurrentWords:
    """Keeps the words of a gallery at its present version, as this and other processes change it.

    The words are read from the database when they are first asked for, as are those of galleries that were made before
    there was full text. In a gallery of more than `SMALL` items they are written to a file, which serves later
    processes; what has changed since is read at each search, and after many changes a new file is made.

    Tables in the database itself would cost each write the time of splitting texts, also in galleries that are never
    asked for words; they would need another format, and FTS5 has no checksums.

    Args:
        database: The database.
        segment_files: Its segment files, whose lock for building serves here, too.
        files: Files of full text.
    """

    def __init__(self, database: Database, segment_files: SegmentFiles, files: TextFiles) -> None:
        self._database = database
        self._segment_files = segment_files
        self._files = files
        self._words: Words | None = None
        self._sight: Sight | None = None  # what the last look saw of the database
        self._splitter: Splitter | None = None
        self._lock = threading.RLock()
        self._build = BackgroundBuild()
        watch(self)

    def before_fork(self) -> None:
        """Do nothing: files are never written to again, and are read without locks."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, start with a new lock and without words."""
        if child:
            self._lock, self._build = threading.RLock(), BackgroundBuild()
            self._words = self._sight = self._splitter = None

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Close the database within this context; a build is stopped, and the words are dropped."""
        self._build.stopping.set()
        yield
        self._build.stop()
        with self._lock:
            self._hold(None)

    def split(self, texts: Sequence[str]) -> list[str]:
        """Split the texts of a query into words; see `Splitter`."""
        from lookalike.gallery.local.full_text.query_words import Splitter

        with self._lock:
            if self._splitter is None:
                self._splitter = Splitter()
            return self._splitter.split(texts)

    @contextmanager
    def present(self) -> Iterator[tuple[Words, sqlite3.Connection]]:
        """The words at the present version, for one thread at a time, and a connection that sees this version.

        Raises:
            UsageError: The gallery is empty.
            GalleryDamagedError: A checksum is wrong.
            LookalikeError: The database was replaced at each attempt.
        """
        with self._lock:
            for _ in range(TRIES):
                with self._database.viewing() as reader:
                    words = self._advanced(reader)
                    if words is not None:
                        yield words, reader.connection
                        return
                with deadline.lifted():  # all later searches need the words, too
                    self._renew()
        raise LookalikeError(f"{self._database.folder} is being replaced all the time; try again")

    def discard(self, words: Words) -> None:
        """Drop words that cannot be read, so that the next call reads those of the items again."""
        logging.getLogger(__name__).warning("%s cannot be read; it is built again", words.folder)
        with self._lock:
            if self._words is words:
                self._hold(None)
            if words.folder is not None:
                self._files.refuse(words.folder, delete=self._database.writable)

    def _hold(self, words: Words | None) -> None:
        if self._words is not None:
            self._words.close()
        self._words = words

    def _advanced(self, reader: PooledConnection) -> Words | None:
        """The words that are held, brought to the version that a connection sees; None if all are to be read."""
        connection, sight = reader.connection, Sight.of(self._database, reader)
        words = self._trusted(connection, sight)
        try:
            if words is None or not words.is_advanced(connection):
                return None
        except BaseException:
            self._hold(None)
            raise
        if not words.version.spaces:
            raise UsageError(f"{self._database.folder} is empty: nothing has been added to it")
        if words.has_outgrown():
            self._build.start(self._rebuild, words.version)
        return words

    def _trusted(self, connection: sqlite3.Connection, sight: Sight) -> Words | None:
        """The words that are held, if they are of the database's history; see `CurrentSnapshot`."""
        last, self._sight = self._sight, sight
        if last is not None and last.is_overwritten(sight):
            self._files.refuse_version(sight.version, delete=self._database.writable)
            self._hold(None)
        if self._words is not None and not self._words.version.is_past_of(connection):
            self._hold(None)
        return self._words

    def _renew(self) -> None:
        """Hold the words in the newest file, or read those of all items."""
        self._hold(self._saved() or self._read())

    def _rebuild(self) -> None:
        """Read the words of all items, and hold them, while searches use the old ones."""
        words = self._read(stop=self._build.stopping)
        with self._lock:
            if self._build.stopping.is_set():
                words.close()
            else:
                self._hold(words)

    def _read(self, stop: threading.Event | None = None) -> Words:
        """Read the words of all items, into a file if they are many."""
        with self._database.reading() as connection:
            keep = self._database.writable and Version.now(connection).count > SMALL
        built = self._built(stop=stop) if keep else None
        return built or self._read_all(Words.in_memory)

    def _saved(self) -> Words | None:
        """The words in the newest file, unless too much has changed since."""
        with self._database.viewing() as reader:
            saved = self._files.open(reader.connection)
            if saved is None:
                return None
            if saved.is_advanced(reader.connection) and not saved.has_outgrown():
                return saved
        saved.close()
        return None

    def _built(self, stop: threading.Event | None = None) -> Words | None:
        """Words of all items in a new file; None if another process is building, or it cannot be written."""
        try:
            with self._segment_files.building(wait_s=0) as mine:
                if not mine:
                    return None
                words = self._saved() or self._read_all(lambda connection: self._files.build(connection, stop=stop))
                self._files.keep_only(words.folder)
                return words
        except SegmentFolderError as error:
            logging.getLogger(__name__).warning("%s; words are looked up in memory", error)
            return None

    def _read_all(self, read: Callable[[sqlite3.Connection], Words]) -> Words:
        """Read the words of all items; see `refresh.built_segment`.

        Raises:
            LookalikeError: The database was written to by another program each time.
        """
        for _ in range(BUILDS):
            with self._database.viewing() as reader:
                words = read(reader.connection)
                if self._database.is_untouched(reader):
                    return words
            if has_only_commits_since(self._database, words.version):
                return words
            words.close()
            if words.folder is not None:
                self._files.refuse(words.folder, delete=True)
        raise LookalikeError(
            f"{self._database.path} is written to by another program all the time; ask again when it has ended"
        )
