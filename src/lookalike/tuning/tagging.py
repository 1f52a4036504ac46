"""Tags: missing attributes of items, filled by what a model sees in their photos."""

from __future__ import annotations

import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from io import StringIO
from pathlib import Path
from typing import Any, Final

from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.batch_embedding import embed_photos
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import labels_of
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.photo_tasks import Embedded, PhotoTask, Unreadable
from lookalike.embedding.protocol import Embedder
from lookalike.errors import PhotoError, UnknownNameError, UsageError
from lookalike.gallery.opening import gallery_of
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.protocol import Gallery
from lookalike.remote.addresses import is_address
from lookalike.storage.files import not_written, write_whole
from lookalike.tuning.labelled_photos import Progress
from lookalike.types import JSON, Item

HEADS: Final = ("kind", "colour", "gender")
"""Heads whose classes are attributes, where a model has them."""

WRITTEN: Final = 1000
"""Items of one transaction."""

LEAST: Final = 0.8
"""Least probability of a tag."""


@dataclass(frozen=True, slots=True)
class Tag:
    """Value for a missing attribute of an item.

    Attributes:
        id: Id of the item.
        attribute: Name of the attribute.
        value: Most probable class.
        probability: Its probability, in [0, 1].
    """

    id: str
    attribute: str
    value: str
    probability: float


@dataclass(frozen=True, slots=True)
class Tagging:
    """Result of `tag`.

    Attributes:
        photos: Number of photos with missing attributes that were looked at.
        tags: Tags, in the order of the items.
        items: All items of a catalogue, tagged; empty for a gallery, which has them.
        skipped: Rows of the catalogue that are no items, and photos that cannot be read, with the reasons.
    """

    photos: int
    tags: Sequence[Tag]
    items: Sequence[Item] = field(default=(), repr=False)
    skipped: Sequence[str] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """JSON form, as printed by `lookalike tag --json`."""
        return {"photos": self.photos, "tags": [asdict(each) for each in self.tags], "skipped": list(self.skipped)}

    def write_table(self, file: str | os.PathLike[str]) -> None:
        """Write the items of a catalogue, with their tags, as a CSV table for `lookalike index`.

        Raises:
            UsageError: The file cannot be written.
        """
        names = list(dict.fromkeys(name for item in self.items for name in item.attributes))
        table = StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["id", "image", "product", "box", *names])
        for item in self.items:
            values = [cell(item.attributes.get(name)) for name in names]
            writer.writerow([item.id, whole_location(item), item.product or "", item.box or "", *values])
        path = Path(file)
        try:
            write_whole(path, table.getvalue().encode())
        except OSError as error:
            raise not_written(path, "the table", error) from None


def tag(
    source: str | os.PathLike[str] | None = None,
    *,
    gallery: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | None = None,
    heads: Mapping[str, str] | Sequence[str] = HEADS,
    least: float = LEAST,
    dry_run: bool = False,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
) -> Tagging:
    """Fill missing attributes of the items of a catalogue or a gallery by what a model sees in their photos.

    Values that are there stay, and so does the source of a catalogue: its tagged items are in the result. Tags of a
    gallery are overrides, which stay when its catalogue is indexed again.

    Args:
        source: Catalogue.
        gallery: Instead of `source`: the address of a gallery, whose photos are read again.
        model: A model with labels: `default` or an ONNX file; None is the gallery's, or `default`.
        heads: Heads of the model, whose names are those of the attributes; or attributes by head, such as
            `{"colour": "baseColour"}`. Of the default ones, those that the model has.
        least: Least probability of a tag, from 0 to 1.
        dry_run: Leave the gallery as it is.
        columns: Columns of a table by the standard names.
        encoding: Encoding of a CSV table that is not UTF-8, such as `cp1252`.
        runtime: `auto`, `onnx` or `openvino`.
        device: `auto`, `cpu` or `cuda`.
        progress: Called with the number of photos done and in all.

    Raises:
        UsageError: Not exactly one of `source` and `gallery` is given, `least` is not from 0 to 1, or the model has no
            labels.
        UnknownNameError: The model has no such head.
        CatalogueError: The source cannot be read.
        GalleryNotFoundError: There is no gallery.
        GalleryLockedError: Another process is writing to the gallery.
    """
    if (source is None) == (gallery is None):
        raise UsageError("give either a catalogue, or the gallery to tag")
    if not 0 <= least <= 1:
        raise UsageError(f"least must be from 0 to 1, got {least}")
    if source is not None:
        catalogue = open_catalogue(os.fspath(source), columns=columns, encoding=encoding)
        items = list(catalogue.items())
        tagger = _Tagger(opened_model(model, runtime=runtime, device=device), heads, least=least, progress=progress)
        tags = tagger.tags(items)
        filled = [with_tags(item, tags.get(item.id, ())) for item in items]
        skipped = [*(f"{skip.photo}: {skip.reason}" for skip in catalogue.skipped), *tagger.skipped]
        return Tagging(tagger.photos, [each for listed in tags.values() for each in listed], filled, skipped)
    with gallery_of(os.fspath(gallery or "")) as shop:
        embedder = opened_model(model or shop.model, runtime=runtime, device=device)
        tagger = _Tagger(embedder, heads, least=least, progress=progress)
        items = [item for batch in shop.records() for item in batch.current_items]
        # Local photos are read as in indexing; URLs in an imported gallery may name untrusted hosts.
        reader = PhotoReader.of(shop)
        tags = tagger.tags(items, check=lambda item: is_address(item.location) and reader(item))
        if not dry_run:
            write_tags(shop, tags)
    return Tagging(tagger.photos, [each for listed in tags.values() for each in listed], (), tagger.skipped)


