"""Limits of the number of connections, in all and per network, and the choice of one to close for a new one."""

from __future__ import annotations

import ipaddress
from collections import Counter
from enum import Enum, IntEnum
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from lookalike.server.errors import ApiError
from lookalike.server.middleware import LOG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lookalike.server.metrics import Metrics
    from lookalike.server.settings import Settings

MOST_REJECTED: Final = 64
"""Most rejected connections that may still read the error; the oldest beyond these is closed."""


class State(Enum):
    """State of a connection.

    Attributes:
        NEW: Waits for the first request.
        IDLE: Waits for another request.
        HEAD: Waits for the rest of a request's head.
        BUSY: Receives a body, or sends a response.
        LEAVING: Closing; further bytes of the client are discarded.
    """

    NEW = "new"
    IDLE = "idle"
    HEAD = "head"
    BUSY = "busy"
    LEAVING = "leaving"


class Priority(IntEnum):
    """Priority of a connection; those of lowest priority are closed to make room."""

    SILENT, IDLE, SLOW, BUSY = range(4)


def network_of(address: str) -> str:
    """Network under which connections of an address are counted: the IPv4 address, or the /64 network of IPv6."""
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
        network: Network that it is counted under.
        heard: Time of the client's last byte, in seconds of `time.monotonic`.
        stuck_since: Time since which the client does not read, in the same seconds; None while it reads.
    """

    network: str
    heard: float
    stuck_since: float | None

    @property
    def unsent(self) -> int:
        """Bytes of responses that the client has not read."""
        ...

    def priority(self, now: float) -> Priority:
        """Priority when another connection needs its place."""
        ...

    def overdue(self, now: float) -> str | None:
        """Name of the time limit that the connection has exceeded, or None."""
        ...

    def drop(self) -> None:
        """Close the connection at once."""
        ...


class ConnectionLimits:
    """Open connections of one server and their limits; for use from its event loop.

    Attributes:
        open: Open connections, oldest first.
        changed: Called when their number has changed.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.open: dict[Connection, None] = {}
        self.changed: Callable[[], None] = lambda: None
        self._settings, self._metrics = settings, metrics
        self._leaving: dict[Connection, None] = {}  # rejected connections, which are not counted
        self._by_network: Counter[str] = Counter()
        self._exempt = {network_of(address) for address in settings.proxies}
        self._dropped: Counter[str] = Counter()

    def admit(self, connection: Connection) -> ApiError | None:
        """Admit a connection; when all places are taken, close the one of lowest priority.

        Returns:
            The error to send when no place can be freed, else None.
        """
        settings = self._settings
        if len(self.open) >= settings.connections and not self._evict(self.open):
            return self._reject(connection, f"all {settings.connections:,} connections are in use")
        each = settings.connections_each
        if connection.network not in self._exempt and self._by_network[connection.network] >= each:
            own = [member for member in self.open if member.network == connection.network]
            if not self._evict(own):
                return self._reject(connection, f"all {each:,} connections of one address are in use")
        self.open[connection] = None
        self._by_network[connection.network] += 1
        self.changed()
        return None

    def forget(self, connection: Connection) -> None:
        """Free the place of a connection."""
        self._leaving.pop(connection, None)
        if connection in self.open:
            del self.open[connection]
            self._by_network[connection.network] -= 1
            if not self._by_network[connection.network]:
                del self._by_network[connection.network]
            self.changed()

    def refused(self, connection: Connection, api_error: ApiError) -> None:
        """Count and log a request that was refused before it reached the application."""
        self._metrics.refused(api_error.code)
        fields = {"from": connection.network, "status": api_error.status, "code": api_error.code}
        LOG.info("refused", extra={"fields": fields})

    def enforce(self) -> None:
        """Close overdue connections, and those with the most unsent bytes beyond the limit. To be called often."""
        now = monotonic()
        for connection in [*self.open, *self._leaving]:
            reason = connection.overdue(now)
            if reason is not None:
                self._drop(connection, reason)
        unsent = {connection: connection.unsent for connection in self.open if connection.stuck_since is not None}
        total = sum(unsent.values())
        while total > self._settings.intake_bytes:
            largest = max(unsent, key=lambda connection: unsent[connection])
            total -= unsent.pop(largest)
            self._drop(largest, "unsent")
        if self._dropped:
            LOG.info("dropped connections", extra={"fields": {"reasons": dict(self._dropped)}})
            self._dropped.clear()

    def _evict(self, among: Iterable[Connection]) -> bool:
        """Close a connection that waits for its client: a silent one, an idle one, or else a slow one."""
        now = monotonic()
        best = min(among, key=lambda connection: (connection.priority(now), connection.heard), default=None)
        if best is None or best.priority(now) is Priority.BUSY:
            return False
        self._drop(best, "room")
        return True

    def _drop(self, connection: Connection, reason: str) -> None:
        self._dropped[reason] += 1
        self._metrics.dropped(reason)
        self.forget(connection)
        connection.drop()

    def _reject(self, connection: Connection, what: str) -> ApiError:
        self._leaving[connection] = None
        if len(self._leaving) > MOST_REJECTED:
            self._drop(next(iter(self._leaving)), "room")
        return ApiError("full", f"{what}; try again in 1 s", details={"retry_after": 1}, headers={"Retry-After": "1"})
