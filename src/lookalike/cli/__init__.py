"""Entry point of the command line, which imports little: Ctrl-C is heeded from the first instant on."""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from lookalike.cli.interrupts import leave
from lookalike.cli.own_process import own

OBJECTS: Final = 100_000
"""New objects after which cycles among them are looked for. The imports of a search make 80,000, which stay."""

SPIN: Final = ("OPENBLAS_THREAD_TIMEOUT", "18")
"""Environment variable of OpenBLAS, which NumPy loads: the logarithm of the ticks that its threads wait in a loop. By
default that takes a processor for 26 ms after NumPy is imported and after each product; so it is 0.1 ms."""


def program() -> int:
    """Run the command of `sys.argv`, in a process that runs nothing else and ends with its exit code; see `main`."""
    code = main()
    atexit.register(leave_at_once, code)  # the last to be registered, so the first to be called
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Arguments without the program's name; None takes `sys.argv`, in a process that runs nothing else.

    Returns:
        0 done; 1 failed; 2 the caller's mistake; 3 done, but some photos were skipped; 130 stopped by Ctrl-C.
    """
    if arguments is None:
        own()
        gc.set_threshold(OBJECTS)
        os.environ.setdefault(*SPIN)
    if arguments is None and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)
    from lookalike.cli.running import run

    return run(arguments)


def leave_at_once(code: int) -> None:
    """End the process, whose threads have ended, when all else that was registered is done.

    The interpreter would look for cycles and free its objects one by one, which takes 15 ms or more; the system frees
    all memory at once. One of several processes that train together would at times be aborted then, by a thread of
    PyTorch's that goes on. The interpreter ends as usual if output is lost, which it reports.

    Args:
        code: Exit code of the command.
    """
    atexit.unregister(leave_at_once)
    atexit._run_exitfuncs()  # what was registered before the command, such as the saving of a profile
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
