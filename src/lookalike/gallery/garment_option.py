"""Garment of a query photo: what a search may ask for."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Final

from lookalike.errors import UnknownNameError, UsageError
from lookalike.kinds import KINDS
from lookalike.types import Box

AUTO: Final = "auto"
"""Value of `SearchRequest.garment`: the most prominent of several garments, else the whole photo."""

WHOLE: Final = "whole"
"""Value of `SearchRequest.garment`: the whole photo."""

NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")
"""Number of a garment, in `SearchRequest.garment`."""

DEFAULT_GARMENT: Final = AUTO
"""Garment of a search by one photo that gives neither a garment nor a box."""


def checked_garment(garment: object, *, box: Box | None) -> str:
    """Return a garment, a number as its text.

    Args:
        garment: `auto`, `whole`, a kind or a number.
        box: Box of the same search, which excludes a garment.

    Raises:
        UsageError: It goes with a box, or is neither text nor a whole number.
        UnknownNameError: There is no such kind.
    """
    if isinstance(garment, Integral) and not isinstance(garment, bool):
        garment = str(int(garment))
    if not isinstance(garment, str):
        raise UsageError(f"garment must be auto, whole, a kind or a number, got {garment!r:.200}")
    if box is not None:
        raise UsageError("a box and a garment both say what part of the photo to look at; leave one out")
    if not NUMBER.fullmatch(garment) and garment not in (AUTO, WHOLE, *KINDS):
        raise UnknownNameError("garment", garment, (AUTO, WHOLE, *KINDS, "1", "2", "3"))
    return garment
