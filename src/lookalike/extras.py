"""Optional parts of the package, which extras install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.errors import MissingExtraError


@contextmanager
def extra_wanted(what: str, extra: str) -> Iterator[None]:
    """Context in which a failed import of a third-party library raises MissingExtraError.

    Args:
        what: Feature that needs the library.
        extra: Extra that installs it.

    Raises:
        MissingExtraError: The library is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "lookalike":
            raise
        raise MissingExtraError(what, extra) from error
