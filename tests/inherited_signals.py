"""Programs that tests start, and stop with a signal, react to it however the tests themselves were started.

A process started in the background of a script, under `nohup`, or by a program that ignores a signal, ignores it too,
and so does what it starts in turn. A signal that is handled goes back to its default in a new program; one that is
ignored does not.
"""

from __future__ import annotations

import signal

NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD")
"""Python itself gives SIGPIPE back to the programs that it starts."""


def ignore_here_only() -> None:
    """Go on ignoring what is ignored, by a handler, so that new programs have the default."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


def pytest_configure() -> None:
    ignore_here_only()
