"""An image encoder with its preprocessing, and how it is made of what files say."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn

from lookalike.errors import LONGEST_REASON, ModelError
from lookalike.models.open_clip import one_line
from lookalike.models.preprocessing import Preprocessing


@dataclass(frozen=True, slots=True)
class ImageEncoder:
    """Image encoder of another library.

    Attributes:
        name: Display name.
        network: Module in eval mode, of photos (B, 3, H, W) to rows (B, D) of any length.
        preprocessing: Preprocessing of photos.
    """

    name: str
    network: nn.Module
    preprocessing: Preprocessing


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
