"""A server in a process of its own, whose log a test reads."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence


class RunningServer:
    """A server in a process of its own, which has its address when it is made.

    Args:
        options: Options of `lookalike serve`.
        variables: Environment variables beside those of this process.
    """

    def __init__(self, options: Sequence[str], **variables: str) -> None:
        self.log: list[str] = []
        command = [sys.executable, "-m", "lookalike", "serve", "--port", "0", *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables})
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.address = ""
        self.wait_for(lambda: bool(self.address))

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if found := re.search(r" at (http://127\.0\.0\.1:\d+)/", line):
                self.address = found[1]

    def wait_for(self, done: Callable[[], bool]) -> None:
        for _ in range(1200):
            if done():
                return
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(self.log)

    def count(self, event: str) -> int:
        return sum(f'"event": "{event}"' in line for line in self.log)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0
        self.close()

    def close(self) -> None:
        """Read the rest of the log of a process that has ended."""
        self.reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
