"""Errors of stores and web servers: which to retry, and how to report them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lookalike.remote.addresses import shown
from lookalike.remote.response_body import BROKEN

BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
MALFORMED: Final = frozenset({"BadHttpMessage", "ClientPayloadError"})
"""Errors of aiohttp for broken or invalid responses; they carry a status, 400, that no server sent."""

PASSING: Final = ("Connection", "Timeout", "Disconnected", "IncompleteRead", "Payload")
"""Parts of the names of temporary errors; the libraries' errors have no common base class."""

TOLD: Final[Mapping[str, str]] = {
    "ClientConnectorDNSError": "the name of its server is not known",
    "ClientConnectorCertificateError": "the certificate of its server is not valid",
    "ClientSSLError": "its server cannot be spoken to by TLS",
    "ClientPayloadError": BROKEN,
    "ServerDisconnectedError": BROKEN,
    "ServerTimeoutError": "its server does not answer",
    "ClientConnectorError": "its server cannot be connected to",
}
"""Messages for errors of aiohttp, whose own messages contain addresses."""


def may_pass(error: Exception) -> bool:
    """Whether a retry may help: the server is busy, or the connection broke."""
    if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
        return False
    code = status_of(error)
    if code is not None:
        return code in BUSY
    names = [kind.__name__ for kind in type(error).__mro__]
    return isinstance(error, OSError) or any(part in name for name in names for part in PASSING)


def status_of(error: Exception) -> int | None:
    """HTTP status code of an error; None without one."""
    for each in (error, error.__cause__):
        if any(kind.__name__ in MALFORMED for kind in type(each).__mro__):
            continue
        answer = getattr(each, "response", None)
        if isinstance(answer, dict):
            return _as_status(answer.get("ResponseMetadata", {}).get("HTTPStatusCode"))
        for name in ("status", "status_code", "code"):
            if code := _as_status(getattr(each, name, None)):
                return code
    return None


def _as_status(code: object) -> int | None:
    return int(code) if isinstance(code, int | str) and str(code).isdecimal() and 400 <= int(code) < 600 else None


def reason(error: Exception, *, tries: int) -> str:
    """Cause of an error, in a few words."""
    code = status_of(error)
    if isinstance(error, FileNotFoundError) or code in (404, 410):
        return "no such file"
    if isinstance(error, PermissionError) or code in (401, 403):
        return "the store refuses access; are its credentials set, and do they allow this?"
    if "Credentials" in type(error).__name__:
        return "the store wants credentials, and none are set"
    kinds = {kind.__name__ for kind in type(error).__mro__}
    told = next((words for kind, words in TOLD.items() if kind in kinds), "") or str(error).partition("\n")[0]
    told = shown(told or type(error).__name__)
    words = f"the server answers {code}" if code else told
    return f"cannot be read: {words}" + (f" ({tries} tries)" if tries > 1 else "")
