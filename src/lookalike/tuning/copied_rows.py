"""Copies of a gallery with changed vectors, as PCA reduction and database-side augmentation make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.spaces import Space
from lookalike.types import Float32, Item


def copy_rows(
    gallery: Gallery,
    copy: Gallery,
    change: Callable[[Sequence[Item], Mapping[str, Float32]], Mapping[str, Float32]],
    *,
    spaces: Sequence[Space],
    photos: PhotoStore,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Copy all items in their order, with sources and file stamps, and with changed vectors.

    Overrides become attributes of the copied items.

    Args:
        gallery: Gallery to read.
        copy: Gallery to fill.
        change: Maps the items of B rows, and the rows' vectors, (B, D) float32 by space, to the vectors to write. An
            item with several garments has a row for each.
        spaces: Spaces of the vectors to write.
        photos: Photo store of the copy; photos that were sent for items are copied into it.
        progress: Called with the number of items copied and in all.
    """
    with copy.writing():
        for record_batch in gallery.records():
            batch = photos.adopt_all(record_batch)
            items = batch.current_items
            described = [item for item in items for _ in item.parts]
            copy.add(
                items,
                change(described, batch.vectors),
                spaces=spaces,
                source=batch.sources,
                file_stamps=batch.file_stamps,
            )
            if progress is not None:
                progress(len(copy), len(gallery))
