"""Programs that tests start, and stop with a signal, react to it however the tests themselves were started.

A process started in the background of a script, under `nohup`, or by a program that ignores a signal, ignores it too,
and so does what it starts in turn. A signal that is handled goes back to its default in a new program; one that is
ignored does not.
"""

from __future__ import annotations

import ctypes
import signal
import sys

import pytest

NAMES = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGCHLD")
"""Python itself gives SIGPIPE back to the programs that it starts."""


def ignore_here_only() -> None:
    """Go on ignoring what is ignored, by a handler, so that new programs have the default."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda number, frame: None)


class AlternateStack(ctypes.Structure):
    """`stack_t` of sigaltstack(2) on Linux."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


DISABLED = 2
"""`SS_DISABLE` of sigaltstack(2)."""


def handle_signals_on_the_ordinary_stack() -> None:
    """Take the alternate stack of signal handlers away from the main thread.

    Ray and other libraries set one up and give its memory back. The next signal, such as that of a child that ended,
    cannot be delivered then, and the kernel ends the process of the tests without a word.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).sigaltstack(ctypes.byref(AlternateStack(None, DISABLED, 0)), None)


def pytest_configure() -> None:
    ignore_here_only()


@pytest.hookimpl(trylast=True)
def pytest_runtest_logfinish() -> None:
    """Take back what a test has left: PyTorch handles the end of children from its first data loader on."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    handle_signals_on_the_ordinary_stack()
