"""Interface of catalogues: items, and photos that were skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final, Literal

from lookalike.catalogue.benchmark import Benchmark
from lookalike.types import Item

Kind = Literal[
    "folder",
    "imagefolder",
    "csv",
    "parquet",
    "listing",
    "drawn",
    "attributes",
    "inshop",
    "consumer2shop",
    "deepfashion2",
    "street2shop",
    "sop",
    "cub",
    "fashioniq",
    "fashion200k",
    "merchant",
    "product-search",
    "shopify",
    "woocommerce",
]


GENERIC: Final = frozenset({"catalogue", "catalog", "data", "feed", "items", "labels", "products"})
"""Names of files and folders that tell no data set from another."""

SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".ndjson", ".xml", ".gz", ".zip"})
"""Suffixes of files, which are no part of a name; those of folders, such as `photos.2026`, are."""


def short_name(source: str) -> str:
    """Name of a file or folder without its suffix; of the next folder above that has a telling one, for generic names.

    Args:
        source: Path or URL; the host of a URL counts as a folder, without the user and password.
    """
    path = PurePosixPath(source.partition("?")[0])
    while path.suffix.lower() in SUFFIXES:
        path = path.with_suffix("")
    names = [part.rpartition("@")[2] for part in reversed(path.parts) if part != "/" and not part.endswith(":")]
    return next((name for name in names if name.lower() not in GENERIC), names[0] if names else source)


@dataclass(frozen=True, slots=True)
class Skip:
    """A photo that cannot become an item.

    Attributes:
        photo: Path of the photo, or table and line of its row.
        reason: Cause, in a few words.
        id: Id of the item; empty where the source does not give one.
    """

    photo: str
    reason: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Checked source of items.

    Attributes:
        kind: Format of the source.
        source: Stable name: absolute path or URL of the folder or table, `drawn` or `-`.
        items: Returns an iterator over the items, in the same order each time; not all are in memory.
        count: Number of items.
        skipped: Photos that cannot become items, reported with those that fail later.
        unlisted: Folders that cannot be listed, relative to the source; the empty text is the source itself.
        notes: Remarks on the reading for the user, one line each.
        benchmark: Published benchmark; None for other catalogues.
        boxes: What the items' boxes are, see `lookalike.catalogue.boxes`.
        photos: Folder of the photos of DeepFashion, `img` or `img_highres`; empty for other catalogues.
    """

    kind: Kind
    source: str
    items: Callable[[], Iterator[Item]]
    count: int
    skipped: tuple[Skip, ...] = ()
    unlisted: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    benchmark: Benchmark | None = None
    boxes: bool | float = True
    photos: str = ""

    @property
    def name(self) -> str:
        """Short printable name: of the published benchmark, or of the source, see `short_name`."""
        name = short_name(self.source) if self.benchmark is None else self.benchmark.name
        return "".join(letter if letter.isprintable() else "?" for letter in name)

    def out_of_reach(self, items: Iterable[Item]) -> list[bool]:
        """Return for each item whether it may still be in the source: skipped, or in an unlisted folder.

        Args:
            items: Items that are not in this catalogue.
        """
        photos, ids = {skip.photo for skip in self.skipped}, {skip.id for skip in self.skipped if skip.id}
        return [item.id in ids or item.photo in photos or self._is_unlisted(item.photo) for item in items]

    def _is_unlisted(self, photo: str) -> bool:
        if not self.unlisted:
            return False
        parts = photo.split("/")
        return any("/".join(parts[:depth]) in self.unlisted for depth in range(len(parts) + 1))
