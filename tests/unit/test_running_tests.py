"""Running the tests: in parallel or alone, from any launcher, with a note on skipped parts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inherited_signals import NAMES
from lookalike.cli.running import show_notes
from lookalike.server.logs import log_as_lines
from skipped_parts import skipped_line

TESTS = Path(__file__).parents[1]

TIMED = """
import time, pytest

@pytest.mark.parametrize("number", range(3))
def test_beside_others(number): lasts("beside", LONG)

@pytest.mark.alone
@pytest.mark.parametrize("number", range(2))
def test_alone(number): lasts("alone", 0.05)

def lasts(kind, seconds):
    began = time.monotonic()
    time.sleep(seconds)
    with open(LOG, "a") as file:
        file.write(f"{kind} {began} {time.monotonic()}\\n")
"""

STARTED = """
import signal, subprocess, sys
for name in sys.argv[1:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
import inherited_signals
inherited_signals.ignore_here_only()
signal.raise_signal(signal.SIGINT)
code = "import signal, sys; print(*(n for n in sys.argv[1:] if signal.getsignal(getattr(signal, n)) == signal.SIG_IGN))"
raise SystemExit(subprocess.run([sys.executable, "-c", code, *sys.argv[1:]]).returncode)
"""


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_measures_time_has_no_other_beside_it(tmp_path: Path) -> None:
    for name, seconds in (("test_short", 0.02), ("test_long", 0.4)):
        (tmp_path / f"{name}.py").write_text(f"LOG, LONG = {str(tmp_path / 'log')!r}, {seconds}\n{TIMED}")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    options = ("-q", "-p", "no:cacheprovider", "-p", "xdist", "-p", "alone", "--basetemp", tmp_path / "temporary")
    done = run("-m", "pytest", *options, "-n", "2", "--dist", "loadfile", folder=tmp_path)
    assert "10 passed" in done.stdout, done.stdout + done.stderr
    lines = [line.split() for line in (tmp_path / "log").read_text().splitlines()]
    times = [(kind, float(began), float(ended)) for kind, began, ended in lines]
    assert sorted(kind for kind, *_ in times) == ["alone"] * 4 + ["beside"] * 6
    for at, (kind, began, ended) in enumerate(times):
        others = [other for place, other in enumerate(times) if place != at]
        assert kind != "alone" or all(ended <= start or end <= began for _, start, end in others)


@pytest.mark.skipif(os.name == "nt", reason="has no such signals: POSIX")
def test_programs_react_to_signals_though_the_tests_were_told_to_ignore_them(tmp_path: Path) -> None:
    done = run("-c", STARTED, *NAMES, folder=tmp_path)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_what_was_left_out_is_said_in_one_line() -> None:
    assert skipped_line([], "") == ""
    reasons = ["Skipped: there is no Chromium; on Debian: apt-get install chromium-headless-shell"] * 2
    reasons += ["Skipped: there is no nginx here", "Skipped: the moon is full"]
    assert skipped_line(reasons, "not slow and not gpu") == (
        "not run: the page in Chromium (2: apt-get install chromium-headless-shell), "
        "nginx's configuration (1: apt-get install nginx), "
        "others (1: reasons above), slow (make test-slow), gpu (make test-gpu)"
    )


@pytest.mark.parametrize("turn", ["first", "second"])
def test_what_was_logged_before_does_not_matter(turn: str, capsys: pytest.CaptureFixture[str]) -> None:
    show_notes()
    logging.getLogger("lookalike.gallery").info("the %s note", turn)
    assert capsys.readouterr().err == f"the {turn} note\n"
    log_as_lines()


def test_a_server_leaves_the_handlers_of_others_as_they_are(tmp_path: Path) -> None:
    other = logging.FileHandler(tmp_path / "log")
    try:
        log_as_lines()
        assert not other.stream.closed
    finally:
        other.close()
