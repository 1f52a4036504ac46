"""A tree of splits, then classes, then photos: `train/dress/1.jpg`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from lookalike.catalogue.exclusions import Exclusions
from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.folder import open_folder
from lookalike.catalogue.splits import SPLITS
from lookalike.types import JSON, Item


def open_imagefolder(root: Path, *, exclusions: Exclusions) -> Catalogue:
    """Open a tree of splits and classes: items of `readers.folder.open_folder` with the attributes `split` and `class`.

    The first folder is the `split` (`valid` and `validation` become `val`), the second the `class`. A tree of classes
    without splits opens as an ordinary folder, whose attribute `folder` is the class.

    Args:
        root: An absolute path.
        exclusions: Paths left out of the catalogue.

    Raises:
        CatalogueError: The folder cannot be listed, or has no photos.
    """
    folder = open_folder(root, exclusions=exclusions)

    def items() -> Iterator[Item]:
        for item in folder.items():
            split, *classes, _ = item.photo.split("/")
            known: dict[str, JSON] = {**item.attributes}
            if split in SPLITS:
                known["split"] = SPLITS[split]
                if classes:
                    known["class"] = classes[0]
            yield replace(item, attributes=known)

    return replace(folder, kind="imagefolder", items=items)
