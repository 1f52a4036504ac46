"""Contents of photos whose vectors a gallery has, so that no photo is embedded twice wherever it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from threading import Lock

from lookalike.ingest.index_target import IndexTarget
from lookalike.types import Content, FileStamp, Float32, Item


class KnownContents(Collection[bytes]):
    """Keys of the contents that a gallery has vectors of; read from it when it is first asked, by any thread.

    Args:
        gallery: The gallery.
        source: Source whose items are known already.
        items: Its items, with their file stamps.
    """

    def __init__(
        self, gallery: IndexTarget, *, source: str, items: Iterable[tuple[Item, FileStamp | None]] = ()
    ) -> None:
        self._gallery, self._source = gallery, source
        self._ids = {Content.of(item, stamp).key: item.id for item, stamp in items if stamp is not None}
        self._complete = False
        self._reading = Lock()

    def __contains__(self, key: object) -> bool:
        return key in self._ids or key in self._all()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[bytes, str]:
        with self._reading:
            if not self._complete:
                for item_id, content in self._gallery.contents(without_source=self._source):
                    self._ids.setdefault(content.key, item_id)
                self._complete = True
        return self._ids

    def add(self, item: Item, file_stamp: FileStamp) -> None:
        """Note that the gallery has the vectors of an item now."""
        self._ids[Content.of(item, file_stamp).key] = item.id

    def forget(self, item: Item, file_stamp: FileStamp) -> None:
        """Note that an item gets other vectors."""
        key = Content.of(item, file_stamp).key
        if self._ids.get(key) == item.id:
            del self._ids[key]

    def find(self, contents: Iterable[Content]) -> dict[Content, tuple[Item, Mapping[str, Float32]]]:
        """Read vectors from the gallery: an item of each content, and a row for each of its parts by space.

        Contents that the gallery has no more are left out.
        """
        wanted = {item_id: content for content in contents if (item_id := self._ids.get(content.key)) is not None}
        found: dict[Content, tuple[Item, Mapping[str, Float32]]] = {}
        for batch in self._gallery.records(list(wanted)) if wanted else ():
            for item, file_stamp, rows in zip(batch.items, batch.file_stamps, batch.rows, strict=True):
                content = wanted[item.id]
                if file_stamp is not None and Content.of(item, file_stamp) == content:
                    found[content] = item, {name: each[rows.start : rows.stop] for name, each in batch.vectors.items()}
        return found
