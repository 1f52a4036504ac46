"""Who sends a request, and whether it may be answered: the token, keys, their galleries, origins and rates.

Keys are looked up by their SHA-256 and the token is compared by its own, so that the time that this takes says nothing
of them. They are never logged; the name of a key is.
"""

from __future__ import annotations

import hmac
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from lookalike.server.errors import ApiError
from lookalike.server.keys import Key, KeyFile, digest
from lookalike.server.photo_tickets import is_signed, make_ticket, name_in_ticket
from lookalike.server.rates import Bucket, Rate, TokenBucket
from lookalike.server.web_origins import netloc_of

ASK: Final = {"WWW-Authenticate": "Bearer"}
SAFE: Final = ("GET", "HEAD", "OPTIONS")

RawHeaders: TypeAlias = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request.

    Attributes:
        name: Name of the key; empty for the token, and without a key.
        key: The key; None for the token, and without a key.
        owner: Whether the request has the token.
        wrong: Whether it has something else in place of a key or the token.
    """

    name: str = ""
    key: Key | None = None
    owner: bool = False
    wrong: bool = False

    def may_write(self, gallery: str) -> bool:
        """Whether the caller may write to a gallery, by its name."""
        return self.owner or (self.key is not None and self.key.write and self.key.allows(gallery))

    @property
    def may_operate(self) -> bool:
        """Whether the caller may change the state of the whole server."""
        return self.owner or (self.key is not None and self.key.write and not self.key.galleries)


ANYONE: Final = Caller()


class Access:
    """The token and the keys of a server; for use from its event loop.

    Attributes:
        token: Bearer token for writes; None if there is none.
        has_keys: Whether there is a file of keys.
        writable: Whether the server accepts writes.
        origins: Origins of all keys.
    """

    def __init__(
        self,
        token: bytes | None,
        keys: KeyFile | None = None,
        *,
        before: Access | None = None,
        bucket: Callable[[str, Rate], Bucket] = lambda _, rate: TokenBucket(rate),
    ) -> None:
        """Take the token and the keys.

        Args:
            token: Bearer token for writes.
            keys: Keys.
            before: State before a reload; keys whose rate has not changed go on with what was left of it.
            bucket: Makes the bucket of a key, by its name and rate.
        """
        self.token, self.has_keys = token, keys is not None
        self._token_digest = None if token is None else digest(token)
        named: Mapping[str, Key] = {} if keys is None else keys.keys
        self._by_digest = {bytes.fromhex(key.sha256): (name, key) for name, key in named.items()}
        self._by_name = named
        self.origins = frozenset(origin for key in named.values() for origin in key.origins)
        self.writable = token is not None or any(key.write for key in named.values())
        known = {} if before is None else before._buckets
        self._buckets: dict[str, Bucket] = {}  # one for each known key with a rate
        for name, key in named.items():
            if key.rate:
                rate = Rate.parse(key.rate)
                same = name in known and known[name].rate == rate
                self._buckets[name] = known[name] if same else bucket(name, rate)

    def ticket_of(self, caller: Caller, gallery: str) -> tuple[str, int]:
        """Ticket of a caller for the photos of a gallery, and when it ends, in seconds since 1970.

        Raises:
            ApiError: The caller has neither key nor token.
        """
        secret = self._secret_of(caller.name)
        if secret is None or not (caller.owner or caller.key is not None):
            raise ApiError("unauthorized", "tickets for photos are for callers with a key", headers=ASK)
        return make_ticket(caller.name, secret, gallery)

    def accepts_ticket(self, ticket: str, gallery: str) -> bool:
        """Whether a ticket is one for the photos of a gallery, of a key that still allows it."""
        name = name_in_ticket(ticket)
        secret = None if name is None else self._secret_of(name)
        if name is None or secret is None or not is_signed(ticket, secret, gallery):
            return False
        return not name or self._by_name[name].allows(gallery)

    def key_in_ticket(self, ticket: str) -> Key | None:
        """Key of a ticket, which `accepts_ticket` has yet to check; None if it is the token's, or has ended."""
        name = name_in_ticket(ticket)
        return None if name is None else self._by_name.get(name)

    def _secret_of(self, name: str) -> bytes | None:
        """SHA-256 of the key of a name, or of the token if it is empty."""
        if not name:
            return self._token_digest
        return bytes.fromhex(self._by_name[name].sha256) if name in self._by_name else None

    def caller_of(self, headers: RawHeaders) -> Caller:
        """Who sends a request with these headers, whose names are lower case.

        A request with several `Authorization` headers has no caller: a proxy may have checked another one.
        """
        given = [value for name, value in headers if name == b"authorization"]
        if not given:
            return ANYONE
        scheme, _, shown = given[0].partition(b" ")
        if len(given) > 1 or scheme.lower() != b"bearer" or not shown.strip():
            return Caller(wrong=True)
        shown_digest = digest(shown.strip())
        if self._token_digest is not None and hmac.compare_digest(shown_digest, self._token_digest):
            return Caller(owner=True)
        name, key = self._by_digest.get(shown_digest, ("", None))
        return Caller(wrong=True) if key is None else Caller(name, key)

    def check(self, caller: Caller, *, is_open: bool) -> None:
        """Check that a caller may search at all, and count the request.

        Args:
            caller: The caller.
            is_open: Whether searching needs no key.

        Raises:
            ApiError: A key is needed, or the key is unknown, or used too often.
        """
        if caller.wrong and (self.has_keys or not is_open):
            raise ApiError("unauthorized", "the key is unknown: it is wrong, or was revoked", headers=ASK)
        if not is_open and caller.key is None and not caller.owner:
            raise ApiError("unauthorized", "this needs a key, in the header `Authorization: Bearer KEY`", headers=ASK)
        bucket = self._buckets.get(caller.name) if caller.key is not None else None
        wait = 0.0 if bucket is None else bucket.take()
        if wait and caller.key is not None:
            seconds = math.ceil(wait)
            raise ApiError(
                "rate_limited",
                f"this key allows {caller.key.rate}; try again in {seconds} s",
                details={"retry_after": seconds, "limit": caller.key.rate},
                headers={"Retry-After": str(seconds)},
            )


