"""Addresses of galleries on Milvus, with settings as their query string.

    milvus://host:19530/shop                        plain
    milvus+tls://host:19530/shop?ca=ca.pem          encrypted, checked against your own certificate
    milvus://host/shop?index=HNSW&M=32              settings of the index, applied when it is built or optimised
    milvus://host/shop?shards=4&replicas=2          settings of the collection, applied when it is created or loaded
    milvus://host/shop?partition-by=category&partitions=32    partitions by an attribute that filters often use

An address holds no secret, since it appears in process lists and logs: the token (`user:password`, or a key) is in the
variable LOOKALIKE_MILVUS_TOKEN, or in a file named by LOOKALIKE_MILVUS_TOKEN_FILE or `token-file`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.milvus import SCHEMES
from lookalike.storage.files import read_file

PORT: Final = 19530
TOKEN: Final = "LOOKALIKE_MILVUS_TOKEN"
TOKEN_FILE: Final = "LOOKALIKE_MILVUS_TOKEN_FILE"

CONSISTENCY: Final[Mapping[str, str]] = {"bounded": "Bounded", "strong": "Strong", "eventually": "Eventually"}
"""Milvus's consistency levels by setting: seconds old at most, up to date, or unbounded."""

INDEX_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "FLAT": (),
    "IVF_FLAT": ("nlist",),
    "IVF_SQ8": ("nlist",),
    "IVF_PQ": ("nlist", "m", "nbits"),
    "HNSW": ("M", "efConstruction"),
    "SCANN": ("nlist",),
    "DISKANN": (),
    "IVF_RABITQ": ("nlist",),
}
"""Index types of Milvus for inner products, with their build parameters."""

NUMBERS: Final = ("shards", "replicas", "partitions", "rows", "timeout", "nprobe", "ef")
FILES: Final = ("ca", "cert", "key", "token-file")
WORDS: Final = ("consistency", "database", "index", "partition-by", "server-name")
KNOWN: Final = (*WORDS, *NUMBERS, *FILES, *sorted({name for names in INDEX_SETTINGS.values() for name in names}))

COLLECTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
"""Valid collection names, with room for the suffix of the metadata collection."""


@dataclass(frozen=True, slots=True)
class Address:
    """Parsed address of a gallery.

    Attributes:
        text: Address as given.
        host: Host name or IP address of the server.
        port: Port of the server.
        collection: Name of the collection.
        tls: Whether the connection is encrypted.
        settings: Settings by name, as text; names are in `KNOWN`.
    """

    text: str
    host: str
    port: int
    collection: str
    tls: bool
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """URI of the server for the client library."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def server(self) -> str:
        """Server as errors name it, `HOST:PORT`."""
        return f"{self.host}:{self.port}"

    @property
    def consistency(self) -> str:
        """Consistency level of reads, as Milvus names it."""
        return CONSISTENCY[self.settings.get("consistency", "bounded")]

    @property
    def timeout_s(self) -> float:
        """Timeout of a request with all its retries, seconds."""
        return float(self.settings.get("timeout", 60))

    @property
    def index_settings(self) -> dict[str, int]:
        """Build parameters of the index that are set."""
        names = {name for names in INDEX_SETTINGS.values() for name in names}
        return {name: int(value) for name, value in self.settings.items() if name in names}

    def number(self, name: str) -> int | None:
        """Numeric setting; None if it is not set."""
        value = self.settings.get(name)
        return None if value is None else int(value)

    def token(self) -> str:
        """Token of the server; empty without one.

        Raises:
            UsageError: The token file cannot be read, or is empty.
        """
        named = self.settings.get("token-file") or os.environ.get(TOKEN_FILE)
        if not named:
            return os.environ.get(TOKEN, "")
        try:
            token = read_file(named, most=1 << 20).decode().strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"the token of Milvus cannot be read: {named}: {error}") from None
        if not token:
            raise UsageError(f"{named} is empty; it should hold the token of Milvus: user:password, or a key")
        return token


def parse(text: str) -> Address:
    """Parse an address.

    Raises:
        UsageError: The address is invalid, or a setting is.
        UnknownNameError: There is no such setting.
    """
    expected = "expected milvus://HOST:PORT/COLLECTION"
    try:
        parts = urlsplit(text)
        port = parts.port or PORT
    except ValueError as error:
        raise UsageError(f"{text!r} is not the address of a gallery: {error}; {expected}") from None
    if parts.username is not None:
        raise UsageError(
            f"an address holds no user and password; put user:password into a file and name it in {TOKEN_FILE}, "
            f"or into the variable {TOKEN}"
        )
    name = parts.path.removeprefix("/")
    if parts.scheme not in SCHEMES or not parts.hostname or parts.fragment:
        raise UsageError(f"{text!r} is not the address of a gallery; {expected}")
    if not COLLECTION.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a valid collection name: letters, digits and _, at most 200, no digit first; {expected}"
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    settings = dict(pairs)
    if len(settings) != len(pairs):
        raise UsageError(f"a setting occurs twice in {text!r}")
    check(settings)
    return Address(text, parts.hostname, port, name, parts.scheme == "milvus+tls", settings)


def check(settings: Mapping[str, str]) -> None:
    """Check settings.

    Raises:
        UnknownNameError: There is no such setting, or a value is unknown.
        UsageError: A value is not a number, or settings exclude each other.
    """
    for name, value in settings.items():
        if name not in KNOWN:
            raise UnknownNameError("setting", name, KNOWN)
        if name not in WORDS and name not in FILES and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}")
    if settings.get("consistency", "bounded") not in CONSISTENCY:
        raise UnknownNameError("consistency", settings["consistency"], CONSISTENCY)
    if "partitions" in settings and "partition-by" not in settings:
        raise UsageError("partitions needs partition-by=NAME, the attribute whose values are spread over them")
    if settings.get("partition-by") in ("", "id"):  # ids differ from item to item
        raise UsageError(f"partition-by expects the name of an attribute, got {settings['partition-by']!r}")
    check_index(settings)


def check_index(settings: Mapping[str, str]) -> None:
    """Check the index type and its parameters.

    Raises:
        UnknownNameError: There is no such index type.
        UsageError: A parameter belongs to another index type.
    """
    index = settings.get("index")
    if index is not None and index not in INDEX_SETTINGS:
        raise UnknownNameError("index of Milvus", index, INDEX_SETTINGS)
    for names in INDEX_SETTINGS.values():
        for name in names:
            if name in settings and (index is None or name not in INDEX_SETTINGS[index]):
                fits = [kind for kind, takes in INDEX_SETTINGS.items() if name in takes]
                raise UsageError(f"{name} is a parameter of other indexes; add index={' or index='.join(fits)}")


def with_setting(address: str, name: str, value: str) -> str:
    """Add a setting to an address."""
    parts = urlsplit(address)
    settings = {**dict(parse_qsl(parts.query, keep_blank_values=True)), name: value}
    return urlunsplit(parts._replace(query=urlencode(settings)))
