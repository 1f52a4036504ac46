"""Items as a gallery stores them, with the attributes set by hand, and how attributes are changed."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lookalike.errors import UnknownNameError
from lookalike.gallery.record_batch import overridden
from lookalike.types import JSON, FileStamp, Item, item_json

SOURCE: Final = "http"
"""Source of items whose photos were uploaded; they are of no catalogue, and no run of `lookalike index` prunes them."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """All that a gallery stores of an item beside its vectors.

    Attributes:
        described: The item without its overrides, as its catalogue describes it.
        overrides: Attributes set by hand, which stay when the catalogue is indexed again; None removes one.
        source: Catalogue of the item, or `SOURCE`.
        file_stamp: File stamp of its photo; None without one.
    """

    described: Item
    overrides: Mapping[str, JSON]
    source: str
    file_stamp: FileStamp | None

    @property
    def item(self) -> Item:
        """The item with its overrides applied."""
        return overridden(self.described, self.overrides)

    @property
    def is_from_catalogue(self) -> bool:
        """Whether a catalogue was indexed that describes the item, so that changes of attributes are overrides."""
        return self.source != SOURCE

    def to_json(self) -> dict[str, Any]:
        """JSON form of the item, with its overrides if it has any."""
        return {**item_json(self.item), **({"overrides": dict(self.overrides)} if self.overrides else {})}

    def with_attributes(self, changes: Mapping[str, JSON], *, known: Container[str]) -> StoredItem:
        """Set attributes, and remove those that are None; the others stay.

        On the item of a catalogue all are overrides. An item without one has its own values changed, except those that
        are overrides already.

        Args:
            changes: Values by name.
            known: Attributes of the gallery; another one that is to be removed is left out.
        """
        by_hand = {
            name: value
            for name, value in changes.items()
            if (self.is_from_catalogue or name in self.overrides) and (value is not None or name in known)
        }
        own = {} if self.is_from_catalogue else {name: changes[name] for name in changes if name not in self.overrides}
        attributes = {**self.described.attributes, **own}
        kept = {name: value for name, value in attributes.items() if value is not None or name not in own}
        return replace(
            self, described=replace(self.described, attributes=kept), overrides={**self.overrides, **by_hand}
        )

    def with_only(self, attributes: Mapping[str, JSON]) -> StoredItem:
        """Replace all attributes, as by `with_attributes`; those that are None are left out."""
        given = {name: value for name, value in attributes.items() if value is not None}
        if not self.is_from_catalogue:
            return replace(self, described=replace(self.described, attributes=given), overrides={})
        gone = dict.fromkeys(name for name in self.described.attributes if name not in given)
        return replace(self, overrides={**gone, **given})

    def without_overrides(self, names: Iterable[str] | None, *, known: Container[str]) -> StoredItem:
        """Give attributes the values of the catalogue again.

        Args:
            names: Attributes; those that are not set by hand stay as they are. None is all.
            known: Attributes of the gallery.

        Raises:
            UnknownNameError: The gallery has no attribute of a name.
        """
        if names is None:
            return replace(self, overrides={})
        dropped = set(names)
        for name in sorted(dropped):
            if name not in known and name not in self.overrides:
                raise UnknownNameError("attribute", name, [*self.item.attributes])
        return replace(self, overrides={name: self.overrides[name] for name in self.overrides if name not in dropped})

    def is_same(self, other: StoredItem) -> bool:
        """Whether both are stored alike. Values of different types, such as 1 and true, are not the same."""
        return self == other and all(
            json.dumps(mine, sort_keys=True) == json.dumps(theirs, sort_keys=True)
            for mine, theirs in (
                (self.described.attributes, other.described.attributes),
                (self.overrides, other.overrides),
            )
        )
