"""Looking a gallery over from top to bottom, and tidying it up."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import GalleryDamagedError
from lookalike.gallery import edits, learned
from lookalike.gallery.browse import sources
from lookalike.gallery.derived import Derived
from lookalike.gallery.frozen import Frozen, Origin
from lookalike.gallery.meta import meta_number, read_model, signature_key
from lookalike.gallery.records import UNIT_TOLERANCE, AttributeNames, Kinds, read_vectors
from lookalike.gallery.snapshot import Snapshot
from lookalike.gallery.store import Store
from lookalike.spaces import resolve_weights, slices, width
from lookalike.types import JSON, Float32, Int64, Item

BATCH: Final = 4096
MOST_NAMED: Final = 5
"""How many items a problem names before it only counts them."""


@dataclass(frozen=True, slots=True)
class Health:
    """What `verify` found.

    Attributes:
        items: How many were looked at.
        problems: One line each; none is a clean bill.
    """

    items: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, JSON]:
        """As `gallery verify --json` shows it."""
        return {"healthy": not self.problems, "items": self.items, "problems": list(self.problems)}


def verify(store: Store, derived: Derived, *, photos: bool) -> Health:
    """Check the database against itself, and what is derived against the database.

    Args:
        store: The database.
        derived: What is derived from it.
        photos: Check that the files of photos are there, too; those at URLs are passed over.
    """
    problems: list[str] = []
    items = 0
    try:
        with store.reading() as connection:
            problems += [
                f"the database: {line}" for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"
            ]
            items = meta_number(connection, "items")
            problems += contradictions(connection)
            origin = Origin.now(connection)
            problems += derived.damage()
            kept = derived.open(connection)
            problems += wrong_vectors(connection, origin, kept)
            problems += [] if kept is None else kept.damaged_indexes()
            if photos:
                problems += missing_photos(connection)
    except GalleryDamagedError as error:
        problems.append(str(error))
    return Health(items, tuple(problems))


def facts(store: Store, derived: Derived, state: Snapshot) -> dict[str, JSON]:
    """What a gallery is: counts, spaces, sizes, the state of its index."""
    with store.reading() as connection:
        from_sources, model = sources(connection), read_model(connection)
        learned_facts = weights_and_projections(connection, state)
    return {
        "address": str(store.folder),
        "items": state.origin.count,
        "model": model,
        "spaces": [{"name": space.name, "dimension": space.dimension, "maker": space.maker} for space in state.spaces],
        **learned_facts,
        "sources": from_sources,
        "attributes": {name: kinds.words() for name, kinds in state.names.kinds.items()},
        "bytes": {"database": store.bytes(), "derived": derived.bytes()},
        "index": {
            "rows": state.split,
            "removed_since": state.dead,
            "added_since": len(state.tail),
            "kept": [] if state.frozen is None else [*state.frozen.kept_indexes()],
        },
    }


def weights_and_projections(connection: sqlite3.Connection, state: Snapshot) -> dict[str, JSON]:
    """The weights that a search takes when none are given, and what was learned for the gallery."""
    known, projections = learned.read(connection), learned.read_projections(connection)
    shown: dict[str, JSON] = {"weights": dict(resolve_weights(None, state.spaces, learned=known.weights))}
    if known.weights is not None:
        shown["weights_learned"] = dict(known.source)
    if projections:
        shown["projections"] = [
            {"space": name, "from": len(one.mean), "to": one.dimension, "variance_kept": round(one.kept, 4)}
            for name, one in projections.items()
        ]
    return shown


def contradictions(connection: sqlite3.Connection) -> Iterator[str]:
    """What the tables say of each other that cannot be."""
    (count,) = connection.execute("SELECT count(*) FROM items").fetchone()
    if count != meta_number(connection, "items"):
        yield f"there are {count} items, and the gallery counts {meta_number(connection, 'items')}"
    (bare,) = connection.execute("SELECT count(*) FROM items WHERE row NOT IN (SELECT row FROM vectors)").fetchone()
    if bare:
        yield f"{bare} items have no vectors"
    (orphans,) = connection.execute("SELECT count(*) FROM vectors WHERE row NOT IN (SELECT row FROM items)").fetchone()
    if orphans:
        yield f"{orphans} vectors belong to no item"
    unreadable = connection.execute("SELECT id FROM items WHERE NOT json_valid(attributes)").fetchall()
    if unreadable:
        yield f"the attributes of {named([item_id for (item_id,) in unreadable])} cannot be read"
        return
    (unknown,) = connection.execute(
        """SELECT count(DISTINCT value.key) FROM items, json_each(items.attributes) AS value
           WHERE CAST(value.key AS INTEGER) NOT IN (SELECT number FROM attribute_names)"""
    ).fetchone()
    if unknown:
        yield f"{unknown} attributes have no name"


def wrong_vectors(connection: sqlite3.Connection, origin: Origin, kept: Frozen | None) -> Iterator[str]:
    """Vectors of a wrong length, and derived rows that differ from them."""
    columns = width(origin.spaces)
    sizes = "length(unit) != ? OR length(raw) != ?"
    wrong = connection.execute(f"SELECT row FROM vectors WHERE {sizes}", (4 * columns,) * 2).fetchall()
    if wrong:
        yield f"the vectors of {named(ids_of(connection, [row for (row,) in wrong]))} have a wrong size"
        return
    long: list[int] = []
    differing = 0
    cursor = connection.execute("SELECT row, unit FROM vectors ORDER BY row")
    while batch := cursor.fetchmany(BATCH):
        rows = np.array([row for row, _ in batch], dtype=np.int64)
        unit = read_vectors([unit for _, unit in batch], width=columns)
        right = np.ones(len(rows), dtype=np.bool_)
        for place in slices(origin.spaces).values():
            squares = np.vecdot(unit[:, place], unit[:, place])
            right &= (np.abs(squares - 1) <= 4 * UNIT_TOLERANCE) | (squares == 0)
        long += rows[~right].tolist()
        differing += 0 if kept is None else differences(kept, rows, unit)
    if long:
        yield f"the vectors of {named(ids_of(connection, long))} are not of unit length"
    if differing:
        yield f"{differing} derived rows are not those of the database; delete {kept and kept.folder} to have them anew"


def differences(kept: Frozen, rows: Int64, unit: Float32) -> int:
    """How many derived rows are others than those of the database."""
    ours = rows[np.isin(rows, kept.numbers)]
    theirs = kept.unit[kept.positions(ours)]
    return int((theirs != unit[np.isin(rows, ours)]).any(axis=1).sum())


def missing_photos(connection: sqlite3.Connection) -> Iterator[str]:
    """Items whose photos are not where they were."""
    gone = []
    for item_id, photo, root in connection.execute("SELECT id, photo, root FROM items ORDER BY row"):
        location = Item(id=item_id, photo=photo, root=root).location
        if "://" not in location and not Path(location).exists():
            gone.append(item_id)
    if gone:
        yield f"the photos of {named(gone)} are not there"


def ids_of(connection: sqlite3.Connection, rows: list[int]) -> list[str]:
    """Ids of the items in some rows."""
    statement = "SELECT id FROM items WHERE row IN (SELECT value FROM json_each(?)) ORDER BY row"
    return [item_id for (item_id,) in connection.execute(statement, (json.dumps(rows),))]


def named(ids: list[str]) -> str:
    """A few ids, and how many more there are."""
    shown = ", ".join(repr(item_id) for item_id in ids[:MOST_NAMED])
    return shown if len(ids) <= MOST_NAMED else f"{shown} and {len(ids) - MOST_NAMED} other items"


def compact(store: Store, derived: Derived) -> None:
    """Give back the space of what was removed, forget attributes that no item has, and begin a new generation.

    Everything derived is deleted with it.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    with store.locked():
        with store.writing() as connection:
            recount_kinds(connection)
            connection.execute("DELETE FROM removed")
            connection.execute("DELETE FROM meta WHERE key GLOB ?", (signature_key("*"),))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'generation'", (uuid.uuid4().hex,))
            (strange,) = connection.execute("SELECT count(*) FROM vectors WHERE raw IS NOT NULL").fetchone()
            connection.execute("UPDATE meta SET value = ? WHERE key = 'raw'", (int(strange > 0),))
        derived.delete()
        with store.alone() as connection:
            connection.execute("VACUUM")
        store.checkpoint()


def recount_kinds(connection: sqlite3.Connection) -> None:
    """Write down which attributes there are, and of what kinds, as they are now."""
    kinds: dict[int, Kinds] = {}
    by_type = {"true": Kinds.BOOLEAN, "false": Kinds.BOOLEAN, "integer": Kinds.NUMBER, "real": Kinds.NUMBER}
    by_type |= {"text": Kinds.TEXT, "array": Kinds.NESTED, "object": Kinds.NESTED, "null": Kinds.NONE}
    for number, type_name in connection.execute(
        "SELECT DISTINCT CAST(value.key AS INTEGER), value.type FROM items, json_each(items.attributes) AS value"
    ):
        kinds[number] = kinds.get(number, Kinds.NONE) | by_type[type_name]
    names = AttributeNames.read(connection)
    for number in edits.numbers(connection):
        kinds.setdefault(number, Kinds.NONE)
    gone = [number for number in map(names.number, names.kinds) if number not in kinds]
    connection.executemany("DELETE FROM attribute_names WHERE number = ?", [(number,) for number in gone])
    connection.executemany(
        "UPDATE attribute_names SET kinds = ? WHERE number = ?", [(int(kind), number) for number, kind in kinds.items()]
    )
