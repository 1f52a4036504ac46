"""What a run of the pipeline did."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

from lookalike.storage.files import create_file
from lookalike.types import JSON

PHASES = ("decode", "wait", "embed", "write", "total")


@dataclass(frozen=True, slots=True)
class Skipped:
    """A photo that was left out, and why, in a few words."""

    id: str
    photo: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """What a run did.

    Attributes:
        added: Items that are new.
        updated: Items whose photo, or what is known of them, has changed.
        replaced: Items that took the place of an item of the same id from another source.
        unchanged: Items that were left as they were.
        embedded: Photos that the network saw; others had only their description changed, or nothing.
        removed: Items that had vanished from the source.
        kept: Items that were not met and stay, since what they lie in cannot be listed or read.
        outside: Items whose photos lie outside the folders that this gallery was indexed from, so that a server shows
            them only when it is told of their folders.
        skipped: Photos that could not be read.
        seconds: By phase. `wait`, in which the network had no photos, `embed` and `write` follow each other, and with
            the reading of the catalogue add up to `total`; `decode` runs beside them, and is summed over its threads.
    """

    added: int = 0
    updated: int = 0
    replaced: int = 0
    unchanged: int = 0
    embedded: int = 0
    removed: int = 0
    kept: int = 0
    outside: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    @property
    def done(self) -> int:
        """How many photos were dealt with so far."""
        return self.added + self.updated + self.replaced + self.unchanged + len(self.skipped)

    def list_skipped(self, file: Path) -> None:
        """Write the list of skipped photos; where none are, there is no list."""
        if not self.skipped:
            file.unlink(missing_ok=True)
            return
        table = StringIO(newline="")
        writer = csv.writer(table)
        writer.writerow(["id", "photo", "reason"])
        writer.writerows([one.id, one.photo, one.reason] for one in self.skipped)
        create_file(file, table.getvalue())

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike index --json` shows it."""
        return {
            "added": self.added,
            "updated": self.updated,
            "replaced": self.replaced,
            "unchanged": self.unchanged,
            "embedded": self.embedded,
            "removed": self.removed,
            "kept": self.kept,
            "outside": self.outside,
            "skipped": [{"id": one.id, "photo": one.photo, "reason": one.reason} for one in self.skipped],
            "seconds": {phase: round(seconds, 3) for phase, seconds in self.seconds.items()},
        }
