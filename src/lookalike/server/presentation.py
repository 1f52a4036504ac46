"""Answers as clients may see them: photos by where they are beneath what was indexed, never by where that is.

The command line shows what its user can open. Over HTTP a photo is fetched by its item, so a path of the server, or the
address of a store, would tell a client nothing but how the server is set up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from lookalike.server.errors import Refusal
from lookalike.types import Answer, Item, item_json

ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#\s]*")
HIDDEN: Final = "..."
SHORT: Final = 2
REPEATS: Final = {
    *("bad_filter", "unknown_name", "unknown_item", "not_found", "method_not_allowed"),
    *("unknown_host", "foreign_origin", "invalid"),
}
"""Codes of errors that repeat what the client has said, which is left as it is."""


def shown_photo(item: Item) -> str:
    """What a client is told of where a photo is.

    A path, or the path of a URL, from the indexed root on; of one that lies elsewhere, the last part.
    """
    photo, root = item.photo, item.root.rstrip("/")
    if root and photo.startswith(root + "/"):
        photo = photo[len(root) + 1 :]
    if "://" in photo:
        return ADDRESS.sub("", photo).partition("?")[0].partition("#")[0].rpartition("/")[2]
    if photo.startswith("/"):
        return photo.rpartition("/")[2]
    return "/".join(part for part in photo.split("/") if part != "..") if ".." in photo else photo


def shown_item(item: Item) -> dict[str, Any]:
    """An item as it is sent."""
    return {**item_json(item), "photo": shown_photo(item)}


def shown_answer(answer: Answer) -> dict[str, Any]:
    """An answer as it is sent."""
    told = answer.to_json()
    for match, told_match in zip(answer.matches, told["matches"], strict=True):
        told_match["photo"] = shown_photo(match.item)
    return told


def shown_refusal(refusal: Refusal, places: Iterable[str]) -> dict[str, Any]:
    """An error as it is sent: where it does not repeat what the client has said, places of the server are left out.

    Args:
        refusal: What the client is told.
        places: Paths and addresses of the server, as `places_of` gives them.
    """
    told = refusal.to_json()
    if refusal.kind not in REPEATS:
        about = told["error"]
        for name in ("message", "reason"):
            if isinstance(about.get(name), str):
                about[name] = shown_text(about[name], places)
    return told


def shown_text(message: str, places: Iterable[str]) -> str:
    """A message without the places that it names, and without the host in any URL."""
    for place in sorted(places, key=len, reverse=True):
        message = re.sub(rf"(?<![\w/]){re.escape(place)}(?![\w])", HIDDEN, message)
    return ADDRESS.sub(HIDDEN, message)


def places_of(*addresses: str | None) -> tuple[str, ...]:
    """Those of some addresses that are worth hiding: a short one would be replaced within other words."""
    return tuple(address for address in dict.fromkeys(addresses) if address and len(address) > SHORT)
