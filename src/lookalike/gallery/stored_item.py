"""Items as a gallery stores them, with what was set by hand, and how product and attributes are changed."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lookalike.errors import UnknownNameError
from lookalike.gallery.record_batch import PRODUCT, overridden
from lookalike.types import JSON, FileStamp, Item, item_json

SOURCE: Final = "http"
"""Source of items whose photos were uploaded; they are of no catalogue, and no run of `lookalike index` prunes them."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """All that a gallery stores of an item beside its vectors.

    Attributes:
        described: The item without its overrides, as its catalogue describes it.
        overrides: Attributes set by hand, and under `PRODUCT` the product, which stay when the catalogue is indexed
            again; None removes one.
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
        """Set attributes, or the product, and remove those that are None; the others stay.

        On the item of a catalogue all are overrides. An item without one has its own values changed, except those that
        are overrides already.

        Args:
            changes: Values by name; that of `PRODUCT` is the product.
            known: Attributes of the gallery; another one that is to be removed is left out.
        """
        by_hand = {
            name: value
            for name, value in changes.items()
            if (self.is_from_catalogue or name in self.overrides)
            and (value is not None or name in known or name == PRODUCT)
        }
        own = {} if self.is_from_catalogue else {name: changes[name] for name in changes if name not in self.overrides}
        return replace(self, described=overridden(self.described, own), overrides={**self.overrides, **by_hand})

    def with_only(self, values: Mapping[str, JSON]) -> StoredItem:
        """Replace the product and all attributes, as by `with_attributes`; those that are None are left out."""
        given = {name: value for name, value in values.items() if value is not None}
        bare = replace(self.described, product=None, attributes={})
        if not self.is_from_catalogue:
            return replace(self, described=overridden(bare, given), overrides={})
        names = [*self.described.attributes, *([] if self.described.product is None else [PRODUCT])]
        return replace(self, overrides={**dict.fromkeys(name for name in names if name not in given), **given})

    def without_overrides(self, names: Iterable[str] | None, *, known: Container[str]) -> StoredItem:
        """Give attributes, or the product, the values of the catalogue again.

        Args:
            names: Attributes, and `PRODUCT`; those that are not set by hand stay as they are. None is all.
            known: Attributes of the gallery.

        Raises:
            UnknownNameError: The gallery has no attribute of a name.
        """
        if names is None:
            return replace(self, overrides={})
        dropped = set(names)
        for name in sorted(dropped):
            if name not in known and name not in self.overrides and name != PRODUCT:
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
