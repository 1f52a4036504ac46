"""What other libraries say of the models that they make: quiet, and as one error of one line."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lookalike.errors import LONGEST_REASON, ModelError

AS_DESCRIBED: Final = "no model can be made as described"
"""What does not succeed where the description of a model has values of another form."""


@contextmanager
def made_of(where: str, *, what: str) -> Iterator[None]:
    """Context in which whatever another library says of values of another form is one error of one line.

    Args:
        where: File or model for messages.
        what: What does not succeed, such as `does not fit timm's resnet50`.

    Raises:
        ModelError: The library refuses what it was given.
    """
    try:
        yield
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = textwrap.shorten(one_line(error), LONGEST_REASON, placeholder=" ...")
        raise ModelError(f"{where}: {what}: {reason}") from None


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the logs of download attempts; the final error has the message."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def one_line(error: BaseException) -> str:
    """Return the message of another library's error on one line."""
    return " ".join(str(error).split()) or type(error).__name__
