"""Addresses of galleries on Milvus, and the settings that stand behind a question mark in them.

    milvus://host:19530/shop                        plain
    milvus+tls://host:19530/shop?ca=ca.pem          encrypted, checked against a certificate of one's own
    milvus://host/shop?index=HNSW&M=32              settings of the index, for when it is made or optimised
    milvus://host/shop?shards=4&replicas=2          settings of the collection, for when it is made or loaded
    milvus://host/shop?partition-by=category&partitions=32    texts of an attribute that filters often ask for

A secret never stands in an address, which ends up in process lists and logs: the token (`user:password`, or a key) is
in the variable LOOKALIKE_MILVUS_TOKEN, or in a file that LOOKALIKE_MILVUS_TOKEN_FILE or `token-file` names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from lookalike.errors import UnknownNameError, UsageError

SCHEMES: Final = ("milvus", "milvus+tls")
PORT: Final = 19530
TOKEN: Final = "LOOKALIKE_MILVUS_TOKEN"
TOKEN_FILE: Final = "LOOKALIKE_MILVUS_TOKEN_FILE"

CONSISTENCY: Final[Mapping[str, str]] = {"bounded": "Bounded", "strong": "Strong", "eventually": "Eventually"}
"""What a reader may ask for: at most seconds old, up to date, or whatever is there."""

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
"""The index types of Milvus that serve inner products, and what each is made with."""

NUMBERS: Final = ("shards", "replicas", "partitions", "rows", "timeout", "nprobe", "ef")
FILES: Final = ("ca", "cert", "key", "token-file")
WORDS: Final = ("consistency", "database", "index", "partition-by", "server-name")
KNOWN: Final = (*WORDS, *NUMBERS, *FILES, *sorted({name for names in INDEX_SETTINGS.values() for name in names}))

COLLECTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
"""What Milvus takes for a name, and a little room for the names that are made from it."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gallery is, and how it is to be used.

    Attributes:
        text: As it was written.
        host: Name or number of the server.
        port: Of the server.
        collection: Its name.
        tls: Whether the connection is encrypted.
        settings: By name, as text; see `KNOWN`.
    """

    text: str
    host: str
    port: int
    collection: str
    tls: bool
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """As the client library wants it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def server(self) -> str:
        """As errors name it."""
        return f"{self.host}:{self.port}"

    @property
    def consistency(self) -> str:
        """How fresh an answer must be, in Milvus's words."""
        return CONSISTENCY[self.settings.get("consistency", "bounded")]

    @property
    def timeout_s(self) -> float:
        """Seconds that one question may take, with all its retries."""
        return float(self.settings.get("timeout", 60))

    @property
    def index_settings(self) -> dict[str, int]:
        """What the index is made with, as far as that was said."""
        names = {name for names in INDEX_SETTINGS.values() for name in names}
        return {name: int(value) for name, value in self.settings.items() if name in names}

    def number(self, name: str) -> int | None:
        """A setting that is a number; None where it was not given."""
        value = self.settings.get(name)
        return None if value is None else int(value)

    def token(self) -> str:
        """The secret, or nothing where the server asks for none.

        Raises:
            UsageError: The file that should hold it cannot be read, or is empty.
        """
        named = self.settings.get("token-file") or os.environ.get(TOKEN_FILE)
        if not named:
            return os.environ.get(TOKEN, "")
        try:
            token = Path(named).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"the token of Milvus cannot be read: {named}: {error}") from None
        if not token:
            raise UsageError(f"{named} is empty; it should hold the token of Milvus: user:password, or a key")
        return token


def parse(text: str) -> Address:
    """Read an address.

    Raises:
        UsageError: It is none, or a setting has no sense.
        UnknownNameError: A setting that there is not.
    """
    expected = "expected milvus://HOST:PORT/COLLECTION"
    try:
        parts = urlsplit(text)
        port = parts.port or PORT
    except ValueError as error:
        raise UsageError(f"{text!r} is no address of a gallery: {error}; {expected}") from None
    if parts.username is not None:
        raise UsageError(
            f"an address holds no user and password; put user:password into a file and name it in {TOKEN_FILE}, "
            f"or into the variable {TOKEN}"
        )
    name = parts.path.removeprefix("/")
    if parts.scheme not in SCHEMES or not parts.hostname or parts.fragment:
        raise UsageError(f"{text!r} is no address of a gallery; {expected}")
    if not COLLECTION.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name of a collection: letters, digits and _, at most 200, no digit first; {expected}"
        )
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    settings = dict(pairs)
    if len(settings) != len(pairs):
        raise UsageError(f"a setting stands twice in {text!r}")
    check(settings)
    return Address(text, parts.hostname, port, name, parts.scheme == "milvus+tls", settings)


def check(settings: Mapping[str, str]) -> None:
    """Refuse settings that make no sense.

    Raises:
        UnknownNameError: There is no such setting, or no such value of one.
        UsageError: A number is none.
    """
    for name, value in settings.items():
        if name not in KNOWN:
            raise UnknownNameError("setting", name, KNOWN)
        if name not in WORDS and name not in FILES and not (value.isascii() and value.isdigit() and int(value) > 0):
            raise UsageError(f"{name} must be a whole number of at least 1, got {value!r}")
    if settings.get("consistency", "bounded") not in CONSISTENCY:
        raise UnknownNameError("consistency", settings["consistency"], CONSISTENCY)
    if "partitions" in settings and "partition-by" not in settings:
        raise UsageError("partitions go by the texts of an attribute: partition-by=NAME says of which")
    if settings.get("partition-by") in ("", "id"):  # ids differ from item to item
        raise UsageError(f"partition-by wants the name of an attribute, got {settings['partition-by']!r}")
    check_index(settings)


def check_index(settings: Mapping[str, str]) -> None:
    """Refuse an index that there is not, and settings that it does not take.

    Raises:
        UnknownNameError: There is no such index.
        UsageError: A setting belongs to another one.
    """
    index = settings.get("index")
    if index is not None and index not in INDEX_SETTINGS:
        raise UnknownNameError("index of Milvus", index, INDEX_SETTINGS)
    for names in INDEX_SETTINGS.values():
        for name in names:
            if name in settings and (index is None or name not in INDEX_SETTINGS[index]):
                fits = [kind for kind, takes in INDEX_SETTINGS.items() if name in takes]
                raise UsageError(f"{name} needs an index that takes it: index={' or index='.join(fits)}")


def with_setting(address: str, name: str, value: str) -> str:
    """The same address with one more setting."""
    parts = urlsplit(address)
    settings = {**dict(parse_qsl(parts.query, keep_blank_values=True)), name: value}
    return urlunsplit(parts._replace(query=urlencode(settings)))
