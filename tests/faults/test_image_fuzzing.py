"""Thousands of damaged photos: each gives an image of the right size or one error, within bounds of time and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

import lookalike
from fault_tries import Tries

CORPUS = Path(__file__).parents[1] / "corpus" / "images"
TRIES_OF_A_PROCESS = 2_000
PATHS = (Path(lookalike.__file__).parents[1], Path(__file__).parents[1])


@pytest.mark.timeout(3_600)
def test_damaged_photos_are_a_picture_or_one_error(tries: Tries, luck: Random) -> None:
    seed, count = str(luck.random()), tries("images", short=1_500, long=200_000)
    for first in range(0, count, TRIES_OF_A_PROCESS):
        some = min(TRIES_OF_A_PROCESS, count - first)
        command = [sys.executable, Path(__file__).with_name("open_damaged.py"), CORPUS, seed, str(first), str(some)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PATHS))}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=900)
        lines = done.stdout.splitlines()
        assert done.returncode == 0, f"seed {seed}, try {lines[-1:]}: {done.stderr}"
        assert [line for line in lines if line.startswith("wrong")] == [], f"seed {seed}"
        assert len(lines) == some
        assert done.stderr == ""
