"""Files of full text, beside the segment files.

    derived/
      text-<random>/
        stamp.json    manifest: the version that the words were read at, size and checksum of the file
        words.db      words of all items, see `word_table`; never changed

A folder is written under a temporary name and renamed when it is complete. All of it can be deleted at any time, also
while it is being read. Opening checks the whole file against its checksum: FTS5 has none of its own.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import short_reason
from lookalike.gallery.local.derived_folder import new_folder
from lookalike.gallery.local.full_text.word_table import (
    NUMBERS,
    SCHEMA,
    WordTable,
    listed,
    schema,
    texts_of,
    write_numbers,
    write_spellings,
    write_texts,
)
from lookalike.gallery.local.full_text.words import Words
from lookalike.gallery.local.manifest import checksum, read_manifest, write_manifest
from lookalike.gallery.local.pooled_connection import connect
from lookalike.gallery.local.segment_files import SegmentFolderError, StoppedError
from lookalike.gallery.local.version import Version, VersionId
from lookalike.storage.durable import flush

FILE: Final = "words.db"


class TextFiles:
    """Files of full text in a gallery's folder.

    Args:
        gallery: Folder of the gallery.
    """

    def __init__(self, gallery: Path) -> None:
        self._folder = gallery / "derived"
        self._refused: set[str] = set()

    def open(self, connection: sqlite3.Connection) -> Words | None:
        """Open the newest undamaged words of the database's history; None without some.

        Args:
            connection: Connection in a transaction.
        """
        kept: list[tuple[int, Path, Version]] = []
        for folder in self._folder.glob("text-*"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                version = Version.from_json(read_manifest(folder)["origin"])
                if folder.name not in self._refused and version.is_past_of(connection):
                    kept.append((version.change, folder, version))
        for _, folder, version in sorted(kept, key=lambda each: (-each[0], each[1])):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, sqlite3.Error):
                return Words(version, open_words(folder), WordTable(), folder)
        return None

    def refuse(self, folder: Path, *, delete: bool) -> None:
        """Never open a folder again.

        Args:
            folder: Folder of words.
            delete: Delete it.
        """
        self._refused.add(folder.name)
        if delete:
            shutil.rmtree(folder, ignore_errors=True)

    def refuse_version(self, version: VersionId, *, delete: bool) -> None:
        """Refuse all words that were read from one state of the database; see `refuse`."""
        for folder in self._folder.glob("text-*"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                if Version.from_json(read_manifest(folder)["origin"]).id == version:
                    self.refuse(folder, delete=delete)

    def build(self, connection: sqlite3.Connection, *, stop: threading.Event | None = None) -> Words:
        """Write the words of the version that a connection sees; the caller holds the lock of `SegmentFiles.building`.

        Args:
            connection: Connection in a transaction.
            stop: Event that stops the build.

        Raises:
            GalleryDamagedError: An item's checksum is wrong.
            SegmentFolderError: The words cannot be written.
            StoppedError: The build was stopped.
        """
        version = Version.now(connection)
        try:
            with new_folder(self._folder, "text") as (temporary, folder):
                write_words(connection, temporary / FILE, stop=stop)
                write_manifest(temporary, version)
            return Words(version, open_words(folder), WordTable(), folder)
        except (OSError, ValueError) as error:
            raise SegmentFolderError(f"{self._folder} cannot be written: {short_reason(error)}") from error

    def keep_only(self, kept: Path | None) -> None:
        """Delete all words but those in one folder; the caller holds the lock of `SegmentFiles.building`."""
        for old in self._folder.glob("text-*"):
            if old != kept:
                shutil.rmtree(old, ignore_errors=True)

    def damage(self) -> list[str]:
        """Read all files, and list their damage, one message each."""
        problems = []
        for folder in sorted(self._folder.glob("text-*")):
            try:
                open_words(folder).connection.close()
            except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
                problems.append(f"{folder} is damaged: {short_reason(error)}; delete it, and it is built again")
        return problems


def write_words(connection: sqlite3.Connection, path: Path, *, stop: threading.Event | None) -> None:
    """Write the words of all items to a new file.

    Raises:
        OSError: The file cannot be written.
        StoppedError: The writing was stopped.
    """
    with disk_errors():
        made = connect(path, "rwc")
    with closing(made):
        with disk_errors():
            # A file that is not complete is never opened.
            made.execute("PRAGMA journal_mode = OFF")
            made.execute("PRAGMA synchronous = OFF")
            made.executescript(SCHEMA)
            made.execute("BEGIN")
        numbers = [np.empty(0, dtype=NUMBERS)]
        for texts in texts_of(connection, "1"):
            if stop is not None and stop.is_set():
                raise StoppedError
            with disk_errors():
                numbers.append(write_texts(made, texts, first=1 + sum(map(len, numbers))))
        with disk_errors():
            made.execute("INSERT INTO words (words) VALUES ('optimize')")
            write_numbers(made, np.concatenate(numbers))
            write_spellings(made)
            made.execute("COMMIT")
    flush(path)


@contextlib.contextmanager
def disk_errors() -> Iterator[None]:
    """Tell SQLite's errors of the new file from those of the gallery's database, which is read meanwhile."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise OSError(str(error)) from error


def open_words(folder: Path) -> WordTable:
    """Open the words of a folder.

    Raises:
        OSError: A file is missing.
        ValueError: A file differs from the manifest, or the database from its schema.
        sqlite3.Error: The file is not a database.
    """
    path = folder / FILE
    recorded = read_manifest(folder)["files"][FILE]
    if path.stat().st_size != recorded["bytes"] or checksum(path) != recorded["checksum"]:
        raise ValueError(f"{path.name} is not as written")
    with closing(connect(path, "ro", immutable=True)) as connection:
        if listed(connection) != schema():
            raise ValueError(f"{path.name} has other tables")
    return WordTable(path)
