"""Results of an indexing run."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from io import StringIO
from math import ceil
from pathlib import Path

from lookalike.errors import PruneLimitError
from lookalike.storage.files import create_file
from lookalike.types import JSON

PHASES = ("decode", "wait", "embed", "write", "total")


@dataclass(frozen=True, slots=True)
class Skipped:
    """Photo that was skipped, and the cause in a few words."""

    id: str
    photo: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """Counts, skipped photos and times of an indexing run.

    Attributes:
        added: New items.
        updated: Items whose photo, product, box or attributes changed.
        replaced_from: Number of items that another source had brought under the same id, and that are of this source
            now, by the other source.
        unchanged: Items without changes.
        embedded: Photos that were embedded.
        reused: Photos that were not, since an item of the gallery has the vectors of the same content.
        garments: Garments found in them; None if none were sought.
        discarded_overrides: Overrides that were dropped since the catalogue brings their attributes.
        removed: Items removed because they are no longer in the source.
        of_source: Number of items that earlier runs of the source brought; counted by a run that removes.
        vanished: Items that were to be removed and stay, since they are more than the limit allows.
        kept: Items that were not read and stay, since their folder or row cannot be read.
        outside: Items whose photos lie outside the folders that the gallery was indexed from; a server shows them
            only when `roots` of its settings names their folders.
        skipped: Photos that cannot be read.
        seconds: Seconds by phase. `wait` (for photos that are decoded), `embed` (for the network) and `write` do not
            overlap, and with the reading of the catalogue add up to `total`; `decode` runs in parallel and is summed
            over its threads.
    """

    added: int = 0
    updated: int = 0
    replaced_from: dict[str, int] = field(default_factory=dict)
    unchanged: int = 0
    embedded: int = 0
    reused: int = 0
    discarded_overrides: int = 0
    removed: int = 0
    of_source: int = 0
    vanished: int = 0
    kept: int = 0
    outside: int = 0
    garments: int | None = None
    skipped: list[Skipped] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    @property
    def replaced(self) -> int:
        """Number of items that another source had brought."""
        return sum(self.replaced_from.values())

    @property
    def done(self) -> int:
        """Number of photos processed so far."""
        return self.added + self.updated + self.replaced + self.unchanged + len(self.skipped)

    def check_vanished(self, source: str) -> None:
        """Check that no more items have vanished than may be removed.

        Raises:
            PruneLimitError: More have.
        """
        if self.vanished:
            error = PruneLimitError(
                f"{self.vanished:,} of the {self.of_source:,} items of the source {source} have vanished from it, more "
                "than --prune-limit allows, and none was removed; new and changed items were written. If they are gone "
                f"indeed, run it again with --prune-limit {ceil(100 * self.vanished / self.of_source) / 100:g}"
            )
            error.report = self
            raise error

    def list_skipped(self, file: Path) -> None:
        """Write the skipped photos as CSV; delete the file when there are none."""
        if not self.skipped:
            file.unlink(missing_ok=True)
            return
        table = StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["id", "photo", "reason"])
        writer.writerows([one.id, one.photo, one.reason] for one in self.skipped)
        create_file(file, table.getvalue())

    def to_json(self) -> dict[str, JSON]:
        """JSON form, as printed by `lookalike index --json`."""
        told: dict[str, JSON] = {
            "added": self.added,
            "updated": self.updated,
            "replaced": self.replaced,
            "replaced_from": dict(self.replaced_from),
            "unchanged": self.unchanged,
            "embedded": self.embedded,
            "reused": self.reused,
            "discarded_overrides": self.discarded_overrides,
            "removed": self.removed,
            "vanished": self.vanished,
            "kept": self.kept,
            "outside": self.outside,
            "skipped": [{"id": one.id, "photo": one.photo, "reason": one.reason} for one in self.skipped],
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
        }
        if self.garments is not None:
            told["garments"] = self.garments
        return told
