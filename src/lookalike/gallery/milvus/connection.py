"""Connection to a Milvus server: client library, timeouts, translation of errors.

All requests are idempotent: reads change nothing, and rows are written under their ids. So the library may retry after
a failure, with growing pauses, until the timeout.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from lookalike.errors import GalleryUnreachableError, LookalikeError, MissingExtraError, UsageError
from lookalike.gallery.milvus.address import TOKEN, TOKEN_FILE, Address

if TYPE_CHECKING:
    from pymilvus import MilvusClient

CONNECTING_S: Final = 15.0
"""Timeout of connecting, seconds."""

BUILDING_S: Final = 3600.0
"""Timeout of building an index, loading or flushing a collection, seconds."""

NOT_FOUND: Final = 100
NOT_LOADED: Final = 101
TIMED_OUT: Final = ("DEADLINE_EXCEEDED", "Retry timeout", "timed out", "context deadline exceeded")
UNREACHABLE: Final = ("UNAVAILABLE", "server unavailable", "Fail connecting", "channel_state")
UNTRUSTED: Final = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification", "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE")
REFUSED: Final = ("auth check failure", "unauthenticated", "UNAUTHENTICATED", "permission deny", "PERMISSION_DENIED")
FULL: Final = ("memory quota exceeded", "disk quota exceeded", "rate limit", "force deny")


class Timed:
    """Client with a default timeout for all calls.

    Args:
        client: Client of the library.
        timeout_s: Default timeout, seconds.
    """

    def __init__(self, client: MilvusClient, timeout_s: float) -> None:
        self._client, self._timeout_s = client, timeout_s

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._client, name)
        is_local = name.startswith(("_", "prepare_")) or name == "close"
        return found if is_local else partial(found, timeout=self._timeout_s)


class Connection:
    """Connection of a gallery; opened when first used.

    Attributes:
        address: Address of the gallery.
        collection: Name of the collection of items.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.collection = address.collection
        self._client: Timed | None = None

    @contextmanager
    def client(self, *, doing: str) -> Iterator[Timed]:
        """Yield the client, and translate its errors.

        Args:
            doing: Name of the operation for errors: `reading`, `writing`, ...

        Raises:
            GalleryUnreachableError: The server cannot be reached, or did not answer in time.
            LookalikeError: The server refused the request.
        """
        if self._client is None:
            self._client = connect(self.address)
        from grpc import RpcError
        from pymilvus import MilvusException

        try:
            yield self._client
        except (MilvusException, RpcError) as error:
            raise translated(self.address, error, doing=doing) from error

    def close(self) -> None:
        """Close the connection; it is opened again when needed."""
        if self._client is not None:
            self._client.close()
            self._client = None


def connect(address: Address) -> Timed:
    """Connect to the server.

    Raises:
        MissingExtraError: The client library is not installed.
        GalleryUnreachableError: The server does not answer.
        UsageError: The server refuses the token, or a certificate cannot be read.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC logs errors to standard error that it also raises
    try:
        from pymilvus import MilvusClient, MilvusException
    except ModuleNotFoundError as error:
        if error.name != "pymilvus":
            raise
        raise MissingExtraError("a gallery on Milvus", "milvus") from None
    # The library also writes tracebacks to standard error for errors that it raises.
    logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
    settings = address.settings
    secure: dict[str, Any] = {}
    if address.tls:
        files = {"ca_pem_path": "ca", "client_pem_path": "cert", "client_key_path": "key", "server_name": "server-name"}
        secure = {"secure": True} | {ours: settings[name] for ours, name in files.items() if name in settings}
        if "ca" in settings and "cert" not in settings:
            secure["server_pem_path"] = secure.pop("ca_pem_path")
    try:
        client = MilvusClient(
            address.uri,
            token=address.token(),
            db_name=settings.get("database", ""),
            timeout=min(CONNECTING_S, address.timeout_s),
            dedicated=True,  # shared connections are keyed by address and user, and ignore certificates
            **secure,
        )
    except MilvusException as error:
        raise translated(address, error, doing="connecting") from error
    except OSError as error:
        raise UsageError(f"a certificate cannot be read: {error.filename}: {error.strerror}") from None
    return Timed(client, address.timeout_s)


def translated(address: Address, error: Exception, *, doing: str) -> LookalikeError:
    """Translate an error of the library: one line, with what to do."""
    line = " ".join(str(getattr(error, "message", error)).split())[:300]
    all_of_it = f"{line} {error.__cause__}"
    if any(word in all_of_it for word in UNTRUSTED):
        return UsageError(
            f"Milvus at {address.server} and this client do not trust each other's certificates; set ca=FILE for the "
            "authority, cert=FILE and key=FILE for the client, server-name=NAME for the name in the server's one"
        )
    if any(word in all_of_it for word in REFUSED):
        return UsageError(
            f"Milvus at {address.server} refuses the user; put user:password, or a key, into {TOKEN}, "
            f"or into a file named by {TOKEN_FILE}"
        )
    if any(word in line for word in UNREACHABLE):
        hint = "" if address.tls else "; for an encrypted connection the address begins with milvus+tls://"
        return GalleryUnreachableError(f"Milvus at {address.server} cannot be reached ({doing}); is it running?{hint}")
    if any(word in line for word in TIMED_OUT):
        return GalleryUnreachableError(
            f"Milvus at {address.server} did not answer within {address.timeout_s:g} s ({doing}); "
            "run the command again, it goes on from there, or give it longer with ?timeout=SECONDS"
        )
    if any(word in line for word in FULL):
        return LookalikeError(
            f"Milvus at {address.server} has reached a limit ({doing}): {line}; try again later, or raise the limit"
        )
    return LookalikeError(f"Milvus at {address.server} failed ({doing}): {line}")
