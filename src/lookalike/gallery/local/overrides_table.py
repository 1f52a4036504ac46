"""The table `edits`: overrides, what was set by hand on an item, which stay when its catalogue is indexed again.

An item with overrides has one row, with its attributes from the catalogue (`described`) and the overrides (`changes`);
`items.attributes` has the two merged. All are JSON objects whose keys are numbers of attributes. Where the product is
set by hand, both have it under the key `PRODUCT`, and `items.product` is that of `changes`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lookalike.gallery.local.row_checksums import OVERRIDE_SUM, crc_of, damaged, numbered, write_item_checksums
from lookalike.gallery.record_batch import PRODUCT
from lookalike.gallery.records import ENCODER, AttributeNames
from lookalike.storage.json_texts import json_texts
from lookalike.types import JSON, Item

SOUND: Final = f"edits.checksum IS {OVERRIDE_SUM}"


def described(connection: sqlite3.Connection) -> dict[str, str]:
    """What the catalogue says of items with overrides, by id, as `as_described` takes it.

    Raises:
        GalleryDamagedError: A row's checksum is wrong.
    """
    found = connection.execute(f"SELECT id, described, {SOUND} FROM edits").fetchall()
    return {item_id: text for item_id, text, sound in found if checked(item_id, sound)}


def read_all(connection: sqlite3.Connection, ids: Iterable[str] | None = None) -> dict[str, tuple[str, str]]:
    """What the catalogue says, and overrides, by id, of all items or of some; see `as_described` and `decoded`.

    Raises:
        GalleryDamagedError: A row's checksum is wrong.
    """
    statement = f"SELECT id, described, changes, {SOUND} FROM edits"
    if ids is None:
        found = connection.execute(statement).fetchall()
    else:
        chosen = f"{statement} WHERE id IN (SELECT value FROM json_each(?))"
        found = connection.execute(chosen, (json_texts(ids, ensure_ascii=True),)).fetchall()
    return {item_id: (described, changes) for item_id, described, changes, sound in found if checked(item_id, sound)}


def reapply(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Apply stored overrides to items that have just got new values from their catalogue.

    Raises:
        GalleryDamagedError: A row's checksum is wrong.
    """
    if not any_overrides(connection):
        return
    statement = f"""SELECT row, id, product, attributes, changes, {SOUND} FROM edits JOIN items USING (id)
                    WHERE id IN (SELECT value FROM json_each(?))"""
    found = connection.execute(statement, (json_texts(ids),)).fetchall()
    for _, item_id, *_, sound in found:
        checked(item_id, sound)
    write(
        connection,
        [(item_id, described_text(under, product, over), over) for _, item_id, product, under, over, _ in found],
    )
    connection.executemany(
        "UPDATE items SET product = ?, attributes = ? WHERE row = ?",
        [(*merged(product, under, over), row) for row, _, product, under, over, _ in found],
    )
    write_item_checksums(connection, [row for row, *_ in found])


def write(connection: sqlite3.Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Insert or replace rows (id, described, changes)."""
    connection.executemany(f"INSERT OR REPLACE INTO edits VALUES (?1, ?2, ?3, {crc_of(*numbered(3))})", rows)


def checked(item_id: str, sound: object) -> bool:
    """Check the checksum of a row; always true.

    Raises:
        GalleryDamagedError: The checksum is wrong.
    """
    if not sound:
        raise damaged(f"the overrides of the item {item_id!r}")
    return True


def put(connection: sqlite3.Connection, items: Iterable[Item], overrides: Iterable[Mapping[str, JSON]]) -> None:
    """Replace the overrides of items that have just got new attributes from their catalogue.

    Raises:
        UsageError: A value cannot be stored as JSON.
    """
    items, names = list(items), AttributeNames.read(connection)
    delete(connection, [item.id for item in items])
    changed: list[tuple[str, str, str]] = []
    for item, changes in zip(items, overrides, strict=True):
        known = {
            name: value for name, value in changes.items() if name != PRODUCT and (value is not None or name in names)
        }
        text = names.encode(replace(item, attributes=known))
        if PRODUCT in changes:
            text = ENCODER.encode({**json.loads(text), PRODUCT: changes[PRODUCT]})
        if changes:
            changed.append((item.id, "{}", text))
    names.save(connection)
    write(connection, changed)
    reapply(connection, [item_id for item_id, *_ in changed])


def delete(connection: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete the overrides of items."""
    if any_overrides(connection):
        connection.executemany("DELETE FROM edits WHERE id = ?", [(item_id,) for item_id in ids])


def numbers(connection: sqlite3.Connection) -> set[int]:
    """Numbers of the attributes in the table; items need not have all of them."""
    if not any_overrides(connection):
        return set()
    keys = "SELECT value.key FROM edits, json_each({}) AS value"
    found = connection.execute(f"{keys.format('described')} UNION {keys.format('changes')}")
    return {int(number) for (number,) in found if number != PRODUCT}


def any_overrides(connection: sqlite3.Connection) -> bool:
    """Whether any item has overrides."""
    return connection.execute("SELECT 1 FROM edits LIMIT 1").fetchone() is not None


def described_text(attributes: str, product: str | None, changes: str) -> str:
    """What `described` says: the attributes of the catalogue, and the product where it is set by hand."""
    if PRODUCT not in json.loads(changes):
        return attributes
    return ENCODER.encode({**json.loads(attributes), PRODUCT: product})


def as_described(row: Sequence[Any], described: str) -> tuple[Any, ...]:
    """Values of `ITEM_COLUMNS` of an item without its overrides."""
    sound, item_id, product, *place, _ = row
    told = json.loads(described)
    if PRODUCT not in told:
        return (sound, item_id, product, *place, described)
    return (sound, item_id, told.pop(PRODUCT), *place, ENCODER.encode(told))


def decoded(changes: str, names: AttributeNames) -> dict[str, JSON]:
    """Overrides by name.

    Raises:
        GalleryDamagedError: A number has no name.
    """
    told: dict[str, JSON] = json.loads(changes)
    if PRODUCT not in told:
        return names.decode(changes)
    product = told.pop(PRODUCT)
    return {**names.decode(ENCODER.encode(told)), PRODUCT: product}


def merged(product: str | None, attributes: str, changes: str) -> tuple[str | None, str]:
    """Merge product and attributes of the catalogue with overrides."""
    under, over = json.loads(attributes), json.loads(changes)
    product = over.pop(PRODUCT, product)
    kept = {number: value for number, value in under.items() if number not in over}
    return product, ENCODER.encode(kept | {number: value for number, value in over.items() if value is not None})
