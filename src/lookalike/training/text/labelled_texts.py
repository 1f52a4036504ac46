"""Photos with their titles and labels, and what texts can say about them."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zlib import crc32

import numpy as np

from lookalike.embedding.color import SPACE_NAME as COLOR
from lookalike.errors import MismatchError, UnknownNameError
from lookalike.gallery.opening import gallery_of
from lookalike.spaces import format_spaces, unit_rows
from lookalike.text.colors import color_of
from lookalike.text.lexicon import COLOUR, GARMENT, GENDER, Lexicon, Named
from lookalike.text.words import words_of
from lookalike.training.data.chosen_values import SPLIT, ChosenValues, check_dev_where
from lookalike.training.data.data_record import DataRow
from lookalike.training.text.settings import TextDataSettings
from lookalike.types import Bool, Float32, Item

DEEP: Final = "deep"
OTHER: Final = "other"
ROLES: Final = (GARMENT, COLOUR, GENDER, OTHER)

NEAREST_OF_SHADE: Final = 0.25
"""Fraction of the photos of a colour family that count as one of its shades which no label names."""


@dataclass(frozen=True, slots=True)
class TitledPhotos:
    """Photos of one split.

    Attributes:
        items: N items.
        vectors: (N, D) float32, unit vectors of the space `deep`.
        colors: (N, C) float32, unit vectors of the space `color`.
        titles: Words of the titles.
        labels: Values by role of what each photo shows, with the attribute of the catalogue.
    """

    items: Sequence[Item]
    vectors: Float32
    colors: Float32
    titles: Sequence[Sequence[str]]
    labels: Sequence[Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that texts can say about photos.

    Attributes:
        role: `garment`, `colour`, `gender` or `other`.
        attribute: Attribute of the lexicon.
        value: Its value, or a label that is not in the lexicon.
    """

    role: str
    attribute: str
    value: str


def read_gallery(data: TextDataSettings, *, folder: Path) -> tuple[str, dict[str, TitledPhotos]]:
    """Read the photos of a gallery: the model id of its photo model, and its splits `train` and `dev`.

    Raises:
        GalleryNotFoundError: There is no such gallery.
        CatalogueError: It has no training photos, or `dev_where` leaves no dev photos.
        UnknownNameError: An attribute or a value that chooses photos is not there.
        MismatchError: It has no space `deep`, as one of several models, or no space `color`.
    """
    address = data.gallery if "://" in data.gallery else str(folder / data.gallery)
    chosen: dict[str, list[tuple[Item, Float32, Float32]]] = {"train": [], "dev": []}
    seen, names, before = ChosenValues(address, (data.split, *data.dev_where)), set[str](), 0
    with gallery_of(address) as gallery:
        model = next((space.model_id for space in gallery.spaces if space.name == DEEP), None)
        if model is None:
            raise MismatchError(
                f"{address}: a text encoder belongs to one photo model, that of the space {DEEP!r}; the spaces of this "
                f"gallery: {format_spaces(gallery.spaces)}"
            )
        if COLOR not in [space.name for space in gallery.spaces]:
            raise MismatchError(f"{address}: shades are told by the space {COLOR!r}, and this gallery does not have it")
        for items, vectors in gallery.rows():
            for place, item in enumerate(items):
                names.update(item.attributes)
                seen.note(item.attributes)
                part = part_of(item, data)
                before += part == "dev"
                if part and (part == "train" or has_all(item, data.dev_where)):
                    chosen[part].append((item, vectors[DEEP][place], vectors[COLOR][place]))
    for name in (*([data.split] if data.split != SPLIT else ()), *data.dev_where):
        if name not in names:
            raise UnknownNameError(f"attribute of {address}", name, sorted(names))
    seen.check_split(data.split, (*data.train, *data.dev))
    seen.check_where(data.dev_where)
    if not chosen["train"]:
        raise seen.nothing_chosen("training photos", data.split, data.train)
    check_dev_where(address, before=before, after=len(chosen["dev"]), dev_where=data.dev_where)
    return model, {part: _photos(found, data) for part, found in chosen.items()}


def joined(parts: Sequence[TitledPhotos]) -> TitledPhotos:
    """Photos of several galleries as one; galleries without photos add none."""
    some = [part for part in parts if part.items] or parts[:1]
    return TitledPhotos(
        [item for part in some for item in part.items],
        np.concatenate([part.vectors for part in some]),
        np.concatenate([part.colors for part in some]),
        [title for part in some for title in part.titles],
        [labels for part in some for labels in part.labels],
    )


def rows_of(photos: TitledPhotos, *, part: str) -> list[DataRow]:
    """What a run reads of each photo of a split, in order, for the record of its data: vectors, in place of photos.

    Args:
        photos: Photos of all galleries.
        part: `train` or `dev`.
    """
    rows, seen = [], Counter[str]()
    for place, item in enumerate(photos.items):
        vectors = photos.vectors[place].tobytes() + photos.colors[place].tobytes()
        labels = {"title": list(photos.titles[place]), **photos.labels[place]}
        gallery = str(seen[item.id])  # photos of several galleries may have one id
        seen[item.id] += 1
        rows.append(DataRow(f"{part} {gallery}", part, item.id, labels, sha256=hashlib.sha256(vectors).hexdigest()))
    return rows


