"""File of the keys of a server: who may search or write, where, and how often.

The file has no keys, only their SHA-256: a key has 256 random bits, too many to guess, so that the slow
hashes for passwords would only make each request slow.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lookalike.config import load
from lookalike.errors import ConfigError, UnknownNameError, UsageError, storage_error
from lookalike.server.gallery_names import NAME, check_gallery_name
from lookalike.server.rates import Rate
from lookalike.server.web_origins import check_origin
from lookalike.storage.files import written_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFIX: Final = "lk_"
"""Beginning of every key, by which programs that look for secrets in code and logs recognise one."""

SHA256: Final = re.compile(r"[0-9a-f]{64}")
MOST_KEYS: Final = 10_000
HEAD: Final = (
    "# Keys of `lookalike serve --keys`, written by `lookalike keys`: not the keys themselves, but their SHA-256.\n"
)
PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Key:
    """What a key allows.

    Attributes:
        sha256: SHA-256 of the key, in hexadecimal.
        write: Whether it allows writing, in addition to searching.
        galleries: Galleries that it allows; all if empty.
        origins: Origins of the web pages that may use it; without any, programs and the server's own page may.
        rate: Requests that it allows, such as `10/s`, `600/min` or `5000/h`; no limit if empty.
        created: Day on which it was made.
    """

    sha256: str
    write: bool = False
    galleries: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    rate: str = ""
    created: str = ""

    def __post_init__(self) -> None:
        if SHA256.fullmatch(self.sha256) is None:
            raise ConfigError("sha256 must have 64 digits from 0 to f; `lookalike keys add` makes keys")
        for name in self.galleries:
            check_gallery_name(name)
        for origin in self.origins:
            check_origin(origin)
        if self.rate:
            Rate.parse(self.rate)

    def allows(self, gallery: str) -> bool:
        """Whether the key allows a gallery, by its name."""
        return not self.galleries or gallery in self.galleries


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Content of a file of keys.

    Attributes:
        keys: Keys by name.
    """

    keys: Mapping[str, Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.keys) > MOST_KEYS:
            raise ConfigError(f"at most {MOST_KEYS:,} keys can be kept, got {len(self.keys):,}")
        for name in self.keys:
            check_key_name(name)
        by_content: dict[str, str] = {}
        for name, key in self.keys.items():
            if (other := by_content.setdefault(key.sha256, name)) != name:
                raise ConfigError(f"{other} and {name} are the same key")

    @classmethod
    def read(cls, path: Path) -> KeyFile:
        """Read a file.

        Raises:
            ConfigError: It is missing, not TOML, or has a setting or value that no key may have.
        """
        try:
            return load(cls, path)
        except UsageError as error:
            told = str(error)
            raise ConfigError(told if str(path) in told else f"{path}: {told}") from None

    def to_toml(self) -> str:
        """The file as text. All texts in it are ASCII without control characters, which JSON and TOML write alike."""
        tables = [f"[keys.{name}]\n" + "".join(rows_of(key)) for name, key in self.keys.items()]
        return "\n".join([HEAD, *tables])


def rows_of(key: Key) -> Iterator[str]:
    """Lines of the settings of a key that are not empty."""
    for name in ("sha256", "write", "galleries", "origins", "rate", "created"):
        if value := getattr(key, name):
            yield f"{name} = {json.dumps(value)}\n"


def check_key_name(name: str) -> None:
    """Check the name of a key.

    Raises:
        UsageError: It has other characters, or is too long.
    """
    if NAME.fullmatch(name) is None:
        raise UsageError(
            f"expected the name of a key: 1 to 64 letters, digits, - and _, first a letter or digit; got {name!r}"
        )


def digest(text: bytes) -> bytes:
    """SHA-256 of a key or token: of fixed length, so that the time of a comparison reveals nothing of the text."""
    return hashlib.sha256(text).digest()


def add_key(
    path: Path,
    name: str,
    *,
    write: bool = False,
    galleries: Sequence[str] = (),
    origins: Sequence[str] = (),
    rate: str = "",
) -> str:
    """Make a key, and add it to a file, which is created if there is none.

    Args:
        path: File of keys.
        name: Name of the key.
        write: See `Key`.
        galleries: See `Key`.
        origins: See `Key`.
        rate: See `Key`.

    Returns:
        The key, which is kept nowhere.

    Raises:
        UsageError: There is a key of that name, or a value is invalid.
        LookalikeError: The file cannot be read or written.
    """
    check_key_name(name)
    text = PREFIX + secrets.token_urlsafe(32)
    key = Key(
        digest(text.encode()).hex(),
        write=write,
        galleries=tuple(galleries),
        origins=tuple(origins),
        rate=rate,
        created=f"{datetime.now(UTC):%Y-%m-%d}",
    )
    with _changing(path):
        file = KeyFile.read(path) if path.exists() else KeyFile()
        if name in file.keys:
            raise UsageError(f"{path} has a key {name!r} already; choose another name, or revoke it first")
        _write(path, replace(file, keys={**file.keys, name: key}))
    return text


def revoke_key(path: Path, name: str) -> None:
    """Remove a key from a file.

    Raises:
        UnknownNameError: There is no such key.
        LookalikeError: The file cannot be read or written.
    """
    with _changing(path):
        file = KeyFile.read(path)
        if name not in file.keys:
            raise UnknownNameError("key", name, file.keys)
        _write(path, replace(file, keys={kept: key for kept, key in file.keys.items() if kept != name}))


@contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Hold the lock of a file of keys, so that no other command changes it in between."""
    from filelock import FileLock, Timeout

    if not path.name or (path.exists() and not path.is_file()):
        raise UsageError(f"{str(path)!r} is no file of keys; name one, such as keys.toml")
    try:
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=PATIENCE_S):
            yield
    except Timeout:
        raise UsageError(f"{path} is being changed by another command; try again") from None
    except OSError as error:
        raise storage_error(path, error) from None


def _write(path: Path, file: KeyFile) -> None:
    """Write a file of keys atomically, readable by its owner alone; an existing one keeps its owner and mode."""
    with written_whole(path) as unfinished:
        number = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as opened:
            with suppress(FileNotFoundError):
                before = path.stat()
                with suppress(PermissionError):  # only root gives files away
                    os.chown(number, before.st_uid, before.st_gid)
                os.fchmod(number, before.st_mode & 0o777)
            opened.write(file.to_toml().encode())
