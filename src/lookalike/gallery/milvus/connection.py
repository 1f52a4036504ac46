"""The one place that talks to Milvus's client library: connects, waits no longer than it should, explains what failed.

Everything that is asked here may be asked twice: reading changes nothing, and what is written is written under its id.
So the library may try again after a failure, later and later, until the time is up.
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
"""Seconds until a server that does not answer counts as one that is not there."""

BUILDING_S: Final = 3600.0
"""Seconds that making an index, loading or flushing a collection may take."""

NOT_FOUND: Final = 100
NOT_LOADED: Final = 101
TIMED_OUT: Final = ("DEADLINE_EXCEEDED", "Retry timeout", "timed out", "context deadline exceeded")
UNREACHABLE: Final = ("UNAVAILABLE", "server unavailable", "Fail connecting", "channel_state")
UNTRUSTED: Final = ("CERTIFICATE_VERIFY_FAILED", "Hostname Verification", "CERTIFICATE_REQUIRED", "BAD_CERTIFICATE")
REFUSED: Final = ("auth check failure", "unauthenticated", "UNAUTHENTICATED", "permission deny", "PERMISSION_DENIED")
FULL: Final = ("memory quota exceeded", "disk quota exceeded", "rate limit", "force deny")


class Timed:
    """A client none of whose calls takes longer than its gallery's address allows, but those that say so themselves.

    Args:
        client: The library's.
        timeout_s: Seconds.
    """

    def __init__(self, client: MilvusClient, timeout_s: float) -> None:
        self._client, self._timeout_s = client, timeout_s

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        found = getattr(self._client, name)
        asks_nobody = name.startswith(("_", "prepare_")) or name == "close"
        return found if asks_nobody else partial(found, timeout=self._timeout_s)


class Connection:
    """A client that is made when it is needed.

    Attributes:
        address: Of the gallery.
        collection: Name of the collection that holds the items.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.collection = address.collection
        self._client: Timed | None = None

    @contextmanager
    def client(self, *, doing: str) -> Iterator[Timed]:
        """Lend the client, and turn its errors into ours.

        Args:
            doing: What it is lent for, as an error says it: `reading`, `writing`, ...

        Raises:
            GalleryUnreachableError: There is no server, or it did not answer in time.
            LookalikeError: The server said no.
        """
        if self._client is None:
            self._client = connect(self.address)
        from grpc import RpcError
        from pymilvus import MilvusException

        try:
            yield self._client
        except (MilvusException, RpcError) as error:
            raise explained(self.address, error, doing=doing) from error

    def close(self) -> None:
        """Let go of the connection; it is made again when it is needed."""
        if self._client is not None:
            self._client.close()
            self._client = None


def connect(address: Address) -> Timed:
    """Reach the server.

    Raises:
        MissingExtraError: The client library is not installed.
        GalleryUnreachableError: The server does not answer.
        UsageError: The server wants another token, or a certificate cannot be read.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it logs to standard error what it raises as well
    try:
        from pymilvus import MilvusClient, MilvusException
    except ModuleNotFoundError as error:
        if error.name != "pymilvus":
            raise
        raise MissingExtraError("a gallery on Milvus", "milvus") from None
    # The library writes tracebacks to standard error for errors that it raises as well.
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
            dedicated=True,  # one that is shared goes by address and user, whatever certificates it was made with
            **secure,
        )
    except MilvusException as error:
        raise explained(address, error, doing="connecting") from error
    except OSError as error:
        raise UsageError(f"a certificate cannot be read: {error.filename}: {error.strerror}") from None
    return Timed(client, address.timeout_s)


def explained(address: Address, error: Exception, *, doing: str) -> LookalikeError:
    """The error for what the library complains about: one line, and what to do."""
    line = " ".join(str(getattr(error, "message", error)).split())[:300]
    all_of_it = f"{line} {error.__cause__}"
    if any(word in all_of_it for word in UNTRUSTED):
        return UsageError(
            f"Milvus at {address.server} and this side do not trust each other's certificates; ca=FILE names the "
            "authority, cert=FILE and key=FILE our own, server-name=NAME whom the server's is made out to"
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
        return LookalikeError(f"Milvus at {address.server} takes no more at present ({doing}): {line}")
    return LookalikeError(f"Milvus at {address.server} failed ({doing}): {line}")
