"""Settings of the server: limits of size, time and number, and access."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeAlias

from lookalike.config import Range, check_limits
from lookalike.errors import ConfigError, PhotoError
from lookalike.gallery.ranking_choice import LEARNED, SIMILARITY
from lookalike.remote.addresses import parse
from lookalike.server.gallery_names import check_gallery_name
from lookalike.server.host_names import name_in
from lookalike.server.page_settings import PageSettings
from lookalike.server.web_origins import check_origin

MEBIBYTE = 2**20
Bytes: TypeAlias = Annotated[int, Range(least=1, most=2**50)]
Count: TypeAlias = Annotated[int, Range(least=1, most=1_000_000)]
Seconds: TypeAlias = Annotated[float, Range(least=0.01, most=1_000_000)]

MOST_ATTRIBUTES: Final = 32
"""Largest number of attributes that are remembered of a match."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of one server; `lookalike serve --config FILE.toml` changes them by these names.

    Attributes:
        upload_bytes: Longest body of a search, or of a request that writes one item, in bytes.
        bulk_bytes: Longest body of a bulk request, in bytes.
        intake_bytes: Memory for the bodies of all requests together, in bytes.
        parts: Largest number of fields, and of files, in a form.
        bulk_items: Largest number of items in a bulk request.
        pixels: Largest width x height of an uploaded photo, in pixels.
        decode_bytes: Memory for decoding photos, of all requests together, in bytes; an uploaded photo that needs more
            is refused.
        upload_seconds: Longest time until the body of a request has arrived, in seconds.
        answer_seconds: Longest time from the end of the body to the answer, in seconds.
        waiting: Searches that may wait for a worker; more are refused at once with error 429.
        workers: Threads that decode photos and search; 0 is one more than there are processors, and where searches wait
            for a remote gallery, or for a network that runs one batch at a time (a slow one, one on a GPU, or another
            runtime than `onnx`), 16, 8 with one processor, and one for each if there are more than 16.
        batch: Largest number of photos that the network embeds at once.
        scan_seconds: Longest time to evaluate a filter, to scan with a metric, to find products, or to count facets, in
            seconds.
        build_indexes: Whether a search without the token may build an index that does not exist yet.
        owner_metrics: Metrics that need the token: slow ones, which take seconds where others take less than one.
        thumbnails_bytes: Capacity of the cache of thumbnails in memory, in bytes.
        connections: Largest number of open connections; beyond it, the longest silent one is closed for a new one.
        connections_each: Largest number of open connections of one IPv4 address, or one /64 network of IPv6.
        proxies: Addresses of proxies; `connections_each` does not apply to them, since each serves many clients.
        head_bytes: Longest head of a request, from the method to the empty line, in bytes; for a chunked body also the
            most bytes of chunk sizes, extensions and trailers.
        url_bytes: Longest URL, in bytes.
        head_seconds: Longest time from the start of the connection, or from the first byte of the head, until the head
            of a request has arrived, in seconds.
        idle_seconds: Longest time that a connection stays open between two requests, in seconds.
        send_seconds: Longest time that a client may read nothing of a response, in seconds.
        hosts: Host names that the server answers to, such as `shop.example`, beside `localhost` and loopback addresses.
            Without any, requests on a loopback address must name that address or `localhost`, and requests on other
            addresses may name any host. Behind a proxy on the same machine, list the public name.
        origins: Other origins whose web pages may use the API, such as `https://shop.example`.
        roots: Folders and addresses that photos may be shown from, beside those that the gallery was indexed from.
        frame_ancestors: Origins whose pages may show the page in a frame, such as `https://shop.example`, or `self`.
        photos: Folder for uploaded photos, which several galleries may share; by default `photos` in the folder of the
            gallery, or in the working directory for a gallery on a Milvus server.
        photo_hosts: Hosts that photos are fetched from, if a write names their addresses, such as
            `cdn.shop.example`, with the port if it is not the usual one. Hosts in private networks must be in
            `LOOKALIKE_ALLOWED_HOSTS`, too.
        queued_photos: Largest number of photos that wait to be fetched.
        jobs: Folder for the queues of photos to fetch; by default the folder of the gallery. A gallery on a Milvus
            server needs it.
        open: Whether searching needs no key.
        log_paths: Whether the log has the paths of requests, in which ids are, and not only the routes.
        galleries: Folders or addresses of galleries by name, beside those of `--gallery`. The first gallery is the
            default one.
        events: Whether searches are remembered, without photos, and `POST /v1/events` is taken, for `lookalike learn`
            and `lookalike report usage`.
        events_days: Age at which searches and their events are deleted, in days.
        events_bytes: Largest size of the file of events, in bytes; beyond it the oldest searches are deleted.
        events_words: Whether the words of searches are remembered, too.
        events_attributes: Attributes of the first matches that are remembered, for a learned ranking: `price`,
            `brand:Acme` (whether it is that brand), `sale_price:*` (whether it has one).
        interleave_share: Share of the searches whose answers are interleaved from the usual order and that of
            `interleave_weights` or `interleave_ranking`, from 0 to 1. Such a search takes twice the time.
        interleave_weights: Weights by space that are compared with the usual ones, each above 0.
        interleave_ranking: Ranking that is compared with the usual one: `learned` or `similarity`.
        page: Settings of the page.
    """

    upload_bytes: Bytes = 20 * MEBIBYTE
    bulk_bytes: Bytes = 256 * MEBIBYTE
    intake_bytes: Bytes = 512 * MEBIBYTE
    parts: Count = 64
    bulk_items: Count = 1000
    pixels: Annotated[int, Range(least=1, most=10**10)] = 50_000_000
    decode_bytes: Bytes = 640 * MEBIBYTE
    upload_seconds: Seconds = 30.0
    answer_seconds: Seconds = 20.0
    waiting: Annotated[int, Range(least=0, most=1_000_000)] = 64
    workers: Annotated[int, Range(least=0, most=1024)] = 0
    batch: Annotated[int, Range(least=1, most=4096)] = 8
    scan_seconds: Seconds = 5.0
    build_indexes: bool = False
    owner_metrics: tuple[str, ...] = ("braycurtis", "mahalanobis")
    thumbnails_bytes: Annotated[int, Range(least=0, most=2**50)] = 64 * MEBIBYTE
    connections: Count = 512
    connections_each: Count = 64
    proxies: tuple[str, ...] = ("127.0.0.1", "::1")
    head_bytes: Bytes = 65_536
    url_bytes: Bytes = 32_768
    head_seconds: Seconds = 10.0
    idle_seconds: Seconds = 30.0
    send_seconds: Seconds = 30.0
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    frame_ancestors: tuple[str, ...] = ()
    photos: str = ""
    photo_hosts: tuple[str, ...] = ()
    queued_photos: Annotated[int, Range(least=1, most=10**9)] = 100_000
    jobs: str = ""
    open: bool = True
    log_paths: bool = False
    galleries: Mapping[str, str] = field(default_factory=dict)
    events: bool = False
    events_days: Annotated[float, Range(least=1, most=36_500)] = 90.0
    events_bytes: Bytes = 256 * MEBIBYTE
    events_words: bool = False
    events_attributes: tuple[str, ...] = ()
    interleave_share: Annotated[float, Range(least=0, most=1)] = 0.0
    interleave_weights: Mapping[str, Annotated[float, Range(above=0, most=1_000_000)]] = field(default_factory=dict)
    interleave_ranking: str = ""
    page: PageSettings = field(default_factory=PageSettings)

    def __post_init__(self) -> None:
        check_limits(self)
        check_interleaving(self)
        for name in self.galleries:
            check_gallery_name(name)
        for host in self.hosts:
            if not host or (name_in(f"{host}:0") is None and name_in(f"[{host}]:0") is None):
                raise ConfigError(f"expected a host name such as shop.example, without scheme or port, got {host!r}")
        for host in self.photo_hosts:
            if not is_web_host(host):
                raise ConfigError(f"photo_hosts: expected a host such as cdn.shop.example, got {host!r}")
        for origin in (*self.origins, *(origin for origin in self.frame_ancestors if origin != "self")):
            check_origin(origin)


def check_interleaving(settings: Settings) -> None:
    """Check that searches can be interleaved.

    Raises:
        ConfigError: The ranking is unknown, there are too many attributes, or something that is needed is missing.
    """
    share, weights, ranking = settings.interleave_share, settings.interleave_weights, settings.interleave_ranking
    terms = settings.events_attributes
    if len(terms) > MOST_ATTRIBUTES or len({*terms}) < len(terms) or not all(0 < len(term) <= 200 for term in terms):
        raise ConfigError(
            f"events_attributes must be at most {MOST_ATTRIBUTES} different names of up to 200 characters, "
            f"got {[*terms]!r:.300}"
        )
    if ranking not in ("", LEARNED, SIMILARITY):
        raise ConfigError(f"interleave_ranking must be {LEARNED!r} or {SIMILARITY!r}, got {ranking!r:.100}")
    if weights and ranking:
        raise ConfigError("interleave_weights and interleave_ranking exclude each other; compare one thing at a time")
    if share and not ((weights or ranking) and settings.events):
        raise ConfigError(
            "interleave_share needs `interleave_weights` or `interleave_ranking` to compare with, and `events = true`"
        )


def is_web_host(text: str) -> bool:
    """Whether a text is a host in lower case, perhaps with a port."""
    try:
        return parse(f"https://{text}/").host == text
    except PhotoError:
        return False
