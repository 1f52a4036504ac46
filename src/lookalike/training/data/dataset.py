"""Catalogues as training data: labels as class numbers, photos as changed views."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import CatalogueError, ConfigError, UnknownNameError
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.batch import UNKNOWN, Batch, View
from lookalike.training.settings.run_settings import DataSettings
from lookalike.types import Int64, Item

JOIN = "+"
"""Between the names of attributes that make a label together."""


@dataclass(frozen=True, slots=True)
class Split:
    """The photos of one split of one catalogue.

    Attributes:
        settings: What is learnt from it.
        items: N items.
    """

    settings: DataSettings
    items: Sequence[Item]

    def field(self, name: str) -> list[str | None]:
        """A label of each item as text: an attribute, `product`, `id`, or several joined by `+`.

        None where it, or a part of it, is unknown or not learnt.
        """
        return [label_of(item, name, self.settings.ignore) for item in self.items]

    def numbers(self, name: str, classes: Sequence[str]) -> Int64:
        """One attribute as class numbers, (N,); -1 where it is unknown."""
        places = {value: place for place, value in enumerate(classes)}
        return np.array([places.get(value, -1) if value else -1 for value in self.field(name)], dtype=np.int64)

    def tags(self, name: str) -> list[frozenset[str] | None]:
        """The values of an attribute that has several at once, of each item; None where it is unknown."""
        found: list[frozenset[str] | None] = []
        for item in self.items:
            value = item.attributes.get(name)
            known = value if isinstance(value, list) else None
            found.append(None if known is None else frozenset(map(str, known)) - frozenset(self.settings.ignore))
        return found


def read_splits(data: DataSettings, *, folder: Path) -> dict[str, Split]:
    """Read a catalogue and part it into train and dev.

    Args:
        data: What to read.
        folder: What its source is relative to.

    Raises:
        CatalogueError: It cannot be read, or has no training photos.
        UnknownNameError: A head, grade or `apart` is no attribute of it.
    """
    source = data.source if data.source == "drawn" else str(folder / data.source)
    splits: dict[str, list[Item]] = {"train": [], "dev": []}
    names: set[str] = {"product", "id"}
    catalogue = open_catalogue(
        source, columns=data.columns, encoding=data.encoding or None, whole_photos=not data.boxes
    )
    for item in catalogue.items():
        names.update(item.attributes)
        if _has(item, data.where) and (part := _part_of(item, data)):
            splits[part].append(item)
    wanted = (*data.heads, *data.grades, data.apart, *([data.positives] if data.positives else ()))
    for name in (*(part for each in wanted for part in parts_of(each, names)), *data.tags, *data.where):
        if name not in names:
            raise UnknownNameError(f"attribute of {source}", name, sorted(names))
    if not splits["train"]:
        raise CatalogueError(f"{source}: no item to learn from, whose {data.split!r} is {' or '.join(data.train)}")
    if data.dev_photos and len(splits["dev"]) > data.dev_photos:
        places = np.linspace(0, len(splits["dev"]) - 1, data.dev_photos).astype(int)
        splits["dev"] = [splits["dev"][place] for place in places]
    return {part: Split(data, items) for part, items in splits.items()}


def _part_of(item: Item, data: DataSettings) -> str | None:
    """`train`, `dev`, or None for an item that is in neither."""
    given = item.attributes.get(data.split)
    if given in data.dev:
        return "dev" if _has(item, data.dev_where) else None
    if given is not None and given not in data.train:
        return None
    held_out = crc32((_value(item, "product", data.ignore) or item.id).encode()) < data.hold_out * 2**32
    if held_out:
        return "dev" if _has(item, data.dev_where) else None
    return "train"


def label_classes(splits: Sequence[Split], names: Iterable[str]) -> dict[str, list[str]]:
    """The classes of labels: the values that each takes in the training data, sorted.

    Args:
        splits: The training data; a label that is a head of some catalogues is taken from those only.
        names: Of the labels.

    Raises:
        ConfigError: A label has fewer than two values, or products of several catalogues would be mixed up.
    """
    classes: dict[str, list[str]] = {}
    for name in names:
        learning = splits_of(splits, name)
        if name == "product" and len(learning) > 1:
            raise ConfigError("the head 'product' can be learnt from one catalogue only; use an [[loss]] for several")
        found = sorted({value for split in learning for value in split.field(name) if value})
        if len(found) < 2:
            raise ConfigError(f"the label {name!r} needs at least two classes, found {found}")
        classes[name] = found
    return classes


def splits_of(splits: Sequence[Split], label: str) -> list[Split]:
    """The catalogues that a label is learnt from: those that name it as a head; all, when none does."""
    return [split for split in splits if label in split.settings.heads] or list(splits)


def tag_classes(splits: Sequence[Split]) -> dict[str, list[str]]:
    """The tags of each multi-label head: those that occur in the training data, sorted.

    Raises:
        ConfigError: There are none.
    """
    found: dict[str, set[str]] = {name: set() for split in splits for name in split.settings.tags}
    for name, tags in found.items():
        for split in splits:
            if name in split.settings.tags:
                tags.update(*(each for each in split.tags(name) if each))
        if not tags:
            raise ConfigError(f"the tags {name!r} have no values; an attribute with several at once is a list")
    return {name: sorted(tags) for name, tags in found.items()}


class TrainingPhotos(Dataset[tuple[Tensor, int, int]]):
    """The training photos of all catalogues, one after the other.

    Args:
        splits: The training data.
        classes: Of each label, as `label_classes` gives them.
        tags: Of each multi-label head, as `tag_classes` gives them.

    Attributes:
        items: N items.
        products: (N,) int64; equal numbers are photos of the same product.
        metric_products: How many products take part in the metric losses; theirs are the lowest numbers.
        origin: (N,) int64, the catalogue that each comes from.
        labels: (N,) int64 class numbers of each label; -1 where unknown or not learnt from that catalogue.
    """

    def __init__(
        self, splits: Sequence[Split], *, classes: Mapping[str, Sequence[str]], tags: Mapping[str, Sequence[str]]
    ) -> None:
        self.splits = splits
        self.items = [item for split in splits for item in split.items]
        sizes = [len(split.items) for split in splits]
        self.origin: Int64 = np.repeat(np.arange(len(splits)), sizes)
        keys = [
            (place, product or f"id:{item.id}")
            for place, split in enumerate(splits)
            for item, product in zip(split.items, split.field("product"), strict=True)
        ]
        in_metric = [split.settings.instance_loss for split in splits]
        in_order = sorted(dict.fromkeys(keys), key=lambda key: not in_metric[key[0]])
        numbers = {key: number for number, key in enumerate(in_order)}
        self.products: Int64 = np.array([numbers[key] for key in keys], dtype=np.int64)
        self.metric_products = sum(in_metric[place] for place, _ in numbers)
        self.labels = {name: self._numbers(name, values) for name, values in classes.items()}
        self.tag_places = {name: {tag: place for place, tag in enumerate(values)} for name, values in tags.items()}
        self.tags = {name: [tag for split in splits for tag in _tags_if_learnt(split, name)] for name in tags}
        self.augmentation: Augmentation | None = None
        self.preprocessing: Preprocessing | None = None

    def _numbers(self, name: str, values: Sequence[str]) -> Int64:
        learning = splits_of(self.splits, name)
        return np.concatenate(
            [
                split.numbers(name, values) if split in learning else np.full(len(split.items), UNKNOWN)
                for split in self.splits
            ]
        )

    def field(self, name: str) -> list[str | None]:
        """A label of each photo as text, as `Split.field` has it."""
        return [value for split in self.splits for value in split.field(name)]

    def show_as(self, augmentation: Augmentation, preprocessing: Preprocessing) -> None:
        """Decide how photos are changed and made ready from now on."""
        self.augmentation, self.preprocessing = augmentation, preprocessing

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, view: View | tuple[int, int]) -> tuple[Tensor, int, int]:
        """A changed photo (3, H, W) float32, its place and its role; the same view is the same in every process."""
        assert self.augmentation and self.preprocessing
        place, seed, role = View(*view)
        item = self.items[place]
        wanted = max(self.preprocessing.wanted_size, self.augmentation.settings.short_side)
        photo = open_image(item, at_least=wanted, box=item.box)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs, too
            changed = self.augmentation(photo, random=np.random.default_rng(seed))
        return torch.from_numpy(self.preprocessing(changed)), place, role

    def batch(self, places: Tensor, roles: Tensor) -> Batch:
        """What is known of the photos of a whole batch, (B,) int64 places and roles; on the device of `places`."""
        index = places.cpu().numpy()
        products = self.products[index]

        def tensor(values: Int64) -> Tensor:
            return torch.from_numpy(values).to(places.device)

        return Batch(
            roles=roles,
            products=tensor(np.where(products < self.metric_products, products, UNKNOWN)),
            labels={name: tensor(numbers[index]) for name, numbers in self.labels.items()},
            tags={name: self._tag_rows(name, index).to(places.device) for name in self.tags},
        )

    def _tag_rows(self, name: str, index: Int64) -> Tensor:
        """The tags of photos, (B, T) float32; nan where they are unknown."""
        places = self.tag_places[name]
        rows = torch.zeros(len(index), len(places))
        for row, photo in enumerate(index):
            tags = self.tags[name][photo]
            if tags is None:
                rows[row] = torch.nan
            else:
                rows[row, [places[tag] for tag in tags if tag in places]] = 1.0
        return rows


def _tags_if_learnt(split: Split, name: str) -> Sequence[frozenset[str] | None]:
    return split.tags(name) if name in split.settings.tags else [None] * len(split.items)


def parts_of(label: str, names: Container[str]) -> list[str]:
    """The attributes that make a label: itself, when there is one of that name, or those joined by `+`."""
    return [label] if label in names else label.split(JOIN)


def label_of(item: Item, name: str, ignore: Sequence[str]) -> str | None:
    """A label of an item as text; None where it, or a part of it, is unknown or not learnt."""
    values = [_value(item, part, ignore) for part in parts_of(name, item.attributes)]
    return None if None in values else JOIN.join(filter(None, values))


def _value(item: Item, name: str, ignore: Sequence[str]) -> str | None:
    value = item.product if name == "product" else item.id if name == "id" else item.attributes.get(name)
    return None if value is None or value in ("", "NA") or str(value) in ignore else str(value)


def _has(item: Item, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(str(item.attributes.get(name)) in values for name, values in where.items())
