"""HTTP client for photos and tables: limits bytes, time and redirects, and never follows one to a private network.

Hosts are checked by the IP address of the connection, so that a name that resolves differently a moment later cannot
lead to another host.
"""

from __future__ import annotations

import asyncio
import atexit
import base64
import errno
import hashlib
import netrc
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urljoin

from lookalike.errors import MissingExtraError, PhotoError
from lookalike.remote.addresses import Address, Reach, parse, shown
from lookalike.remote.allowed_hosts import may_connect, names
from lookalike.remote.response_body import BROKEN, ResponseBody, seconds_of

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

T = TypeVar("T")

CONNECT_S: Final = 10.0
SILENCE_S: Final = 30.0
"""Longest time, in seconds, of a connection and until the next byte."""

REDIRECTS: Final = 5
REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
PIECE: Final = 2**16
VALIDATORS: Final = ("ETag", "Last-Modified")
PRIVATE: Final = "its address leads into a private network, which only the gallery's owner may name"
UNNAMED: Final = "a host that was not allowed"
AGENT: Final = "lookalike"
CLOSING_S: Final = 2.0
RESOLVERS: Final = 32
"""Concurrent name lookups."""


class StatusError(Exception):
    """A server answers a request with an error.

    Attributes:
        status: HTTP status code.
        retry_after: Seconds to wait, from the server; 0 if it gives none.
    """

    def __init__(self, status: int, retry_after: float) -> None:
        super().__init__(status, retry_after)  # as they are, so that it can be pickled
        self.status, self.retry_after = status, retry_after

    def __str__(self) -> str:
        return f"the server answers {self.status}"


class SilentServerError(PhotoError):
    """A server does not answer a HEAD request in time."""


class PrivateAddressError(OSError):
    """The host is in a private network, and only public ones are allowed."""


@dataclass
class Logins:
    """Logins of web servers, from addresses of the operator and from `.netrc`.

    Attributes:
        given: `user:password` by origin.
    """

    given: dict[str, str] = field(default_factory=dict)

    def remember(self, address: Address) -> None:
        """Store the login of an address for other files of its server, until the process ends."""
        if address.login:
            self.given[address.origin] = address.login

    def headers(self, address: Address) -> dict[str, str]:
        """Authorization header of an address; empty without a login."""
        found = self._of(address)
        if found is None:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(":".join(found).encode()).decode()}

    def _of(self, address: Address) -> tuple[str, str] | None:
        from urllib.parse import unquote

        if login := address.login or self.given.get(address.origin, ""):
            user, _, password = login.partition(":")
            return unquote(user), unquote(password)
        try:
            found = netrc.netrc(os.environ.get("NETRC")).authenticators(address.name)
        except (OSError, netrc.NetrcParseError):
            return None
        return (found[0], found[2] or "") if found else None


LOGINS: Final = Logins()


@dataclass(frozen=True, slots=True)
class Page:
    """Body of a response.

    Attributes:
        data: Bytes, up to the limit.
        media_type: Media type such as `image/jpeg`; empty if the server gives none.
    """

    data: bytes
    media_type: str


def read(reach: Reach, *, limit: int, seconds: float) -> Page:
    """Read a file of the web, up to `limit` bytes.

    Args:
        reach: Address and permissions.
        limit: Largest number of bytes.
        seconds: Timeout from the request to the last byte, with redirects.

    Raises:
        StatusError: The server responds with an error.
        PhotoError: The address or a redirect may not be read.
        OSError: The connection cannot be made, breaks off, or times out.
    """
    parts: list[bytes] = []
    media_type = _LOOP.run(_read(reach, parts.append, limit=limit, seconds=seconds))
    return Page(b"".join(parts), media_type)


def download(reach: Reach, to: Path, *, limit: int, seconds: float) -> None:
    """Copy a file of the web into a local file.

    Raises:
        PhotoError: It is longer than `limit` bytes, or the address or a redirect may not be read.
        StatusError: As for `read`.
        OSError: As for `read`.
    """
    with to.open("wb") as file:
        _LOOP.run(_read(reach, file.write, limit=limit + 1, seconds=seconds))
        if file.tell() > limit:
            raise PhotoError(reach.address.text, f"longer than the {limit:,} bytes allowed")


def validators(reach: Reach, *, seconds: float) -> tuple[int, int] | None:
    """Length of a file of the web, bytes, and a digest of its validators: ETag and time of the last change.

    A file whose length and validators are those of before has not changed. They are asked for by a HEAD request.

    Returns:
        None if the server does not tell them, or does not answer such requests as it should.

    Raises:
        SilentServerError: The server does not answer in time.
        PhotoError: As for `read`.

    Source: RFC 9110, HTTP Semantics, section 8.8, Validator Fields.
    """
    return _LOOP.run(_validators(reach, seconds=seconds))


