"""Bodies and headers of responses of web servers, which may hold anything."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from lookalike.errors import PhotoError
from lookalike.remote.addresses import Address, shown

BROKEN: Final = "the connection broke off before the end"


class ResponseBody:
    """Decodes a response body: identity, gzip or deflate.

    Args:
        encoding: Content encoding.
        address: Address, for errors.

    Raises:
        PhotoError: The encoding was not requested.
    """

    def __init__(self, encoding: str, address: Address) -> None:
        encoding = encoding.strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise PhotoError(shown(address.text), f"the server sends it compressed as {encoding[:20]!r}, unasked")
        self._inflater = None if encoding in ("", "identity") else zlib.decompressobj(47)
        self._has_members = encoding in ("gzip", "x-gzip")
        self._address = address

    def take(self, data: bytes, *, room: int) -> bytes:
        """Decode a part of the body, at most `room` bytes.

        A gzip body may have several members (RFC 1952, 2.2); zeros between and after them are padding, as Python's gzip
        has it, and what follows a deflate body is left out.
        """
        if self._inflater is None:
            return data[:room]
        taken = b""
        try:
            while data and len(taken) < room:
                if self._inflater.eof:
                    data = data.lstrip(b"\0") if self._has_members else b""
                    if not data:
                        break
                    self._inflater = zlib.decompressobj(47)
                taken += self._inflater.decompress(data, max_length=room - len(taken))
                data = self._inflater.unused_data
        except zlib.error:
            raise PhotoError(shown(self._address.text), "the server says it is compressed, and it is not") from None
        return taken

    def end(self) -> None:
        """Check that the body is complete.

        Raises:
            OSError: It is incomplete.
        """
        if self._inflater is not None and not self._inflater.eof:
            raise ConnectionError(BROKEN)


def seconds_of(text: str) -> float:
    """Seconds of a `Retry-After`, which may be a number of seconds or a date; 0 if it is neither."""
    if text.strip().isdecimal() and len(text) < 7:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    then = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    return max(0.0, (then - datetime.now(UTC)).total_seconds())
