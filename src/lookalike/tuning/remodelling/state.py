"""State of a gallery that gets another model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

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
