"""Host names in headers and settings."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+(?:%[\w.~%-]+)?)\]|([^\s\[\]:/?#@,]*?)\.?)(?::\d{0,5})?")
"""A `Host` header in lower case. Source: RFC 9110, section 7.2."""


def name_in(host: str) -> str | None:
    """Host name of a `Host` header: lower case, without port, trailing dot, and brackets of IPv6.

    Returns:
        None if the header is malformed.
    """
    found = HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2]) if found else None


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
