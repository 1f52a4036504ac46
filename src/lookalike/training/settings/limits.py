"""Types of training settings with their limits, shared by the settings of all tasks."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

from lookalike.config import Length, Pattern, Range, bare_type

LONGEST_ARGUMENT: Final = 100

Seed: TypeAlias = Annotated[int, Range(least=0, most=2**32 - 1)]
Count: TypeAlias = Annotated[int, Range(least=0, most=10**9)]
CountFromOne: TypeAlias = Annotated[int, Range(least=1, most=10**9)]
BatchSize: TypeAlias = Annotated[int, Range(least=1, most=100_000)]
InputSide: TypeAlias = Annotated[int, Range(least=8, most=2048)]
"""Pixels; the lower resolution of an augmented photo of less would have no pixels left."""

SideOrZero: TypeAlias = Annotated[int, Range(least=8, most=4096, or_zero=True)]
Fraction: TypeAlias = Annotated[float, Range(least=0, most=1)]
FractionBelowOne: TypeAlias = Annotated[float, Range(least=0, below=1)]
LearningRate: TypeAlias = Annotated[float, Range(least=0, most=100)]
WeightDecay: TypeAlias = Annotated[float, Range(least=0, most=100)]
Weight: TypeAlias = Annotated[float, Range(least=0, most=1_000_000)]
Share: TypeAlias = Annotated[float, Range(least=0, most=1_000_000)]
Select: TypeAlias = str | Mapping[str, Annotated[float, Range(above=0, most=1_000_000)]]
"""Name of a figure, or weights by such names."""

Word: TypeAlias = Annotated[str, Length(least=1, most=1000)]
"""Name of an attribute, of a file or of a class, which is not empty."""

Values: TypeAlias = Annotated[tuple[str, ...], Length(least=1)]
Name: TypeAlias = Annotated[
    str,
    Pattern(
        r"(?!\.{1,2}$)[^/\\\x00-\x1f\x7f]{1,100}",
        "of 1 to 100 characters on one line, without slashes, which is also the name of a folder",
    ),
]


@dataclass(frozen=True, slots=True)
class Harmless:
    """Mark of a setting that does not change the result of a run, so that a resumed run may have another value."""


HARMLESS: Final = Harmless()


@dataclass(frozen=True, slots=True)
class RunLength:
    """Mark of the length of a run or of a stage, which a resumed run may change; see `changed_lengths`."""


RUN_LENGTH: Final = RunLength()


def marked_settings(kind: Any, mark: Harmless | RunLength, path: str = "") -> Iterator[str]:  # noqa: ANN401 - a dataclass
    """Yield the settings of a dataclass and of those in it that have a mark, such as `workers` and `data.*.source`."""
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        bare, place = bare_type(hint), f"{path}{name}"
        if mark in getattr(hint, "__metadata__", ()):
            yield place
        elif dataclasses.is_dataclass(bare):
            yield from marked_settings(bare, mark, f"{place}.")
        elif typing.get_origin(bare) is tuple and dataclasses.is_dataclass(typing.get_args(bare)[0]):
            yield from marked_settings(typing.get_args(bare)[0], mark, f"{place}.*.")


@dataclass(frozen=True, slots=True)
class PlainArguments:
    """Limit of the arguments of a loss, a miner, a distance or a reducer, whose types are checked by name later."""

    def allows(self, value: object) -> bool:
        """Whether all values are numbers, words, true or false, or tables of those."""
        return isinstance(value, Mapping) and all(
            _is_plain(each) or (isinstance(each, Mapping) and all(map(_is_plain, each.values())))
            for each in value.values()
        )

    def __str__(self) -> str:
        return "of numbers, words, true or false, and tables of those"


Arguments: TypeAlias = Annotated[Mapping[str, object], PlainArguments()]


def _is_plain(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= LONGEST_ARGUMENT
    return isinstance(value, bool | int | float) and abs(value) < 1e12  # neither nan nor infinite
