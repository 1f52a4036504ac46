"""Reads from object stores (through fsspec) and the web, with limited connections, retries and sizes.

Credentials and endpoints are those of the stores' own tools (environment variables, profiles, instance roles).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from lookalike.errors import LookalikeError, MissingExtraError, PhotoError, UsageError
from lookalike.remote import http_client
from lookalike.remote.addresses import Address, Reach, is_address, parse, shown
from lookalike.remote.retryable import may_pass, reason

Result = TypeVar("Result")

CONNECTIONS: Final = 16
"""Concurrent requests of this process to one host or bucket."""

TRIES: Final = 4
FIRST_PAUSE_S: Final = 0.3
"""Pauses double with each try, and vary by half, so that readers do not retry at the same time."""

CONNECT_S: Final = 10
READ_S: Final = 30

PHOTO_S: Final = 60.0
CATALOGUE_S: Final = 3600.0
CATALOGUE_BYTES: Final = 4 * 2**30
"""Timeouts of a photo and of a table or listing, seconds, and largest table, bytes."""

VALIDATORS_S: Final = 10.0
"""Longest time to wait for the validators of a photo on the web, seconds; without them it is read."""

PAGES: Final = ("text/html", "application/xhtml+xml")
S3: Final[Mapping[str, Any]] = {
    "config_kwargs": {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"total_max_attempts": 1}}
}
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {"s3": S3, "gs": {}, "az": {}}
"""Options of fsspec by scheme."""

PATIENT: Final = ("gs",)
"""Schemes whose library makes six tries of its own, which cannot be configured."""
WANTED: Final[Mapping[str, str]] = {"az": "set AZURE_STORAGE_ACCOUNT_NAME, or AZURE_STORAGE_CONNECTION_STRING"}
TALKATIVE: Final = ("gcsfs", "azure")
"""Libraries that log errors which they also raise."""
TIMES: Final = ("LastModified", "last_modified", "mtime", "updated")
"""Names of the modification time in the metadata of stores."""

_slots: defaultdict[str, threading.BoundedSemaphore] = defaultdict(lambda: threading.BoundedSemaphore(CONNECTIONS))
_opening = threading.Lock()


def fetch(where: str | Reach, *, limit: int, name: str, seconds: float = PHOTO_S) -> bytes:
    """Read an object, up to `limit` bytes.

    Args:
        where: Address; a text is trusted as the operator's, and may name any host.
        limit: Largest number of bytes.
        name: Name of the object in errors.
        seconds: Timeout with all tries and pauses.

    Raises:
        PhotoError: It cannot be read after several tries.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(where)
    if not reach.address.is_on_the_web:
        return _ask(reach, name=name, seconds=seconds, ask=lambda left: _read_object(reach.address, limit, left))
    page = _ask(reach, name=name, seconds=seconds, ask=lambda left: http_client.read(reach, limit=limit, seconds=left))
    if page.media_type in PAGES and page.data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise PhotoError(name, f"the server sends a page ({page.media_type}), and no photo")
    return page.data


def as_reach(where: str | Reach) -> Reach:
    """Parse an address of the operator, which may reach any host; a `Reach` is returned as it is.

    Raises:
        PhotoError: The address is invalid.
    """
    return where if isinstance(where, Reach) else Reach(parse(where))


def _read_object(address: Address, limit: int, seconds: float) -> bytes:
    files, path = _store(address)
    size = files.info(path, timeout=seconds)["size"]
    if not size:
        return b""
    return bytes(files.cat_file(path, start=0, end=min(size, limit), timeout=seconds))


def status(where: str | Reach, *, seconds: float = PHOTO_S) -> tuple[int, int] | None:
    """Bytes and time of the last change (ns since 1970) of an object; None if the server does not give them.

    Raises:
        PhotoError: The request fails.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(where)
    if reach.address.is_on_the_web:
        return None
    files, path = _store(reach.address)
    return _size_and_time(_ask(reach, seconds=seconds, ask=lambda left: files.info(path, timeout=left)))


def version(where: str | Reach, *, seconds: float = PHOTO_S) -> tuple[int, int] | None:
    """What tells that an object has changed: its bytes, and the time of the last change or, on the web, a number.

    See `status` and `http_client.validators`.

    Raises:
        SilentServerError: The server on the web does not answer within `VALIDATORS_S`.
        PhotoError: The request fails.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(where)
    if not reach.address.is_on_the_web:
        return status(reach, seconds=seconds)
    return _ask(reach, seconds=seconds, ask=lambda left: http_client.validators(reach, seconds=min(left, VALIDATORS_S)))


def list_files(url: str) -> list[str]:
    """Objects beneath an address, at any depth: their paths relative to it, in order.

    Raises:
        PhotoError: It cannot be listed.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(url)
    files, path = _store(reach.address)
    found: list[str] = _ask(reach, seconds=CATALOGUE_S, ask=lambda left: files.find(path, timeout=left))
    start = path.rstrip("/") + "/"
    return sorted(at.removeprefix(start) for at in found if at.startswith(start))


def kind_of(url: str) -> str | None:
    """Type of an address: `file`, `directory`, or None if it does not exist.

    Raises:
        PhotoError: The request fails.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(url)
    if reach.address.is_on_the_web:
        return "file"
    files, path = _store(reach.address)

    def look(left: float) -> str | None:
        try:
            return str(files.info(path, timeout=left)["type"])
        except FileNotFoundError:
            return None

    return _ask(reach, seconds=PHOTO_S, ask=look)


