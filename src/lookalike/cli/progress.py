"""Progress on standard error: a bar on a terminal, otherwise one line per minute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from lookalike.cli.console import say

LINE_EVERY_S = 60.0


@contextmanager
def progress_of(what: str) -> Iterator[Callable[[int, int], None]]:
    """Context with a function to call with the number done and the total.

    Args:
        what: Name of what is counted, such as `photos`.
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
        rate = _Rate()

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, rate=_shown(rate.of(done)))

        yield tell


def _lines(what: str) -> Callable[[int, int], None]:
    last, rate = monotonic(), _Rate()

    def tell(done: int, total: int) -> None:
        nonlocal last
        per_second = rate.of(done)
        if monotonic() - last >= LINE_EVERY_S:
            last = monotonic()
            left = f", {(total - done) / per_second / 60:.0f} min left" if per_second else ""
            say(f"{done:,} of {total:,} {what}, {_shown(per_second)}{left}")

    return tell


class _Rate:
    """Rate per second since the first call."""

    def __init__(self) -> None:
        self.before: int | None = None
        self.began = monotonic()

    def of(self, done: int) -> float:
        if self.before is None:
            self.before = done
            self.began = monotonic()
        return (done - self.before) / max(monotonic() - self.began, 1e-3)


def _shown(rate: float) -> str:
    return f"{rate:.0f}/s" if rate >= 10 else f"{rate:.2f}/s"
