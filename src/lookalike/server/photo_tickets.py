"""Tickets for photos: an `<img>` of a web page cannot send a key, and a key in a URL would stay in logs and histories.

A ticket is for the photos of one gallery alone, for an hour or two. It is signed with the hash of the key, which every
process that serves with the same keys has, and dies with the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from time import time
from typing import Final

HOUR_S: Final = 3600
TICKET: Final = re.compile(r"([A-Za-z0-9_-]{0,64})\.([0-9]{1,12})\.([A-Za-z0-9_-]{43})")


def make_ticket(name: str, secret: bytes, gallery: str) -> tuple[str, int]:
    """Make a ticket. It is the same for an hour, so that browsers find photos in their cache by the same URL.

    Args:
        name: Name of the key; empty for the token.
        secret: SHA-256 of the key.
        gallery: Name of the gallery.

    Returns:
        The ticket, and when it ends, in seconds since 1970.
    """
    expires = (int(time()) // HOUR_S + 2) * HOUR_S
    return f"{name}.{expires}.{_signature(secret, gallery, expires)}", expires


def name_in_ticket(ticket: str) -> str | None:
    """Name of the key of a ticket; None if it has ended, or is none. The signature is still to be checked."""
    found = TICKET.fullmatch(ticket)
    if found is None or not 0 <= int(found[2]) - time() <= 2 * HOUR_S:
        return None
    return found[1]


def is_signed(ticket: str, secret: bytes, gallery: str) -> bool:
    """Whether a ticket was made with a key for a gallery."""
    _, expires, signature = ticket.split(".")
    return hmac.compare_digest(signature.encode(), _signature(secret, gallery, int(expires)).encode())


def _signature(secret: bytes, gallery: str, expires: int) -> str:
    signed = hmac.new(secret, f"lookalike photos\0{gallery}\0{expires}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()
