"""docs/python.md: its session runs, with the shown output."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import lookalike

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_the_page_shows_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert outcome.attempted >= 15
    assert outcome.failed == 0


def test_every_name_on_the_page_is_public() -> None:
    named = set(re.findall(r"\blookalike\.([A-Za-z_]+)", PAGE.read_text(encoding="utf-8")))
    assert named - {"errors", "images"} <= set(lookalike.__all__)
    assert {"evaluate", "learn_weights", "reduce", "augment", "train", "export"} <= named
