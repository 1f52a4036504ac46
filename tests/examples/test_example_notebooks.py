"""examples/*.ipynb: each runs from top to bottom in a kernel of Jupyter, and shows what is stored in it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 300_000
"""Bytes of a notebook with its pictures."""

VARIES = "varies"
"""Tag of cells whose figures depend on the processor: training, and times."""

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?")
TIME = re.compile(r"(?:\w+ [\d.]+, )*\w+ [\d.]+ ms\b")
FINGERPRINT = re.compile(r"@[0-9a-f]{8}\b")
NEAR = 0.004
"""Largest difference of a figure or score between two processors."""


def tool() -> ModuleType:
    """tools/notebooks.py, which `make notebooks` runs."""
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tools = tool()
NOTEBOOKS = [path.stem for path in tools.notebooks()]


def stored(name: str) -> Any:
    return tools.read(tools.EXAMPLES / f"{name}.ipynb")


def differences(before: Any, after: Any) -> list[str]:
    """Code cells whose text has other words, or other figures than a processor explains; its first line each."""
    pairs = zip(before.cells, after.cells, strict=True)
    return [old.source.partition("\n")[0] for old, new in pairs if old.cell_type == "code" and not alike(old, new)]


def alike(old: Any, new: Any) -> bool:
    one, other = (TIME.sub("times", tools.shown(cell)) for cell in (old, new))
    if VARIES in old.metadata.get("tags", []):  # a model that was trained has another fingerprint elsewhere
        return words(FINGERPRINT.sub("@", one)) == words(FINGERPRINT.sub("@", other))
    if words(one) != words(other):
        return False
    figures = [[float(text.replace(",", "")) for text in NUMBER.findall(text)] for text in (one, other)]
    return all(abs(first - second) <= NEAR for first, second in zip(*figures, strict=True))


def words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_shows_what_is_stored_in_it(name: str, tmp_path: Path) -> None:
    """As it is, in an empty folder; `make notebooks` stores what it shows."""
    assert differences(stored(name), tools.executed(tools.EXAMPLES / f"{name}.ipynb", tmp_path)) == []


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_small_and_tells_of_no_machine(name: str) -> None:
    path = tools.EXAMPLES / f"{name}.ipynb"
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < LARGEST
    assert re.findall(r"/(?:tmp|root|work|home/(?!me\b))[\w./-]*", re.sub(r"[A-Za-z0-9+/=]{200,}", "", text)) == []
    notebook = stored(name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    tagged = [cell for cell in code if tools.PARAMETERS in cell.metadata.get("tags", [])]
    assert len(tagged) == (0 if name == "tour" else 1)
