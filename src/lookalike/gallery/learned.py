"""What was learned for a gallery and is kept in it: the usual weights of its spaces, and projections of their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lookalike.errors import GalleryDamagedError
from lookalike.refine.whitening import Projection
from lookalike.types import JSON

WEIGHTS: Final = "learned weights"
PROJECTION: Final = "projection "


@dataclass(frozen=True, slots=True)
class Learned:
    """What was learned; nothing by default.

    Attributes:
        weights: One for each space, which a search takes when none are given; None where none were learned.
        source: How the weights were learned: from what, by which measure, with what gain.
        projections: By space; its rows are projections of what the model makes.
    """

    weights: Mapping[str, float] | None = None
    source: Mapping[str, JSON] = field(default_factory=dict)
    projections: Mapping[str, Projection] = field(default_factory=dict)


def read(connection: sqlite3.Connection) -> Learned:
    """What the database remembers.

    Raises:
        GalleryDamagedError: It makes no sense.
    """
    try:
        projections = {
            key.removeprefix(PROJECTION): Projection.from_bytes(data)
            for key, data in connection.execute("SELECT key, value FROM meta WHERE key GLOB ?", (f"{PROJECTION}*",))
        }
        return Learned(read_weights(connection), _read_source(connection), projections)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GalleryDamagedError(f"what was learned for the gallery cannot be read: {error}") from error


def read_weights(connection: sqlite3.Connection) -> dict[str, float] | None:
    """The weights alone, which every new state of a gallery asks for."""
    kept = _kept(connection)
    return None if kept is None else {name: float(weight) for name, weight in kept["weights"].items()}


def write(connection: sqlite3.Connection, learned: Learned) -> None:
    """Remember this, and nothing that was learned before."""
    connection.execute("DELETE FROM meta WHERE key = ? OR key GLOB ?", (WEIGHTS, f"{PROJECTION}*"))
    if learned.weights is not None:
        text = json.dumps({"weights": dict(learned.weights), "source": dict(learned.source)}, ensure_ascii=False)
        connection.execute("INSERT INTO meta VALUES (?, ?)", (WEIGHTS, text))
    connection.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [(PROJECTION + name, projection.to_bytes()) for name, projection in learned.projections.items()],
    )


def _read_source(connection: sqlite3.Connection) -> dict[str, JSON]:
    kept = _kept(connection)
    return {} if kept is None else dict(kept["source"])


def _kept(connection: sqlite3.Connection) -> dict[str, Any] | None:
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (WEIGHTS,)).fetchone()
    return None if found is None else json.loads(found[0])
