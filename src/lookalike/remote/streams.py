"""Objects of stores that are too large for memory, read and written from the first byte to the last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from lookalike.errors import LookalikeError, UsageError
from lookalike.remote.addresses import Address, parse, shown
from lookalike.remote.object_store import open_store
from lookalike.remote.retryable import reason

PART: Final = 32 << 20
"""Least bytes of one request; stores take few requests for an object better than many."""

MOST_PARTS: Final = 9_000
"""Largest number of parts of an upload; Amazon S3 takes 10,000."""


@contextmanager
def reading(where: str) -> Iterator[tuple[Stream, int]]:
    """Open an object for reading, with its length in bytes.

    Raises:
        UsageError: There is no such object, or the address is not one of a store.
        MissingExtraError: The library for such addresses is not installed.
        LookalikeError: A request failed after the tries of the store's library.
    """
    files, path = _store(parse(where))
    with _told(where, "read"):
        try:
            file = files.open(path, "rb", block_size=PART)
        except FileNotFoundError:
            raise UsageError(f"{shown(where)}: no such file") from None
    try:
        yield Stream(file, where, "read"), int(file.size)
    finally:
        file.close()


@contextmanager
def writing(where: str, *, expected: int) -> Iterator[Stream]:
    """Open a new object for writing; it appears complete when the context ends without an error, or not at all.

    Args:
        where: Address.
        expected: Approximate length in bytes, which decides the size of the parts.

    Raises:
        UsageError: The address is not one of a store.
        MissingExtraError: The library for such addresses is not installed.
        LookalikeError: A request failed after the tries of the store's library.
    """
    files, path = _store(parse(where))
    with _told(where, "written"):
        file = files.open(path, "wb", block_size=max(PART, expected // MOST_PARTS))
    try:
        yield Stream(file, where, "written")
        with _told(where, "written"):
            file.close()
    except BaseException:
        with suppress(Exception):  # each store has its own errors; the parts then expire by its own rules
            file.discard()
        file.closed = True  # else it is completed when the object is deleted
        raise


class Stream:
    """File of a store whose errors are `LookalikeError`."""

    def __init__(self, file: Any, where: str, doing: str) -> None:  # noqa: ANN401 - fsspec has no types
        self._file, self._where, self._doing = file, where, doing

    def read(self, size: int, /) -> bytes:
        """Read up to so many bytes; none at the end."""
        with _told(self._where, self._doing):
            return bytes(self._file.read(size))

    def write(self, data: bytes, /) -> int:
        """Write bytes."""
        with _told(self._where, self._doing):
            return int(self._file.write(data))


@contextmanager
def _told(where: str, doing: str) -> Iterator[None]:
    """Turn errors of a store's library into one."""
    try:
        yield
    except LookalikeError:
        raise
    except Exception as error:  # each store has its own errors
        why = reason(error, tries=1).removeprefix("cannot be read: ")
        raise LookalikeError(f"{shown(where)} cannot be {doing}: {why}") from error


def _store(address: Address) -> tuple[Any, str]:
    """File system of an address with the tries of its library, and the path in it.

    Raises:
        UsageError: The address is not one of a store.
    """
    if address.is_on_the_web:
        raise UsageError(f"{shown(address.text)}: expected a file, or an address of s3://, gs:// or az://")
    files = open_store(address.scheme, skip_instance_cache=True)
    return files, f"{address.host}/{address.path}"
