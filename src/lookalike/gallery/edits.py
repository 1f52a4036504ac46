"""What was set by hand on an item, which stays when its catalogue describes the item anew.

An item that was edited has a row here, with its attributes as they were last described and what was changed on top of
them; `items.attributes` has the two together. Both are JSON objects whose keys are numbers of attributes. The table is
made when something is first set by hand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

from lookalike.gallery.records import ENCODER, AttributeNames
from lookalike.types import JSON, Item

TABLE: Final = """
CREATE TABLE IF NOT EXISTS edits (
    id TEXT PRIMARY KEY,
    described TEXT NOT NULL,
    changes TEXT NOT NULL  -- null takes an attribute away
) STRICT, WITHOUT ROWID
"""


def described(connection: sqlite3.Connection) -> dict[str, str]:
    """The attributes of edited items as they were last described, by id."""
    if not any_made(connection):
        return {}
    return dict(connection.execute("SELECT id, described FROM edits"))


def edit(connection: sqlite3.Connection, item: Item, changes: Mapping[str, JSON]) -> None:
    """Change attributes of an item that is there, on top of what was changed before.

    Raises:
        UsageError: A value cannot be kept.
    """
    connection.execute(TABLE)
    names = AttributeNames.read(connection)
    known = {name: value for name, value in changes.items() if value is not None or name in names.kinds}
    text = names.encode(Item(id=item.id, photo=item.photo, attributes=known))
    names.save(connection)
    (now,) = connection.execute("SELECT attributes FROM items WHERE id = ?", (item.id,)).fetchone()
    before = connection.execute("SELECT described, changes FROM edits WHERE id = ?", (item.id,)).fetchone()
    under, over = before or (now, "{}")
    over = ENCODER.encode(json.loads(over) | json.loads(text))
    connection.execute("INSERT OR REPLACE INTO edits VALUES (?, ?, ?)", (item.id, under, over))
    connection.execute("UPDATE items SET attributes = ? WHERE id = ?", (together(under, over), item.id))


def keep_on_top(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Put what was set by hand on top of what items have just been described as."""
    if not any_made(connection):
        return
    statement = """SELECT id, attributes, changes FROM edits JOIN items USING (id)
                   WHERE id IN (SELECT value FROM json_each(?))"""
    found = connection.execute(statement, (json.dumps(list(ids), ensure_ascii=False),)).fetchall()
    connection.executemany("UPDATE edits SET described = ? WHERE id = ?", [(under, id_) for id_, under, _ in found])
    connection.executemany(
        "UPDATE items SET attributes = ? WHERE id = ?", [(together(under, over), id_) for id_, under, over in found]
    )


def put(connection: sqlite3.Connection, items: Iterable[Item], overrides: Iterable[Mapping[str, JSON]]) -> None:
    """Replace what was set by hand on items that have just been described.

    Raises:
        UsageError: A value cannot be kept.
    """
    items = list(items)
    forget(connection, [item.id for item in items])
    for item, changes in zip(items, overrides, strict=True):
        if changes:
            edit(connection, item, changes)


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
    """Whether anything was ever set by hand."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'edits'").fetchone() is not None


def together(described: str, changes: str) -> str:
    """Attributes as they were described, with what was changed on top."""
    under, over = json.loads(described), json.loads(changes)
    kept = {number: value for number, value in under.items() if number not in over}
    return ENCODER.encode(kept | {number: value for number, value in over.items() if value is not None})