def opened_model(model: str | os.PathLike[str] | None, *, runtime: str, device: str) -> Embedder:
    """Embedder of a model with labels.

    Raises:
        UsageError: The model has none.
    """
    chosen = os.fspath(model or "default")
    embedder = PhotoEmbedder(open_network(chosen, runtime=runtime, device=device))
    if not embedder.labels:
        raise UsageError(f"the model {chosen} has no labels; name one that was exported with --labels")
    return embedder


class _Tagger:
    """Looks at photos.

    Attributes:
        photos: Number of photos that were looked at.
        skipped: Photos that cannot be read, with the reasons.
    """

    def __init__(
        self, embedder: Embedder, heads: Mapping[str, str] | Sequence[str], *, least: float, progress: Progress | None
    ) -> None:
        self.photos = 0
        self.skipped: list[str] = []
        self._embedder, self._least, self._progress = embedder, least, progress
        named = dict(heads) if isinstance(heads, Mapping) else {head: head for head in heads}
        if heads is HEADS:
            named = {head: name for head, name in named.items() if head in embedder.labels}
        for head in named:
            if head not in embedder.labels:
                raise UnknownNameError("head of the model", head, embedder.labels)
        self._attributes = named

    def tags(
        self, items: Iterable[Item], *, check: Callable[[Item], object] = lambda item: None
    ) -> dict[str, list[Tag]]:
        """Tags of items by id; items without tags are left out.

        Args:
            items: Items; those that miss none of the attributes are passed over.
            check: Raises PhotoError for items whose photos may not be read.
        """
        missing = [item for item in items if any(is_missing(item, name) for name in self._attributes.values())]
        found: dict[str, list[Tag]] = {}
        done = 0
        for outcome in embed_photos(self._tasks(missing, check), defaultdict(float), embedder=self._embedder):
            if isinstance(outcome, Unreadable):
                self._skip(outcome.item, outcome.error)
            elif isinstance(outcome, Embedded):
                found |= self._tagged(outcome)
                done += len(outcome.items)
            if self._progress is not None:
                self._progress(done + len(self.skipped), len(missing))
        return found

    def _tasks(self, items: Iterable[Item], check: Callable[[Item], object]) -> Iterator[PhotoTask]:
        """Photos to look at, whole or their boxes: garments are not tagged one by one."""
        for item in items:
            try:
                check(item)
            except PhotoError as error:
                self._skip(item, error)
            else:
                yield PhotoTask(replace(item, garments=()))

    def _skip(self, item: Item, error: PhotoError) -> None:
        self.skipped.append(f"{item.photo}: {error.reason}")

    def _tagged(self, embedded: Embedded) -> dict[str, list[Tag]]:
        """Tags of a batch."""
        self.photos += len(embedded.items)
        found = {}
        for at, item in enumerate(embedded.items):
            probabilities = {head: part[at : at + 1] for head, part in embedded.labels.items()}
            shown = labels_of(probabilities, self._embedder.labels).shown
            tags = [
                Tag(item.id, name, *shown[head][0])
                for head, name in self._attributes.items()
                if shown[head] and shown[head][0][1] >= self._least and is_missing(item, name)
            ]
            if tags:
                found[item.id] = tags
        return found


def is_missing(item: Item, attribute: str) -> bool:
    """Whether an item has no value of an attribute, or an empty text."""
    return item.attributes.get(attribute) in (None, "")


def with_tags(item: Item, tags: Iterable[Tag]) -> Item:
    """An item with its tags as attributes."""
    return replace(item, attributes={**item.attributes, **{each.attribute: each.value for each in tags}})


def write_tags(gallery: Gallery, tags: Mapping[str, Sequence[Tag]]) -> None:
    """Write tags into a gallery as overrides, beside others, where an attribute is still missing.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    with gallery.writing():
        changed: list[tuple[Item, dict[str, JSON]]] = []
        for batch in gallery.records():
            for item, current, overrides in zip(batch.items, batch.current_items, batch.overrides, strict=True):
                new = [each for each in tags.get(item.id, ()) if is_missing(current, each.attribute)]
                if new:
                    changed.append((item, {**overrides, **{each.attribute: each.value for each in new}}))
        for start in range(0, len(changed), WRITTEN):
            part = changed[start : start + WRITTEN]
            gallery.update([item for item, _ in part], overrides=[overrides for _, overrides in part])


def whole_location(item: Item) -> str:
    """Address of a photo, or its absolute path."""
    return item.location if is_address(item.location) else str(Path(item.location).absolute())


def cell(value: JSON) -> str:
    """Value of an attribute in a CSV table; lists and objects as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
