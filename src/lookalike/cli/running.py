"""Running of one command: errors become one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Sequence
from functools import cache

import typer

from lookalike.cli.console import finish, let_go, make_ready, say
from lookalike.cli.exit_codes import INTERRUPTED, PIPE_CLOSED
from lookalike.cli.interrupts import Interrupts
from lookalike.errors import LookalikeError, short_reason

SHOW_TRACEBACK = "LOOKALIKE_TRACEBACK"


def run(arguments: Sequence[str] | None) -> int:
    """Run one command, and map errors to exit codes; see `lookalike.cli.main`."""
    make_ready()
    show_notes()
    threading.excepthook = say_failure
    try:
        with Interrupts() as interrupts:
            return _run(arguments, interrupts)
    finally:
        threading.excepthook = threading.__excepthook__
        finish(sys.stdout)
        finish(sys.stderr)


def _run(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    try:
        from lookalike.cli.commands import command  # the import takes a while, in which Ctrl-C may come

        interrupts.record()
        given = sys.argv[1:] if arguments is None else arguments
        code = command(given)(arguments, prog_name="lookalike", standalone_mode=False)
        sys.stdout.flush()
    except LookalikeError as error:
        say(f"error: {error}")
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # empty when the help was shown instead
            context = getattr(error, "ctx", None)
            say(f"error: {message}; try {context.command_path if context else 'lookalike'} --help")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # The reader of the output, such as `head`, has gone; Typer exits on that and for no other reason.
        let_go(sys.stdout)
        return PIPE_CLOSED
    except Exception as error:  # a bug: one line, no traceback
        if interrupts.came:
            return INTERRUPTED
        if os.environ.get(SHOW_TRACEBACK):
            raise
        if isinstance(error, OSError):
            say(f"error: {error.filename or 'system'}: {error.strerror or error}")
        else:
            say(f"error: this is a bug in lookalike: {type(error).__name__}: {error}")
            say(f"to see where, set {SHOW_TRACEBACK}=1 and run it again")
        return 1
    return int(code or 0)


def say_failure(failure: threading.ExceptHookArgs) -> None:
    """Print one line for a background thread that failed, such as one of a library; a command that needs it fails."""
    if os.environ.get(SHOW_TRACEBACK) or failure.exc_value is None:
        threading.__excepthook__(failure)
    else:
        say(f"warning: a background thread failed: {short_reason(failure.exc_value)}")


class Notes(logging.Handler):
    """Logging handler that prints the core's messages on standard error, such as that an index is being built."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self._said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message, unless it is the last one again."""
        if (message := record.getMessage()) != self._said:
            self._said = message
            say(message)


@cache
def show_notes() -> None:
    """Install the handler once."""
    logger = logging.getLogger("lookalike")
    logger.addHandler(Notes(logging.INFO))
    logger.setLevel(logging.INFO)
    logger.propagate = False