def part_of(item: Item, data: TextDataSettings) -> str | None:
    """Split of an item, `train` or `dev` (before `dev_where`); None for neither."""
    given = item.attributes.get(data.split)
    is_held_out = crc32((item.product or item.id).encode()) < data.hold_out * 2**32
    if given in data.dev or (is_held_out and (given is None or given in data.train)):
        return "dev"
    return "train" if given is None or given in data.train else None


def has_all(item: Item, where: Mapping[str, Sequence[str]]) -> bool:
    """Whether an item has one of the values of each attribute."""
    return all(str(item.attributes.get(name)) in values for name, values in where.items())


def _photos(found: Sequence[tuple[Item, Float32, Float32]], data: TextDataSettings) -> TitledPhotos:
    items = [item for item, _, _ in found]
    columns = {GARMENT: data.garment, COLOUR: data.colour, GENDER: data.gender, OTHER: data.other}
    labels = [{role: _values(item, names, data.ignore) for role, names in columns.items()} for item in items]
    empty = np.zeros((0, 1), dtype=np.float32)
    return TitledPhotos(
        items,
        unit_rows(np.stack([deep for _, deep, _ in found])) if found else empty,
        unit_rows(np.stack([color for _, _, color in found])) if found else empty,
        [words_of(str(item.attributes.get(data.title, ""))) for item in items],
        labels,
    )


def _values(item: Item, names: Iterable[str], ignore: Sequence[str]) -> list[str]:
    """Labels of an item, in the order of the attributes; empty where one is unknown."""
    values = ["" if item.attributes.get(name) is None else str(item.attributes[name]) for name in names]
    return ["" if value in ignore else value for value in values]


def facts_of(photos: TitledPhotos, lexicon: Lexicon) -> tuple[list[Fact], Bool]:
    """What texts can say about photos: F facts, and which photos they are true of, (F, N) bool.

    Facts are the labels; values of the lexicon that titles name, except for roles that have labels; and shades that no
    label names: the photos of their family that are nearest to them in the space `color`.
    """
    true_of: defaultdict[Fact, list[int]] = defaultdict(list)
    for place, labels in enumerate(photos.labels):
        for role, values in labels.items():
            for value in filter(None, values):
                true_of[_fact(role, value, lexicon)].append(place)
    labelled = {fact.role for fact in true_of if fact.role != OTHER}
    known = {(fact.attribute, fact.value) for fact in true_of}
    for place, title in enumerate(photos.titles):
        for named in lexicon.find(title):
            is_finer = named.attribute == GARMENT and (GARMENT, named.value) not in known
            if named.attribute not in labelled or is_finer:
                true_of[_named(named)].append(place)
    unique = {fact: sorted(set(places)) for fact, places in true_of.items()}
    facts = list(unique)
    table = np.zeros((len(facts), len(photos.items)), dtype=np.bool_)
    for row, places in enumerate(unique.values()):
        table[row, places] = True
    shades, rows = _shades(photos, facts, table, lexicon)
    return [*facts, *shades], np.concatenate([table, rows])


def _fact(role: str, label: str, lexicon: Lexicon) -> Fact:
    """Fact of a label; a label that the lexicon does not know stands for itself."""
    words = tuple(words_of(label))
    attribute, value = lexicon.meanings.get(words, (role, " ".join(words)))
    fits = attribute == role or (role == OTHER and attribute not in (GARMENT, COLOUR, GENDER))
    return Fact(role, attribute, value) if fits else Fact(role, role, " ".join(words))


def _named(named: Named) -> Fact:
    role = named.attribute if named.attribute in ROLES else OTHER
    return Fact(role, named.attribute, named.value)


def _shades(photos: TitledPhotos, facts: Sequence[Fact], table: Bool, lexicon: Lexicon) -> tuple[list[Fact], Bool]:
    """Shades that no label names, and the photos that show them, (S, N) bool."""
    place_of = {fact.value: place for place, fact in enumerate(facts) if fact.attribute == COLOUR}
    shades: list[Fact] = []
    rows: list[Bool] = []
    for shade, family in lexicon.families.items():
        color = color_of(shade.split())
        if shade in place_of or family not in place_of or color is None:
            continue
        shown = table[place_of[family]]
        cosines = np.where(shown, photos.colors @ color[0], -np.inf)
        count = max(1, round(NEAREST_OF_SHADE * int(shown.sum())))
        near = np.zeros_like(shown)
        near[np.argsort(-cosines)[:count]] = True
        shades.append(Fact(COLOUR, COLOUR, shade))
        rows.append(near & shown)
    empty = np.zeros((0, table.shape[1]), dtype=np.bool_)
    return shades, np.stack(rows) if rows else empty
