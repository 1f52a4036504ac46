"""Photos to embed, and what becomes of them: the interface between `embed_photos`, a Ray cluster and their callers."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from lookalike.errors import PhotoError
from lookalike.types import Content, FileStamp, Float32, Item


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """Photo to embed, unless its content is unchanged.

    Attributes:
        item: Item of the photo.
        position: Position in the catalogue, from 0.
        file_stamp: File stamp stored with the vectors in the gallery, of the same parts of the photo; None without
            vectors.
        finder: Model id of the finder of the garments to embed; None embeds the photo, or its box.
        reuse: Whether the photo is left to `Reused` if its content is known.
    """

    item: Item
    position: int = 0
    file_stamp: FileStamp | None = None
    finder: str | None = None
    reuse: bool = True


@dataclass(frozen=True, slots=True)
class Embedded:
    """Batch of embedded photos.

    Attributes:
        items: B items, with the garments that were found in their photos.
        file_stamps: B file stamps.
        vectors: (R, D) float32 by name of the space: a row for each of `Item.parts`.
        labels: (R, C) float32 by head, class probabilities of the same parts; empty without heads.
    """

    items: Sequence[Item]
    file_stamps: Sequence[FileStamp]
    vectors: Mapping[str, Float32]
    labels: Mapping[str, Float32] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reused:
    """Photo that is not embedded, since its content is known, or is that of a photo that was embedded before."""

    item: Item
    file_stamp: FileStamp
    content: Content


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Photo whose content has not changed since its vectors were stored."""

    item: Item
    file_stamp: FileStamp


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Photo that cannot be read."""

    item: Item
    error: PhotoError


Outcome: TypeAlias = Embedded | Reused | Unchanged | Unreadable


class EmbedPhotos(Protocol):
    """Embeds photos, as `embed_photos` does in this process."""

    def __call__(
        self,
        work: Iterable[PhotoTask],
        seconds: MutableMapping[str, float],
        *,
        known: Collection[bytes] | None = None,
    ) -> Generator[Outcome, None, None]:
        """Embed photos of an iterable, which is read as needed, and add the seconds of each phase to a mapping.

        Args:
            work: Photos.
            seconds: Seconds by phase.
            known: Keys of contents that need not be embedded, which may be read late; None embeds all photos.

        Yields:
            One outcome for each photo.
        """
        ...
