"""Progress where standard error is no terminal."""

from __future__ import annotations

import re

import pytest

from lookalike.cli import progress


def test_a_line_tells_the_time_left_once_something_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    with progress.progress_of("steps") as tell:
        tell(0, 1000)
        tell(5, 1000)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "0 of 1,000 steps, 0.00/s"
    assert re.fullmatch(r"5 of 1,000 steps, [\d.]+/s, \d+ min left", second)
