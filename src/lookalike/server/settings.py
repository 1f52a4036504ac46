"""Settings of the server: limits of size, time and number, and access."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from urllib.parse import urlsplit

from lookalike.errors import ConfigError
from lookalike.server.allowed_hosts import name_in

MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of one server; `lookalike serve --config FILE.toml` changes them by these names.

    Attributes:
        upload_bytes: Longest body of a search, or of one item that is written.
        bulk_bytes: Longest body of a bulk request.
        intake_bytes: Bodies in memory, of all requests together.
        parts: Most fields and files of a form.
        bulk_items: Most items of a bulk request.
        pixels: Largest width x height of a photo that is sent.
        decode_bytes: Memory that photos may take while they are decoded, of all requests together; a photo that is sent
            and needs more is refused.
        upload_seconds: Longest time that a body may take to arrive.
        answer_seconds: Longest time from then to the answer.
        waiting: Searches that may wait for a worker; what comes beyond is refused at once.
        workers: Threads that decode photos and search; 0 takes one for each processor, and two on a single one.
        batch: Most photos that the network gets at once.
        scan_seconds: Longest time to find what a filter passes, to scan by a metric, or to count facets.
        build_indexes: Whether searches without the token may have an index built that is not there.
        owner_metrics: Metrics that searches without the token may not ask for: they take seconds where others take less
            than one.
        thumbnails_bytes: Thumbnails kept in memory.
        connections: Most connections at once; the longest silent one makes room for a new one.
        connections_each: Most connections from one address, or from one /64 network of IPv6.
        proxies: Addresses of proxies, each of which stands for many clients: `connections_each` is not for them.
        head_bytes: Longest head of a request, from its method to the empty line; and most that a body sent in chunks
            may have between and after its chunks, beyond the length of the body itself.
        url_bytes: Longest URL.
        head_seconds: Longest time for a head to arrive, from the connection or the head's first byte on.
        idle_seconds: How long a connection is kept open between two requests.
        send_seconds: How long a client may take none of what is sent to it.
        hosts: Names that the server answers to, such as `shop.example`. Without any, requests that come in on a
            loopback address must name that or `localhost`, and others may name anything; a proxy on the same machine
            passes the public name on, which belongs here.
        origins: Web pages of other origins that may use the API, such as `https://shop.example`; none by default.
        roots: Folders and addresses that photos may be shown from, beside those that the gallery was indexed from.
        photos: The folder for photos that are sent, which other galleries may share; by default `photos` in the
            gallery's folder, or in the working folder for a gallery on a server.
    """

    upload_bytes: int = 20 * MEBIBYTE
    bulk_bytes: int = 256 * MEBIBYTE
    intake_bytes: int = 512 * MEBIBYTE
    parts: int = 64
    bulk_items: int = 1000
    pixels: int = 50_000_000
    decode_bytes: int = 640 * MEBIBYTE
    upload_seconds: float = 30.0
    answer_seconds: float = 20.0
    waiting: int = 64
    workers: int = 0
    batch: int = 8
    scan_seconds: float = 5.0
    build_indexes: bool = False
    owner_metrics: tuple[str, ...] = ("braycurtis", "mahalanobis")
    thumbnails_bytes: int = 64 * MEBIBYTE
    connections: int = 512
    connections_each: int = 64
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    head_bytes: int = 65_536
    url_bytes: int = 32_768
    head_seconds: float = 10.0
    idle_seconds: float = 30.0
    send_seconds: float = 30.0
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    photos: str = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            least: float = 0 if field.name in ("workers", "waiting", "thumbnails_bytes", "build_indexes") else 1
            least = 0.01 if field.name.endswith("_seconds") else least
            if isinstance(value, int | float) and not value >= least:
                raise ConfigError(f"{field.name} must be at least {least}, got {value}")
        for host in self.hosts:
            if not host or (name_in(f"{host}:0") is None and name_in(f"[{host}]:0") is None):
                raise ConfigError(f"a host is a name such as shop.example, without scheme, port or path, got {host!r}")
        for origin in self.origins:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("http", "https")
                or not parts.netloc
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ConfigError(f"an origin is such as https://shop.example, without a path, got {origin!r}")
