"""Queries in words, drawn from the labels and titles of items, and what answers them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

import numpy as np

from lookalike.errors import UnknownNameError
from lookalike.evaluation.task import UNKNOWN, numbers, value_of
from lookalike.evaluation.wordings import Said, change, role_of, texts_of
from lookalike.render.captions import title_of
from lookalike.text.words import words_of
from lookalike.types import Bool, Int64, Item

LEAST_ITEMS: Final = 3
"""Items of the gallery that have all labels of a phrase, at least."""


@dataclass(frozen=True, slots=True)
class LabelWords:
    """Labels of n items, in words.

    Attributes:
        fields: Names of the F fields, the leading one first.
        roles: Role of each field; see `lookalike.evaluation.wordings`.
        words: Words of the labels of each item, lower case; None where one is unknown.
    """

    fields: tuple[str, ...]
    roles: tuple[str, ...]
    words: Sequence[tuple[str | None, ...]]

    def numbers(self) -> list[Int64]:
        """Class numbers by field, (n,) int64 each; -1 is unknown."""
        return [numbers([labels[at] for labels in self.words]) for at in range(len(self.fields))]

    def whole(self) -> dict[int, tuple[str, ...]]:
        """Labels of the items that have all, by place."""
        known = ((place, [word for word in labels if word is not None]) for place, labels in enumerate(self.words))
        return {place: tuple(labels) for place, labels in known if len(labels) == len(self.fields)}

    def said(self, labels: Sequence[str]) -> Said:
        """Roles and words of a phrase."""
        return list(zip(self.roles, labels, strict=True))


@dataclass(frozen=True, slots=True)
class Phrase:
    """Phrase made from the labels that several items have.

    Attributes:
        labels: Words of the labels, one for each field.
        texts: Texts to search with by wording.
        items: Places of the items that have all the labels.
    """

    labels: tuple[str, ...]
    texts: Mapping[str, str]
    items: Sequence[int]


@dataclass(frozen=True, slots=True)
class Title:
    """Title to search with.

    Attributes:
        text: The title.
        items: Places of the items that have it.
    """

    text: str
    items: Sequence[int]


@dataclass(frozen=True, slots=True)
class Change:
    """Item to search with, and words that change one of its labels.

    Attributes:
        item: Place of the item.
        field: Place of the field that changes.
        target: Place of an item that has the new label, and all other labels of the item.
        label: Words of the new label.
        text: Text to search with.
    """

    item: int
    field: int
    target: int
    label: str
    text: str


def label_words(items: Sequence[Item], fields: Sequence[str], *, unknown: Collection[str] = UNKNOWN) -> LabelWords:
    """Words of the labels of items.

    Raises:
        UnknownNameError: No item has such an attribute.
    """
    columns: list[list[str | None]] = []
    for name in fields:
        values = [value_of(item, name, unknown=unknown) for item in items]
        column = [" ".join(words_of(value or "")) or None for value in values]
        if not any(column):
            known = {"product"}.union(*(item.attributes for item in items))
            raise UnknownNameError("attribute", name, sorted(known))
        columns.append(column)
    roles = tuple(role_of({label for label in column if label is not None}) for column in columns)
    return LabelWords(tuple(fields), roles, list(zip(*columns, strict=True)))


def phrases_of(labels: LabelWords, absent: Bool, *, seed: int = 0) -> tuple[list[Phrase], int]:
    """Phrases of all labels that at least `LEAST_ITEMS` items have, and the number of those that fewer have.

    Args:
        labels: Labels of the items.
        absent: (n,) bool, items that are not in the gallery.
        seed: Seed of the synonyms.
    """
    items: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for place, each in labels.whole().items():
        items[each] += [] if absent[place] else [place]
    phrases = [
        Phrase(each, texts_of(labels.said(each), random=Random(f"{seed}/{', '.join(each)}")), places)
        for each, places in items.items()
        if len(places) >= LEAST_ITEMS
    ]
    return phrases, len(items) - len(phrases)


def titles_of(items: Sequence[Item]) -> list[Title]:
    """Titles of items, each once."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, item in enumerate(items):
        if title := title_of(item):
            places[title.strip()].append(place)
    return [Title(text, each) for text, each in places.items()]


def changes_of(labels: LabelWords, absent: Bool, groups: Int64, *, seed: int = 0) -> tuple[list[Change], Counter[str]]:
    """Changes of one label, for each item that has all labels and each field.

    The new label is that of another item, drawn from those of other groups that differ in this label alone. So there is
    always an item with the new label and all other labels, and frequent labels are asked for more often.

    Args:
        labels: Labels of the items.
        absent: (n,) bool, items that are not in the gallery.
        groups: (n,) int64 group numbers; items of one group never answer each other.
        seed: Seed of the choice.

    Returns:
        Changes, and how many items have none by field.
    """
    whole = labels.whole()
    changes: list[Change] = []
    without: Counter[str] = Counter()
    for field, name in enumerate(labels.fields):
        alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for place, each in whole.items():
            alike[each[:field] + each[field + 1 :]].append(place)
        for place, each in whole.items():
            others = np.array(alike[each[:field] + each[field + 1 :]])
            others = others[(groups[others] != groups[place]) & ~absent[others]]
            targets = [other for other in others.tolist() if whole[other][field] != each[field]]
            if not targets:
                without[name] += 1
                continue
            target = Random(f"{seed}/{name}/{place}").choice(targets)
            label = whole[target][field]
            changes.append(Change(place, field, target, label, change(labels.roles[field], label)))
    return changes, without
