"""Conversion of Arrow columns to JSON values."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import numpy as np

from lookalike.types import JSON

UUID_BYTES: Final = 16
TICKS: Final = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
LONGEST_INTEGER: Final = 2**63
"""Smallest integer that databases and other programs would round."""


def can_be_read(kind: Any) -> bool:  # noqa: ANN401 - pyarrow's types have no common name in its stubs
    """Whether values of a type have a JSON form: all types but bytes of variable length and calendar intervals."""
    from pyarrow import types

    of_bytes = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_interval)
    kind = plain(kind)
    if any(test(kind) for test in of_bytes):
        return False
    return all(can_be_read(kind.field(at).type) for at in range(kind.num_fields))


def plain(kind: Any) -> Any:  # noqa: ANN401
    """Type of the values themselves, without dictionary and extension types."""
    import pyarrow
    from pyarrow import types

    while True:
        if types.is_dictionary(kind):
            kind = kind.value_type
        elif isinstance(kind, pyarrow.BaseExtensionType):
            kind = kind.storage_type
        else:
            return kind


def values(array: Any) -> list[JSON]:  # noqa: ANN401
    """Convert a column to JSON values.

    Dates and times become ISO text, in UTC where they have a time zone, with the fractional digits that they have;
    durations become seconds; bytes of fixed size become a UUID if there are 16, else hexadecimal digits. Floats keep
    the fewest digits that identify them within their type, so that a float32 of 19.99 becomes 19.99. NaN and infinity
    become None.

    Args:
        array: A `pyarrow.Array` of a type that `can_be_read`.

    Raises:
        UnicodeDecodeError: Text is not UTF-8.
        pyarrow.ArrowException: The column is damaged.
    """
    import pyarrow
    from pyarrow import types

    while isinstance(array, pyarrow.ExtensionArray | pyarrow.DictionaryArray):
        array = array.storage if isinstance(array, pyarrow.ExtensionArray) else array.dictionary_decode()
    kind = array.type
    read: Iterator[Any]
    if types.is_floating(kind):
        read = _floats(array)
    elif types.is_date(kind) or types.is_timestamp(kind):
        read = _moments(array)
    elif types.is_time(kind) or types.is_duration(kind):
        whole = array.cast(pyarrow.int32() if kind.bit_width == 32 else pyarrow.int64()).to_pylist()
        one: Callable[[int, str], JSON] = _time if types.is_time(kind) else _seconds
        read = (None if ticks is None else one(ticks, kind.unit) for ticks in whole)
    elif types.is_uint64(kind):
        read = (str(value) if (value or 0) >= LONGEST_INTEGER else value for value in array.to_pylist())
    elif types.is_decimal(kind):
        read = map(_decimal, array.to_pylist())
    elif types.is_fixed_size_binary(kind):
        read = map(_fixed_bytes, array.to_pylist())
    elif types.is_nested(kind):
        read = _nested(array)
    else:
        read = iter(array.to_pylist())
    return [None if gone else value for value, gone in zip(read, array.is_null().to_pylist(), strict=True)]


def _floats(array: Any) -> Iterator[JSON]:  # noqa: ANN401
    numbers = array.to_numpy(zero_copy_only=False)
    finite = np.isfinite(numbers)
    if numbers.dtype == np.float64:
        yield from (value if fine else None for value, fine in zip(numbers.tolist(), finite.tolist(), strict=True))
    else:
        yield from (float(str(value)) if fine else None for value, fine in zip(numbers, finite, strict=True))


def _moments(array: Any) -> Iterator[JSON]:  # noqa: ANN401
    """Dates and timestamps, converted with NumPy: Python's types only have the years 1 to 9999 and microseconds."""
    import pyarrow
    from pyarrow import types

    kind = array.type
    unit = "D" if types.is_date32(kind) else "ms" if types.is_date64(kind) else kind.unit
    ticks = array.cast(pyarrow.int32() if unit == "D" else pyarrow.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    texts = np.datetime_as_string(ticks.astype("int64").view(f"datetime64[{unit}]")).tolist()
    zone = "+00:00" if types.is_timestamp(kind) and kind.tz else ""
    for text in texts:
        day, t, time = text.partition("T")
        if day.startswith("-"):  # numpy counts the sign among the four digits of a year
            day = f"-{day[1:].rjust(10, '0')}"
        if types.is_date(kind) or text == "NaT":
            yield day if text != "NaT" else None
        else:
            yield day + t + _without_zeros(time) + zone


def _time(ticks: int, unit: str) -> JSON:
    seconds, part = divmod(ticks, TICKS[unit])
    digits = f".{part:0{len(str(TICKS[unit])) - 1}}" if part else ""
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" + _without_zeros(digits)


def _without_zeros(time: str) -> str:
    return time.rstrip("0").rstrip(".") if "." in time else time


def _seconds(ticks: int, unit: str) -> JSON:
    whole, part = divmod(ticks, TICKS[unit])
    return whole if not part else ticks / TICKS[unit]


def _decimal(value: Decimal | None) -> JSON:
    if value is None:
        return None
    whole = value == value.to_integral_value() and abs(value) < LONGEST_INTEGER
    return int(value) if whole else float(value)


def _fixed_bytes(value: bytes | None) -> JSON:
    if value is None:
        return None
    return str(uuid.UUID(bytes=value)) if len(value) == UUID_BYTES else value.hex()


def _nested(array: Any) -> Iterator[JSON]:  # noqa: ANN401
    """Lists, and objects from structs and maps."""
    import pyarrow
    from pyarrow import types

    kind = array.type
    if types.is_struct(kind):
        names = [kind.field(at).name for at in range(kind.num_fields)]
        parts = [values(part) for part in array.flatten()]
        for row in range(len(array)):
            yield {name: part[row] for name, part in zip(names, parts, strict=True)}
    elif types.is_map(kind):
        entries = pyarrow.ListArray.from_arrays(
            array.offsets, pyarrow.StructArray.from_arrays([array.keys, array.items], ["key", "value"])
        )
        for pairs in _lists(entries):
            yield {str(pair["key"]): pair["value"] for pair in pairs}
    elif types.is_union(kind):
        raise pyarrow.ArrowNotImplementedError(f"values of the type {kind} cannot be read")
    else:
        yield from _lists(array)


def _lists(array: Any) -> Iterator[list[Any]]:  # noqa: ANN401
    lengths = array.value_lengths().fill_null(0).to_pylist()
    inner = iter(values(array.flatten()))
    for length in lengths:
        yield list(islice(inner, length))
