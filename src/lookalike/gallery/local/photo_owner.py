"""Ownership of photo folders by a gallery, also after its database was moved or copied.

The photos uploaded to a gallery lie in a folder named by its owner id, 32 hexadecimal digits. The id holds for one
database file: a copy detects that it is another file and takes a new id before it stores or deletes a photo, so two
galleries never own the same files. Earlier ids are kept for the photos that were copied or moved with the database.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lookalike.errors import GalleryDamagedError, short_reason
from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.database import Database

KEY: Final = "photo owner"
NAME: Final = re.compile(r"[0-9a-f]{32}")
"""Valid owner ids; an id becomes part of a path, and a database may come from an untrusted place."""


def claimed(database: Database) -> Sequence[str]:
    """Names of a gallery's photo folders: the present one first, then those from before its database was copied.

    Raises:
        GalleryLockedError: A new name must be stored, and another process is writing.
        GalleryDamagedError: The stored names are invalid.
    """
    place = place_of(database.path)
    with database.reading() as connection:
        known, names = read(connection)
    if known == place:
        return names
    with database.writing() as connection:
        known, names = read(connection)  # another process may have been first
        if known != place:
            names = [os.urandom(16).hex(), *names]
            value = json.dumps({"place": place, "names": names})
            metadata_table.put(connection, KEY, value)
        return names


def place_of(database: Path) -> str:
    """Identity of a database file: file system and inode, which differ for a copy."""
    return f"{os.statvfs(database).f_fsid}:{database.stat().st_ino}"


def read(connection: sqlite3.Connection) -> tuple[str, list[str]]:
    """Read the identity that the names belong to, and the names; empty before the first.

    Raises:
        GalleryDamagedError: The stored value is invalid.
    """
    found = metadata_table.get(connection, KEY)
    if found is None:
        return "", []
    try:
        kept = json.loads(found)
        names = [name for name in kept["names"] if NAME.fullmatch(name)]
        return str(kept["place"]), names
    except (ValueError, KeyError, TypeError) as error:
        raise GalleryDamagedError(
            f"the names of the gallery's photo folders cannot be read: {short_reason(error)}"
        ) from error