class Loop:
    """Thread with an event loop and two sessions: for hosts in any network, and for public hosts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process = 0
        self._sessions: dict[bool, ClientSession] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread and wait for its result."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._loop, self._process, self._sessions = asyncio.new_event_loop(), os.getpid(), {}
                self._loop.set_default_executor(ThreadPoolExecutor(RESOLVERS, thread_name_prefix="lookalike-dns"))
                threading.Thread(target=_run, args=(self._loop,), name="lookalike-web", daemon=True).start()
                atexit.register(self.close)
            return self._loop

    def close(self) -> None:
        """Cancel running requests and close all connections; later requests open new ones."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None or self._process != os.getpid():
            return
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._break_off(), loop).result(CLOSING_S)
        loop.call_soon_threadsafe(loop.stop)

    async def _break_off(self) -> None:
        sessions, self._sessions = list(self._sessions.values()), {}
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for session in sessions:
            await session.close()

    def session(self, *, private: bool) -> ClientSession:
        """Session for hosts in any network, or for public ones; call it on the event loop."""
        if private not in self._sessions:
            self._sessions[private] = _session(private=private)
        return self._sessions[private]


def _run(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


_LOOP: Final = Loop()


def _session(*, private: bool) -> ClientSession:
    try:
        from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
    except ModuleNotFoundError as error:
        raise MissingExtraError("reading https:// addresses", "stores") from error
    connector = TCPConnector(limit=0, ttl_dns_cache=60, socket_factory=None if private else _public_socket)
    return ClientSession(
        connector=connector,
        timeout=ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S),
        cookie_jar=DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,  # a proxy would connect to hosts that this process must not reach
        headers={"User-Agent": AGENT, "Accept-Encoding": "identity"},
    )


def _public_socket(info: tuple[Any, ...]) -> socket.socket:
    """Create the socket for a resolved address, if it may be reached."""
    family, kind, protocol, _, where = info
    if not may_connect(where[0]):
        raise PrivateAddressError(errno.EACCES, PRIVATE)
    return socket.socket(family, kind, protocol)


async def _read(reach: Reach, take: Callable[[bytes], object], *, limit: int, seconds: float) -> str:
    """Pass the first `limit` bytes of a file to a function; returns its media type."""
    left = limit
    try:
        async with asyncio.timeout(seconds), _answer(reach) as answer:
            body = ResponseBody(answer.headers.get("Content-Encoding", ""), reach.address)
            async for piece in answer.content.iter_chunked(PIECE):
                data = body.take(piece, room=left)
                take(data)
                left -= len(data)
                if left <= 0:
                    break
            else:
                body.end()
            return answer.content_type if "Content-Type" in answer.headers else ""
    except TimeoutError:
        raise TimeoutError(f"not read within {seconds:.2g} s") from None


async def _validators(reach: Reach, *, seconds: float) -> tuple[int, int] | None:
    from aiohttp import ClientError

    try:
        async with asyncio.timeout(seconds), _answer(reach, method="HEAD") as answer:
            told = [answer.headers.get(name, "") for name in VALIDATORS]
            length = answer.content_length
    except TimeoutError:
        reason = f"does not answer HEAD requests within {seconds:.3g} s"
        raise SilentServerError(shown(reach.address.text), reason) from None
    except (StatusError, OSError, ClientError):
        return None  # what is wrong, or the photo, comes with the next request
    if length is None or not any(told):
        return None
    digest = hashlib.sha256("\n".join(told).encode("utf-8", "surrogateescape")).digest()
    return length, int.from_bytes(digest[:7], "big") + 1  # above 0, which stands for a file without validators


@asynccontextmanager
async def _answer(reach: Reach, *, method: str = "GET") -> AsyncIterator[ClientResponse]:
    """Request a file, and follow redirects that are allowed."""
    from aiohttp import ClientConnectionError, ClientResponseError, InvalidURL
    from yarl import URL

    first, address, private = reach.address, reach.address, reach.private
    for _ in range(REDIRECTS + 1):
        headers = LOGINS.headers(address) if private else {}
        session = _LOOP.session(private=private)
        try:
            request = session.request(method, URL(address.text), allow_redirects=False, headers=headers)
            async with request as answer:
                if answer.status in REDIRECTING and "Location" in answer.headers:
                    address = _redirected(address, answer.headers["Location"])
                    if reach.hosts is not None and address.host not in reach.hosts:
                        raise PhotoError(shown(first.text), f"the server redirects to {address.host}, {UNNAMED}")
                    private = (reach.private and _is_same(first, address)) or names(address)
                    continue
                if answer.status != 200:
                    raise StatusError(answer.status, seconds_of(answer.headers.get("Retry-After", "")))
                yield answer
                return
        except InvalidURL:
            raise PhotoError(shown(address.text), "expected an address of the web") from None
        except ClientResponseError:
            raise ConnectionError(BROKEN) from None
        except ClientConnectionError as error:
            if PRIVATE in str(error):
                raise PhotoError(shown(first.text), PRIVATE) from None
            raise
    raise PhotoError(shown(first.text), f"more than {REDIRECTS} redirects")


def _redirected(address: Address, location: str) -> Address:
    try:
        target = parse(urljoin(address.text, location))
    except (PhotoError, ValueError):
        raise PhotoError(shown(address.text), "the server redirects to an address that is not read") from None
    if not target.is_on_the_web:
        raise PhotoError(shown(address.text), "the server redirects to an address that is not read")
    return replace(target, login="")


def _is_same(first: Address, second: Address) -> bool:
    """Whether two addresses have one server: the same origin, or the same host by http and https on standard ports."""
    return first.origin == second.origin or (
        first.host == second.host == first.name == second.name and second.scheme == "https"
    )
