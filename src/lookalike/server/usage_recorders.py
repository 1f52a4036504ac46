"""Recorders of the galleries of a server, one for each file of events."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from lookalike.errors import ConfigError
from lookalike.gallery.protocol import Gallery
from lookalike.server.metrics import Metrics
from lookalike.server.settings import Settings
from lookalike.usage.events_file import Retention, events_path
from lookalike.usage.recorder import UsageRecorder

LOG: Final = logging.getLogger("lookalike.server")


class UsageRecorders:
    """Recorders by open gallery; a gallery with several names has one, counted under its first name."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._recorders: dict[Gallery, UsageRecorder] = {}

    def of(self, name: str, gallery: Gallery, settings: Settings) -> UsageRecorder | None:
        """Recorder of a gallery; None if the settings remember nothing.

        Args:
            name: Name of the gallery.
            gallery: The gallery.
            settings: Settings of the server; a reload calls this with others.

        Raises:
            ConfigError: Answers are to be interleaved, and a space of the gallery has no weight for it.
        """
        if not settings.events:
            return None
        missing = [space.name for space in gallery.spaces if space.name not in settings.interleave_weights]
        if settings.interleave_share and settings.interleave_weights and missing:
            raise ConfigError(f"interleave_weights must have a weight for each space, and {missing[0]!r} has none")
        retention = Retention(settings.events_days, settings.events_bytes)
        recorder = self._recorders.get(gallery)
        if recorder is not None:
            recorder.retention = retention
            return recorder
        recorder = UsageRecorder(
            events_path(gallery),
            retention=retention,
            dropped=partial(self._metrics.forgotten, name),
            say=lambda message: LOG.error("events", extra={"fields": {"gallery": name, "problem": message}}),
        )
        self._recorders[gallery] = recorder
        self._metrics.watch_drift(name, lambda: recorder.drift)
        return recorder

    def write(self) -> None:
        """Write the searches that wait now."""
        for recorder in [*self._recorders.values()]:
            recorder.write()

    def close_of(self, gallery: Gallery) -> None:
        """Write what waits for a gallery that is being closed, and close its file."""
        recorder = self._recorders.pop(gallery, None)
        if recorder is not None:
            recorder.close()

    def close(self) -> None:
        """Write what waits, and close the files."""
        for gallery in [*self._recorders]:
            self.close_of(gallery)
