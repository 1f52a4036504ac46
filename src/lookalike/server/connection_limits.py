"""All connections of a server: how many there may be, in all and from one address, and who goes first."""

from __future__ import annotations

import ipaddress
from collections import Counter
from enum import Enum, IntEnum
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from lookalike.server.errors import Refusal
from lookalike.server.middleware import LOG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lookalike.server.metrics import Metrics
    from lookalike.server.settings import Settings

TURNED_AWAY: Final = 64
"""Connections that were refused and may still read why; beyond these they are closed at once."""


class State(Enum):
    """What a connection is waiting for.

    Attributes:
        NEW: its first request.
        IDLE: another request.
        HEAD: the rest of a head.
        BUSY: the rest of a body, or the answer.
        LEAVING: the client's last bytes; nothing is read of them.
    """

    NEW = "new"
    IDLE = "idle"
    HEAD = "head"
    BUSY = "busy"
    LEAVING = "leaving"


class Worth(IntEnum):
    """What would be lost with a connection; those worth least make room for others."""

    SILENT, IDLE, SLOW, BUSY = range(4)


def place_of(address: str) -> str:
    """What connections from an address are counted under: the address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed) if parsed.is_loopback else str(ipaddress.ip_network((parsed, 64), strict=False))


class Connection(Protocol):
    """A connection as its limits see it.

    Attributes:
        place: Address or network that it is counted under.
        heard: Time of the client's last byte, in seconds of `time.monotonic`.
        stuck_since: Time since which the client does not read, in the same seconds; None while it reads.
    """

    place: str
    heard: float
    stuck_since: float | None

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        ...

    def worth(self, now: float) -> Worth:
        """What would be lost with the connection."""
        ...

    def overdue(self, now: float) -> str | None:
        """Reason to drop the connection; None where it may stay."""
        ...

    def drop(self) -> None:
        """Close the connection at once."""
        ...


class Crowd:
    """The connections of one server, all used from its event loop.

    Attributes:
        members: Those that are open.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.members: dict[Connection, None] = {}
        self._settings, self._metrics = settings, metrics
        self._leaving: dict[Connection, None] = {}  # refused when they came, and not counted
        self._places: Counter[str] = Counter()
        self._exempt = {place_of(address) for address in settings.proxies}
        self._dropped: Counter[str] = Counter()

    def admit(self, connection: Connection) -> Refusal | None:
        """Take a connection in; where there is no room, the one that can best be spared goes.

        Returns:
            Why it cannot be taken in, or None.
        """
        settings = self._settings
        if len(self.members) >= settings.connections and not self._spare(self.members):
            return self._turned_away(connection, f"all {settings.connections:,} connections are in use")
        each = settings.connections_each
        if connection.place not in self._exempt and self._places[connection.place] >= each:
            own = [member for member in self.members if member.place == connection.place]
            if not self._spare(own):
                return self._turned_away(connection, f"all {each:,} connections of one address are in use")
        self.members[connection] = None
        self._places[connection.place] += 1
        return None

    def forget(self, connection: Connection) -> None:
        """Give the place of a connection back."""
        self._leaving.pop(connection, None)
        if connection in self.members:
            del self.members[connection]
            self._places[connection.place] -= 1
            if not self._places[connection.place]:
                del self._places[connection.place]

    def refused(self, connection: Connection, refusal: Refusal) -> None:
        """Count a request that never got to the application."""
        self._metrics.refused(refusal.kind)
        LOG.info("refused", extra={"facts": {"from": connection.place, "status": refusal.status, "code": refusal.kind}})

    def tend(self) -> None:
        """Drop connections that have had their time, and those that hold too much unsent; call it often."""
        now = monotonic()
        for connection in [*self.members, *self._leaving]:
            reason = connection.overdue(now)
            if reason is not None:
                self._drop(connection, reason)
        unsent = {connection: connection.unsent for connection in self.members if connection.stuck_since is not None}
        total = sum(unsent.values())
        while total > self._settings.intake_bytes:
            largest = max(unsent, key=lambda connection: unsent[connection])
            total -= unsent.pop(largest)
            self._drop(largest, "unsent")
        if self._dropped:
            LOG.info("dropped connections", extra={"facts": {"reasons": dict(self._dropped)}})
            self._dropped.clear()

    def _spare(self, among: Iterable[Connection]) -> bool:
        """Drop a connection that waits for its client: a silent one, an idle one, or else one that is slow."""
        now = monotonic()
        best = min(among, key=lambda connection: (connection.worth(now), connection.heard), default=None)
        if best is None or best.worth(now) is Worth.BUSY:
            return False
        self._drop(best, "room")
        return True

    def _drop(self, connection: Connection, reason: str) -> None:
        self._dropped[reason] += 1
        self._metrics.dropped(reason)
        self.forget(connection)
        connection.drop()

    def _turned_away(self, connection: Connection, what: str) -> Refusal:
        self._leaving[connection] = None
        if len(self._leaving) > TURNED_AWAY:
            self._drop(next(iter(self._leaving)), "room")
        return Refusal("full", f"{what}; try again in 1 s", facts={"retry_after": 1}, headers={"Retry-After": "1"})
