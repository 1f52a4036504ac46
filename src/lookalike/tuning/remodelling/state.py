"""State of a gallery that gets another model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import UsageError
from lookalike.gallery.protocol import Gallery
from lookalike.spaces import Space
from lookalike.tuning.remodelling.staging import Staging
from lookalike.types import JSON

STAGED: Final = "remodel"
"""Name of the vectors of the other model."""

KEPT: Final = "remodel-before"
"""Name of the vectors of the earlier model after a switch."""

Models: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, slots=True)
class Remodelling:
    """State of a gallery that gets another model.

    Attributes:
        items: Number of items.
        model_ids: Models of its vectors, such as `default@9f3c21ab`.
        staged: Number of items with vectors of the other model; None if there are none.
        staged_ids: The other models.
        staged_bytes: Bytes of these vectors on disk.
        kept_ids: Models of the vectors that were kept at the last switch; empty if there are none.
        kept_bytes: Bytes of these vectors on disk.
        embedded: Number of items that were embedded by this call.
        unreadable: Items whose photos cannot be read, with the reasons, by id, as far as this call tried.
    """

    items: int
    model_ids: tuple[str, ...]
    staged: int | None = None
    staged_ids: tuple[str, ...] = ()
    staged_bytes: int = 0
    kept_ids: tuple[str, ...] = ()
    kept_bytes: int = 0
    embedded: int = 0
    unreadable: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, JSON]:
        """JSON of `lookalike gallery remodel --json`."""
        staged: JSON = None
        if self.staged is not None:
            staged = {"models": list(self.staged_ids), "items": self.staged, "bytes": self.staged_bytes}
        kept: JSON = {"models": list(self.kept_ids), "bytes": self.kept_bytes} if self.kept_ids else None
        return {
            "items": self.items,
            "models": list(self.model_ids),
            "staged": staged,
            "kept": kept,
            "embedded": self.embedded,
            "unreadable": dict(self.unreadable),
        }


@dataclass(frozen=True, slots=True)
class AsideVectors:
    """Vectors beside a gallery, staged or kept.

    Attributes:
        items: Number of items that have some; None if there are none.
        model_ids: Their models.
        bytes: Bytes of these vectors on disk.
    """

    items: int | None = None
    model_ids: tuple[str, ...] = ()
    bytes: int = 0


def state_of(shop: Gallery, done: Staging, *, staged: AsideVectors, kept: AsideVectors) -> Remodelling:
    """State of an open gallery after a step."""
    return Remodelling(
        items=len(shop),
        model_ids=tuple(model_ids_of(shop.spaces)),
        staged=staged.items,
        staged_ids=staged.model_ids,
        staged_bytes=staged.bytes,
        kept_ids=kept.model_ids,
        kept_bytes=kept.bytes,
        embedded=done.embedded,
        unreadable=tuple(done.unreadable.items()),
    )


def check_same_model(kept: Sequence[Space], present: Sequence[Space], *, place: str) -> None:
    """Check that kept vectors are of the present model, or that there are none.

    Args:
        kept: Spaces of the kept vectors; empty for none.
        present: Spaces of the gallery.
        place: Where the kept vectors are, for the message.

    Raises:
        UsageError: They are of a third model.
    """
    if kept and tuple(kept) != tuple(present):
        raise UsageError(
            f"vectors of {' and '.join(model_ids_of(kept))} are kept in {place}; "
            "delete them first: lookalike gallery remodel --drop"
        )


def no_vectors(address: str, *, back: bool) -> UsageError:
    """The error of a switch for which there are no vectors."""
    return UsageError(
        f"{address} has kept no vectors of an earlier model"
        if back
        else f"{address} has no staged vectors; make them first: lookalike gallery remodel --model NEW"
    )
