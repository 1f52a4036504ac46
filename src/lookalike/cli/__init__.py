"""Entry point of the command line, which imports little: Ctrl-C is heeded from the first instant on."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from lookalike.cli.interrupts import leave
from lookalike.cli.own_process import own


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Arguments without the program's name; None takes `sys.argv`, in a process that runs nothing else.

    Returns:
        0 done; 1 failed; 2 the caller's mistake; 3 done, but some photos were skipped; 130 stopped by Ctrl-C.
    """
    if arguments is None:
        own()
    if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from lookalike.cli.running import run

    return run(arguments)
