"""JSON files of benchmarks, read with limits; what is wrong with one is told in a line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from lookalike.catalogue.deepfashion.annotation_file import SHOWN, Problems
from lookalike.errors import CatalogueError
from lookalike.storage.files import open_regular
from lookalike.types import JSON

LONGEST: Final = 2**29
"""Bytes; the longest published list has 170,000 entries in about 40 MB."""


def read_json(path: Path, problems: Problems, *, longest: int = LONGEST) -> JSON:
    """Read a JSON file; None if it cannot be read, which is a problem then.

    Args:
        path: Its path.
        problems: Takes what is wrong with it.
        longest: Largest file, in bytes.
    """
    try:
        with open_regular(path) as file:
            data = file.read(min(os.fstat(file.fileno()).st_size, longest) + 1) or b""
    except OSError as error:
        problems.add(CatalogueError(f"{path}: {(error.strerror or str(error)).lower()}"))
        return None
    if len(data) > longest:
        problems.add(CatalogueError(f"{path}: expected at most {longest:,} bytes of JSON"))
        return None
    try:
        found: JSON = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        line, what = getattr(error, "lineno", 1), getattr(error, "msg", "") or type(error).__name__
        problems.line(path, line, what, expected="JSON")
        return None
    if found is None:
        problems.line(path, 1, "null", expected="a list or an object")
    return found


def entries(path: Path, problems: Problems, *, expected: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield number, from 1, and content of each object of a JSON list; anything else is a problem.

    Args:
        path: The file.
        problems: Takes what is wrong with it.
        expected: What each object has, for the messages.
    """
    found = read_json(path, problems)
    if found is None:
        return
    if not isinstance(found, list):
        problems.line(path, 1, type(found).__name__, expected=f"a list of objects with {expected}")
        return
    for number, entry in enumerate(found, start=1):
        if isinstance(entry, dict):
            yield number, entry
        else:
            wrong_entry(path, number, entry, problems, expected=expected)


def wrong_entry(path: Path, number: int, entry: object, problems: Problems, *, expected: str) -> None:
    """Add a malformed entry of a list to the problems."""
    shown = f"{entry!r}"
    shown = shown if len(shown) <= SHOWN else f"{shown[: SHOWN - 3]}..."
    problems.add(CatalogueError(f"{path}: entry {number}: expected {expected}, got {shown}"))


def count_of(value: JSON) -> int | None:
    """Whole number of at most twelve digits, from 0; None for any other value."""
    return value if type(value) is int and 0 <= value < 10**12 else None


def numbers_of(value: JSON, count: int) -> list[float] | None:
    """List of so many numbers below a thousand million; None for any other value."""
    if not isinstance(value, list) or len(value) != count:
        return None
    numbers = [float(number) for number in value if type(number) in (int, float) and abs(number) < 1e9]
    return numbers if len(numbers) == count else None
