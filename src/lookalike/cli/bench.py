"""`lookalike bench`: the search measured beside the original's way, on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Json


def bench(
    rows: Annotated[
        int, typer.Option("--rows", metavar="N", help="Photos in the gallery that is made for it.")
    ] = 139_709,
    json: Json = False,
) -> int:
    """Measure the search beside the original's way, both on this machine and by turns; it takes some minutes."""
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
