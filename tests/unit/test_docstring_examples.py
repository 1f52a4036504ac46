"""The examples in docstrings do what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import lookalike

SOURCES = Path(lookalike.__file__).parent
WITH_EXAMPLES = sorted(path for path in SOURCES.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def module_name(path: Path) -> str:
    return ".".join(("lookalike", *path.relative_to(SOURCES).with_suffix("").parts))


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: module_name(path))
def test_examples(path: Path) -> None:
    outcome = doctest.testmod(importlib.import_module(module_name(path)))
    assert outcome.attempted > 0, "examples stand where doctest does not look"
    assert outcome.failed == 0


def test_there_are_examples() -> None:
    assert {"lookalike.types", "lookalike.spaces"} <= set(map(module_name, WITH_EXAMPLES))
