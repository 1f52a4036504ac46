"""Archives of backups: uncompressed tar files that any tar reads, and of which this reader accepts nothing else.

    manifest.json               format, version and time; the first member
    photos/OWNER/ab/ab12...jpg  uploaded photos, see `lookalike.gallery.photo_store`
    models/N/NAME               files of the N-th model, from 0
    events.sqlite               what visitors chose, if the gallery has such a file, see `lookalike.usage`
    gallery.db                  the database
    SHA256SUMS                  checksums of all members before it, as `sha256sum -c` reads them; the last member

Archives are untrusted input. The reader reads them from the first byte to the last, so that a
member is never larger than the archive, and refuses every type of member but regular files. Extended headers, whose
length a reader must keep in memory, are among the refused ones.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from importlib.metadata import version
from io import BytesIO
from typing import Final, Protocol

from lookalike.errors import BackupError, LookalikeError, storage_error
from lookalike.moments import moment

FORMAT: Final = 1

MANIFEST: Final = "manifest.json"
DATABASE: Final = "gallery.db"
EVENTS: Final = "events.sqlite"
SUMS: Final = "SHA256SUMS"

NAME: Final = re.compile(
    r"manifest\.json|gallery\.db|events\.sqlite|SHA256SUMS"
    r"|photos/[0-9a-f]{32}/[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{8}\.[a-z0-9.+-]{1,20}"
    r"|models/[0-9]{1,3}/[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,79}"
)
"""Names of members, complete: no other path can be written by a restore."""

BLOCK: Final = tarfile.BLOCKSIZE
CHUNK: Final = 1 << 20
SHORT: Final = 100
"""Longest name, in bytes, that fits into a header without its prefix."""

MOST_TEXT: Final = 1 << 20
"""Largest manifest, in bytes."""

LONGEST_SUM: Final = 64 + 2 + 256 + 1
"""Longest line of the checksums, in bytes."""

Sink = Callable[[str, int], AbstractContextManager["Writable | None"]]
"""Opens the destination of a member, by name and size; None discards it."""


class Readable(Protocol):
    """Source of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes; none at the end."""
        ...


class Writable(Protocol):
    """Destination of bytes."""

    def write(self, data: bytes, /) -> object:
        """Write bytes."""
        ...


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds.

    Attributes:
        made: Time of the backup, such as `2026-11-29T03:00:00Z`.
        digests: SHA-256 of each member before the checksums, hexadecimal, by name.
        bytes: Length of the archive.
    """

    made: str
    digests: dict[str, str]
    bytes: int


class ArchiveWriter:
    """Writes an archive from its first byte to its last; the file need not be seekable."""

    def __init__(self, file: Writable, *, gallery: str, told: Callable[[int], None] = lambda _: None) -> None:
        """Begin an archive.

        Args:
            file: Destination.
            gallery: Name of the gallery, for people.
            told: Called with the number of bytes written so far.
        """
        self._file = file
        self._told = told
        self.bytes = 0
        self.digests: dict[str, str] = {}
        made = moment(time.time())
        made_by = f"lookalike {version('lookalike')}"
        manifest = {"format": FORMAT, "made": made, "made_by": made_by, "gallery": gallery}
        text = f"{json.dumps(manifest, indent=2)}\n".encode()
        self.add(MANIFEST, BytesIO(text), len(text))

    def add(self, name: str, source: Readable, size: int) -> None:
        """Add a member.

        Args:
            name: Name, by `NAME`.
            source: File to read.
            size: Its length in bytes.

        Raises:
            LookalikeError: The file cannot be read, or has fewer bytes; more are not read.
        """
        digest, left = hashlib.sha256(), size
        self._write(header_of(name, size))
        while left:
            try:
                data = source.read(min(CHUNK, left))
            except OSError as error:
                raise storage_error(name, error) from error
            if not data:
                raise LookalikeError(f"{name} became shorter while it was read; run the command again")
            digest.update(data)
            self._write(data)
            left -= len(data)
        self._pad(size)
        self.digests[name] = digest.hexdigest()

    def finish(self) -> None:
        """Add the checksums and the end of the archive."""
        text = "".join(f"{digest}  {name}\n" for name, digest in self.digests.items()).encode()
        self._write(header_of(SUMS, len(text)))
        self._write(text)
        self._pad(len(text))
        self._write(bytes(2 * BLOCK))

    def _pad(self, size: int) -> None:
        self._write(bytes(-size % BLOCK))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self.bytes += len(data)
        self._told(self.bytes)


def header_of(name: str, size: int) -> bytes:
    """Header of a member, which readers of POSIX and GNU archives understand without extensions."""
    assert NAME.fullmatch(name), name
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, time.time()
    # Sizes from 8 GiB on are in GNU's notation; only names that fit without a prefix can have that.
    if len(name) <= SHORT:
        return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")
    return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")


