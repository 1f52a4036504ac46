"""What a gallery on Milvus remembers of itself, in the properties of a small collection beside that of the items.

Properties are metadata of the server: a reader gets the last ones in a millisecond, without loading anything.
Each fact has a property of its own, and none is ever taken back, so two writers at once lose nothing. Projections are
too long for a property and are rows of that collection, in pieces.

    NAME_facts      properties: lookalike.format, .spaces, .partition_by, .model, .weights, .projections, .edited,
                    .photos, .source.<name>, .root.<folder or address>, .attribute.<kind>.<name>
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
from lookalike.gallery.milvus.connection import BUILDING_S, Connection
from lookalike.gallery.records import Kinds
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.projection import Projection
from lookalike.spaces import Space

FORMAT: Final = 1
PREFIX: Final = "lookalike."
SOURCE: Final = PREFIX + "source."
ROOT: Final = PREFIX + "root."
ATTRIBUTE: Final = PREFIX + "attribute."
PIECE: Final = 60_000
"""Characters of a projection in one row; Milvus's texts are at most 65,535 bytes."""

ROOM: Final = 500_000
"""Bytes of all properties together; the server cannot even delete a collection that has more than a million."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is remembered.

    Attributes:
        spaces: In the order of the concatenated rows; none before the first `add`.
        partition_by: The attribute by which the collection is in partitions.
        model: Where the model is that filled the gallery.
        weights: Weights of the spaces that a search takes by default, and where they came from.
        projections: Names of the spaces that have one.
        overridden: Whether anything was ever set by hand.
        sources: Every source that items came from, also those of which none is left.
        roots: Folders and addresses that photos were indexed from.
        kinds: Every attribute and the kinds of values that it ever had, in the order in which they came.
        photos: The name of the folder whose photos are the gallery's own; empty before the first is sent.
        bytes: Of all properties together.
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
    photos: str = ""
    bytes: int = 0


class MetadataStore:
    """Reads and writes the facts of one gallery."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.collection = f"{connection.collection}_facts"

    def read(self) -> Metadata | None:
        """What is remembered now; None when there is no gallery.

        Raises:
            MismatchError: It has a format that this version does not read.
            GalleryDamagedError: It makes no sense.
        """
        with self._connection.client(doing="reading what the gallery is") as client:
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
                f"what {self._connection.address.text} says of itself is damaged: {short_reason(error)}"
            ) from None

    def create(self) -> None:
        """Begin a gallery that has nothing yet."""
        from pymilvus import DataType, MilvusClient

        schema = MilvusClient.create_schema(auto_id=False, description="What the gallery remembers of itself")
        schema.add_field("key", DataType.VARCHAR, is_primary=True, max_length=1000)
        schema.add_field("value", DataType.VARCHAR, max_length=65535)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=2)  # no collection may be without one
        with self._connection.client(doing="making the gallery") as client:
            client.create_collection(
                self.collection, schema=schema, num_shards=1, properties={PREFIX + "format": str(FORMAT)}
            )

    def drop(self) -> None:
        """Forget everything."""
        with self._connection.client(doing="deleting the gallery") as client:
            client.drop_collection(self.collection)

    def write(self, changes: Mapping[str, str]) -> None:
        """Remember more, or other, facts; by their names without the prefix.

        They are written twice: Milvus 2.3 forgets the last change of properties when it starts again, and only that
        (milvus-io/milvus, issue 30144).
        """
        properties = {PREFIX + name: value for name, value in changes.items()}
        if properties:
            with self._connection.client(doing="writing what the gallery is") as client:
                for _ in range(2):
                    client.alter_collection_properties(self.collection, properties)

    def decide_spaces(self, spaces: Sequence[Space]) -> None:
        """Decide the spaces of a gallery that has none, and how its collection will be made.

        Raises:
            UsageError: It should be in partitions, and the server is too old to find them again.
        """
        decided = {"spaces": json.dumps([[space.name, space.dimension, space.model_id] for space in spaces])}
        partition_by = self._connection.address.settings.get("partition-by")
        if partition_by is not None:
            with self._connection.client(doing="asking for the version") as client:
                check_keeps_partitions(client.get_server_version())
            decided["partition_by"] = partition_by
        self.write(decided)

    def meet(self, known: Metadata, kinds: Mapping[str, Kinds], *, sources: Sequence[str]) -> bool:
        """Remember attributes, kinds of their values, and sources, as far as they are new.

        Returns:
            Whether anything was.

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
        """Remember these weights, and none that were learned before."""
        kept = {"weights": None if stored.weights is None else dict(stored.weights), "source": dict(stored.source)}
        self.write({"weights": json.dumps(kept, ensure_ascii=False)})

    def write_projections(self, projections: Mapping[str, Projection]) -> None:
        """Remember the projections of a gallery that has no items yet."""
        rows = []
        for name, projection in projections.items():
            text = base64.b64encode(projection.to_bytes()).decode()
            pieces = [text[at : at + PIECE] for at in range(0, len(text), PIECE)]
            rows += [
                {"key": f"{number:06} {name}", "value": piece, "vector": [0.0, 0.0]}
                for number, piece in enumerate(pieces)
            ]
        with self._connection.client(doing="writing projections") as client:
            index = client.prepare_index_params()
            index.add_index("vector", index_type="FLAT", metric_type="IP")
            client.create_index(self.collection, index, sync=False)
            client.load_collection(self.collection, timeout=BUILDING_S)
            for row in rows:
                client.upsert(self.collection, [row])
        self.write({"projections": json.dumps(list(projections))})

    def read_projections(self, names: Sequence[str]) -> dict[str, Projection]:
        """The projections of some spaces.

        Raises:
            GalleryDamagedError: They make no sense.
        """
        if not names:
            return {}
        with self._connection.client(doing="reading projections") as client:
            client.load_collection(self.collection, timeout=BUILDING_S)
            rows = client.query(
                self.collection, filter='key >= "0"', output_fields=["key", "value"], consistency_level="Strong"
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


def check_keeps_partitions(version: str) -> None:
    """Refuse servers that put a row that is replaced into a partition at random, where a filter then misses it.

    Args:
        version: Of the server, such as `v2.6.16`.

    Raises:
        UsageError: It is such a server.

    Source: milvus-io/milvus, pull request 30772, fixed for 2.4.
    """
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if found and (int(found[1]), int(found[2])) < (2, 4):
        raise UsageError(f"partition-by wants Milvus 2.4 or newer, and the server has {version}")


def parsed(properties: Mapping[str, str]) -> Metadata:
    """Metadata from the properties of a collection."""
    spaces = json.loads(properties.get(PREFIX + "spaces", "[]"))
    weights: dict[str, Any] = json.loads(properties.get(PREFIX + "weights", '{"weights": null, "source": {}}'))
    first_met: dict[str, int] = {}
    kinds: dict[str, Kinds] = {}
    for key, value in properties.items():
        if key.startswith(ATTRIBUTE):
            kind, _, name = key.removeprefix(ATTRIBUTE).partition(".")
            kinds[name] = kinds.get(name, Kinds.NONE) | Kinds[kind.upper()]
            first_met[name] = min(first_met.get(name, int(value)), int(value))
    return Metadata(
        spaces=tuple(Space(name=name, dimension=dimension, model_id=model_id) for name, dimension, model_id in spaces),
        partition_by=properties.get(PREFIX + "partition_by"),
        model=properties.get(PREFIX + "model"),
        weights=StoredWeights(weights["weights"], weights["source"]),
        projections=tuple(json.loads(properties.get(PREFIX + "projections", "[]"))),
        overridden=PREFIX + "edited" in properties,
        sources=tuple(sorted(key.removeprefix(SOURCE) for key in properties if key.startswith(SOURCE))),
        roots=tuple(sorted(key.removeprefix(ROOT) for key in properties if key.startswith(ROOT))),
        kinds={name: kinds[name] for name in sorted(kinds, key=lambda name: (first_met[name], name))},
        photos=properties.get(PREFIX + "photos", ""),
        bytes=sum(len(key.encode()) + len(value.encode()) for key, value in properties.items()),
    )
