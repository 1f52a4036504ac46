"""Telling what a folder is: a benchmark as DeepFashion publishes it, a tree of splits and classes, or just photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError

Layout = Literal["inshop", "consumer2shop", "attributes", "fine", "imagefolder"]

PARTITION = "list_eval_partition.txt"
ATTRIBUTE_FOLDERS = ("Anno", "Anno_coarse", "Eval", ".")

MARKS: Mapping[Layout, tuple[Sequence[str], Sequence[str]]] = {
    "inshop": (
        ("Anno", "Eval", "."),
        (
            "list_bbox_inshop.txt",
            "list_item_inshop.txt",
            "list_landmarks_inshop.txt",
            "list_description_inshop.json",
        ),
    ),
    "consumer2shop": (
        ("Anno", "Eval", "."),
        (
            "list_bbox_consumer2shop.txt",
            "list_item_consumer2shop.txt",
            "list_items_consumer2shop.txt",
            "list_landmarks_consumer2shop.txt",
        ),
    ),
    "fine": ((".",), ("train_cate.txt", "train_attr.txt")),
    "attributes": (ATTRIBUTE_FOLDERS, ("list_category_img.txt", "list_category_cloth.txt", "list_attr_img.txt")),
}
"""Files that only one benchmark has, and where they may lie."""

COLUMNS: Mapping[int, Layout] = {2: "attributes", 3: "inshop", 4: "consumer2shop"}
"""A partition tells by its number of columns whose it is."""

SPLITS: Mapping[str, str] = {
    "train": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "dev",
    "test": "test",
}
"""Names of folders that are splits, and what the splits are called."""


def recognise(folder: Path) -> Layout | None:
    """Tell what a folder is; None is just photos."""
    for layout, (places, names) in MARKS.items():
        if any((folder / place / name).is_file() for place in places for name in names):
            return layout
    for place in ("Eval", "Anno", "."):
        layout_of_partition = _layout_of_partition(folder / place / PARTITION)
        if layout_of_partition:
            return layout_of_partition
    if recognise_fine(folder):
        return "attributes"
    splits = _sub_folders(folder)
    split_names = {path.name for path in splits}
    if "train" in split_names and split_names <= set(SPLITS) and all(map(_sub_folders, splits)):
        return "imagefolder"
    return None


def recognise_fine(folder: Path) -> bool:
    """Whether the fine annotations lie in a folder, in their own."""
    places, names = MARKS["fine"]
    return any((folder / "Anno_fine" / place / name).is_file() for place in places for name in names)


def open_recognised(folder: Path) -> Catalogue | None:
    """Open a folder as what it is recognised to be; None when it is just photos.

    A folder in which there is nothing but folders of benchmarks is opened as the one that is there.

    Args:
        folder: An absolute path.

    Raises:
        CatalogueError: The benchmark cannot be read, or there are several.
    """
    layout = recognise(folder)
    if layout is None:
        found = [child for child in _sub_folders(folder) if recognise(child) not in (None, "imagefolder")]
        if not found or found != _sub_folders(folder):
            return None
        if len(found) > 1:
            names = ", ".join(repr(child.name) for child in found)
            raise CatalogueError(f"{folder}: there are several benchmarks in it; name one of them: {names}")
        return open_recognised(found[0])
    return _open(folder, layout)


def _open(folder: Path, layout: Layout) -> Catalogue:
    if layout == "inshop":
        from lookalike.catalogue.inshop import open_inshop

        return open_inshop(folder)
    if layout == "consumer2shop":
        from lookalike.catalogue.consumer2shop import open_consumer2shop

        return open_consumer2shop(folder)
    if layout == "imagefolder":
        from lookalike.catalogue.imagefolder import open_imagefolder

        return open_imagefolder(folder)
    if layout == "fine":
        from lookalike.catalogue.deepfashion_fine import open_fine

        return open_fine(folder)
    places, names = MARKS["attributes"]
    if recognise_fine(folder) and not any((folder / place / name).is_file() for place in places for name in names):
        return _open(folder / "Anno_fine", "fine")
    from lookalike.catalogue.deepfashion_attributes import open_attributes

    return open_attributes(folder, folders=ATTRIBUTE_FOLDERS)


def _layout_of_partition(path: Path) -> Layout | None:
    try:
        with path.open("rb") as file:
            _, names = file.readline(1000), file.readline(1000)
    except OSError:
        return None
    return COLUMNS.get(len(names.split()))


def _sub_folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError:
        return []  # the one who opens the folder says so
