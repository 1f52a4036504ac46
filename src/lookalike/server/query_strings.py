"""Strict query strings: unknown and repeated parameters are errors."""

from __future__ import annotations

from collections import Counter
from typing import Final

from fastapi import Depends, Request

from lookalike.errors import UnknownNameError
from lookalike.server.errors import ApiError


async def check_query(request: Request) -> None:
    """Check the parameters of a request against its route.

    Raises:
        UnknownNameError: A parameter is unknown.
        ApiError: A parameter is repeated.
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params] if given else []
    for name, count in given.items():
        if name not in known:
            raise UnknownNameError("query parameter", name[:200], known)
        if count > 1:
            raise ApiError("bad_request", f"the query parameter {name!r} comes {count} times")


KNOWN_QUERY: Final = Depends(check_query)
