"""Exit codes beside 0 (done) and those of errors, 1 and 2, which are `exit_code` of the classes in `errors.py`."""

from __future__ import annotations

from typing import Final

SOME_SKIPPED: Final = 3
"""Done, but some photos were skipped."""

INTERRUPTED: Final = 130
"""Stopped by Ctrl-C: 128 + SIGINT, as shells have it."""

PIPE_CLOSED: Final = 141
"""The reader of the output has gone: 128 + SIGPIPE."""
