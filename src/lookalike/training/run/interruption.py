"""Ctrl-C and a polite end: the step under way is finished and saved before the run stops."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Takes down that Ctrl-C, or SIGTERM as cluster schedulers send it, has come; a second Ctrl-C stops at once.

    Attributes:
        asked: Whether the run shall stop after this step.
    """

    def __init__(self) -> None:
        self.asked = False
        # A launcher passes the terminal's Ctrl-C on once more, which is no second wish.
        self.launched = "TORCHELASTIC_RUN_ID" in os.environ
        self.before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # elsewhere Python allows no handlers
            self.before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT and not self.launched:
            raise KeyboardInterrupt
        self.asked = True


def leave_interruption_to_the_run(worker: int) -> None:
    """Let a process that prepares photos go on at Ctrl-C, for the run still needs its batch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
