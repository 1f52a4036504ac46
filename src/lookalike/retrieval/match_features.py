"""Features of matches, which every search has at hand: what a learned ranking goes by.

    score:SPACE          cosine in a space
    label:kind, :color   whether query and match are of one kind or colour, from 0 to 1
    attribute:NAME       number, as `sign(x) log(1 + |x|)`, or boolean, as 0 and 1
    attribute:NAME:VALUE whether the attribute has the value, 0 or 1; `*` is any value
    popularity           how much more often it is chosen than others, as a logarithm; see `usage/popularity.py`

The rank is none of them: in the answers that were shown it is the position, whose effect on clicks is removed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import UnknownNameError
from lookalike.gallery.learned_ranking import ATTRIBUTE, LABEL, POPULARITY, SCORE
from lookalike.kinds import kind_of
from lookalike.retrieval.boosting import has_value
from lookalike.types import JSON, Item, Labels

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery

Float64: TypeAlias = npt.NDArray[np.float64]

LABELS: Final[Mapping[str, Sequence[str]]] = {"kind": ("kind", "type"), "color": ("color", "colour")}
"""Labels, which are heads of models, in which query and match may agree, and the attributes that have them: the first
that an item has counts."""

ANY: Final = "*"
"""Value of an attribute that stands for any."""

FURTHEST: Final = 5.0
"""Largest distance from the mean of an answer that counts, in spreads, for all features but cosines: one price that is
wrong by a factor of a million must not outweigh everything else."""

QueryLabels: TypeAlias = Mapping[str, Mapping[str, float]]
"""What a query shows: probability by class, by label."""


def query_labels(item: str | None, shown: Labels | None, gallery: Gallery) -> QueryLabels:
    """What a query shows: the attributes of a query item, or what the model sees in a photo.

    Args:
        item: Id of the query item; None without one.
        shown: The most probable classes of a query photo.
        gallery: Gallery of the item.
    """
    if item is None:
        given = {label: (shown or {}).get(label, ()) for label in LABELS}
        return {label: {plain(name, label): share for name, share in each} for label, each in given.items() if each}
    try:
        attributes = gallery.get(item).attributes
    except UnknownNameError:  # removed since the search
        return {}
    return {label: dict.fromkeys(words, 1.0) for label in LABELS if (words := words_of(attributes, label))}


def words_of(attributes: Mapping[str, JSON], label: str) -> list[str]:
    """Classes that the attributes of an item name: a text, or a list of texts."""
    value = next((attributes[name] for name in LABELS[label] if attributes.get(name) is not None), None)
    return [plain(part, label) for part in (value if isinstance(value, list) else [value]) if isinstance(part, str)]


def plain(word: str, label: str) -> str:
    """Class in small letters; a kind by its usual name."""
    small = word.strip().lower()
    return kind_of(small) or small if label == "kind" else small


def agreement(item: Item, label: str, shown: QueryLabels) -> float:
    """Probability that the query is of a class of the item, in [0, 1]; nan if a label of one of them is unknown."""
    words = words_of(item.attributes, label)
    if not words or label not in shown:
        return math.nan
    return min(1.0, sum(shown[label].get(word, 0.0) for word in {*words}))


def attribute_value(item: Item, term: str) -> float:
    """Number that an attribute is to a ranking; nan if the item has none.

    Args:
        item: Item.
        term: `price`, `brand:Acme` or `sale_price:*`.
    """
    value = item.attributes.get(term)
    name, separator, wanted = term.rpartition(":")
    if separator and value is None:
        value = item.attributes.get(name)
        return float(value is not None if wanted == ANY else has_value(value, wanted))
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        try:
            number = float(value)
        except OverflowError:
            return math.nan
        return math.copysign(math.log1p(abs(number)), number) if math.isfinite(number) else math.nan
    return math.nan


def has_attribute(term: str, attributes: Collection[str]) -> bool:
    """Whether an attribute, or one with a value, is among those of a gallery."""
    return term in attributes or term.rpartition(":")[0] in attributes


def features_of_items(items: Sequence[Item], names: Sequence[str], shown: QueryLabels) -> Float64:
    """Features of items that are no scores: (N, F) float64, nan where one is unknown.

    Args:
        items: N items.
        names: F names, of labels and attributes.
        shown: What the query shows.
    """
    found = np.full((len(items), len(names)), np.nan)
    for column, name in enumerate(names):
        if name.startswith(LABEL):
            found[:, column] = [agreement(item, name.removeprefix(LABEL), shown) for item in items]
        else:
            found[:, column] = [attribute_value(item, name.removeprefix(ATTRIBUTE)) for item in items]
    return found


def names_of_features(attributes: Sequence[str]) -> list[str]:
    """Names of the features of items, with those of some attributes."""
    return [*(LABEL + label for label in LABELS), *(ATTRIBUTE + term for term in attributes)]


def standardised(values: Float64, names: Sequence[str], spreads: Sequence[float]) -> Float64:
    """Features less the mean of the answer, in spreads; 0 where one is unknown.

    Args:
        values: (N, F) float64 features of the matches of one answer.
        names: Names of the F features.
        spreads: Spread of each.
    """
    known = ~np.isnan(values)
    means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    units: Float64 = np.where(known, (values - means) / np.asarray(spreads), 0.0)
    is_score = np.array([name.startswith(SCORE) for name in names], dtype=np.bool_)
    return np.where(is_score, units, np.clip(units, -FURTHEST, FURTHEST))


def popularity_key(item: Item) -> str:
    """What the popularity of an item is counted by: its product, or else its id."""
    return item.product or item.id


def all_features(
    names: Sequence[str],
    items: Sequence[Item],
    cosines: Mapping[str, npt.NDArray[np.floating]],
    shown: QueryLabels,
    popularity: Mapping[str, float],
) -> Float64:
    """Features of the matches of an answer, (N, F) float64, nan where one is unknown.

    Args:
        names: Names of the F features.
        items: N items.
        cosines: (N,) by space.
        shown: What the query shows.
        popularity: Popularity by `popularity_key`.
    """
    found = np.full((len(items), len(names)), np.nan)
    others = [place for place, name in enumerate(names) if name.startswith((LABEL, ATTRIBUTE))]
    found[:, others] = features_of_items(items, [names[place] for place in others], shown)
    for place, name in enumerate(names):
        if name.startswith(SCORE):
            found[:, place] = cosines[name.removeprefix(SCORE)]
        elif name == POPULARITY:
            found[:, place] = [popularity.get(popularity_key(item), 0.0) for item in items]
    return found
