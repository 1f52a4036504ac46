"""Reading from object stores and the web through fsspec: few connections at a time, patient, and never more than asked.

Credentials and endpoints are those that the stores' own tools use (environment variables, profiles, instance roles).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

from lookalike.errors import LookalikeError, MissingExtraError, PhotoError, UsageError

Result = TypeVar("Result")

CONNECTIONS: Final = 16
"""Requests of this process that are under way at a time."""

TRIES: Final = 4
FIRST_PAUSE_S: Final = 0.3
"""Pauses double from try to try, and vary by half, so that many readers do not come back together."""

CONNECT_S: Final = 10
READ_S: Final = 30

S3: Final[Mapping[str, Any]] = {
    "config_kwargs": {"connect_timeout": CONNECT_S, "read_timeout": READ_S, "retries": {"total_max_attempts": 1}}
}
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "s3": S3,
    "s3a": S3,
    "gs": {},
    "gcs": {},
    "az": {},
    "abfs": {},
    "abfss": {},
    "http": {},
    "https": {},
}
"""What is passed to fsspec for each kind of address; those that do not stand here are left to fsspec."""

WEB: Final = ("http", "https")
PATIENT: Final = ("gs", "gcs")
"""Where what reads them has tries of its own, six, which cannot be set."""
WANTED: Final[Mapping[str, str]] = dict.fromkeys(
    ("az", "abfs", "abfss"), "set AZURE_STORAGE_ACCOUNT_NAME, or AZURE_STORAGE_CONNECTION_STRING"
)
TALKATIVE: Final = ("gcsfs", "azure")
"""Libraries that log what they then raise."""
BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
PASSING: Final = ("Connection", "Timeout", "Disconnected", "IncompleteRead", "Payload")
"""Parts of the names of errors that may pass: the libraries' errors have no ancestor in common."""
TIMES: Final = ("LastModified", "last_modified", "mtime", "updated")
"""What the stores call the time of an object's last change."""

_slots = threading.BoundedSemaphore(CONNECTIONS)


def is_remote(location: str) -> bool:
    """Whether a location is in a store or on the web."""
    return location.partition("://")[0] in OPTIONS and "://" in location


def is_on_the_web(location: str) -> bool:
    """Whether it has an address of the web, where nothing can be listed and times cannot be relied on."""
    return location.partition("://")[0] in WEB


def fetch(url: str, *, limit: int, name: str) -> bytes:
    """Read an object, and never more of it than `limit` bytes.

    Args:
        url: Where it is.
        limit: In bytes.
        name: What errors call it.

    Raises:
        PhotoError: It cannot be read, also after several tries.
        MissingExtraError: What reads such addresses is not installed.
    """

    def read() -> bytes:
        files, path = _store(url)
        # Of a web server the size is not asked first: fsspec would tell every failure of that as a missing file. Nor
        # is a part asked for, which some servers do not know and send all.
        options = {"block_size": 0, "size": 1} if is_on_the_web(url) else {"cache_type": "none"}
        with files.open(path, "rb", **options) as file:
            if not is_on_the_web(url):
                return bytes(file.read(min(file.size, limit)))
            return _up_to(file, limit)

    return patiently(read, name=name, tries=_tries(url))


def status(url: str) -> tuple[int, int] | None:
    """Bytes and time of the last change (ns since 1970) of an object; None where the server does not say them.

    Raises:
        PhotoError: It cannot be asked for.
        MissingExtraError: What reads such addresses is not installed.
    """
    if not is_remote(url) or is_on_the_web(url):
        return None
    files, path = _store(url)
    return _size_and_time(_ask(url, lambda: files.info(path)))


def list_files(url: str) -> list[str]:
    """Objects beneath an address, at any depth: their paths relative to it, in order.

    Raises:
        PhotoError: It cannot be listed.
        MissingExtraError: What reads such addresses is not installed.
    """
    files, path = _store(url)
    found: list[str] = _ask(url, lambda: files.find(path))
    start = path.rstrip("/") + "/"
    return sorted(at.removeprefix(start) for at in found if at.startswith(start))


def kind_of(url: str) -> str | None:
    """`file`, `directory`, or None where there is nothing.

    Raises:
        PhotoError: That cannot be found out.
        MissingExtraError: What reads such addresses is not installed.
    """
    if is_on_the_web(url):
        return "file"
    files, path = _store(url)

    def look() -> str | None:
        try:
            return str(files.info(path)["type"])
        except FileNotFoundError:
            return None

    return _ask(url, look)


def download(url: str, to: str) -> None:
    """Copy an object into a local file.

    Raises:
        PhotoError: It cannot be read.
        MissingExtraError: What reads such addresses is not installed.
    """
    files, path = _store(url)
    _ask(url, lambda: files.get_file(path, to))


def exists(url: str) -> bool:
    """Whether there is an object, or a local file, at an address."""
    files, path = _store(url)
    return _ask(url, lambda: bool(files.exists(path)))


