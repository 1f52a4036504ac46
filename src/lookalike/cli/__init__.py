"""The command line: commands parse, call the core and present; this file turns what can go wrong into an exit code."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from functools import cache

import typer

from lookalike.cli.console import finish, let_go, make_ready, say
from lookalike.cli.interrupts import Interrupts
from lookalike.errors import LookalikeError

SHOW_TRACEBACK = "LOOKALIKE_TRACEBACK"
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + the number of the signal, as shells have it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Without the program's name; None takes those of this process.

    Returns:
        0 done; 1 failed; 2 the caller's mistake; 3 done, but some photos were skipped; 130 stopped by Ctrl-C.
    """
    make_ready()
    show_notes()
    try:
        return run(arguments)
    finally:
        finish(sys.stdout)
        finish(sys.stderr)


def run(arguments: Sequence[str] | None) -> int:
    """Run one command, and turn what goes wrong into its exit code; see `main`."""
    with Interrupts() as interrupts:
        return _run(arguments, interrupts)


def _run(arguments: Sequence[str] | None, interrupts: Interrupts) -> int:
    try:
        from lookalike.cli.commands import command  # takes half a second, in which Ctrl-C may come

        code = command()(arguments, prog_name="lookalike", standalone_mode=False)
        sys.stdout.flush()
    except LookalikeError as error:
        say(f"error: {error}")
        return error.exit_code
    except typer.TyperException as error:
        if message := error.format_message():  # it is empty when the help has been shown instead
            context = getattr(error, "ctx", None)
            say(f"error: {message}; try {context.command_path if context else 'lookalike'} --help")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):
        # What read our output has gone, such as `head`; Typer exits when it meets that, and for no other reason.
        let_go(sys.stdout)
        return PIPE_CLOSED
    except Exception as error:  # the last line of defence: no user shall see a traceback
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


class Notes(logging.Handler):
    """Says on standard error what the core notes down, such as that an index is being built."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say one."""
        say(record.getMessage())


@cache
def show_notes() -> None:
    """Begin to say what the core notes down."""
    logger = logging.getLogger("lookalike")
    logger.addHandler(Notes(logging.INFO))
    logger.setLevel(logging.INFO)
    logger.propagate = False
