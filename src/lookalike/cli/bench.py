"""`lookalike bench`: search speed compared with the original system."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Json


def bench(
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", help="Number of photos in the generated gallery.")
    ] = 139_709,
    json: Json = False,
) -> int:
    """Compare search speed with the original system, in alternating runs on this machine. Takes some minutes."""
    from lookalike.benchmarking.searching import run

    report = run(rows=rows, say=say)
    if json:
        write_json(report.to_json())
    elif sys.stdout.isatty():
        from rich.console import Console

        Console().print(report.to_table())
    else:
        write(report.to_markdown())
    return 0
