"""Notes on measured photos that the training photos of a catalogue have too, which make figures too good."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from lookalike.catalogue.leaks import LeakSearch
from lookalike.types import Item

SPLIT: Final = "split"
"""Attribute with the split of an item, in benchmarks and by default in training."""

TRAIN: Final = "train"


def overlap_notes(
    catalogue: Iterable[Item],
    measured: Sequence[Item],
    *,
    unknown: Collection[str],
    name: str = "",
    trained_on: Collection[str] = (),
) -> tuple[str, ...]:
    """Compare the measured items with the training items of their catalogue.

    Args:
        catalogue: All items of the catalogue.
        measured: Those that take part in a measurement.
        unknown: Products that mean "unknown".
        name: Name of the catalogue.
        trained_on: Names of the catalogues that the model was trained on.

    Returns:
        Notes, a line each: training on a catalogue of this name, where no item has a split; or measured photos that are
        training photos, products of the others that are products of training photos, and files of the others whose
        content is that of a training photo.
    """
    train, splits = [], False
    for item in catalogue:
        splits = splits or SPLIT in item.attributes
        if item.attributes.get(SPLIT) == TRAIN:
            train.append(item)
    if not train and not splits and name in trained_on:
        return (f"the model was trained on data named {name!r}, which have no split: it may know the measured photos",)
    if not train:
        return ()
    ids = {item.id for item in train}
    others = [item for item in measured if item.id not in ids]
    notes = []
    if inside := len(measured) - len(others):
        notes.append(f"measured photos of the split {TRAIN!r}: {inside:,} of {len(measured):,}")
    learnt = {item.product for item in train if item.product and item.product not in unknown}
    if shared := sorted({item.product for item in others if item.product in learnt} - {None}, key=str):
        notes.append(
            f"products of measured photos that have training photos, too: {len(shared):,}, such as {shared[0]!r}"
        )
    search = LeakSearch()
    for split, items in ((TRAIN, train), ("", others)):
        for item in items:
            search.take(split, item)
    twins = [item_id for leak in search.leaks() for split, item_id, _ in leak.photos if split != TRAIN]
    if twins:
        notes.append(f"measured photos with the content of training photos: {len(twins):,}, such as {twins[0]!r}")
    return tuple(notes)
