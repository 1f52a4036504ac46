"""Columns of tables, and the conversion of rows to items."""

from __future__ import annotations

import difflib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lookalike.catalogue.protocol import Skip
from lookalike.catalogue.readers.photo_names import as_in_folder
from lookalike.counts import counted
from lookalike.errors import AnnotationError, CatalogueError, UnknownNameError, UsageError
from lookalike.types import JSON, Box, Item

ROLES = ("id", "image", "product", "box")
LIKELY_IMAGE_COLUMNS = ("image", "file", "path", "url", "photo", "picture", "img")
SHOWN = 20
LONGEST_NAME = 80
"""Most column names in a message, and most characters of each."""

LOOKS_LIKE_A_PHOTO = re.compile(r".*(://|\.(jpe?g|png|webp|avif|gif|tiff?|bmp|heic)$)", re.IGNORECASE)
NEXT_ADDRESS = re.compile(r"\s*[,;|]\s*(?=https?://)", re.IGNORECASE)
"""Separator of several photo URLs in one cell."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table by role.

    Attributes:
        image: Column of the photo's path, relative to the table, or its URL.
        id: Column of the id; None when the photo's path is the id.
        product: Column of the product; None when there is none.
        box: Column of the box; None when there is none.
        attributes: All other columns.
    """

    image: str
    id: str | None
    product: str | None
    box: str | None
    attributes: tuple[str, ...]


def assign_columns(path: Path, names: Iterable[str], *, columns: Mapping[str, str]) -> Columns:
    """Assign columns to roles.

    Args:
        path: Path of the table, used in messages.
        names: Column names.
        columns: Column names by role, where they differ from the role.

    Raises:
        CatalogueError: There is no column of photos, or a name occurs twice.
        UnknownNameError: `columns` has an unknown role or column.
    """
    names = list(names)
    for name, count in Counter(names).items():
        if count > 1:
            raise CatalogueError(f"{path}: two columns are called {name!r}")
    for role, name in columns.items():
        if role not in ROLES:
            raise UnknownNameError("role of a column", role, ROLES)
        if name not in names:
            raise UnknownNameError(f"column of {path.name}", name, names)
    found = {role: columns.get(role, role if role in names else None) for role in ROLES}
    image = found["image"]
    if image is None:
        if any(LOOKS_LIKE_A_PHOTO.fullmatch(name) for name in names):
            raise CatalogueError(f"{path}: its first line must name its columns, and looks like a row: {_few(names)}")
        said = shlex.quote(f"image={_likely_image_column(names)}")
        raise CatalogueError(
            f"{path} has no column 'image', only {_few(names)}; say which one holds the photos' paths: --column {said}"
        )
    roles = set(found.values())
    return Columns(
        image=image,
        id=found["id"],
        product=found["product"],
        box=found["box"],
        attributes=tuple(name for name in names if name not in roles),
    )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(" ".join(name.split())[:LONGEST_NAME] for name in names[:SHOWN]) + more


def _likely_image_column(names: list[str]) -> str:
    """Suggest the column of the photos: one with a usual name, or a usual word in its name."""
    names = [name for name in names if name.isprintable() and len(name) <= LONGEST_NAME]
    for matches in (str.__eq__, str.__contains__):
        for wanted in LIKELY_IMAGE_COLUMNS:
            for name in names:
                if matches(name.lower(), wanted):
                    return name
    near = difflib.get_close_matches("image", names, n=1)
    return near[0] if near else "NAME"


class RowReader:
    """Converts rows of a table to items, and checks that ids are unique.

    Args:
        path: Path of the table.
        columns: Columns by role.

    Attributes:
        skipped: Rows without a photo, such as variants of an article in exports of shops, or with U+0000.
        several: Number of rows with several photos, of which the first is used.
    """

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.columns = path, columns
        self.skipped: list[Skip] = []
        self.several = 0
        self._line_of_id: dict[str, int] = {}

    def item(self, row: Mapping[str, JSON], line: int) -> Item | None:
        """Convert a row to an item.

        Args:
            row: Values by column; None and empty text are missing values.
            line: First line of the row, from 1.

        Returns:
            None for a row without a photo, or whose names have the character U+0000, which is added to `skipped`.

        Raises:
            AnnotationError: The row has no id, its id is not unique, or its box is malformed.
        """
        photo = self._text(row, self.columns.image)
        named = (self._text(row, self.columns.id), self._text(row, self.columns.product), photo)
        has_nul = any("\0" in (text or "") for text in named)
        if photo is None or has_nul:
            reason = (
                "its id, product or photo has the character U+0000"
                if has_nul
                else f"no photo in the column {self.columns.image!r}"
            )
            self.skipped.append(Skip(f"{self.path.name}:{line}", reason, self._text(row, self.columns.id) or ""))
            return None
        first, *others = NEXT_ADDRESS.split(photo) if "://" in photo else [photo]
        self.several += bool(others)
        item_id = self._text(row, self.columns.id) if self.columns.id else first
        if item_id is None:
            raise AnnotationError(self.path, line, "", f"an id in the column {self.columns.id!r}")
        before = self._line_of_id.setdefault(item_id, line)
        if before != line:
            raise AnnotationError(self.path, line, item_id, f"a unique id, and line {before} has the same")
        root = str(self.path.parent)
        return Item(
            id=item_id,
            photo=as_in_folder(root, first),
            root=root,
            product=self._text(row, self.columns.product),
            box=self._box(row, line),
            attributes={name: row[name] for name in self.columns.attributes if row[name] not in (None, "")},
        )

    def notes(self) -> tuple[str, ...]:
        """Remarks for the user."""
        if not self.several:
            return ()
        return (f"{counted(self.several, 'row names', 'rows name')} several photos; the first of each was taken",)

    def _text(self, row: Mapping[str, JSON], column: str | None) -> str | None:
        value = row[column] if column else None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # data frames store whole numbers as floats if some are missing
        if isinstance(value, list | dict):
            raise CatalogueError(f"{self.path}: the column {column!r} holds lists or objects; expected text or numbers")
        return None if value is None or not str(value).strip() else str(value)

    def _box(self, row: Mapping[str, JSON], line: int) -> Box | None:
        value = row[self.columns.box] if self.columns.box else None
        if isinstance(value, list):
            value = ",".join(str(corner) for corner in value)
        if value is None or not str(value).strip():
            return None
        try:
            return Box.parse(str(value).strip().strip("[]()"))
        except UsageError:
            expected = "a box x1,y1,x2,y2 in pixels with 0 <= x1 < x2 and 0 <= y1 < y2"
            raise AnnotationError(self.path, line, str(value), expected) from None
