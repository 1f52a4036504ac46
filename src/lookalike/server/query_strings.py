"""What stands behind the `?` of an address: nothing that the route does not know, and nothing twice."""

from __future__ import annotations

from collections import Counter
from typing import Final

from fastapi import Depends, Request

from lookalike.errors import UnknownNameError
from lookalike.server.errors import Refusal


async def check_query(request: Request) -> None:
    """Refuse parameters that the route does not know, or that come twice.

    Raises:
        UnknownNameError: There is no such parameter.
        Refusal: A parameter comes twice.
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    known = [parameter.alias for parameter in request.scope["route"].dependant.query_params] if given else []
    for name, count in given.items():
        if name not in known:
            raise UnknownNameError("query parameter", name[:200], known)
        if count > 1:
            raise Refusal("bad_request", f"the query parameter {name!r} comes {count} times")


KNOWN_QUERY: Final = Depends(check_query)
