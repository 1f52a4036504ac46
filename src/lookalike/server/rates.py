"""Limits of the rate of requests: token buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

from lookalike.errors import UsageError

SECONDS: Final = {"s": 1, "min": 60, "h": 3600}
WRITTEN: Final = re.compile(r"([1-9][0-9]{0,8})/(s|min|h)")


@dataclass(frozen=True, slots=True)
class Rate:
    """A number of requests in a time.

    Attributes:
        requests: Number of requests.
        seconds: Time, in seconds.
    """

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Read a rate such as `10/s`, `600/min` or `5000/h`.

        Raises:
            UsageError: The text is none.
        """
        found = WRITTEN.fullmatch(text)
        if found is None:
            raise UsageError(f"expected a rate such as 10/s, 600/min or 5000/h, got {text!r}")
        return cls(int(found[1]), SECONDS[found[2]])


def level(rate: Rate, tokens: float, seconds: float) -> float:
    """Tokens that a bucket has some seconds after it had others."""
    return min(float(rate.requests), tokens + seconds * rate.requests / rate.seconds)


class Bucket(Protocol):
    """Token bucket: as many requests at once as the rate has, which come back evenly; for use from one thread."""

    @property
    def rate(self) -> Rate:
        """Its rate."""
        ...

    def take(self) -> float:
        """Take a token.

        Returns:
            0, or the seconds until there is one again.
        """
        ...


class TokenBucket:
    """Token bucket in the memory of this process."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._tokens, self._filled = float(rate.requests), monotonic()

    def take(self) -> float:
        """Take a token.

        Returns:
            0, or the seconds until there is one again.
        """
        now, rate = monotonic(), self.rate
        self._tokens = level(rate, self._tokens, now - self._filled)
        self._filled = now
        if self._tokens < 1:
            return (1 - self._tokens) * rate.seconds / rate.requests
        self._tokens -= 1
        return 0.0
