"""Names of the galleries of a server: what may be one, and how a command line gives it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from lookalike.errors import UsageError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""A name: letters, digits, hyphens and underscores, so that it is the same in paths, settings and labels of metrics."""

RESERVED: Final = frozenset(
    {
        *("search", "garments", "items", "facets", "info", "galleries", "duplicates"),
        *("admin", "events", "jobs", "keys", "photo-ticket", "photos", "queries"),
    }
)
"""First parts of the paths below `/v1/`, which no gallery may be named; also some that later versions may need."""

UNNAMED: Final = "default"
"""Name of a gallery that is given without one."""


def check_gallery_name(name: str) -> None:
    """Check the name of a gallery.

    Raises:
        UsageError: It has other characters, is too long, or is the name of a route.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"expected the name of a gallery: 1 to 64 letters, digits, - and _, first a letter or digit; got {name!r}"
        )
    if name in RESERVED:
        raise UsageError(f"a gallery cannot be named {name!r}, since /v1/{name} is a route; choose another name")


def named_galleries(given: Iterable[str], configured: Mapping[str, str]) -> dict[str, str]:
    """Addresses of galleries by name, the default gallery first.

    Args:
        given: `NAME=ADDRESS` each, or the address alone of the gallery `default`.
        configured: Addresses by name, of the settings file.

    Raises:
        UsageError: There is no gallery, a name is given twice, or is none.
    """
    galleries: dict[str, str] = {}
    for text in given:
        name, equals, address = text.partition("=")
        if not equals or NAME.fullmatch(name) is None:  # such as milvus://host:19530/shop?shards=4
            name, address = UNNAMED, text
        if name in galleries:
            what = f"{name}={galleries[name]} and {text}"
            raise UsageError(f"two galleries have the name {name!r}, {what}: give each as --gallery NAME=ADDRESS")
        galleries[name] = address
    if twice := galleries.keys() & configured.keys():
        raise UsageError(f"the gallery {min(twice)!r} is given by --gallery and in the settings; leave one out")
    galleries |= configured
    if not galleries:
        raise UsageError("no gallery is given: name one with --gallery, or several in [galleries] of the --config")
    for name in galleries:
        check_gallery_name(name)
    return galleries
