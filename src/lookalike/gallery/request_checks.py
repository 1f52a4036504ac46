"""Checks of single options: numbers, shares and choices."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from numbers import Real
from typing import Final

from lookalike.errors import UnknownNameError, UsageError

PRODUCT: Final = "product"
"""Value of `group`: products instead of photos."""


def whole_number(name: str, number: object) -> int:
    """Return a number of any integer type, such as NumPy's, as an int.

    Raises:
        UsageError: It is not a whole number.
    """
    try:
        return operator.index(number)  # type: ignore[arg-type]  # that is checked here
    except TypeError:
        raise UsageError(f"{name} must be a whole number, got {number!r:.200}") from None


def check_least(least: int, **numbers: object) -> None:
    """Check arguments that are numbers; those that are None are left out.

    Args:
        least: Least number allowed.
        numbers: Arguments by name.

    Raises:
        UsageError: One is not a whole number, or is less than `least`.
    """
    for name, number in numbers.items():
        if number is not None and whole_number(name, number) < least:
            raise UsageError(f"{name} must be at least {least}, got {number}")


def check_share(name: str, share: object) -> None:
    """Check a number from 0 to 1; None is none.

    Raises:
        UsageError: It is something else.
    """
    check_number(name, share, least=0, most=1)


def check_number(name: str, number: object, *, least: float, most: float) -> None:
    """Check a number within limits; None is none.

    Raises:
        UsageError: It is something else.
    """
    if number is None:
        return
    if not (isinstance(number, Real) and not isinstance(number, bool) and least <= float(number) <= most):
        raise UsageError(f"{name} must be a number from {least:g} to {most:,g}, got {number!r:.200}")


def check_choice(name: str, choice: object, choices: Sequence[str]) -> None:
    """Check the name of a choice.

    Raises:
        UnknownNameError: There is no such choice.
    """
    if choice not in choices:
        raise UnknownNameError(name, str(choice), choices)


def check_group(group: object) -> None:
    """Check what answers are grouped by; None is nothing.

    Raises:
        UnknownNameError: There is no such choice.
    """
    if group is not None:
        check_choice("group", group, (PRODUCT,))
