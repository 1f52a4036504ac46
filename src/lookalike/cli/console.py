"""What commands show: results on standard output, everything else on standard error; 80 columns off a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.types import JSON

PRINTABLE_WIDTH = 60


def write(line: str) -> None:
    """One line of the result."""
    sys.stdout.write(f"{line}\n")


def write_json(value: Mapping[str, JSON]) -> None:
    """The result for programs."""
    write(json.dumps(value, indent=2, ensure_ascii=False))


def say(line: str) -> None:
    """One line for people: a remark, a warning or an error."""
    sys.stderr.write(f"{' '.join(line.splitlines())}\n")


def write_facts(facts: Mapping[str, JSON]) -> None:
    """Names and values below each other, one fact a line; what is nested is indented."""
    for line in _fact_lines(facts, indent=""):
        write(line)


def _fact_lines(facts: Mapping[str, JSON], *, indent: str) -> Iterable[str]:
    longest = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if isinstance(value, dict):
            yield f"{indent}{name}"
            yield from _fact_lines(value, indent=indent + "  ")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}{name}"
            for each in value:
                yield f"{indent}  " + ", ".join(f"{key} {shown(part)}" for key, part in each.items())
        else:
            yield f"{indent}{name:<{longest}}  {shown(value)}"


def shown(value: JSON) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(shown(part) for part in value) or "-"
    return str(value)


def write_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table; its last column is cut where the line ends.

    Args:
        columns: Their titles.
        rows: A cell for each column.
        right: Columns of numbers, to be aligned on the right.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_last = column == columns[-1]
        table.add_column(
            column,
            justify="right" if column in right else "left",
            no_wrap=is_last or column in right,
            overflow="ellipsis" if is_last else "fold",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, highlight=False).print(table)


def attributes_line(attributes: Mapping[str, JSON]) -> str:
    """All that is known of an item in one line."""
    return ", ".join(f"{name} {shown(value)}" for name, value in attributes.items() if value not in (None, ""))
