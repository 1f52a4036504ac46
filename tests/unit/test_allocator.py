"""The allocator of a training process: memory that is freed and used again causes no page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

REPEATED = """
import resource, sys
import numpy as np
from lookalike.training.allocator import keep_freed_memory

assert sys.argv[1] == "no" or keep_freed_memory()
for step in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [np.ones(4_000_000, dtype=np.float32) for _ in range(4)]
    del blocks
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these parameters")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    faults = {
        kept: int(subprocess.run([sys.executable, "-c", REPEATED, kept], check=True, capture_output=True).stdout)
        for kept in ("no", "yes")
    }
    assert faults["no"] > 1000
    assert faults["yes"] < 10


OWNED = """
import sys
from lookalike.cli import main
from lookalike.cli.own_process import is_own

sys.argv = ["lookalike", "doctor", "--help"]
print(is_own(), main(["doctor", "--help"]), is_own(), main(), is_own())
"""


def test_a_command_that_python_code_runs_leaves_settings_of_its_process_alone() -> None:
    ran = subprocess.run([sys.executable, "-c", OWNED], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "False 0 False 0 True"
