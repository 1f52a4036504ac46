"""Which photo folders belong to a gallery, also after its database was moved or copied.

A gallery in a folder has a name of 32 hexadecimal digits, and the photos that are sent for it lie in folders of that
name. The name holds for one database file: a copy finds that it is another file and takes a name of its own before it
keeps or deletes a photo, so two galleries never own the same files. The earlier names are kept, for the photos that
were copied or moved together with the database.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lookalike.errors import GalleryDamagedError, short_reason
from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.database import Database

KEY: Final = "photo owner"
NAME: Final = re.compile(r"[0-9a-f]{32}")
"""A name becomes part of a path, and a database can come from elsewhere."""


def claimed(database: Database) -> Sequence[str]:
    """The names of a gallery's photo folders: the present one, and those from before its database was copied.

    Raises:
        GalleryLockedError: A name must be written down, and another process is writing.
        GalleryDamagedError: What is written down makes no sense.
    """
    place = place_of(database.path)
    with database.reading() as connection:
        known, names = read(connection)
    if known == place:
        return names
    with database.writing() as connection:
        known, names = read(connection)  # another process may have been quicker
        if known != place:
            names = [secrets.token_hex(16), *names]
            value = json.dumps({"place": place, "names": names})
            metadata_table.put(connection, KEY, value)
        return names


def place_of(database: Path) -> str:
    """What tells one database file from its copies: its number in its file system."""
    system = getattr(os.statvfs(database), "f_fsid", 0) if hasattr(os, "statvfs") else 0
    return f"{system}:{database.stat().st_ino}"


def read(connection: sqlite3.Connection) -> tuple[str, list[str]]:
    """The place that the names were taken for, and the names; empty before the first.

    Raises:
        GalleryDamagedError: They make no sense.
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
            f"whose photos are the gallery's own cannot be read: {short_reason(error)}"
        ) from error
