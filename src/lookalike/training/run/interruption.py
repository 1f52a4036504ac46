"""Graceful stop at Ctrl-C and SIGTERM: the current step is finished and saved before the run stops."""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType, TracebackType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Signal handlers that record Ctrl-C, or SIGTERM as sent by cluster schedulers; a second Ctrl-C stops at once.

    Attributes:
        asked: Whether to stop after the current step.
    """

    def __init__(self) -> None:
        self.asked = False
        # A launcher forwards the terminal's Ctrl-C, so the second signal is not a second request.
        self.launched = "TORCHELASTIC_RUN_ID" in os.environ
        self.before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():  # other threads cannot install handlers
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
    """Ignore Ctrl-C in a data loader's worker; the run still needs its batch."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