def read(url: str) -> bytes:
    """Read all of an object, or of a local file."""
    files, path = _store(url)
    return bytes(_ask(url, lambda: files.cat_file(path)))


def write(url: str, data: bytes) -> None:
    """Write an object, or a local file; it is there as a whole, or not at all."""
    if "://" not in url:
        place = Path(url)
        place.parent.mkdir(parents=True, exist_ok=True)
        unfinished = place.with_name(f".{place.name}-{os.getpid()}-{time.monotonic_ns()}")
        unfinished.write_bytes(data)
        unfinished.replace(place)
        return
    files, path = _store(url)
    _ask(url, lambda: files.pipe_file(path, data))


def remove(url: str) -> None:
    """Remove an object."""
    files, path = _store(url)
    _ask(url, lambda: files.rm_file(path))


def patiently(ask: Callable[[], Result], *, name: str, tries: int = TRIES) -> Result:
    """Ask a store, once more after a pause when the failure may pass, with a connection to spare.

    Args:
        ask: Asks it.
        name: What errors call what is asked for.
        tries: How often, at most.

    Raises:
        PhotoError: It fails, and will go on to, or has failed that often.
        MissingExtraError: What it needs is not installed.
    """
    for attempt in range(tries):
        try:
            with _slots:
                return ask()
        except LookalikeError:
            raise
        except Exception as error:  # each store has errors of its own
            if attempt + 1 == tries or not may_pass(error):
                raise PhotoError(name, _reason(error, tries=attempt + 1)) from error
        from random import uniform

        time.sleep(FIRST_PAUSE_S * 2**attempt * uniform(0.5, 1.5))
    raise AssertionError("the last try returns or raises")


def may_pass(error: Exception) -> bool:
    """Whether it may be otherwise in a moment: the server is busy, or the connection broke."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    code = _code(error)
    if code is not None:
        return code in BUSY
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(part in name for name in names for part in PASSING)


def _code(error: Exception) -> int | None:
    """The status of HTTP that an error came with."""
    for each in (error, error.__cause__):
        answer = getattr(each, "response", None)
        if isinstance(answer, dict):
            return _as_status(answer.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        for name in ("status", "status_code", "code"):
            if code := _as_status(getattr(each, name, None)):
                return code
    return None


def _as_status(code: object) -> int | None:
    return int(code) if isinstance(code, int | str) and str(code).isdecimal() and 400 <= int(code) < 600 else None


def _reason(error: Exception, *, tries: int) -> str:
    """Why it cannot be read, in a few words."""
    code = _code(error)
    if isinstance(error, FileNotFoundError) or code in (404, 410):
        return "no such file"
    if isinstance(error, PermissionError) or code in (401, 403):
        return "the store refuses access; are its credentials set, and do they allow reading?"
    if "Credentials" in type(error).__name__:
        return "the store wants credentials, and none are set"
    told = str(error).splitlines()[0] if str(error) else type(error).__name__
    words = f"the server answers {code}" if code else told
    return f"cannot be read: {words}" + (f" ({tries} tries)" if tries > 1 else "")


def _ask(url: str, ask: Callable[[], Result]) -> Result:
    return patiently(ask, name=url, tries=_tries(url))


def _tries(url: str) -> int:
    return 1 if url.partition("://")[0] in PATIENT else TRIES


@cache
def _opened(scheme: str) -> Any:  # noqa: ANN401 - fsspec has no types
    """The file system of a kind of address.

    Raises:
        UsageError: It cannot be opened without being told more.
        MissingExtraError: What reads such addresses is not installed.
    """
    import fsspec

    for name in TALKATIVE:  # whoever listens to them still does
        logging.getLogger(name).addHandler(logging.NullHandler())
    try:
        # What was listed may have changed by the time that it is asked for.
        files = fsspec.filesystem(scheme, use_listings_cache=False, **OPTIONS[scheme])
    except ImportError as error:
        raise MissingExtraError(f"reading {scheme}:// addresses", "stores") from error
    except ValueError as error:
        raise UsageError(f"{scheme}:// addresses cannot be read: {WANTED.get(scheme) or error}") from error
    if hasattr(files, "retries"):
        files.retries = 1  # patience is `patiently`'s
    return files


def _store(url: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    if not is_remote(url):
        import fsspec

        files, path = fsspec.core.url_to_fs(url)
        return files, path
    files = _opened(url.partition("://")[0])
    return files, files._strip_protocol(url)


def _up_to(file: Any, limit: int) -> bytes:  # noqa: ANN401 - fsspec has no types
    parts: list[bytes] = []
    while limit > 0 and (part := file.read(min(limit, 2**20))):
        parts.append(part)
        limit -= len(part)
    return b"".join(parts)


def _size_and_time(facts: Mapping[str, Any]) -> tuple[int, int] | None:
    size = facts.get("size")
    changed = next((facts[name] for name in TIMES if facts.get(name)), None)
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    if size is None or not isinstance(changed, datetime):
        return None
    return int(size), int(changed.timestamp()) * 10**9 + changed.microsecond * 1000
