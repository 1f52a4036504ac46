"""How long work tells where it is: a bar on a terminal, a line a minute elsewhere, always on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from lookalike.cli.console import say

LINE_EVERY_S = 60.0


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int], None]]:
    """Lend a function that is told how many of how many are done.

    Args:
        what: Is counted, such as photos.
    """
    if sys.stderr.isatty():
        with _bar(what) as tell:
            yield tell
    else:
        yield _lines(what)


@contextmanager
def _bar(what: str) -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None, rate="")
        started = monotonic()

        def tell(done: int, total: int) -> None:
            rate = done / max(monotonic() - started, 1e-3)
            progress.update(task, completed=done, total=total, rate=f"{rate:.0f}/s")

        yield tell


def _lines(what: str) -> Callable[[int, int], None]:
    started = last = monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        now = monotonic()
        if now - last >= LINE_EVERY_S:
            last = now
            rate = done / (now - started)
            say(f"{done:,} of {total:,} {what}, {rate:.0f}/s, {(total - done) / max(rate, 1e-3) / 60:.0f} min left")

    return tell
