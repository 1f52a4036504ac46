"""Catalogues as a torch data set: labels as class numbers, photos as augmented views."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import ConfigError, UnknownNameError
from lookalike.evaluation.heads import label_of, parts_of, tags_of
from lookalike.evaluation.task import UNKNOWN as UNKNOWN_VALUES
from lookalike.evaluation.task import value_of
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.data.augmentation import Augmentation
from lookalike.training.data.batch import UNKNOWN, Batch, View
from lookalike.training.data.chosen_values import SPLIT, ChosenValues, check_dev_where
from lookalike.training.settings.run_settings import DataSettings
from lookalike.types import Float32, Int64, Item, PhotoChoice

WHOLE: Final = PhotoChoice(False)


@dataclass(frozen=True, slots=True)
class Split:
    """One split of one catalogue.

    Attributes:
        settings: Settings of the catalogue.
        items: N items.
        seen: What of the photos the items show.
    """

    settings: DataSettings
    items: Sequence[Item]
    seen: PhotoChoice = WHOLE

    def field(self, name: str) -> list[str | None]:
        """Return a label of each item as text: an attribute, `product`, `id`, or several joined by `+`.

        None where the label, or a part of it, is unknown or ignored.
        """
        return [label_of(item, name, unknown=unknown_of(self.settings)) for item in self.items]

    def numbers(self, name: str, classes: Sequence[str]) -> Int64:
        """Return a label as class numbers, (N,) int64; -1 where it is unknown."""
        places = {value: place for place, value in enumerate(classes)}
        return np.array([places.get(value, -1) if value else -1 for value in self.field(name)], dtype=np.int64)

    def tags(self, name: str) -> list[frozenset[str] | None]:
        """Return the tags of each item, from an attribute whose values are lists; None where they are unknown."""
        return [tags_of(item, name, unknown=unknown_of(self.settings)) for item in self.items]


def read_splits(data: DataSettings, *, folder: Path) -> dict[str, Split]:
    """Read a catalogue and split it into `train` and `dev`.

    Args:
        data: Settings of the catalogue.
        folder: Folder that the source is relative to.

    Raises:
        CatalogueError: The catalogue cannot be read, or has no training photos, or `dev_where` leaves no dev photos.
        UnknownNameError: A head, grade or `apart` is not an attribute of the catalogue, or a value that chooses items
            is not there.
    """
    source = data.source if data.source == "drawn" else str(folder / data.source)
    splits: dict[str, list[Item]] = {"train": [], "dev": []}
    names: set[str] = {"product", "id"}
    seen = ChosenValues(source, (data.split, *data.where, *data.dev_where))
    catalogue = open_catalogue(
        source, columns=data.columns, encoding=data.encoding or None, boxes=data.boxes, photos=data.photos or None
    )
    for item in catalogue.items():
        names.update(item.attributes)
        seen.note(item.attributes)
        if _has(item, data.where) and (part := _part_of(item, data)):
            splits[part].append(item)
    if data.folds:
        splits = divided([*splits["train"], *splits["dev"]], data)
    before = len(splits["dev"])
    splits["dev"] = [item for item in splits["dev"] if _has(item, data.dev_where)]
    labels = (*data.heads, *([data.positives] if data.positives else ()))
    wanted = (*data.grades, *data.apart, *data.tags, *data.where, *data.dev_where)
    for name in (*(part for each in labels for part in parts_of(each, names)), *wanted):
        if name not in names:
            raise UnknownNameError(f"attribute of {source}", name, sorted(names))
    if data.split != SPLIT and data.split not in names:
        raise UnknownNameError(f"attribute of {source}", data.split, sorted(names))
    seen.check_split(data.split, (*data.train, *data.dev))
    seen.check_where(data.where)
    seen.check_where(data.dev_where)
    if not splits["train"]:
        raise seen.nothing_chosen("training items", data.split, data.train)
    check_dev_where(source, before=before, after=len(splits["dev"]), dev_where=data.dev_where)
    if data.dev_photos:
        splits["dev"] = sampled_products(splits["dev"], data)
    shown = PhotoChoice.of(splits["train"], boxes=catalogue.boxes, photos=catalogue.photos, data=catalogue.name)
    return {part: Split(data, items, shown) for part, items in splits.items()}


def _part_of(item: Item, data: DataSettings) -> str | None:
    """Return the split of an item, `train` or `dev` (before `dev_where`); None for neither."""
    given = item.attributes.get(data.split)
    if given in data.dev:
        return "dev"
    if given is not None and given not in data.train:
        return None
    held_out = crc32((value_of(item, "product", unknown=unknown_of(data)) or item.id).encode()) < data.hold_out * 2**32
    return "dev" if held_out else "train"


def divided(items: Sequence[Item], data: DataSettings) -> dict[str, list[Item]]:
    """Divide items into folds of products, of which one is `dev` and the others are `train`.

    The fold of a product depends on its name and the seed alone, so a product of several catalogues is in one fold.
    """
    splits: dict[str, list[Item]] = {"train": [], "dev": []}
    for item in items:
        fold = crc32(f"{data.fold_seed} {product_or_id(item, data)}".encode()) % data.folds
        splits["dev" if fold == data.fold else "train"].append(item)
    return splits


def sampled_products(items: Sequence[Item], data: DataSettings) -> list[Item]:
    """Return all photos of some products, in order: at most `dev_photos` photos.

    Products are taken in the order of a hash of their names, so the choice does not depend on the order of the
    catalogue; a photo of unknown product is a product by itself.

    Raises:
        ConfigError: The first product has more photos already.
    """
    names = [product_or_id(item, data) for item in items]
    photos = Counter(names)
    chosen: set[str] = set()
    left = data.dev_photos
    for name in sorted(photos, key=lambda name: (crc32(name.encode()), name)):
        if photos[name] > left:
            break
        chosen.add(name)
        left -= photos[name]
    if items and not chosen:
        raise ConfigError(
            f"dev_photos = {data.dev_photos} of {data.source} is less than the photos of one product; all photos of a "
            "product are taken, or none"
        )
    return [item for item, name in zip(items, names, strict=True) if name in chosen]


def product_or_id(item: Item, data: DataSettings) -> str:
    """Return the product of an item; an item of unknown product is one by itself, named by its id."""
    return value_of(item, "product", unknown=unknown_of(data)) or f"id:{item.id}"


def label_classes(splits: Sequence[Split], names: Iterable[str]) -> dict[str, list[str]]:
    """Return the classes of each label: its values in the training data, sorted.

    Args:
        splits: Training splits; a label that is a head of some catalogues takes its classes from those only.
        names: Names of the labels.

    Raises:
        ConfigError: A label has fewer than two values, or `product` is a head of several catalogues.
        UnknownNameError: A label has no values.
    """
    classes: dict[str, list[str]] = {}
    for name in names:
        learning = splits_of(splits, name)
        if name == "product" and len(learning) > 1:
            raise ConfigError("the head 'product' can be learnt from one catalogue only; use an [[loss]] for several")
        found = sorted({value for split in learning for value in split.field(name) if value})
        if not found:
            attributes = {each for split in learning for item in split.items for each in item.attributes}
            raise UnknownNameError("label of the training items", name, sorted({*attributes, "product", "id"}))
        if len(found) < 2:
            raise ConfigError(f"the label {name!r} needs at least two classes, found {found}")
        classes[name] = found
    return classes


def splits_of(splits: Sequence[Split], label: str) -> list[Split]:
    """Return the splits that a label is learnt from: those with a head of that name, or all if there are none."""
    return [split for split in splits if label in split.settings.heads] or list(splits)


def tag_classes(splits: Sequence[Split]) -> dict[str, list[str]]:
    """Return the tags of each multi-label head: its values in the training data, sorted.

    Raises:
        ConfigError: A head has no tags.
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
    """Training photos of all catalogues, concatenated.

    Args:
        splits: Training split of each catalogue.
        classes: Classes of each label, from `label_classes`.
        tags: Tags of each multi-label head, from `tag_classes`.

    Attributes:
        items: N items.
        products: (N,) int64 product numbers; photos of one product have equal numbers.
        metric_products: Number of products in the metric losses; they have the lowest numbers.
        origin: (N,) int64, the catalogue of each photo.
        labels: (N,) int64 class numbers by label; -1 where unknown or not learnt from that catalogue.
        targets: (N, T) float32, embeddings of the teacher, see `read_teacher_rows`; None without one.
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
        self.targets: Float32 | None = None
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
        """Return a label of each photo as text; see `Split.field`."""
        return [value for split in self.splits for value in split.field(name)]

    def show_as(self, augmentation: Augmentation, preprocessing: Preprocessing) -> None:
        """Set the augmentation and the preprocessing of photos."""
        self.augmentation, self.preprocessing = augmentation, preprocessing

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, view: View | tuple[int, int]) -> tuple[Tensor, int, int]:
        """Return an augmented photo (3, H, W) float32, its place and its role; deterministic for a given view."""
        assert self.augmentation and self.preprocessing
        place, seed, role = View(*view)
        item = self.items[place]
        wanted = max(self.preprocessing.wanted_size, self.augmentation.settings.short_side)
        random = np.random.default_rng(seed)
        box = self.augmentation.varied_box(item.box, random=random) if item.box else None
        photo = open_image(item, at_least=wanted, box=box)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the GPUs, too
            changed = self.augmentation(photo, random=random)
            shown = self.augmentation.erased(torch.from_numpy(self.preprocessing(changed)))
        return shown, place, role

    def batch(self, places: Tensor, roles: Tensor) -> Batch:
        """Return the labels of a whole batch, (B,) int64 places and roles, on the device of `places`."""
        index = places.cpu().numpy()
        products = self.products[index]

        def tensor(values: Int64) -> Tensor:
            return torch.from_numpy(values).to(places.device)

        return Batch(
            roles=roles,
            products=tensor(np.where(products < self.metric_products, products, UNKNOWN)),
            labels={name: tensor(numbers[index]) for name, numbers in self.labels.items()},
            tags={name: self._tag_rows(name, index).to(places.device) for name in self.tags},
            targets=None if self.targets is None else torch.from_numpy(self.targets[index]).to(places.device),
        )

    def _tag_rows(self, name: str, index: Int64) -> Tensor:
        """Return the tags of photos, (B, T) float32; nan where they are unknown."""
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


def unknown_of(data: DataSettings) -> tuple[str, ...]:
    """Return the values that mean "unknown" in a catalogue, as `lookalike evaluate --unknown` does."""
    return (*UNKNOWN_VALUES, *data.ignore)


def _has(item: Item, where: Mapping[str, tuple[str, ...]]) -> bool:
    return all(str(item.attributes.get(name)) in values for name, values in where.items())
