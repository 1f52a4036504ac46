"""Overrides: attributes set by hand on an item, which stay when its catalogue is indexed again.

An item that was edited has a row here, with its attributes as they were last described and what was changed on top of
them; `items.attributes` has the two together. Both are JSON objects whose keys are numbers of attributes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from lookalike.gallery.local.row_checksums import OVERRIDE_SUM, crc_of, damaged, numbered, write_item_checksums
from lookalike.gallery.records import ENCODER, AttributeNames
from lookalike.types import JSON, Item

SOUND: Final = f"edits.checksum IS {OVERRIDE_SUM}"


def described(connection: sqlite3.Connection) -> dict[str, str]:
    """The attributes of edited items as they were last described, by id.

    Raises:
        GalleryDamagedError: An edit is not as it was written.
    """
    found = connection.execute(f"SELECT id, described, {SOUND} FROM edits").fetchall()
    return {item_id: text for item_id, text, sound in found if checked(item_id, sound)}


def read_all(connection: sqlite3.Connection) -> dict[str, tuple[str, str]]:
    """Attributes as last described, and what was set by hand on top of them, by id; both as `items.attributes`.

    Raises:
        GalleryDamagedError: An override is not as it was written.
    """
    found = connection.execute(f"SELECT id, described, changes, {SOUND} FROM edits").fetchall()
    return {item_id: (described, changes) for item_id, described, changes, sound in found if checked(item_id, sound)}


def override(connection: sqlite3.Connection, item: Item, changes: Mapping[str, JSON]) -> None:
    """Change attributes of an item that is there, on top of what was changed before.

    Raises:
        UsageError: A value cannot be kept.
        GalleryDamagedError: What was changed before is not as it was written.
    """
    names = AttributeNames.read(connection)
    known = {name: value for name, value in changes.items() if value is not None or name in names.kinds}
    text = names.encode(Item(id=item.id, photo=item.photo, attributes=known))
    names.save(connection)
    row, now = connection.execute("SELECT row, attributes FROM items WHERE id = ?", (item.id,)).fetchone()
    statement = f"SELECT described, changes, {SOUND} FROM edits WHERE id = ?"
    before = connection.execute(statement, (item.id,)).fetchone()
    if before is not None:
        checked(item.id, before[2])
    under, over = before[:2] if before else (now, "{}")
    over = ENCODER.encode(json.loads(over) | json.loads(text))
    write(connection, [(item.id, under, over)])
    connection.execute("UPDATE items SET attributes = ? WHERE row = ?", (together(under, over), row))
    write_item_checksums(connection, [row])


def keep_on_top(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Put what was set by hand on top of what items have just been described as.

    Raises:
        GalleryDamagedError: It is not as it was written.
    """
    if not any_made(connection):
        return
    statement = f"""SELECT row, id, attributes, changes, {SOUND} FROM edits JOIN items USING (id)
                    WHERE id IN (SELECT value FROM json_each(?))"""
    found = connection.execute(statement, (json.dumps(list(ids), ensure_ascii=False),)).fetchall()
    for _, item_id, _, _, sound in found:
        checked(item_id, sound)
    write(connection, [(item_id, under, over) for _, item_id, under, over, _ in found])
    connection.executemany(
        "UPDATE items SET attributes = ? WHERE row = ?",
        [(together(under, over), row) for row, _, under, over, _ in found],
    )
    write_item_checksums(connection, [row for row, *_ in found])


def write(connection: sqlite3.Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Write edits (id, described, changes) in place of what was there."""
    connection.executemany(f"INSERT OR REPLACE INTO edits VALUES (?1, ?2, ?3, {crc_of(*numbered(3))})", rows)


def checked(item_id: str, sound: object) -> bool:
    """Pass an edit that is as it was written.

    Raises:
        GalleryDamagedError: It is not.
    """
    if not sound:
        raise damaged(f"what was set by hand on the item {item_id!r}")
    return True


def put(connection: sqlite3.Connection, items: Iterable[Item], overrides: Iterable[Mapping[str, JSON]]) -> None:
    """Replace what was set by hand on items that have just been described.

    Raises:
        UsageError: A value cannot be kept.
    """
    items = list(items)
    forget(connection, [item.id for item in items])
    for item, changes in zip(items, overrides, strict=True):
        if changes:
            override(connection, item, changes)


def forget(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Forget what was set by hand on items that are removed."""
    if any_made(connection):
        connection.executemany("DELETE FROM edits WHERE id = ?", [(item_id,) for item_id in ids])


def numbers(connection: sqlite3.Connection) -> set[int]:
    """The attributes that are spoken of here, by their numbers; items need not have all of them."""
    if not any_made(connection):
        return set()
    keys = "SELECT value.key FROM edits, json_each({}) AS value"
    found = connection.execute(f"{keys.format('described')} UNION {keys.format('changes')}")
    return {int(number) for (number,) in found}


def any_made(connection: sqlite3.Connection) -> bool:
    """Whether anything was set by hand."""
    return connection.execute("SELECT 1 FROM edits LIMIT 1").fetchone() is not None


def together(described: str, changes: str) -> str:
    """Attributes as they were described, with what was changed on top."""
    under, over = json.loads(described), json.loads(changes)
    kept = {number: value for number, value in under.items() if number not in over}
    return ENCODER.encode(kept | {number: value for number, value in over.items() if value is not None})
