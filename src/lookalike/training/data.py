"""Catalogues as training data: labels as class numbers, photos as changed views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import CatalogueError, ConfigError, UnknownNameError
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.augmentation import Augmentation
from lookalike.training.settings import DataSettings
from lookalike.types import Int64, Item

View = tuple[int, int]
"""A place in the training data, and the seed of the change that is made to its photo."""


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
        """One attribute (or `product`, or `id`) of each item as text; None where it is unknown or not learnt."""
        return [_field(item, name, self.settings.ignore) for item in self.items]

    def numbers(self, name: str, classes: Sequence[str]) -> Int64:
        """One attribute as class numbers, (N,); -1 where it is unknown."""
        places = {value: place for place, value in enumerate(classes)}
        return np.array([places.get(value, -1) if value else -1 for value in self.field(name)], dtype=np.int64)


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
    for item in open_catalogue(source, columns=data.columns).items():
        names.update(item.attributes)
        part = item.attributes.get(data.split, "train")
        if part in splits and (part == "train" or _wanted(item, data.dev_where)):
            splits[str(part)].append(item)
    if not splits["train"]:
        raise CatalogueError(f"{source}: no item whose {data.split!r} is 'train'")
    for name in (*data.heads, *data.grades, data.apart, *data.dev_where):
        if name not in names:
            raise UnknownNameError(f"attribute of {source}", name, sorted(names))
    if data.dev_photos and len(splits["dev"]) > data.dev_photos:
        places = np.linspace(0, len(splits["dev"]) - 1, data.dev_photos).astype(int)
        splits["dev"] = [splits["dev"][place] for place in places]
    return {part: Split(data, items) for part, items in splits.items()}


def head_classes(splits: Sequence[Split]) -> dict[str, list[str]]:
    """The classes of each head: the values that its attribute takes in the training data, sorted.

    Raises:
        ConfigError: An attribute has fewer than two values.
    """
    values: dict[str, set[str]] = {}
    for split in splits:
        for head in split.settings.heads:
            values.setdefault(head, set()).update(value for value in split.field(head) if value)
    for head, found in values.items():
        if len(found) < 2:
            raise ConfigError(f"the head {head!r} needs at least two classes, found {sorted(found)}")
    return {head: sorted(found) for head, found in values.items()}


class TrainingPhotos(Dataset[tuple[Tensor, int]]):
    """The training photos of all catalogues, one after the other.

    Attributes:
        items: N items.
        products: (N,) int64; equal numbers are photos of the same product.
        origin: (N,) int64, the catalogue that each comes from.
        labels: For each head, (N,) int64 class numbers; -1 where unknown or not learnt from that catalogue.
    """

    def __init__(self, splits: Sequence[Split], *, classes: Mapping[str, Sequence[str]]) -> None:
        self.items = [item for split in splits for item in split.items]
        sizes = [len(split.items) for split in splits]
        self.origin: Int64 = np.repeat(np.arange(len(splits)), sizes)
        keys = [(place, item.product or f"id:{item.id}") for place, split in enumerate(splits) for item in split.items]
        numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
        self.products: Int64 = np.array([numbers[key] for key in keys], dtype=np.int64)
        self.labels = {
            head: np.concatenate(
                [
                    split.numbers(head, names) if head in split.settings.heads else np.full(len(split.items), -1)
                    for split in splits
                ]
            )
            for head, names in classes.items()
        }
        self.augmentation: Augmentation | None = None
        self.preprocessing: Preprocessing | None = None

    def show_as(self, augmentation: Augmentation, preprocessing: Preprocessing) -> None:
        """Decide how photos are changed and made ready from now on."""
        self.augmentation, self.preprocessing = augmentation, preprocessing

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, view: View) -> tuple[Tensor, int]:
        """A changed photo (3, H, W) float32 and its place; the same view is the same tensor in every process."""
        assert self.augmentation and self.preprocessing
        place, seed = view
        item = self.items[place]
        photo = open_image(item.location, at_least=self.preprocessing.height, box=item.box)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            changed = self.augmentation(photo, random=np.random.default_rng(seed))
        return torch.from_numpy(self.preprocessing(changed)), place


def _field(item: Item, name: str, ignore: Sequence[str]) -> str | None:
    value = item.product if name == "product" else item.id if name == "id" else item.attributes.get(name)
    return None if value is None or value in ("", "NA") or str(value) in ignore else str(value)


def _wanted(item: Item, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(str(item.attributes.get(name)) in values for name, values in where.items())
