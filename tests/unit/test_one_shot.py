"""The process of one command: what it imports, what it sets, and how it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import lookalike

WATCHED = """
import atexit, gc, os, sys, threading

def note():
    print("\\n".join(["noted", os.environ["OPENBLAS_THREAD_TIMEOUT"], str(gc.get_threshold()[0]), *sys.modules]))

atexit.register(note)
from lookalike.cli import program
threading.Timer(0.5, print, ["a thread ended"]).start()
sys.exit(program())
"""

CALLED = """
import sys
from lookalike.cli import main
code = main()
"""

LEFT_OUT = {
    "asyncio",
    "concurrent.futures",
    "rich",
    "sqlglot",
    "ssl",
    "tomllib",
    "torch",
    "lookalike.gallery.filters.expression",
    "lookalike.gallery.local.full_text.search",
    "lookalike.gallery.local.verification",
}
"""Modules that a plain search does not need; each takes a millisecond or more."""


@pytest.fixture
def shop(tmp_path: Path, tiny_model: Path) -> Path:
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (60, 80), "red").save(photos / "red.png")
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as retriever:
        retriever.index(photos)
    return tmp_path


def watched(*arguments: str, **environment: str) -> tuple[int, list[str]]:
    """Exit code, and lines of a command's output, with those of what is called at its end."""
    without = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    command = [sys.executable, "-c", WATCHED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env={**without, **environment}, timeout=60)
    return done.returncode, done.stdout.splitlines()


def test_a_search_imports_little(shop: Path) -> None:
    gallery, photo = str(shop / "shop.gallery"), str(shop / "photos" / "red.png")
    code, lines = watched("search", photo, "--gallery", gallery, "--json")
    assert code == 0
    assert '"id": "red.png"' in "\n".join(lines)
    assert LEFT_OUT.intersection(lines[lines.index("noted") :]) == set()


def test_the_version_is_told_without_commands() -> None:
    code, lines = watched("--version")
    assert (code, lines[0]) == (0, f"lookalike {lookalike.__version__}")
    assert "numpy" not in lines


@pytest.mark.parametrize("asked", ["", "20"])
def test_threads_of_numpy_hardly_wait_in_a_loop_unless_the_user_wants_otherwise(asked: str) -> None:
    _, lines = watched("--version", **({"OPENBLAS_THREAD_TIMEOUT": asked} if asked else {}))
    assert lines[lines.index("noted") + 1] == (asked or "18")


def test_a_command_ends_after_its_threads_and_what_was_registered_before_with_its_code(tmp_path: Path) -> None:
    code, lines = watched("search", "--gallery", str(tmp_path / "none.gallery"), "--item", "a")
    assert code == 2
    assert lines[:2] == ["a thread ended", "noted"]


@pytest.mark.parametrize(("after", "expected"), [("sys.exit(code)", 0), ("sys.exit(7)", 7), ("raise RuntimeError", 1)])
def test_a_program_that_runs_a_command_has_its_own_exit_code(after: str, expected: int) -> None:
    command = [sys.executable, "-c", CALLED + after, "--version"]
    assert subprocess.run(command, capture_output=True, timeout=60).returncode == expected


def test_a_profiler_tells_what_it_has_measured() -> None:
    command = [sys.executable, "-m", "cProfile", "-m", "lookalike", "--version"]
    assert "function calls" in subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
