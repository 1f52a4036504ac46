"""Result of verifying a gallery."""

from __future__ import annotations

from dataclasses import dataclass

from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class Health:
    """Result of `Gallery.verify`.

    Attributes:
        items: Number of items that were checked.
        problems: One line for each problem; empty where there is none.
    """

    items: int
    problems: tuple[str, ...]

    def to_json(self) -> dict[str, JSON]:
        """JSON form, as printed by `gallery verify --json`."""
        return {"healthy": not self.problems, "items": self.items, "problems": list(self.problems)}
