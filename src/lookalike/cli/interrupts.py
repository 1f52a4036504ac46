"""Recording of Ctrl-C, so that errors caused by it are reported as an interruption."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from lookalike.cli.exit_codes import INTERRUPTED


class Interrupts:
    """Context that records SIGINT.

    Ctrl-C raises KeyboardInterrupt at any point of the program. During the import of a compiled library that becomes
    an ImportError, which would be reported as a bug.

    Attributes:
        came: Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if current_handler() is signal.default_int_handler:
            self.record()
        return self

    def record(self) -> None:
        """Record from now on, also where Ctrl-C ended the process at once so far, as while commands are imported."""
        if self._before is None and current_handler() in (signal.default_int_handler, leave):
            self._before = signal.signal(signal.SIGINT, self._note)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt


def current_handler() -> object:
    """What handles SIGINT; None outside of the main thread, which alone can set it, and for handlers of C."""
    return signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None


def leave(number: int, frame: object) -> None:
    """End the process, which has begun nothing yet or has done everything.

    An exception would be lost where it comes in an import, and a traceback else.
    """
    os._exit(INTERRUPTED)
