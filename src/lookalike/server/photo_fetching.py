"""Fetching a photo from a host that the operator allows, and what an error means for the next try."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from lookalike.errors import LookalikeError, PhotoError
from lookalike.remote import allowed_hosts
from lookalike.remote.addresses import Address, Reach, parse, shown
from lookalike.remote.http_client import StatusError, read
from lookalike.remote.retryable import may_pass, reason
from lookalike.server.errors import ApiError

LONGEST_URL: Final = 2_048

SECONDS: Final = 30.0
"""Longest time from a request to the whole photo, redirects included."""

TRIES: Final = 6
"""Tries of a photo whose server is busy or does not answer."""

PAUSE_S: Final = 4.0
"""Seconds before the second try; each further pause is four times as long."""

LONGEST_PAUSE_S: Final = 3_600.0
"""Longest pause, also of those that a server asks for."""


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that failed, and may not the next time.

    Attributes:
        after_s: Seconds until the next try.
        message: What was wrong.
        for_host: Whether the server asked for the pause, so that all its photos wait.
    """

    after_s: float
    message: str
    for_host: bool = False


@dataclass(frozen=True, slots=True)
class PhotoFetcher:
    """Fetches photos.

    Attributes:
        hosts: Hosts that may be named, with their ports if they have one.
        limit: Longest photo in bytes.
        tries: Largest number of tries.
        pause_s: Seconds before the second try.
    """

    hosts: frozenset[str]
    limit: int
    tries: int = TRIES
    pause_s: float = PAUSE_S

    def fetch(self, url: str, *, tries: int) -> bytes | Retry:
        """Fetch a photo, or say when to try again.

        Args:
            url: Address of the photo.
            tries: How often it was tried before.

        Raises:
            PhotoError: It cannot be fetched, and another try would not help.
            ApiError: Its host may not be named any more.
        """
        address = checked(url, self.hosts)
        reach = Reach(address, private=allowed_hosts.names(address), hosts=self.hosts)
        try:
            data = read(reach, limit=self.limit + 1, seconds=SECONDS).data
        except LookalikeError:
            raise
        except Exception as error:
            told = reason(error, tries=tries + 1)
            if not may_pass(error) or tries + 1 >= self.tries:
                raise PhotoError(shown(url), told) from error
            asked = error.retry_after if isinstance(error, StatusError) else 0.0
            pause = self.pause_s * 4**tries * random.uniform(0.8, 1.2)
            return Retry(min(max(pause, asked), LONGEST_PAUSE_S), told, for_host=asked > 0)
        if len(data) > self.limit:
            raise PhotoError(shown(url), f"longer than the {self.limit:,} bytes allowed")
        return data


def checked(url: str, hosts: Collection[str]) -> Address:
    """Parse the address of a photo, and check its host.

    Raises:
        ApiError: It is no address of the web, is too long or has a login, or its host is not among `hosts`.
    """
    if len(url) > LONGEST_URL:
        raise ApiError("invalid", f"photo_url: expected an address of at most {LONGEST_URL:,} characters")
    try:
        address = parse(url)
    except PhotoError as error:
        raise ApiError("invalid", f"photo_url: {error.reason}") from None
    if not address.is_on_the_web or address.login:
        raise ApiError("invalid", "photo_url: expected an address such as https://cdn.shop.example/1.jpg")
    if address.host not in hosts:
        raise ApiError(
            "foreign_photo_host",
            f"photos are not fetched from {address.host}; to allow it, add the host to the setting `photo_hosts`",
            details={"host": address.host, "setting": "photo_hosts"},
        )
    return address
