"""Bearer token authentication of writes. The token is compared in constant time and never logged."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from lookalike.server.context import Context
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext

SHORTEST: Final = 16
"""Least length of a token, in characters."""

BEARER: Final = HTTPBearer(auto_error=False, description="The token of `--token-file`.")
ASK: Final = {"WWW-Authenticate": "Bearer"}


async def check_token(request: Request, context: Context, _: Annotated[object, Depends(BEARER)] = None) -> None:
    """Require the token.

    Raises:
        ApiError: The token is missing or wrong, or writes are disabled.
    """
    token = context.shared.token
    if token is None:
        raise ApiError("unauthorized", "this server takes no writes: it was started without --token-file", headers=ASK)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not shown:
        raise ApiError("unauthorized", "writing needs the header `Authorization: Bearer TOKEN`", headers=ASK)
    if not hmac.compare_digest(digest(shown.strip().encode("utf-8", "surrogateescape")), digest(token)):
        raise ApiError("unauthorized", "the token is wrong", headers=ASK)


def is_owner(request: Request, context: GalleryContext) -> bool:
    """Whether a request carries the token, on a route that does not require it."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if context.shared.token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(digest(shown.strip().encode("utf-8", "surrogateescape")), digest(context.shared.token))


def digest(text: bytes) -> bytes:
    """Digest of a token: of fixed length, so that the time of a comparison reveals nothing."""
    return hashlib.sha256(text).digest()


Writer = Depends(check_token)
