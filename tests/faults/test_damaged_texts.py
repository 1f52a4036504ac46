"""Randomly changed tables, annotation files, exported lists and filters: an answer or one clear error."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lookalike
from fault_tries import Tries

PROGRAM = Path(__file__).parent / "text_fuzzing.py"


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(
    ("kind", "short", "long"),
    [("tables", 300, 30_000), ("benchmark", 100, 10_000), ("lists", 60, 3_000), ("filters", 500, 50_000)],
)
def test_a_damaged_text_ends_in_an_answer_or_one_error(
    kind: str, short: int, long: int, tries: Tries, request: pytest.FixtureRequest
) -> None:
    count = tries(f"damaged-{kind}", short=short, long=long)
    seed = request.config.getoption("--seed")
    paths = (Path(lookalike.__file__).parents[1], Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, str(PROGRAM), kind, str(seed), str(count)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1:] or ["none"]
    assert done.returncode == 0, f"exit {done.returncode} at input {last[0]}"
    outcome = json.loads(done.stdout.splitlines()[-1])
    assert outcome["wrong"] == []
    assert outcome["tries"] == count
    assert min(outcome["read"], outcome["refused"]) > 0.05 * count, outcome
