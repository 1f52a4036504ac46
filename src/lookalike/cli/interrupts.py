"""Recording of Ctrl-C, so that errors caused by it are reported as an interruption."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """Context that records SIGINT.

    Ctrl-C raises KeyboardInterrupt at any point of the program. During the import of a compiled library that becomes
    an ImportError, which would be reported as a bug.

    Attributes:
        came: Whether Ctrl-C was pressed.
    """

    def __init__(self) -> None:
        self.came = False
        self._set = False

    def __enter__(self) -> Interrupts:
        # Handlers can be set in the main thread only; one that is not Python's own is left as it is.
        if threading.current_thread() is threading.main_thread():
            self._set = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._set:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._set:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True
        raise KeyboardInterrupt
