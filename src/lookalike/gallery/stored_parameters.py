"""Parameters learned for a gallery and stored in it: default weights and PCA projections of its spaces."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lookalike.errors import GalleryDamagedError, short_reason
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.row_checksums import damaged
from lookalike.projection import Projection
from lookalike.types import JSON

WEIGHTS: Final = "learned weights"
RANKING: Final = "learned ranking"
PROJECTION: Final = "projection "
"""Prefix of the key of a space's projection."""

PROJECTIONS: Final = "projections"
"""Key of the number of projections."""


@dataclass(frozen=True, slots=True)
class StoredWeights:
    """Learned weights of a gallery, and the ranking that was learned with them; none by default.

    Attributes:
        weights: Weight of each space, the default of searches; None if none were learned.
        source: Training data, metric and gain of the weights.
        ranking: Learned ranking; None if there is none. Other weights put an end to it.
    """

    weights: Mapping[str, float] | None = None
    source: Mapping[str, JSON] = field(default_factory=dict)
    ranking: LearnedRanking | None = None

    def with_weights(self, weights: Mapping[str, float] | None, source: Mapping[str, JSON]) -> StoredWeights:
        """Other weights in place of these; the ranking stays with equal ones only.

        Args:
            weights: Weight of each space; None for the default ones.
            source: Training data, metric and gain of the weights.
        """
        return StoredWeights(weights, source, self.ranking if weights == self.weights else None)

    def ranking_lost_by(self, new: StoredWeights) -> str | None:
        """Name of the ranking that is deleted, and not replaced, where others are stored; None if none is."""
        return None if self.ranking is None or new.ranking is not None else self.ranking.name


def read(connection: sqlite3.Connection) -> StoredWeights:
    """Read the learned weights of a database, and the learned ranking.

    Raises:
        GalleryDamagedError: They are damaged.
    """
    found, ranking_text = metadata_table.get(connection, WEIGHTS), metadata_table.get(connection, RANKING)
    try:
        ranking = None if ranking_text is None else LearnedRanking.from_text(ranking_text)
        if found is None:
            return StoredWeights(ranking=ranking)
        kept: dict[str, Any] = json.loads(found)
        weights = {str(name): float(weight) for name, weight in kept["weights"].items()}
        return StoredWeights(weights, dict(kept["source"]), ranking)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise GalleryDamagedError(
            f"the learned weights of the gallery cannot be read: {short_reason(error)}"
        ) from error


def write(connection: sqlite3.Connection, stored: StoredWeights) -> None:
    """Replace the learned weights and the learned ranking."""
    connection.execute("DELETE FROM meta WHERE key IN (?, ?)", (WEIGHTS, RANKING))
    if stored.weights is not None:
        text = json.dumps({"weights": dict(stored.weights), "source": dict(stored.source)}, ensure_ascii=False)
        metadata_table.put(connection, WEIGHTS, text)
    if stored.ranking is not None:
        metadata_table.put(connection, RANKING, stored.ranking.to_text())


def read_projections(connection: sqlite3.Connection) -> dict[str, Projection]:
    """Read the projections by space.

    Raises:
        GalleryDamagedError: They are damaged.
    """
    keys = [key for (key,) in connection.execute("SELECT key FROM meta WHERE key GLOB ?", (f"{PROJECTION}*",))]
    if len(keys) != (metadata_table.get(connection, PROJECTIONS) or 0):
        raise damaged("the table of projections")
    try:
        kept = {key.removeprefix(PROJECTION): metadata_table.must_get(connection, key) for key in keys}
        return {space: Projection.from_bytes(data) for space, data in kept.items()}
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise GalleryDamagedError(f"the projections of the gallery cannot be read: {short_reason(error)}") from error


def write_projections(connection: sqlite3.Connection, projections: Mapping[str, Projection]) -> None:
    """Write the projections of a gallery without items."""
    connection.execute("DELETE FROM meta WHERE key GLOB ?", (f"{PROJECTION}*",))
    for name, projection in projections.items():
        metadata_table.put(connection, PROJECTION + name, projection.to_bytes())
    metadata_table.put(connection, PROJECTIONS, len(projections))
