"""Recorder: remembers searches from a queue in a thread of its own, so that no search waits for the disk."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.types import Float32
from lookalike.usage.events_file import EventsFile, Retention, hour_of, now
from lookalike.usage.records import Event, SearchRecord
from lookalike.usage.sketches import Sketch, drift

MOST_WAITING: Final = 2_000
"""Largest number of searches in the queue; more are dropped, and counted."""

PAUSE_S: Final = 0.5
"""Time between two writes, in which searches gather."""

TIDY_S: Final = 600.0
"""Time between two deletions of what is too old."""

DRIFT_S: Final = 60.0
"""Time between two computations of the drift."""

RECENT_H: Final = 24
REFERENCE_H: Final = 7 * 24
"""Hours of the windows that are compared: the last day, and the week before it."""

SPACE: Final = "deep"
"""Space whose query vectors are sketched."""


class UsageRecorder:
    """Records the searches and events of one gallery.

    Attributes:
        path: File of events.
        retention: How long and how much is kept.
        drift: Drift of the query vectors of the last day against the week before it; nan while it is unknown.
    """

    def __init__(
        self, path: Path, *, retention: Retention, dropped: Callable[[str, int], None], say: Callable[[str], None]
    ) -> None:
        """Start the thread. The file is opened by the first write, and again after an error.

        Args:
            path: File of events, created if it is missing.
            retention: How long and how much is kept.
            dropped: Called with a reason, `queue` or `disk`, and the number of searches that are not remembered.
            say: Called with the message of an error of the file, once until it can be written again.
        """
        self.path, self.drift = path, float("nan")
        self.retention, self._dropped, self._say = retention, dropped, say
        self._waiting: deque[tuple[SearchRecord, Float32 | None]] = deque()
        self._lock = threading.Lock()  # of the file
        self._file: EventsFile | None = None
        self._stopping = threading.Event()
        self._failing = False
        self._tidied = self._drift_at = 0.0
        self._model = ""
        self._thread = threading.Thread(target=self._run, name="lookalike-events", daemon=True)
        self._thread.start()

    def record(self, record: SearchRecord, vectors: Mapping[str, Float32]) -> None:
        """Put a search into the queue; returns at once.

        Args:
            record: Search.
            vectors: Query vectors by space, (1, D) each; none are kept, only sums over many.
        """
        if len(self._waiting) >= MOST_WAITING:
            self._dropped("queue", 1)
            return
        self._waiting.append((record, vectors.get(SPACE)))

    def add_events(self, events: Sequence[Event]) -> list[Event]:
        """Write events durably, all or none.

        Returns:
            Events that were not known before.

        Raises:
            UnknownEventError: A query is not remembered, or an item was not in its answer.
            LookalikeError: The file cannot be written.
        """
        with self._lock:
            self._write()
            file = self._opened()
            with file.transaction():
                return file.add_events(events, at=now())

    def write(self) -> None:
        """Write the searches that wait now; an error is told as those of the recorder's thread are."""
        self._turn()

    def close(self) -> None:
        """Write what waits, and close the file."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        """Write at intervals until the recorder is closed."""
        while not self._stopping.wait(PAUSE_S):
            self._turn()
        self._turn()
        with self._lock:
            self._forget_file()

    def _turn(self) -> None:
        """Write what waits, and tidy; errors are told, since a search must not fail by them."""
        try:
            with self._lock:
                self._write()
                self._tidy()
            self._failing = False
        except LookalikeError as error:
            if not self._failing:
                self._say(f"searches are not remembered: {error}")
            self._failing = True
            with self._lock:
                self._forget_file()

    def _write(self) -> None:
        """Write the searches in the queue. If that fails, they are dropped: the queue must not grow.

        Raises:
            LookalikeError: The file cannot be written.
        """
        taken = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not taken:
            return
        try:
            file = self._opened()
            with file.transaction():
                file.add_searches([record for record, _ in taken])
                file.add_sketches(_sketches(taken))
        except LookalikeError:
            self._dropped("disk", len(taken))
            raise
        self._model = taken[-1][0].model

    def _tidy(self) -> None:
        """Delete what is too old, and compute the drift, each from time to time."""
        moment = now()
        if self._file is None:
            return
        if moment - self._tidied >= TIDY_S:
            self._tidied = moment
            self._file.prune(self.retention, now=moment)
        if moment - self._drift_at >= DRIFT_S:
            self._drift_at = moment
            self.drift = drift_at(self._file, self._model, moment)

    def _opened(self) -> EventsFile:
        """The file; opened again where another one lies at its path, as after a gallery was replaced."""
        if self._file is not None and not self._file.is_in_place():
            self._forget_file()
        if self._file is None:
            self._file = EventsFile(self.path, is_writable=True)
        return self._file

    def _forget_file(self) -> None:
        if self._file is not None:
            with suppress(LookalikeError):
                self._file.close()
            self._file = None


def drift_at(file: EventsFile, model: str, at: float) -> float:
    """Drift of the query vectors of a model in the day before a time against the week before that day."""
    hour = hour_of(at)
    recent = file.sketch(model, first=hour - RECENT_H + 1, last=hour)
    before = file.sketch(model, first=hour - RECENT_H - REFERENCE_H + 1, last=hour - RECENT_H)
    return drift(recent, before)


def _sketches(taken: Sequence[tuple[SearchRecord, Float32 | None]]) -> dict[tuple[int, str], Sketch]:
    """Sketches of query vectors by hour and model."""
    rows: dict[tuple[int, str], list[Float32]] = {}
    for record, vectors in taken:
        if vectors is not None:
            rows.setdefault((hour_of(record.at), record.model), []).append(vectors)
    return {key: Sketch.of(np.concatenate(vectors)) for key, vectors in rows.items()}
