"""Who may write: whoever shows the token. It is compared in constant time and never logged."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from lookalike.server.context import Served, Serving
from lookalike.server.errors import Refusal

SHORTEST: Final = 16
"""Characters; a shorter token could be guessed."""

BEARER: Final = HTTPBearer(auto_error=False, description="The token of `--token-file`.")
ASK: Final = {"WWW-Authenticate": "Bearer"}


async def check_token(request: Request, serving: Served, _: Annotated[object, Depends(BEARER)] = None) -> None:
    """Let nobody pass who does not show the token.

    Raises:
        Refusal: It is missing or wrong, or the server takes no writes.
    """
    token = serving.token
    if token is None:
        raise Refusal("unauthorized", "this server takes no writes: it was started without --token-file", headers=ASK)
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not shown:
        raise Refusal("unauthorized", "writing needs the header `Authorization: Bearer TOKEN`", headers=ASK)
    if not hmac.compare_digest(digest(shown.strip().encode("utf-8", "surrogateescape")), digest(token)):
        raise Refusal("unauthorized", "the token is wrong", headers=ASK)


def is_owner(request: Request, serving: Serving) -> bool:
    """Whether a request shows the token, where it need not."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if serving.token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(digest(shown.strip().encode("utf-8", "surrogateescape")), digest(serving.token))


def digest(text: bytes) -> bytes:
    """Of the same length for every text, so that the time to compare tells nothing."""
    return hashlib.sha256(text).digest()


Writer = Depends(check_token)
