"""Decisions of duplicates carried out in a gallery, and merges undone."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from lookalike.errors import UsageError
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import PRODUCT
from lookalike.gallery.stored_item import StoredItem
from lookalike.tuning.duplicates.decisions import Decision
from lookalike.tuning.duplicates.plan import AppliedDecisions, planned


def apply_decisions(
    gallery: HasGallery | str | os.PathLike[str], decisions: Sequence[Decision], *, dry_run: bool = False
) -> AppliedDecisions:
    """Merge products, remove copies of photos, and remember what is apart.

    With a product all of its items become the other one: they are set by hand, so that the next run of their catalogue
    keeps them and `unset_product` brings the products of the catalogue back. The photos of removed items are deleted if
    they were uploaded. Decisions that were applied already change nothing.

    Args:
        gallery: Address of the gallery, or its retriever.
        decisions: Decisions, such as those of `read_decisions`.
        dry_run: Tell what would be changed, and change nothing.

    Raises:
        GalleryLockedError: Another process is writing; nothing was changed.
    """
    with gallery_of(gallery) as shop:
        return carried_out(shop, decisions, dry_run=dry_run, write=lambda found: _write(shop, found))


def carried_out(
    gallery: Gallery, decisions: Sequence[Decision], *, dry_run: bool, write: Callable[[AppliedDecisions], None]
) -> AppliedDecisions:
    """Work out what decisions change, and change it while no other process writes.

    Args:
        gallery: The gallery.
        decisions: Decisions.
        dry_run: Change nothing.
        write: Moves and removes the items; decisions about what is apart are remembered before.

    Raises:
        GalleryLockedError: Another process is writing; nothing was changed.
    """
    if dry_run:
        return replace(planned(gallery, decisions), dry_run=True)
    with gallery.writing():
        found = planned(gallery, decisions)
        gallery.remember_reviews(found.reviews)  # first: what is too long to be remembered changes nothing
        write(found)
    return found


def unset_product(gallery: HasGallery | str | os.PathLike[str], product: str) -> list[str]:
    """Undo a merge: the items of which a product was set by hand have that of their catalogue again.

    Args:
        gallery: Address of the gallery, or its retriever.
        product: The product that was set.

    Returns:
        The ids of these items.

    Raises:
        UsageError: Of no item that product was set by hand.
        GalleryLockedError: Another process is writing; nothing was changed.
    """
    with gallery_of(gallery) as shop, shop.writing():
        rows = list(dict.fromkeys(shop.product_rows([product]).items.tolist()))
        ids = [item.id for item in shop.items(rows).values()]
        stored = shop.stored_items(ids)
        found = [stored[item_id] for item_id in ids if item_id in stored]
        changed = [each for each in found if PRODUCT in each.overrides]
        if not changed:
            raise UsageError(
                f"no item has the product {product!r} set by hand; `lookalike gallery get ID` shows what is"
            )
        _update(shop, [each.without_overrides([PRODUCT], known=()) for each in changed])
        return [each.described.id for each in changed]


def _write(shop: Gallery, found: AppliedDecisions) -> None:
    stored = shop.stored_items([each.id for each in found.moved])
    moved = [each for each in found.moved if each.id in stored]
    _update(shop, [stored[each.id].with_attributes({PRODUCT: each.product}, known=()) for each in moved])
    if found.removed:
        gone = shop.stored_items(found.removed)
        shop.remove(found.removed)
        photos = PhotoStore(shop)
        for each in gone.values():
            photos.drop(each.described)


def _update(shop: Gallery, stored: Sequence[StoredItem]) -> None:
    if stored:
        shop.update([each.described for each in stored], overrides=[each.overrides for each in stored])