def read_archive(
    file: Readable,
    *,
    place: str,
    sink: Sink = lambda _name, _size: nullcontext(None),
    told: Callable[[int], None] = lambda _: None,
) -> Contents:
    """Read an archive to its end, and check all of it.

    Args:
        file: Archive, which need not be seekable.
        place: Path or address of the archive, for errors.
        sink: Opens the destination of each member. What was written there is to be used only after this function has
            returned.
        told: Called with the number of bytes read so far.

    Raises:
        BackupError: The archive is incomplete or damaged, or is none that `ArchiveWriter` wrote.
        LookalikeError: It cannot be read.
    """
    reading = _Reading(file, place, told)
    digests: dict[str, str] = {}
    made, sums = "", b""
    for name, size in members(reading):
        if name in digests or sums:
            raise BackupError(f"{place} is no backup of a gallery: {name} comes twice, or after the checksums")
        if not digests and name != MANIFEST:
            raise BackupError(f"{place} is no backup of a gallery: it begins with {name}")
        if name == MANIFEST:
            manifest = reading.text(size, most=MOST_TEXT)
            made = time_of(place, manifest)
            digests[name] = hashlib.sha256(manifest).hexdigest()
        elif name == SUMS:
            sums = reading.text(size, most=LONGEST_SUM * len(digests))
        else:
            with sink(name, size) as target:
                digests[name] = reading.copy(size, target)
        reading.skip(-size % BLOCK)
    reading.expect_end()
    check_sums(place, sums, digests)
    return Contents(made, digests, reading.bytes)


def members(reading: _Reading) -> Iterator[tuple[str, int]]:
    """Names and sizes of the members; the content of each must be read before the next.

    Raises:
        BackupError: A header is damaged, or a member is not a regular file with one of the names.
    """
    while (block := reading.exactly(BLOCK)) != bytes(BLOCK):
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            raise reading.damaged() from None
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or not NAME.fullmatch(info.name) or info.size < 0:
            raise BackupError(
                f"{reading.place} is no backup of a gallery: expected files that `gallery backup` writes, "
                f"got {info.name[:200]!r}"
            )
        yield info.name, info.size


def time_of(place: str, manifest: bytes) -> str:
    """Time of a backup, from its manifest.

    Raises:
        BackupError: The backup has another format.
    """
    told: object = None
    with suppress(ValueError, RecursionError):
        told = json.loads(manifest)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BackupError(f"{place}: expected a backup of format {FORMAT}, got {manifest[:200]!r}")
    return str(told.get("made", ""))[:40]


def check_sums(place: str, sums: bytes, digests: dict[str, str]) -> None:
    """Check the digests of an archive's members against its checksums.

    Raises:
        BackupError: A member is damaged or missing.
    """
    listed = {}
    for line in sums.decode("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        listed[name] = digest
    wrong = [name for name, digest in listed.items() if digests.get(name) != digest]
    wrong += [name for name in digests if name not in listed]
    if DATABASE not in listed:
        wrong.append(DATABASE)
    if wrong:
        raise BackupError(
            f"{place} is damaged: {wrong[0]}{' and other parts' if wrong[1:] else ''} do not fit the checksums"
        )


class _Reading:
    """An archive that is read from the first byte to the last."""

    def __init__(self, file: Readable, place: str, told: Callable[[int], None]) -> None:
        self._file = file
        self._told = told
        self.place = place
        self.bytes = 0

    def damaged(self) -> BackupError:
        return BackupError(f"{self.place} is damaged, or no backup of a gallery (at byte {self.bytes:,})")

    def some(self, most: int) -> bytes:
        """Read up to so many bytes; empty at the end."""
        try:
            data = self._file.read(most)
        except OSError as error:
            raise storage_error(self.place, error) from error
        self.bytes += len(data)
        self._told(self.bytes)
        return data

    def exactly(self, size: int) -> bytes:
        """Read so many bytes."""
        parts = []
        while size:
            data = self.some(min(CHUNK, size))
            if not data:
                raise BackupError(
                    f"{self.place} is incomplete, or no backup of a gallery: it ends after {self.bytes:,} bytes"
                )
            parts.append(data)
            size -= len(data)
        return b"".join(parts)

    def text(self, size: int, *, most: int) -> bytes:
        """Read a member that is kept in memory."""
        if size > most:
            raise self.damaged()
        return self.exactly(size)

    def copy(self, size: int, target: Writable | None) -> str:
        """Copy a member, and return its SHA-256."""
        digest = hashlib.sha256()
        while size:
            data = self.exactly(min(CHUNK, size))
            digest.update(data)
            if target is not None:
                target.write(data)
            size -= len(data)
        return digest.hexdigest()

    def skip(self, size: int) -> None:
        """Read the zeros that fill a block."""
        if any(self.exactly(size)):
            raise self.damaged()

    def expect_end(self) -> None:
        """Read the second block of zeros, after which nothing but more of them follows."""
        data = self.exactly(BLOCK)
        while data:
            if data.count(0) < len(data):
                raise self.damaged()
            data = self.some(CHUNK)