def check_origin_of(
    caller: Caller,
    headers: RawHeaders,
    *,
    method: str,
    own: Iterable[str],
    allowed: Iterable[str],
    others: Iterable[str],
) -> None:
    """Check that the web page that sends a request may do so.

    Args:
        caller: Caller.
        headers: Headers of the request, names in lower case.
        method: Method of the request.
        own: Hosts, with their ports, by which the server is reached; their pages are its own.
        allowed: Origins of the settings, which may use everything.
        others: Origins of keys, whose pages can read what is answered.

    Raises:
        ApiError: The page is of another origin, or the request has a key that is for web pages and comes from none.
    """
    given = [value.decode("latin-1") for name, value in headers if name == b"origin"]
    if len(given) > 1:
        raise ApiError("bad_request", f"expected one Origin header, got {len(given)}")
    origin = given[0] if given else None
    if caller.key is not None and caller.key.origins:
        if origin not in caller.key.origins:
            what = "a program" if origin is None else f"web pages of {origin[:100]}"
            raise foreign(
                f"the key {caller.name} is for web pages of {', '.join(caller.key.origins)}, not for {what}", origin
            )
        return
    if origin is None or origin in allowed or ((netloc := netloc_of(origin)) and netloc in own):
        return
    if caller.wrong and origin in others:
        return  # and is told that the key is wrong
    if method not in SAFE or (origin in others and method != "OPTIONS"):  # a preflight has no key
        what = f"web pages of {origin[:100]} may not send this request"
        raise foreign(f"{what}; to allow it, add the origin to `origins`, or to a key that the page sends", origin)


def foreign(message: str, origin: str | None) -> ApiError:
    """Error 403, for a web page of another origin."""
    return ApiError("foreign_origin", message, details={"origin": (origin or "")[:100]})
