"""What an operator gives a server, as it is read at start and at every reload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from lookalike.errors import ConfigError
from lookalike.server.gallery_names import check_gallery_name
from lookalike.server.keys import KeyFile
from lookalike.server.settings import Settings

AT_START: Final = (
    *("intake_bytes", "decode_bytes", "thumbnails_bytes", "answer_seconds", "scan_seconds"),
    *("waiting", "workers", "batch", "connections", "connections_each", "proxies", "jobs"),
    *("head_bytes", "url_bytes", "head_seconds", "idle_seconds", "send_seconds"),
    *("events", "events_days", "events_bytes", "events_words", "events_attributes"),
    *("interleave_share", "interleave_weights", "interleave_ranking"),
)
"""Settings that a server takes at its start alone: sizes of queues, caches and pools of threads, connections, usage."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Settings, galleries, token and keys.

    Attributes:
        settings: Settings.
        galleries: Addresses by name, the default gallery first.
        token: Bearer token for writes; None if there is none.
        keys: Keys; None if there are none.
        files: Paths of the files that it was read from, which are redacted from errors.
    """

    settings: Settings
    galleries: Mapping[str, str]
    token: bytes | None = None
    keys: KeyFile | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.galleries:
            check_gallery_name(name)
        if not self.settings.open and self.keys is None and self.token is None:
            raise ConfigError(
                "searching would be impossible: `open = false` in the settings needs keys, given with --keys FILE"
            )


def for_running(settings: Settings, running: Settings) -> tuple[Settings, list[str]]:
    """Settings that a running server can take over, and the names of the changed ones that need a restart.

    Args:
        settings: Settings that were read.
        running: Settings that the server has.
    """
    kept = {name: getattr(running, name) for name in AT_START}
    changed = [name for name, value in kept.items() if getattr(settings, name) != value]
    return replace(settings, **kept), changed
