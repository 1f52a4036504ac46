"""Output of commands: results on standard output, messages on standard error; 80 columns off a terminal."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from lookalike.types import JSON, Item

CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}

MOST_SKIPPED = 10
"""Largest number of skipped photos to print."""

WIDEST, NARROWEST_CUT = 24, 24
"""Widths in characters: a column may exceed the first only if the second is left for the truncated column."""


def make_ready() -> None:
    r"""Configure the standard streams so that unencodable text and a closed reader raise no errors.

    Characters that the encoding lacks are written as `\xe9` or `\u2026`. A stream that is closed from the start, as by
    a shell's `>&-`, is redirected to the null device: the next file that is opened would take its number, and receive
    what a library writes to the stream.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, that of the stream
            os.set_inheritable(nowhere, True)
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))
        elif mode == "w" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def finish(stream: TextIO) -> None:
    """Flush a stream. On failure, discard the rest, which Python would flush again at exit."""
    try:
        stream.flush()
    except (OSError, ValueError):
        let_go(stream)


def let_go(stream: TextIO) -> None:
    """Discard further output of a stream whose reader has gone."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def write(line: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{harmless(line)}\n")


def harmless(text: str) -> str:
    """Escape control characters, so that texts of a catalogue cannot control the terminal."""
    return text.translate(CONTROL)


def write_json(value: Mapping[str, JSON]) -> None:
    r"""Print the result as JSON; escaped as `\u00e9` if the encoding of the output lacks a character."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2)
    sys.stdout.write(f"{text}\n")


def say(line: str) -> None:
    """Print a message on standard error, after the results so far; a closed standard error is ignored."""
    with suppress(OSError, ValueError, AttributeError):  # what is wrong with the output is told when all is written
        sys.stdout.flush()
    try:
        sys.stderr.write(f"{harmless(' '.join(line.splitlines()))}\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        let_go(sys.stderr)


def say_skipped(photos: Sequence[str]) -> None:
    """Print the first photos that were skipped, with the reasons, and how many more there are."""
    for photo in photos[:MOST_SKIPPED]:
        say(f"skipped {photo}")
    if len(photos) > MOST_SKIPPED:
        say(f"and {len(photos) - MOST_SKIPPED:,} more")


def say_absent(photos: Sequence[str]) -> None:
    """Print the photos of a measure that have no vectors, with the reasons."""
    say_skipped(photos)
    if photos:
        say(f"photos without vectors, which count as 0 as queries and cannot be found: {len(photos):,}")


def write_facts(facts: Mapping[str, JSON]) -> None:
    """Print names and values, one per line; nested ones are indented."""
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
    """Format a value for display."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        from lookalike.render.captions import number_text

        return number_text(value)
    if isinstance(value, list):
        return ", ".join(shown(part) for part in value) or "-"
    return harmless(str(value))


def write_table(columns: Mapping[str, Sequence[str]], *, right: Sequence[str] = (), cut: str = "") -> None:
    """Print a table; long cells are wrapped, and empty columns left out.

    Args:
        columns: Cells by column title.
        right: Columns to align on the right.
        cut: Title of the last column, which is truncated at the end of the line.
    """
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    filled = {title: [*map(harmless, cells)] for title, cells in columns.items() if any(cells)}
    room, spare = console.width, NARROWEST_CUT if cut in filled else 0
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title, cells in filled.items():
        natural = max(map(cell_len, (title, *cells)))
        width = max(len(title), room if title == cut else min(natural, max(WIDEST, room - spare)))
        room -= width + 2
        table.add_column(
            title,
            width=width,
            justify="right" if title in right else "left",
            no_wrap=title == cut,
            overflow="ellipsis" if title == cut else "fold",
        )
    for row in zip(*filled.values(), strict=True):
        table.add_row(*map(Text, row))
    console.print(table)


def item_columns(items: Sequence[Item]) -> dict[str, Sequence[str]]:
    """Table columns for items; the last may be truncated."""
    return {
        "id": [item.id for item in items],
        "product": [item.product or "" for item in items],
        "known": [known_of(item) for item in items],
    }


def known_of(item: Item) -> str:
    """Attributes of an item in one line: title, texts, and other values with their names."""
    from lookalike.render.captions import item_title

    words = [
        value if isinstance(value, str) else f"{name} {shown(value)}"
        for name, value in item.attributes.items()
        if value not in (None, "")
    ]
    words.sort(key=lambda word: word != item_title(item))
    return ", ".join(words) or (item.photo if item.photo != item.id else "")
