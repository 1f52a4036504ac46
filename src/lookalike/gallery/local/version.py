"""Versions of a gallery's database, and whether a version is in its history."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from lookalike.gallery.local import garments_table
from lookalike.gallery.local.metadata_table import (
    last_number,
    meta_number,
    must_get,
    read_index_settings,
    read_spaces,
    signature_of,
)
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space

VersionId: TypeAlias = tuple[str, int, str]
"""Generation, number and signature of the last commit: equal only for the same state of the same database."""


def version_id(connection: sqlite3.Connection) -> VersionId:
    """The version that a connection sees."""
    generation = str(must_get(connection, "generation"))
    change = meta_number(connection, "change")
    return generation, change, signature_of(connection, change)


def is_in_history(connection: sqlite3.Connection, version: VersionId) -> bool:
    """Whether a version is in the history of the database that a connection sees."""
    generation, change, signature = version
    now = must_get(connection, "generation"), meta_number(connection, "change")
    return generation == now[0] and change <= now[1] and signature == signature_of(connection, change)


@dataclass(frozen=True, slots=True)
class Version:
    """Version of a database.

    Attributes:
        generation: Random id of the database, which changes when it is compacted.
        spaces: Spaces, in the order of the concatenated vectors.
        change: Number of commits.
        signature: Random signature of the last commit. A database restored from a copy repeats numbers of commits and
            rows, but never a signature.
        last_row: Largest row number ever given to an item.
        last_removal: Number of the last removal.
        count: N, number of rows: of items, and of their further garments.
        raw: Whether any vector was not of unit length when it was added.
        settings: Index settings.
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
    def from_json(cls, kept: Mapping[str, Any]) -> Version:
        """Build a version from the result of `dataclasses.asdict`."""
        spaces = tuple(Space(**space) for space in kept["spaces"])
        return cls(**{**kept, "spaces": spaces, "settings": IndexSettings(**kept["settings"])})

    @classmethod
    def now(cls, connection: sqlite3.Connection) -> Version:
        """Read the version that a connection sees."""
        generation, change, signature = version_id(connection)
        return cls(
            generation=generation,
            spaces=read_spaces(connection),
            change=change,
            signature=signature,
            last_row=last_number(connection, "items"),
            last_removal=last_number(connection, "removed"),
            count=garments_table.count_vectors(connection),
            raw=bool(meta_number(connection, "raw")),
            settings=read_index_settings(connection),
        )

    @property
    def id(self) -> VersionId:
        """Id that no other version has."""
        return self.generation, self.change, self.signature

    def is_past_of(self, connection: sqlite3.Connection) -> bool:
        """Whether this version, with its spaces and settings, is in the history of the database of a connection."""
        if version_id(connection) == self.id:
            return True
        now = Version.now(connection)
        same = (self.generation, self.spaces, self.settings) == (now.generation, now.spaces, now.settings)
        return same and self.change <= now.change and self.signature == signature_of(connection, self.change)
