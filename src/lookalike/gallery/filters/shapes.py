"""Compiled filters by their shape: the text with a mark in place of each number.

A filter such as `price < 80` is asked with many numbers, and parsing takes several times as long as what else there is
to do before the database is asked. Numbers do not decide how a filter is parsed, and are parameters of its SQL: so a
text is compiled once for its shape, with numbers that tell their places, and then only numbers are put in.

Only plain numbers between plain characters are taken out of a text. All else stays in the shape as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, TypeVar

from lookalike.errors import FilterError
from lookalike.gallery.filters.clause import Clause, number_parameter

PLAIN: Final = re.compile(r"""(?:[\w .<>=!(),]|-(?!-)|'[^'\\\0]*'|"[^"\\\0]*")*""", re.ASCII)
"""Texts whose quotes end where they seem to: without escapes and comments."""

PARTS: Final = re.compile(r"""'[^']*'|"[^"]*"|(?<![\w.'"])(?<![eE]-)(\d{1,15})(\.\d{1,15})?(?![\w.'"])""", re.ASCII)
"""Quoted text, which is left as it is, and plain numbers: `1.5e-3` has none."""

WHOLE: Final = "\0w"
FRACTION: Final = "\0f"
"""Marks in shapes; no filter has this character."""

FIRST: Final = 10**15
"""The number that stands for the first one when a shape is compiled; longer than any that is taken out of a text."""

REMEMBERED: Final = 256
"""Shapes that are kept, and texts whose shape does not do."""

Number: TypeAlias = int | float
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Compiled:
    """A filter of a shape.

    Attributes:
        clause: The compiled filter, with numbers that tell their places.
        places: For each parameter, the position of its number in the text and its sign; None for other parameters.
    """

    clause: Clause
    places: tuple[tuple[int, int] | None, ...]

    def with_numbers(self, numbers: list[Number]) -> Clause:
        """The compiled filter with the numbers of a text."""
        given = zip(self.clause.parameters, self.places, strict=True)
        put = tuple(
            parameter if place is None else number_parameter(place[1] * numbers[place[0]]) for parameter, place in given
        )
        return replace(self.clause, parameters=put)


class CompiledShapes:
    """Compiled filters of a gallery, by shape; its attributes keep their kinds of values.

    Args:
        compile_text: Compiles the text of a filter; raises FilterError.
    """

    def __init__(self, compile_text: Callable[[str], Clause]) -> None:
        self._compile = compile_text
        self._shapes: dict[str, Compiled] = {}
        self._texts: dict[str, Clause] = {}

    def clause(self, where: str) -> Clause:
        """Compile a filter.

        Raises:
            FilterError: The filter is invalid.
        """
        from lookalike.gallery.filters.expression import LONGEST  # which brings the parser of filters

        if len(where) <= LONGEST and PLAIN.fullmatch(where) is not None:
            shape, numbers = shape_of(where)
            of_shape = self._shapes.get(shape) or self._compiled(shape, len(numbers))
            if of_shape is not None:
                return _keep(self._shapes, shape, of_shape).with_numbers(numbers)
        return _keep(self._texts, where, self._texts.get(where) or self._compile(where))

    def _compiled(self, shape: str, count: int) -> Compiled | None:
        """Compile a shape; None if it is invalid, or if a number is no parameter of its own."""
        marks = [FIRST + number for number in range(count)]
        each = iter(marks)
        text = re.sub(f"{WHOLE}|{FRACTION}", lambda mark: f"{next(each)}{'.5' * (mark[0] == FRACTION)}", shape)
        try:
            clause = self._compile(text)
        except FilterError:
            return None  # the error tells the user's own text
        known: dict[str | int | float, tuple[int, int]] = {
            number_parameter(sign * value): (place, sign)
            for place, mark in enumerate(marks)
            for sign in (1, -1)
            for value in (mark, mark + 0.5)
        }
        places = tuple(known.get(parameter) for parameter in clause.parameters)
        once = sorted(place[0] for place in places if place is not None) == list(range(count))
        return Compiled(clause, places) if once else None


def _keep(kept: dict[str, T], key: str, value: T) -> T:
    if key not in kept and len(kept) >= REMEMBERED:
        kept.clear()
    kept[key] = value
    return value


def shape_of(where: str) -> tuple[str, list[Number]]:
    """Take the numbers out of a plain text: its shape, and the numbers in their order."""
    numbers: list[Number] = []

    def mark(part: re.Match[str]) -> str:
        whole, fraction = part.groups()
        if whole is None:
            return part[0]
        numbers.append(int(whole) if fraction is None else float(part[0]))
        return WHOLE if fraction is None else FRACTION

    return PARTS.sub(mark, where), numbers
