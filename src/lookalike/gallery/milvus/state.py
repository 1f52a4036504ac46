"""State of a gallery on Milvus: whether it exists, its cached metadata, whether its collection is loaded."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from time import monotonic, time
from typing import Final

from lookalike.errors import GalleryLockedError, GalleryNotFoundError, MismatchError
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.milvus import schema
from lookalike.gallery.milvus.address import Address
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.metadata import Metadata, MetadataStore
from lookalike.gallery.milvus.reads import MilvusReader
from lookalike.spaces import format_spaces, width

METADATA_GOOD_FOR_S: Final = 2.0
"""Seconds for which reads that may be stale use cached metadata."""


class State:
    """State of one gallery in one process.

    Args:
        address: Address of the gallery.
        create: Create the gallery if there is none.

    Attributes:
        connection: Connection to the server.
        metadata_store: Store of the metadata.
        reader: Reader of the rows.

    Raises:
        GalleryNotFoundError: There is no gallery, and `create` is not set.
        MismatchError: The collection is not a gallery's.
    """

    def __init__(self, address: Address, *, create: bool) -> None:
        self.connection = Connection(address)
        self.metadata_store = MetadataStore(self.connection)
        self.reader = MilvusReader(self.connection)
        self._known: Metadata | None = None
        self._known_since = 0.0
        self._there = False
        self._made = False
        if self.metadata_store.read() is None:
            self._create(allowed=create)

    def _create(self, *, allowed: bool) -> None:
        address = self.connection.address
        with self.connection.client(doing="looking for the gallery") as client:
            taken = client.has_collection(address.collection)
        if taken:
            raise MismatchError(f"{address.text} is a collection of another program; choose another name")
        if not allowed:
            raise GalleryNotFoundError(
                f"there is no gallery at {address.text}; create it with `lookalike index` or `lookalike gallery import`"
            )
        self.metadata_store.create()
        self._made = True

    def discard_if_unused(self) -> None:
        """Delete the gallery if this object created it and nothing was added."""
        if self._made and not self.metadata(fresh=True).spaces:
            self.metadata_store.drop()
            self._known, self._made = None, False

    def metadata(self, *, fresh: bool = False) -> Metadata:
        """Metadata of the gallery, cached for `METADATA_GOOD_FOR_S` unless `fresh` is set.

        Raises:
            GalleryNotFoundError: The gallery was deleted.
        """
        good_for = 0.0 if fresh or self.reader.level() == "Strong" else METADATA_GOOD_FOR_S
        if self._known is None or monotonic() - self._known_since > good_for:
            known = self.metadata_store.read()
            if known is None:
                raise GalleryNotFoundError(f"there is no gallery at {self.connection.address.text} any more")
            self._known, self._known_since = known, monotonic()
            self._follow(known.items or self.connection.address.collection)
        return self._known

    def _follow(self, collection: str) -> None:
        """Use the collection that the metadata name; a switch to another model names another one."""
        if collection != self.connection.collection:
            self.connection.collection, self._there = collection, False

    def check_open(self) -> None:
        """Check that the gallery takes writes.

        Raises:
            GalleryLockedError: It is being given another model.
        """
        if self.metadata(fresh=True).closed_until > time():
            raise GalleryLockedError(
                f"{self.connection.address.text} is being given another model; try again in a minute", holder={}
            )

    def forget_metadata(self) -> None:
        """Drop the cached metadata, which have changed."""
        self._known = None

    def remember(self, changes: Mapping[str, str]) -> None:
        """Write metadata."""
        self.metadata_store.write(changes)
        self.forget_metadata()

    def note_overrides(self, known: Metadata, overrides: Overrides) -> None:
        """Record in the metadata that there are overrides, before the first one is written."""
        if any(overrides or ()) and not known.overridden:
            self.remember({"edited": "1"})

    def photo_owner(self) -> str:
        """Name of the gallery's photo folder, chosen at the first call."""
        if not (known := self.metadata(fresh=True)).photos:
            self.remember({"photos": secrets.token_hex(16)})
            known = self.metadata(fresh=True)
        return known.photos

    def has_rows(self) -> bool:
        """Whether the collection exists; loads it if necessary.

        Raises:
            MismatchError: Its fields do not fit the gallery's spaces.
        """
        known = self.metadata()
        spaces, partitioned = known.spaces, known.partition_by is not None
        if self._there or not spaces:
            return self._there
        collection = self.connection.collection
        with self.connection.client(doing="opening the gallery") as client:
            if not client.has_collection(collection):
                return False
            if not schema.is_ours(client, collection, columns=width(spaces), partitioned=partitioned):
                raise MismatchError(
                    f"the collection {collection!r} at {self.connection.address.server} has other fields than a "
                    f"gallery with the spaces {format_spaces(spaces)}; another program changed it"
                )
            if client.get_load_state(collection)["state"].name != "Loaded":
                if not client.list_indexes(collection):
                    return False
                schema.load(client, self.connection.address, collection)
        self._there = True
        return True

    def make_collection(self) -> None:
        """Create the collection for the gallery's spaces if it is missing."""
        if not self.has_rows():
            known = self.metadata(fresh=True)
            schema.create(self.connection, columns=width(known.spaces), partitioned=known.partition_by is not None)
            self._there = True
