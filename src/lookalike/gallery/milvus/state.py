"""Where a gallery on Milvus stands: whether it is there, what it remembers, whether its collection can be asked."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from time import monotonic
from typing import Final

from lookalike.errors import GalleryNotFoundError, MismatchError
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.milvus import schema
from lookalike.gallery.milvus.address import Address
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.metadata import Metadata, MetadataStore
from lookalike.gallery.milvus.reads import MilvusReader
from lookalike.spaces import format_spaces, width

METADATA_GOOD_FOR_S: Final = 2.0
"""Seconds for which a reader that need not be up to date goes by what it knows of the gallery."""


class State:
    """One gallery, as one process knows it.

    Args:
        address: Where it is.
        create: Make one if there is none.

    Attributes:
        connection: To its server.
        metadata_store: Of what it remembers.
        reader: Of its rows.

    Raises:
        GalleryNotFoundError: There is none, and none may be made.
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
            raise MismatchError(
                f"{address.text} is a collection of Milvus, and not a gallery's; name another collection"
            )
        if not allowed:
            raise GalleryNotFoundError(
                f"there is no gallery at {address.text}; `lookalike index` or `lookalike gallery import` makes one"
            )
        self.metadata_store.create()
        self._made = True

    def discard_if_unused(self) -> None:
        """Delete the gallery again when this very object has made it and nothing was ever added; else do nothing."""
        if self._made and not self.metadata(fresh=True).spaces:
            self.metadata_store.drop()
            self._known, self._made = None, False

    def metadata(self, *, fresh: bool = False) -> Metadata:
        """What the gallery remembers of itself; a reader need not ask the server each time.

        Raises:
            GalleryNotFoundError: It was deleted.
        """
        good_for = 0.0 if fresh or self.reader.level() == "Strong" else METADATA_GOOD_FOR_S
        if self._known is None or monotonic() - self._known_since > good_for:
            known = self.metadata_store.read()
            if known is None:
                raise GalleryNotFoundError(f"there is no gallery at {self.connection.address.text} any more")
            self._known, self._known_since = known, monotonic()
        return self._known

    def forget_metadata(self) -> None:
        """Ask the server the next time: they have just been changed."""
        self._known = None

    def remember(self, changes: Mapping[str, str]) -> None:
        """Change what the gallery remembers of itself."""
        self.metadata_store.write(changes)
        self.forget_metadata()

    def note_overrides(self, known: Metadata, overrides: Overrides) -> None:
        """Remember, before the first attribute is set by hand, that there may be such."""
        if any(overrides or ()) and not known.overridden:
            self.remember({"edited": "1"})

    def photo_owner(self) -> str:
        """The name of the folder whose photos are this gallery's own; it gets one when it is first asked."""
        if not (known := self.metadata(fresh=True)).photos:
            self.remember({"photos": secrets.token_hex(16)})
            known = self.metadata(fresh=True)
        return known.photos

    def has_rows(self) -> bool:
        """Whether there is a collection to ask; it is loaded when it is not.

        Raises:
            MismatchError: It is not of the gallery's spaces.
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
        """Make the collection for the gallery's spaces, as far as it is not there."""
        if not self.has_rows():
            known = self.metadata(fresh=True)
            schema.create(self.connection, columns=width(known.spaces), partitioned=known.partition_by is not None)
            self._there = True
