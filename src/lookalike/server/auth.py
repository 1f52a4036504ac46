"""Authorisation of writes: with the token, or a key that may write."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from lookalike.server.access import ASK, Caller
from lookalike.server.context import Context
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext

SHORTEST: Final = 16
"""Least length of a token, in characters."""

BEARER: Final = HTTPBearer(auto_error=False, description="A key of `--keys`, or the token of `--token-file`.")


async def check_write(request: Request, context: Context, _: Annotated[object, Depends(BEARER)] = None) -> None:
    """Require the token, or a key that may write to the gallery.

    Raises:
        ApiError: It is missing or wrong, the key may only search, or writes are disabled.
    """
    caller: Caller = request.state.caller
    if caller.may_write(context.name):
        return
    if not context.shared.access.writable:
        what = "this server takes no writes: it was started without --token-file, and has no key that may write"
        raise ApiError("unauthorized", what, headers=ASK)
    if caller.key is not None:
        raise ApiError("forbidden", f"the key {caller.name} may search, and not write")
    if caller.wrong:
        raise ApiError("unauthorized", "the token is wrong", headers=ASK)
    raise ApiError("unauthorized", "writing needs the header `Authorization: Bearer TOKEN`", headers=ASK)


def is_owner(request: Request, context: GalleryContext) -> bool:
    """Whether a request could write to the gallery, on a route that does not require it."""
    caller: Caller = request.state.caller
    return caller.may_write(context.name)


Writer = Depends(check_write)
