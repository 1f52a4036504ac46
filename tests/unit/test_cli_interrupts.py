"""Ctrl-C ends a command with exit code 130 and no traceback; a command without required arguments says so."""

from __future__ import annotations

import signal
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from test_cli_once import commands as all_commands

from lookalike.cli import commands, main
from lookalike.cli.commands import command

NEEDING = [path for path, each in all_commands(command()) if any(parameter.required for parameter in each.params)]


@pytest.mark.parametrize("path", NEEDING, ids=" ".join)
def test_a_command_without_what_it_needs_says_so(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*path]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: Missing ")
    assert err.count("\n") == 1


def test_ctrl_c_while_the_commands_are_loaded(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupted(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "lookalike.cli.commands", Interrupted("commands"))
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == ""


def test_ctrl_c_that_a_compiled_library_turns_into_an_error_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(_: object) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("initialization failed") from None

    monkeypatch.setattr(commands, "command", load)
    assert main(["doctor"]) == 130
    assert "bug" not in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


PROGRAM = """
import atexit, os, signal, sys

when = sys.argv[1]

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == when:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
if when == "exit":
    atexit.register(os.kill, os.getpid(), signal.SIGINT)
from lookalike.cli import program
sys.argv[1:] = ["doctor", "--help"]
sys.exit(program())
"""


@pytest.mark.parametrize("when", ["logging", "typer", "lookalike.cli.commands", "exit"])
def test_ctrl_c_before_anything_is_done_and_after_all_is(when: str) -> None:
    """Also in the import of the command line itself, which takes longer than that of the rest."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, when], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "")