def download(url: str, to: Path) -> None:
    """Copy an object, of at most `CATALOGUE_BYTES`, into a local file.

    Raises:
        PhotoError: It cannot be read.
        MissingExtraError: The library for such addresses is not installed.
    """
    reach = as_reach(url)
    if reach.address.is_on_the_web:
        http_client.LOGINS.remember(reach.address)

    def copy(left: float) -> None:
        if reach.address.is_on_the_web:
            return http_client.download(reach, to, limit=CATALOGUE_BYTES, seconds=left)
        files, path = _store(reach.address)
        if files.info(path, timeout=left)["size"] > CATALOGUE_BYTES:
            raise PhotoError(url, f"longer than the {CATALOGUE_BYTES:,} bytes allowed")
        files.get_file(path, str(to), timeout=left)
        return None

    _ask(reach, seconds=CATALOGUE_S, ask=copy)


def exists(place: str) -> bool:
    """Whether an object or local file exists."""
    if not is_address(place):
        return Path(place).exists()
    reach = as_reach(place)
    files, path = _store(reach.address)
    return _ask(reach, ask=lambda left: bool(files.exists(path, timeout=left)))


def read(place: str) -> bytes:
    """Read an object or local file."""
    if not is_address(place):
        return Path(place).read_bytes()
    reach = as_reach(place)
    files, path = _store(reach.address)
    return bytes(_ask(reach, seconds=CATALOGUE_S, ask=lambda left: files.cat_file(path, timeout=left)))


def write(place: str, data: bytes) -> None:
    """Write an object or local file atomically."""
    if not is_address(place):
        file = Path(place)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}-{os.getpid()}-{time.monotonic_ns()}")
        unfinished.write_bytes(data)
        unfinished.replace(file)
        return
    reach = as_reach(place)
    files, path = _store(reach.address)
    _ask(reach, seconds=CATALOGUE_S, ask=lambda left: files.pipe_file(path, data, timeout=left))


def remove(place: str) -> None:
    """Delete an object or local file."""
    if not is_address(place):
        Path(place).unlink()
        return
    reach = as_reach(place)
    files, path = _store(reach.address)
    _ask(reach, ask=lambda left: files.rm_file(path, timeout=left))


def _ask(reach: Reach, *, ask: Callable[[float], Result], name: str = "", seconds: float = PHOTO_S) -> Result:
    """Call a store with a free connection, and retry after a pause when the failure may pass.

    Args:
        reach: Address and permissions.
        ask: Function that makes the request; its argument is the remaining time, seconds.
        name: Name of the object in errors; by default the address.
        seconds: Timeout with all tries and pauses.

    Raises:
        PhotoError: The request fails permanently or `TRIES` times, or times out.
        MissingExtraError: The library for such addresses is not installed.
    """
    name = shown(name or reach.address.text)
    tries = 1 if reach.address.scheme in PATIENT else TRIES
    end = time.monotonic() + seconds
    with _opening:
        slots = _slots[reach.address.origin]
    for attempt in range(1, tries + 1):
        if not slots.acquire(timeout=max(0.0, end - time.monotonic())):
            raise PhotoError(name, f"cannot be read: its server was busy for {seconds:g} s")
        try:
            return ask(max(0.01, end - time.monotonic()))
        except LookalikeError:
            raise
        except Exception as error:  # each store has its own errors
            pause = max(_pause(attempt), getattr(error, "retry_after", 0.0))
            if attempt == tries or not may_pass(error) or time.monotonic() + pause >= end:
                raise PhotoError(name, reason(error, tries=attempt)) from error
        finally:
            slots.release()
        time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _pause(attempt: int) -> float:
    from random import uniform

    return FIRST_PAUSE_S * 2.0 ** (attempt - 1) * uniform(0.5, 1.5)


@cache
def _opened(scheme: str) -> Any:  # noqa: ANN401 - fsspec has no types
    """File system of fsspec for a scheme; see `open_store`."""
    files = open_store(scheme)
    if hasattr(files, "retries"):
        files.retries = 1  # `_ask` tries again itself
    return files


def open_store(scheme: str, **settings: bool) -> Any:  # noqa: ANN401 - fsspec has no types
    """Open the file system of fsspec for a scheme.

    Raises:
        UsageError: It cannot be opened without further configuration.
        MissingExtraError: The library for such addresses is not installed.
    """
    import fsspec

    for name in TALKATIVE:  # the user's handlers stay
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        # Cached listings may be outdated at the next request.
        return fsspec.filesystem(scheme, use_listings_cache=False, **OPTIONS[scheme], **settings)
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "stores") from error
    except ValueError as error:
        raise UsageError(f"{scheme}:// addresses cannot be read: {WANTED.get(scheme) or error}") from error


def _store(address: Address) -> tuple[Any, str]:
    """File system of an address, and the path in it.

    Raises:
        UsageError: It is on the web, which has no listings and cannot be written, or the store cannot be opened.
        MissingExtraError: The library for such addresses is not installed.
    """
    if address.is_on_the_web:
        raise UsageError(
            f"{shown(address.text)}: expected a folder, or an address that begins with s3://, gs:// or az://"
        )
    return _opened(address.scheme), f"{address.host}/{address.path}".rstrip("/")


def _size_and_time(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    size = facts.get("size")
    changed = next((facts[name] for name in TIMES if facts.get(name)), None)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    if size is None or not isinstance(changed, datetime):
        return None
    return int(size), int(changed.timestamp()) * 10**9 + changed.microsecond * 1000
