"""Origins of web pages."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from lookalike.errors import ConfigError

USUAL_PORTS: Final = {"http": 80, "https": 443}
"""Ports that browsers leave out, by scheme."""

HOST_AND_PORT: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def check_origin(origin: str) -> None:
    """Check that a text is an origin as browsers send it.

    Raises:
        ConfigError: It is none.
    """
    try:
        parts = urlsplit(origin)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if (
        parts.scheme not in USUAL_PORTS
        or HOST_AND_PORT.fullmatch(parts.netloc) is None
        or origin != f"{parts.scheme}://{parts.netloc}"
        or port == USUAL_PORTS[parts.scheme]
    ):
        raise ConfigError(
            "expected an origin as browsers send it, such as https://shop.example: in lower case, without a path or "
            f"the usual port; got {origin!r}"
        )


def netloc_of(origin: str) -> str:
    """Host and port of an origin; empty for an opaque origin such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
