"""Metadata of a gallery on Milvus, stored as properties of a small collection beside that of the items.

Properties are metadata of the server: they are read in a millisecond, without loading a collection. Each value has its
own property, and none is ever deleted, so concurrent writers lose nothing. Projections are too long for a property;
they are rows of the small collection, in pieces. What was decided of duplicates are rows, too.

    NAME_facts      properties: lookalike.format, .items, .closed, .spaces, .partition_by, .model, .weights, .ranking,
                    .projections, .edited, .reviewed, .photos, .source.<name>, .root.<folder or address>,
                    .attribute.<kind>.<name>
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from lookalike.errors import GalleryDamagedError, MismatchError, UsageError, short_reason
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.milvus.connection import BUILDING_S, Connection
from lookalike.gallery.records import Kinds
from lookalike.gallery.reviews import KEY as REVIEW
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.projection import Projection
from lookalike.spaces import Space

FORMAT: Final = 1
PREFIX: Final = "lookalike."
SOURCE: Final = PREFIX + "source."
ROOT: Final = PREFIX + "root."
ATTRIBUTE: Final = PREFIX + "attribute."
PIECE: Final = 60_000
"""Characters of a projection in one row; texts of Milvus have at most 65,535 bytes."""

ROOM: Final = 500_000
"""Largest total of all properties in bytes; the server cannot even delete a collection with more than a million."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Metadata of a gallery.

    Attributes:
        spaces: Spaces, in the order of the concatenated vectors; empty before the first `add`.
        partition_by: Attribute that partitions the collection; None without partitions.
        model: Model that filled the gallery: `default` or a path; None if unknown.
        weights: Learned default weights of the spaces, and the learned ranking.
        projections: Names of the spaces with a projection.
        overridden: Whether any item ever had overrides.
        sources: All sources of items, including those without items now.
        roots: Folders and URLs that photos were indexed from.
        kinds: Kinds of values ever stored, by attribute, in the order of adding.
        reviewed: Whether anything was decided of duplicates.
        photos: Name of the gallery's photo folder; empty before the first upload.
        bytes: Total size of all properties.
        items: Name of the collection of the items; empty is the one of the address.
        closed_until: Time until which writes are refused, in seconds since 1970; 0 is none.
        index_id: Changes when another index is built; empty before the first one that is not the collection's own.
    """

    spaces: tuple[Space, ...] = ()
    partition_by: str | None = None
    model: str | None = None
    weights: StoredWeights = field(default_factory=StoredWeights)
    projections: tuple[str, ...] = ()
    overridden: bool = False
    sources: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    kinds: Mapping[str, Kinds] = field(default_factory=dict)
    reviewed: bool = False
    photos: str = ""
    bytes: int = 0
    items: str = ""
    closed_until: float = 0.0
    index_id: str = ""


class MetadataStore:
    """Reads and writes the metadata of one gallery."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.collection = f"{connection.collection}_facts"

    def read(self) -> Metadata | None:
        """Read the metadata; None if there is no gallery.

        Raises:
            MismatchError: The gallery has a format that this version does not read.
            GalleryDamagedError: The metadata are damaged.
        """
        with self._connection.client(doing="reading metadata") as client:
            if not client.has_collection(self.collection):
                return None
            properties = client.describe_collection(self.collection)["properties"]
        if PREFIX + "format" not in properties:
            return None
        if properties[PREFIX + "format"] != str(FORMAT):
            raise MismatchError(
                f"{self._connection.address.text} has the format {properties[PREFIX + 'format']}, and this version of "
                f"lookalike reads {FORMAT}; open it with the version that made it"
            )
        try:
            return parsed(properties)
        except (ValueError, KeyError, TypeError) as error:
            raise GalleryDamagedError(
                f"the metadata of {self._connection.address.text} are damaged: {short_reason(error)}"
            ) from None

    def create(self) -> None:
        """Create an empty gallery."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, description="Metadata of a Lookalike gallery")
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1000)
        schema.add_field("value", DataType.VARCHAR, max_length=65535)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # Milvus requires a vector field
        with self._connection.client(doing="creating the gallery") as client:
            client.create_collection(
                self.collection, schema=schema, num_shards=1, properties={PREFIX + "format": str(FORMAT)}
            )

    def drop(self) -> None:
        """Delete all metadata, and so the gallery."""
        with self._connection.client(doing="deleting the gallery") as client:
            client.drop_collection(self.collection)

    def write(self, changes: Mapping[str, str]) -> None:
        """Write properties, by their names without the prefix.

        They are written twice: Milvus 2.3 loses the last change of properties, and only that, when it restarts
        (milvus-io/milvus, issue 30144).
        """
        properties = {PREFIX + name: value for name, value in changes.items()}
        if properties:
            with self._connection.client(doing="writing metadata") as client:
                for _ in range(2):
                    client.alter_collection_properties(self.collection, properties)

    def decide_spaces(self, spaces: Sequence[Space]) -> None:
        """Write the spaces and partitioning of a gallery without items.

        Raises:
            UsageError: The server is too old for partitions.
        """
        decided = {"spaces": spaces_text(spaces)}
        partition_by = self._connection.address.settings.get("partition-by")
        if partition_by is not None:
            with self._connection.client(doing="reading the server's version") as client:
                check_keeps_partitions(client.get_server_version())
            decided["partition_by"] = partition_by
        self.write(decided)

    def add_new(self, known: Metadata, kinds: Mapping[str, Kinds], *, sources: Sequence[str]) -> bool:
        """Write new attributes, kinds of values and sources.

        Returns:
            Whether there were any.

        Raises:
            UsageError: There are too many attributes.
        """
        now = time.time_ns()
        changes = {
            f"attribute.{kind.name.lower()}.{name}": str(now + place)
            for place, (name, held) in enumerate(kinds.items())
            for kind in (held & ~known.kinds.get(name, Kinds.NONE) or ([Kinds.NONE] if name not in known.kinds else []))
            if kind.name
        }
        changes |= {f"source.{source}": str(now) for source in sources if source not in known.sources}
        size = known.bytes + sum(len(name.encode()) + len(value) + len(PREFIX) for name, value in changes.items())
        if size > ROOM:
            raise UsageError(
                f"the names of {len({*known.kinds, *kinds}):,} attributes are more than a gallery on Milvus can keep; "
                "leave some out, or put them into one attribute that holds an object"
            )
        self.write(changes)
        return bool(changes)

    def write_weights(self, stored: StoredWeights) -> None:
        """Replace the learned weights and the learned ranking."""
        self.write(properties_of_weights(stored))

    def point_to(self, other: Metadata) -> None:
        """Make the vectors of another gallery, and what belongs to them, those of this one, in one request.

        Args:
            other: Metadata of the other gallery, with the name of its collection.
        """
        partitions = {} if other.partition_by is None else {"partition_by": other.partition_by}
        self.write(
            {
                **partitions,
                "items": other.items,
                "spaces": spaces_text(other.spaces),
                "model": other.model or "",
                **properties_of_weights(other.weights),
                "projections": json.dumps([*other.projections]),
                "closed": "",
            }
        )

    def write_projections(self, projections: Mapping[str, Projection]) -> None:
        """Write the projections of a gallery without items."""
        rows = []
        for name, projection in projections.items():
            text = base64.b64encode(projection.to_bytes()).decode()
            pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
            rows += [
                {"key": f"{number:06} {name}", "value": piece, "vector": [0.0, 0.0]}
                for number, piece in enumerate(pieces)
            ]
        self._write_rows(rows, doing="writing projections")
        self.write({"projections": json.dumps(list(projections))})

    def _write_rows(self, rows: Sequence[Mapping[str, Any]], *, doing: str) -> None:
        """Write rows of the small collection, which are loaded then."""
        with self._connection.client(doing=doing) as client:
            if not client.list_indexes(self.collection):
                index = client.prepare_index_params()
                index.add_index("vector", index_type="FLAT", metric_type="IP")
                client.create_index(self.collection, index, sync=False)
            client.load_collection(self.collection, timeout=BUILDING_S)
            for row in rows:
                client.upsert(self.collection, [row])

    def write_reviews(self, texts: Mapping[str, str]) -> None:
        """Write what was decided of duplicates, by key.

        Raises:
            UsageError: One of them is too long.
        """
        if max(map(len, texts.values()), default=0) > PIECE // 4:  # characters of up to four bytes
            raise UsageError(
                f"a decision about items whose ids have more than {PIECE // 4:,} characters cannot be stored"
            )
        rows = [{"key": key, "value": text, "vector": [0.0, 0.0]} for key, text in texts.items()]
        self._write_rows(rows, doing="writing decisions")
        self.write({"reviewed": "1"})

    def read_reviews(self) -> dict[str, str]:
        """Read what was decided of duplicates, by key."""
        with self._connection.client(doing="reading decisions") as client:
            client.load_collection(self.collection, timeout=BUILDING_S)
            rows = client.query(
                self.collection,
                filter=f'key like "{REVIEW}%"',
                output_fields=["key", "value"],
                consistency_level="Strong",
            )
        return {row["key"]: row["value"] for row in rows}

    def read_projections(self, names: Sequence[str]) -> dict[str, Projection]:
        """Read the projections of spaces.

        Raises:
            GalleryDamagedError: They are damaged.
        """
        if not names:
            return {}
        with self._connection.client(doing="reading projections") as client:
            client.load_collection(self.collection, timeout=BUILDING_S)
            rows = client.query(
                self.collection,
                filter='key >= "0" and key < "a"',
                output_fields=["key", "value"],
                consistency_level="Strong",
            )
        found = {}
        for name in names:
            pieces = [row["value"] for row in sorted(rows, key=lambda row: row["key"]) if row["key"][7:] == name]
            try:
                found[name] = Projection.from_bytes(base64.b64decode("".join(pieces), validate=True))
            except (ValueError, KeyError, TypeError, OSError, EOFError, binascii.Error) as error:
                raise GalleryDamagedError(
                    f"the projections of the gallery cannot be read: {short_reason(error)}"
                ) from error
        return found


def spaces_text(spaces: Sequence[Space]) -> str:
    """Spaces as a property."""
    return json.dumps([space.to_list() for space in spaces])


def properties_of_weights(stored: StoredWeights) -> dict[str, str]:
    """Learned weights and ranking as properties."""
    kept = {"weights": None if stored.weights is None else dict(stored.weights), "source": dict(stored.source)}
    ranking = "" if stored.ranking is None else stored.ranking.to_text()
    return {"weights": json.dumps(kept, ensure_ascii=False), "ranking": ranking}


def check_keeps_partitions(version: str) -> None:
    """Refuse old servers, which put replaced rows into random partitions, where filters miss them.

    Args:
        version: Version of the server, such as `v2.6.16`.

    Raises:
        UsageError: The server is older than 2.4.

    Source: milvus-io/milvus, pull request 30772, fixed for 2.4.
    """
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < (2, 4):
        raise UsageError(f"partition-by needs Milvus 2.4 or newer, and the server has {version}")


def parsed(properties: Mapping[str, str]) -> Metadata:
    """Parse metadata from the properties of a collection."""
    spaces = json.loads(properties.get(PREFIX + "spaces", "[]"))
    weights: dict[str, Any] = json.loads(properties.get(PREFIX + "weights", '{"weights": null, "source": {}}'))
    ranking = properties.get(PREFIX + "ranking", "")
    first_met: dict[str, int] = {}
    kinds: dict[str, Kinds] = {}
    for key, value in properties.items():
        if key.startswith(ATTRIBUTE):
            kind, _, name = key.removeprefix(ATTRIBUTE).partition(".")
            kinds[name] = kinds.get(name, Kinds.NONE) | Kinds[kind.upper()]
            first_met[name] = min(first_met.get(name, int(value)), int(value))
    return Metadata(
        spaces=tuple(Space(*values) for values in spaces),
        partition_by=properties.get(PREFIX + "partition_by"),
        model=properties.get(PREFIX + "model") or None,
        weights=StoredWeights(
            weights["weights"], weights["source"], LearnedRanking.from_text(ranking) if ranking else None
        ),
        projections=tuple(json.loads(properties.get(PREFIX + "projections", "[]"))),
        overridden=PREFIX + "edited" in properties,
        reviewed=PREFIX + "reviewed" in properties,
        sources=tuple(sorted(key.removeprefix(SOURCE) for key in properties if key.startswith(SOURCE))),
        roots=tuple(sorted(key.removeprefix(ROOT) for key in properties if key.startswith(ROOT))),
        kinds={name: kinds[name] for name in sorted(kinds, key=lambda name: (first_met[name], name))},
        photos=properties.get(PREFIX + "photos", ""),
        items=properties.get(PREFIX + "items", ""),
        closed_until=float(properties.get(PREFIX + "closed") or 0),
        index_id=properties.get(PREFIX + "index_id", ""),
        bytes=sum(len(key.encode()) + len(value.encode()) for key, value in properties.items()),
    )
