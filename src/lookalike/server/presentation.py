"""Presentation of items, answers and errors to clients: paths of the server and addresses of stores are removed.

The command line shows paths that its user can open. Over HTTP photos are fetched by item id, and a path or an address
would reveal only how the server is set up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from lookalike.answers import Answer
from lookalike.gallery.stored_item import StoredItem
from lookalike.server.errors import ApiError
from lookalike.types import Item, item_json

ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]*")
HIDDEN: Final = "..."
SHORT: Final = 2
REPEATS: Final = {
    *("bad_filter", "unknown_name", "unknown_item", "unknown_gallery", "not_found", "method_not_allowed"),
    *("unknown_host", "foreign_origin", "foreign_photo_host", "forbidden", "unknown_job", "invalid"),
}
"""Codes of errors that quote the request; their messages are not redacted."""


def public_photo(item: Item) -> str:
    """Path of a photo relative to its root; for a photo outside of the root, the last part."""
    photo, root = item.photo, item.root.rstrip("/")
    if root and photo.startswith(root + "/"):
        photo = photo[len(root) + 1 :]
    if "://" in photo:
        return ADDRESS.sub("", photo).partition("?")[0].partition("#")[0].rpartition("/")[2]
    if photo.startswith("/"):
        return photo.rpartition("/")[2]
    return "/".join(part for part in photo.split("/") if part != "..") if ".." in photo else photo


def public_item(item: Item) -> dict[str, Any]:
    """JSON of an item."""
    return {**item_json(item), "photo": public_photo(item)}


def public_stored_item(stored: StoredItem) -> dict[str, Any]:
    """JSON of an item with its overrides, for clients that may write."""
    return {**stored.to_json(), "photo": public_photo(stored.item)}


def public_answer(answer: Answer) -> dict[str, Any]:
    """JSON of an answer."""
    told = answer.to_json()
    for match, told_match in zip(answer.matches, told["matches"], strict=True):
        told_match["photo"] = public_photo(match.item)
        for variant, told_variant in zip(match.variants, told_match.get("variants", ()), strict=True):
            told_variant["photo"] = public_photo(variant.item)
    return told


def public_error(api_error: ApiError, private_locations: Iterable[str]) -> dict[str, Any]:
    """JSON of an error, redacted unless it quotes the request.

    Args:
        api_error: Error to send.
        private_locations: Paths and addresses to redact, see `locations_to_hide`.
    """
    told = api_error.to_json()
    if api_error.code not in REPEATS:
        about = told["error"]
        for name in ("message", "reason"):
            if isinstance(about.get(name), str):
                about[name] = redacted(about[name], private_locations)
    return told


def redacted(message: str, private_locations: Iterable[str]) -> str:
    """Replace private locations, and the hosts of URLs, in a message."""
    for place in sorted(private_locations, key=len, reverse=True):
        message = re.sub(rf"(?<![\w/]){re.escape(place)}(?![\w])", HIDDEN, message)
    return ADDRESS.sub(HIDDEN, message)


def locations_to_hide(*addresses: str | None) -> tuple[str, ...]:
    """Distinct addresses long enough to be redacted; a short one would match within other words."""
    return tuple(address for address in dict.fromkeys(addresses) if address and len(address) > SHORT)
