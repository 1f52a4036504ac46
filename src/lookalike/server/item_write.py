"""What a request asks to write of one item, and what becomes of the stored item."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from lookalike.gallery.record_batch import PRODUCT
from lookalike.gallery.stored_item import SOURCE, StoredItem
from lookalike.server.errors import ApiError
from lookalike.types import JSON, Box, FileStamp, Item


class Absent(Enum):
    """Type of `ABSENT`."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""A field that a request does not have, unlike one that is null."""


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """Changes of an item, or a new item; fields that are absent stay as they are.

    Attributes:
        id: Id of the item.
        attributes: Values by name; None removes an attribute. The others stay.
        product: Product that the photo shows.
        box: Part of the photo to embed; a box without its photo must be the present one.
        garments: Embed each garment of the photo by itself, unless there is a box.
        photo: Content of the photo file; None keeps the present photo.
        name: Name of the photo in errors.
        photo_url: Address to fetch the photo from, later.
        unset: Attributes, or `product`, that get the values of the catalogue again, after `attributes` were set.
        replace: Replace the whole item: absent fields become empty. Without a photo, photo, box and garments stay.
        delete: Delete the item.
        file_stamp: File stamp of the photo that was sent.
    """

    id: str
    attributes: Mapping[str, JSON] = field(default_factory=dict)
    product: str | Absent | None = ABSENT
    box: Box | Absent | None = ABSENT
    garments: bool | Absent = ABSENT
    photo: bytes | None = None
    name: str = "photo"
    photo_url: str | None = None
    unset: Sequence[str] = ()
    replace: bool = False
    delete: bool = False
    file_stamp: FileStamp | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.photo is not None:
            file_stamp = FileStamp(len(self.photo), 0, hashlib.sha256(self.photo).hexdigest())
            object.__setattr__(self, "file_stamp", file_stamp)

    @property
    def needs_names(self) -> bool:
        """Whether the names of the gallery's attributes decide what is written."""
        return bool(self.unset) or any(value is None for value in self.attributes.values())

    def applied(self, before: StoredItem | None, *, known: Container[str]) -> StoredItem:
        """The stored item after the write; photo, box and garments are those of before.

        Args:
            before: The stored item; None makes a new one.
            known: Attributes of the gallery.

        Raises:
            UnknownNameError: The gallery has no attribute of a name in `unset`.
        """
        if before is None:
            before = StoredItem(Item(self.id, ""), {}, SOURCE, None)
        values = dict(self.attributes)
        if not isinstance(self.product, Absent):
            values[PRODUCT] = self.product
        after = before.with_only(values) if self.replace else before.with_attributes(values, known=known)
        return after.without_overrides(
            [name for name in self.unset if name in known or name not in self.attributes], known=known
        )

    def followed_by(self, later: ItemWrite) -> ItemWrite:
        """One write that does what this one and then a later one do, which deletes nothing."""
        if later.replace and (later.photo is not None or later.photo_url is not None):
            return later
        product: str | Absent | None
        if later.replace:
            product = None if isinstance(later.product, Absent) else later.product
            attributes, unset = dict(later.attributes), [*later.unset]
        else:
            product = self.product if isinstance(later.product, Absent) else later.product
            attributes = {**self.attributes, **later.attributes}
            given = {*later.attributes, *([] if isinstance(later.product, Absent) else [PRODUCT])}
            unset = [*dict.fromkeys(name for name in (*self.unset, *later.unset) if name not in given)]
        newer = later.photo is not None or later.photo_url is not None
        return replace(
            later if newer else self,
            attributes=attributes,
            product=product,
            box=later.box if newer or not isinstance(later.box, Absent) else self.box,
            garments=self.garments if isinstance(later.garments, Absent) else later.garments,
            unset=unset,
            replace=self.replace or later.replace,
        )

    def to_json(self) -> dict[str, JSON]:
        """What is to be written beside the photo, as JSON; `from_json` reads it."""
        told: dict[str, JSON] = {"attributes": dict(self.attributes)}
        if not isinstance(self.product, Absent):
            told["product"] = self.product
        if not isinstance(self.box, Absent):
            told["box"] = None if self.box is None else self.box.to_list()
        if not isinstance(self.garments, Absent):
            told["garments"] = self.garments
        return told | {"unset": [*self.unset], "replace": self.replace}

    @classmethod
    def from_json(cls, item_id: str, told: Mapping[str, Any]) -> ItemWrite:
        """Read the result of `to_json`."""
        box = told.get("box", ABSENT)
        return cls(
            item_id,
            attributes=told["attributes"],
            product=told.get("product", ABSENT),
            box=Box(*box) if isinstance(box, list) else box,
            garments=told.get("garments", ABSENT),
            unset=told["unset"],
            replace=told["replace"],
        )

    def has_photo_of(self, before: StoredItem | None) -> bool:
        """Whether the photo that was sent has the content of the present one."""
        present = None if before is None else before.file_stamp
        return present is not None and self.file_stamp is not None and present.sha256 == self.file_stamp.sha256

    def parts_wanted(self, before: StoredItem | None) -> tuple[Box | None, bool]:
        """Box of the photo that was sent, and whether to embed its garments. A box belongs to one photo only."""
        kept = None if before is None or self.replace else before.described
        box = kept.box if kept is not None and self.has_photo_of(before) else None
        if not isinstance(self.box, Absent) or self.garments is True:  # garments that are asked for replace a kept box
            box = None if isinstance(self.box, Absent) else self.box
        garments = kept is not None and kept.finder is not None
        garments = garments if isinstance(self.garments, Absent) else self.garments
        return box, garments and box is None

    def check_without_photo(self, before: StoredItem | None) -> None:
        """Check that a write without a photo needs none.

        Raises:
            ApiError: There is no such item, or its photo would have to be embedded in another way.
        """
        if before is None:
            raise ApiError("photo_needed", f"there is no item {self.id!r} yet; send its photo with it")
        if not isinstance(self.box, Absent) and self.box != before.described.box:
            raise ApiError("photo_needed", "the box differs from the indexed one; send the photo with it")
        if not isinstance(self.garments, Absent) and self.garments != (before.described.finder is not None):
            raise ApiError("photo_needed", "garments are found in a photo; send it")
