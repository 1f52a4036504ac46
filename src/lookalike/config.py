"""Settings: frozen dataclasses filled from TOML; a misspelt key is an error that suggests the nearest name.

A field declares what it takes in its type: `Annotated[int, Range(least=1, most=64)]`. A value that is not allowed is an
error of one line with its place, the values allowed and the value given.
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.storage.toml_file import read_toml

T = TypeVar("T")

LONGEST_TEXT: Final = 10_000
"""Characters of a text, at most."""

MOST_ENTRIES: Final = 100_000
"""Entries of a list or table, at most."""

LONGEST_QUOTE: Final = 80
"""Characters of a value that a message quotes."""


@runtime_checkable
class Limit(Protocol):
    """What a field takes, as metadata of its type; `str` completes the words `expected a number`."""

    def allows(self, value: Any) -> bool:  # noqa: ANN401 - of the type of the field
        """Whether a value is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Range of a number; nan is outside.

    Attributes:
        least: Lower end, included.
        above: Lower end, excluded.
        most: Upper end, included.
        below: Upper end, excluded.
        or_zero: Whether 0 is allowed, too.
    """

    least: float | None = None
    above: float | None = None
    most: float | None = None
    below: float | None = None
    or_zero: bool = False

    def allows(self, value: float) -> bool:
        """Whether a number is in the range."""
        if self.or_zero and value == 0:
            return True
        lower = (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        upper = (self.most is None or value <= self.most) and (self.below is None or value < self.below)
        return value == value and lower and upper

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            inside = f"from {plain(self.least)} to {plain(self.most)}"
        else:
            ends = {"from": self.least, "above": self.above, "up to": self.most, "below": self.below}
            inside = " and ".join(f"{words} {plain(end)}" for words, end in ends.items() if end is not None)
            inside = inside.replace(" and below", " to below") if self.least is not None else inside
        return f"{inside}, or 0" if self.or_zero else inside


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Length of a text, in characters, or number of entries of a list or table.

    Attributes:
        least: Shortest length.
        most: Longest length.
    """

    least: int = 0
    most: int = MOST_ENTRIES

    def allows(self, value: Sequence[object] | Mapping[str, object]) -> bool:
        """Whether a text, a list or a table has such a length."""
        return self.least <= len(value) <= self.most

    def __str__(self) -> str:
        if self.least == self.most:
            return f"of length {self.least}"
        return f"of length {self.least:,} to {self.most:,}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Form of a text.

    Attributes:
        expression: Regular expression of the whole text.
        words: What it means, such as `of letters and digits`.
    """

    expression: str
    words: str

    def allows(self, value: str) -> bool:
        """Whether a text has the form."""
        return re.fullmatch(self.expression, value) is not None

    def __str__(self) -> str:
        return self.words


GENERAL: Final[Mapping[object, Limit]] = {
    str: Pattern(rf"[^\0]{{0,{LONGEST_TEXT}}}", f"of at most {LONGEST_TEXT:,} characters, none of them NUL"),
    tuple: Length(),
    Mapping: Length(),
}
"""Limits of every text, list and table."""

UNIONS: Final = (typing.Union, UnionType)
WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    Mapping: "a table",
}


def plain(number: float) -> str:
    """Number in a message: `1,000,000`, `0.5`."""
    return f"{number:,}" if isinstance(number, int) else f"{number:,.0f}" if number.is_integer() else f"{number:g}"


def quoted(value: object) -> str:
    """Value in a message, on one line."""
    try:
        shown = repr(value)
    except ValueError:  # a hexadecimal number of thousands of digits
        return "a number that is too long to be shown"
    return shown if len(shown) <= LONGEST_QUOTE else f"{shown[:LONGEST_QUOTE]}..."


def keyed(key: str) -> str:
    """Name of an entry in a message, on one line; bare if it is a plain word."""
    return key if re.fullmatch(rf"[\w+-]{{1,{LONGEST_QUOTE}}}", key) else quoted(key)


def load(settings: type[T], path: Path, *, overrides: Sequence[str] = ()) -> T:
    """Read a TOML file into a dataclass.

    Args:
        settings: Frozen dataclass; fields may be dataclasses, tuples of them, and plain values.
        path: TOML file.
        overrides: `key=value`, `table.key=value` or, for the first of several tables, `table.0.key=value`; values are
            TOML, or bare words for texts.

    Raises:
        ConfigError: The file is missing or not TOML, a value has the wrong type or is outside the limits of its field,
            or a required key is missing.
        UnknownNameError: The dataclass has no field of a key.
    """
    values = read_toml(path)
    for override in overrides:
        _override(values, override)
    return build(settings, values, where=str(path))


def build(settings: type[T], values: Mapping[str, Any], *, where: str) -> T:
    """Fill a dataclass from parsed TOML.

    Args:
        settings: Dataclass.
        values: Values by name of the field.
        where: Place in errors: the file, then the table in it.

    Raises:
        ConfigError: A value has the wrong type or is outside the limits of its field, or a required key is missing.
        UnknownNameError: The dataclass has no field of a key.
    """
    hints = typing.get_type_hints(settings, include_extras=True)
    fields = {field.name: field for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UnknownNameError(f"setting of {where}", key, fields)
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            given[name] = convert(hints[name], values[name], where=f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: the setting {name!r} is missing")
    return settings(**given)


def limits_of(hint: object) -> list[Limit]:
    """Limits that a type declares."""
    return [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Limit)]


def bare_type(hint: object) -> Any:  # noqa: ANN401 - a type, or a form of `typing`
    """Type without its limits."""
    return typing.get_args(hint)[0] if hasattr(hint, "__metadata__") else hint


def check_limits(settings: object) -> None:
    """Check the fields of a dataclass that was not filled from TOML.

    Raises:
        ConfigError: A value is outside the limits of its field.
    """
    for name, hint in typing.get_type_hints(type(settings), include_extras=True).items():
        _check(hint, getattr(settings, name), where=name)


def _check(hint: object, value: Any, *, where: str) -> None:  # noqa: ANN401 - of the type of the field
    """Check a value of the right type, and what is in it."""
    if typing.get_origin(hint) in UNIONS:
        if value is not None:
            _check(_member(hint, value, where=where), value, where=where)
        return
    own, limits = bare_type(hint), limits_of(hint)
    kind = typing.get_origin(own) or own
    for limit in (GENERAL.get(kind), *limits):
        if limit is not None and not limit.allows(value):
            raise ConfigError(f"{where}: expected {WORDS[kind]} {limit}, got {quoted(value)}")
    if kind is tuple:
        for place, part in enumerate(value):
            _check(typing.get_args(own)[0], part, where=f"{where}[{place}]")
    elif kind is Mapping:
        for key, part in value.items():
            _check(str, key, where=f"a name in {where}")
            _check(typing.get_args(own)[1], part, where=f"{where}.{keyed(key)}")


def _member(hint: object, value: object, *, where: str) -> object:
    """Member of a union that a value is read as: of a table and another type, or of a truth value and a number."""
    members = {_kind_of(member): member for member in typing.get_args(hint) if member is not NoneType}
    kinds: dict[object, type | UnionType] = {Mapping: Mapping, bool: bool, float: int | float}
    found = (kind for kind, those in kinds.items() if kind in members and isinstance(value, those))
    plain_members = [kind for kind in members if kind is not Mapping]
    kind = next(found, plain_members[0] if len(plain_members) == 1 else None)
    if kind is None:
        raise ConfigError(f"{where}: expected {', or '.join(WORDS[one] for one in members)}, got {quoted(value)}")
    return members[kind]


def _kind_of(hint: object) -> object:
    """Type without its limits and arguments."""
    bare = bare_type(hint)
    return typing.get_origin(bare) or bare


def convert(hint: object, value: Any, *, where: str) -> object:  # noqa: ANN401 - of any type
    """Convert a TOML value to the type of a field, and check it.

    Args:
        hint: Type with its limits.
        value: Value from TOML.
        where: Place in errors.

    Raises:
        ConfigError: The value has the wrong type, or is outside the limits.
        UnknownNameError: The value is none of the words of a `Literal`.
    """
    converted = _convert(hint, value, where=where)
    _check(hint, converted, where=where)
    return converted


def _convert(hint: object, value: Any, *, where: str) -> object:  # noqa: ANN401 - of any type
    """Convert a TOML value to the type of a field."""
    limits, hint = limits_of(hint), bare_type(hint)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        if value not in arguments:
            raise UnknownNameError(f"value of {where}", value if isinstance(value, str) else quoted(value), arguments)
        return value
    if hint is object:
        return value
    if origin in UNIONS:
        return _convert(_member(hint, value, where=where), value, where=where)
    if origin is tuple:
        parts = _expect(list, value, WORDS[tuple], limits, where)
        return tuple(_convert(arguments[0], part, where=f"{where}[{place}]") for place, part in enumerate(parts))
    if origin is Mapping:
        table = _expect(dict, value, WORDS[Mapping], limits, where)
        return {key: _convert(arguments[1], part, where=f"{where}.{keyed(key)}") for key, part in table.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, _expect(dict, value, WORDS[Mapping], limits, where), where=where)
    if hint is float and type(value) is int and abs(value) < 10**300:
        return float(value)
    assert isinstance(hint, type), f"a field of settings has the unknown type {hint}"
    return _expect(hint, value, WORDS[hint], limits, where)


def _expect(kind: type[T], value: object, words: str, limits: Sequence[Limit], where: str) -> T:
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}: expected {' '.join([words, *map(str, limits)])}, got {quoted(value)}")
    return value


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"a setting is given as key=value, got {override!r}")
    import tomllib

    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    *tables, last = key.strip().split(".")
    place: Any = values
    for name in tables:
        place = _step_into(place, name, override=override)
    if isinstance(place, list):
        place[_position(place, last, override=override)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise ConfigError(f"{override!r}: {tables[-1]!r} is not a table")


def _step_into(place: object, name: str, *, override: str) -> object:
    """Table or list member of a name; a missing table is created."""
    if isinstance(place, list):
        return place[_position(place, name, override=override)]
    if not isinstance(place, dict):
        raise ConfigError(f"{override!r}: {name!r} is not in a table")
    return place.setdefault(name, {})


def _position(members: list[Any], text: str, *, override: str) -> int:
    if not text.isdecimal() or int(text) >= len(members):
        raise ConfigError(f"{override!r}: {text!r} is none of the {len(members)} members of a list, from 0")
    return int(text)
