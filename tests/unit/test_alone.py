"""The order of tests: a test that is to be alone does not wait for a worker that died."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

CRASH = """
import os, sys, time
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from alone import Room

with Room(Path(sys.argv[2])).entered(alone=False):
    if os.fork() == 0:  # a process of the test, which outlives the worker
        time.sleep(30)
        os._exit(0)
    os._exit(1)
"""

ENTER = """
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[1])
from alone import Room

with Room(Path(sys.argv[2])).entered(alone=True):
    print("entered")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the lock is of POSIX")
def test_a_worker_that_crashed_leaves_no_lock(tmp_path: Path) -> None:
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(TESTS), str(tmp_path)], check=False)
    assert crashed.returncode == 1
    entered = subprocess.run(
        [sys.executable, "-c", ENTER, str(TESTS), str(tmp_path)], check=True, capture_output=True, text=True, timeout=10
    )
    assert entered.stdout == "entered\n"
