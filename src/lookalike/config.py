"""Settings: frozen dataclasses filled from TOML; a misspelt key is an error that suggests the nearest name."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lookalike.errors import ConfigError, UnknownNameError, short_reason

T = TypeVar("T")


def load(settings: type[T], path: Path, *, overrides: Sequence[str] = ()) -> T:
    """Read a TOML file into a dataclass.

    Args:
        settings: Frozen dataclass; fields may be dataclasses, tuples of them, and plain values.
        path: TOML file.
        overrides: `key=value`, `table.key=value` or, for the first of several tables, `table.0.key=value`; values are
            TOML, or bare words for texts.

    Raises:
        ConfigError: The file is missing or not TOML, a value has the wrong type, or a required key is missing.
        UnknownNameError: The dataclass has no field of a key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not a TOML file: {short_reason(error)}") from None
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
        ConfigError: A value has the wrong type, or a required key is missing.
        UnknownNameError: The dataclass has no field of a key.
    """
    hints = typing.get_type_hints(settings)
    fields = {field.name: field for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise UnknownNameError(f"setting of {where}", key, fields)
    given: dict[str, Any] = {}
    for name, field in fields.items():
        if name in values:
            given[name] = _convert(hints[name], values[name], where=f"{where}: {name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: the setting {name!r} is missing")
    return settings(**given)


def _convert(hint: object, value: object, *, where: str) -> object:
    """Convert a TOML value to the type of a field."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is object:
        return value
    if origin is typing.Literal:
        if value not in arguments:
            raise UnknownNameError(f"value of {where}", str(value), arguments)
        return value
    if origin is tuple:
        parts = _expect(list, value, "a list", where)
        return tuple(_convert(arguments[0], part, where=f"{where}[{place}]") for place, part in enumerate(parts))
    if origin is Mapping:
        table = _expect(dict, value, "a table", where)
        return {key: _convert(arguments[1], part, where=f"{where}.{key}") for key, part in table.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, _expect(dict, value, "a table", where), where=where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    assert isinstance(hint, type), f"a field of settings has the unknown type {hint}"
    if isinstance(value, bool) and hint is not bool:
        raise ConfigError(f"{where}: expected {hint.__name__}, got {value!r}")
    return _expect(hint, value, hint.__name__, where)


def _expect(kind: type[T], value: object, words: str, where: str) -> T:
    if not isinstance(value, kind):
        raise ConfigError(f"{where}: expected {words}, got {value!r}")
    return value


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"a setting is given as key=value, got {override!r}")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
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
