"""Description and compaction of a gallery."""

from __future__ import annotations

import sqlite3

from lookalike.gallery import stored_parameters
from lookalike.gallery.local import garments_table, model_paths, overrides_table
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.metadata_table import count_items, put, read_model
from lookalike.gallery.local.reads import kinds_of_attributes, sources
from lookalike.gallery.local.rebuilding import alone, new_generation
from lookalike.gallery.local.row_checksums import crc_of
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.local.snapshot import Snapshot
from lookalike.gallery.records import AttributeNames, Kinds
from lookalike.spaces import resolve_weights
from lookalike.types import JSON


def info(database: Database, segment_files: SegmentFiles, state: Snapshot) -> dict[str, JSON]:
    """Describe a gallery: counts, spaces, sizes, the state of its index."""
    with database.scanning() as reader:
        connection = reader.connection
        from_sources, model = sources(connection), read_model(connection)
        items, garments = count_items(connection), garments_table.count(connection)
        kinds = kinds_of_attributes(connection)
        parameters = weights_and_projections(connection, state)
    return {
        "address": str(database.folder),
        "items": items,
        **({"garments": garments} if garments else {}),
        "model": None if model is None else model_paths.as_used(model, database.folder),
        "spaces": [
            {"name": space.name, "dimension": space.dimension, "model_id": space.model_id, "dtype": space.dtype}
            for space in state.spaces
        ],
        **parameters,
        "sources": dict(from_sources),
        "attributes": {name: list(each.words()) for name, each in kinds.items()},
        "bytes": {"database": database.bytes(), "derived": segment_files.bytes()},
        "index": {
            "rows": state.split,
            "removed_since": state.deleted_count,
            "added_since": len(state.unindexed),
            "kept": [] if state.segment is None else [*state.segment.kept_indexes()],
            **({"settings": dict(settings)} if (settings := state.version.settings.to_json()) else {}),
        },
    }


def weights_and_projections(connection: sqlite3.Connection, state: Snapshot) -> dict[str, JSON]:
    """Default weights of a search, and the gallery's stored parameters, as JSON."""
    known, projections = stored_parameters.read(connection), stored_parameters.read_projections(connection)
    shown: dict[str, JSON] = {"weights": dict(resolve_weights(None, state.spaces, stored=known.weights))}
    if known.weights is not None:
        shown["weights_learned"] = dict(known.source)
    if known.ranking is not None:
        shown["ranking_learned"] = known.ranking.described()
    if projections:
        shown["projections"] = [
            {"space": name, "from": len(one.mean), "to": one.dimension, "variance_kept": round(one.kept, 4)}
            for name, one in projections.items()
        ]
    return shown


def compact(database: Database, segment_files: SegmentFiles, text_files: TextFiles, *, wait_s: float) -> None:
    """Free the space of removed rows, drop attributes that no item has, and begin a new generation.

    Steps that need disk space come first, so that a full disk changes nothing.

    Args:
        database: The database.
        segment_files: Its segment files.
        text_files: Its files of full text, which are deleted; the next search by words makes a new one.
        wait_s: Seconds to wait for another process that builds a segment.

    Raises:
        GalleryLockedError: Another process is writing, or builds a segment.
        StorageFullError: The disk is full.
    """
    with alone(database, segment_files, wait_s=wait_s):
        with database.without_transaction() as connection:
            connection.execute("VACUUM")
        with new_generation(database, segment_files, text_files) as connection:
            recount_kinds(connection)
            (strange,) = connection.execute("SELECT count(*) FROM vectors WHERE raw IS NOT NULL").fetchone()
            put(connection, "raw", int(strange > 0))


def recount_kinds(connection: sqlite3.Connection) -> None:
    """Rebuild the table of attribute names and kinds from the items."""
    kinds: dict[int, Kinds] = {}
    by_type = {"true": Kinds.BOOLEAN, "false": Kinds.BOOLEAN, "integer": Kinds.NUMBER, "real": Kinds.NUMBER}
    by_type |= {"text": Kinds.TEXT, "array": Kinds.NESTED, "object": Kinds.NESTED, "null": Kinds.NONE}
    for number, type_name in connection.execute(
        "SELECT DISTINCT CAST(value.key AS INTEGER), value.type FROM items, json_each(items.attributes) AS value"
    ):
        kinds[number] = kinds.get(number, Kinds.NONE) | by_type[type_name]
    names = AttributeNames.read(connection)
    for number in overrides_table.numbers(connection):
        kinds.setdefault(number, Kinds.NONE)
    gone = [number for number in map(names.number, names.kinds) if number not in kinds]
    connection.executemany("DELETE FROM attribute_names WHERE number = ?", [(number,) for number in gone])
    connection.executemany(
        f"UPDATE attribute_names SET kinds = ?1, checksum = {crc_of('number', 'name', '?1')} WHERE number = ?2",
        [(int(kind), number) for number, kind in kinds.items()],
    )
    put(connection, "names", len(kinds))
