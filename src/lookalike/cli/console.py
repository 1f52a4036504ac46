"""What commands show: results on standard output, everything else on standard error; 80 columns off a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.types import JSON

WIDEST = 32
"""No column but the last is wider than this."""


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


def write_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """A table; its last column is cut where the line ends, and long words in the others go on below.

    Args:
        columns: Their titles.
        rows: A cell for each column.
        right: Columns of numbers, to be aligned on the right.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    natural = [max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True)]
    widths = [min(width, WIDEST) for width in natural[:-1]]
    widths.append(max(len(columns[-1]), console.width - sum(widths) - 2 * len(widths)))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        is_last = column == columns[-1]
        table.add_column(
            column,
            width=width,
            justify="right" if column in right else "left",
            no_wrap=is_last,
            overflow="ellipsis" if is_last else "fold",
        )
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)


def attributes_line(attributes: Mapping[str, JSON]) -> str:
    """What is known of an item in one line: words as they are, numbers and the like with their name."""
    return ", ".join(
        value if isinstance(value, str) else f"{name} {shown(value)}"
        for name, value in attributes.items()
        if value not in (None, "")
    )
