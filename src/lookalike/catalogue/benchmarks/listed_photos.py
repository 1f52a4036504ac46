"""Photos as the files of a benchmark list them, checked and turned into items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lookalike.catalogue.deepfashion.annotation_file import Problems
from lookalike.types import JSON, Box, Item

PLAIN_PATH = "the path of a photo below the folder"


def is_plain_path(name: str) -> bool:
    """Whether a name is a path that stays below the folder that it is relative to."""
    return (
        bool(name)
        and not any(part in ("", ".", "..") for part in name.split("/"))
        and name.isprintable()
        and "\\" not in name
        and ":" not in name
    )


@dataclass(slots=True)
class ListedPhotos:
    """Photos of a benchmark, each once, in the order of its files.

    Attributes:
        problems: Collects problems of the files.
        rows: Items by id.
    """

    problems: Problems
    rows: dict[str, Item] = field(default_factory=dict)

    def add(
        self,
        path: Path,
        line: int,
        name: str,
        *,
        item_id: str | None = None,
        root: Path,
        product: str | None,
        box: Box | None = None,
        attributes: dict[str, JSON],
    ) -> bool:
        """Add a photo; a repeated one, or one whose path leaves the folder, is a problem.

        Args:
            path: File that lists it.
            line: Line of the file, from 1.
            name: Path of the photo below the root.
            item_id: Id of the item; None takes the path.
            root: Folder that the path is relative to.
            product: Product that the photo shows.
            box: Box of the garment in the photo.
            attributes: Attributes; those that are None or empty are left out.

        Returns:
            Whether it was added.
        """
        key = name if item_id is None else item_id
        if not is_plain_path(name):
            self.problems.line(path, line, name, expected=PLAIN_PATH)
        elif key in self.rows:
            self.problems.line(path, line, key, expected="a photo that has not come before")
        else:
            known = {attribute: value for attribute, value in attributes.items() if value not in (None, "")}
            self.rows[key] = Item(key, name, str(root), product, box, known)
            return True
        return False

    def items(self) -> Callable[[], Iterator[Item]]:
        """Function that iterates over the items."""
        items = tuple(self.rows.values())
        return lambda: iter(items)
