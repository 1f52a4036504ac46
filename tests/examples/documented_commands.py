"""Commands of the code blocks in README.md and docs/, in the order of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md"))))

PROGRAMS = (
    *("lookalike", "make", "pip", "python", "python3", "accelerate", "curl", "openapi-python-client"),
    *("openssl", "printf", "ray"),
)
"""First words by which a line is a command in a block that shows no prompt."""

WITHOUT_COMMANDS = ("json", "toml", "py")
"""Languages of blocks that no shell and no Python runs; the block in `py` needs a client that is generated."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a page runs.

    Attributes:
        text: A shell command in one line, or Python code.
        language: `shell` or `python`.
        shown: Lines of output that the page shows below a command.
    """

    text: str
    language: str = "shell"
    shown: list[str] = field(default_factory=list)


def steps(page: str) -> list[Step]:
    """All commands and all Python of a page."""
    return [*steps_of((ROOT / page).read_text(encoding="utf-8"))]


def steps_of(text: str) -> Iterator[Step]:
    """All commands and all Python of a text."""
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        if language == "python" and block.startswith(">>>"):
            continue  # the examples of test_python_docs.py, which compares their output too
        if language == "python":
            yield Step(block, "python")
        elif language not in WITHOUT_COMMANDS:
            yield from commands_of(block)


def commands_of(block: str) -> Iterator[Step]:
    """The commands of one block: lines after `$`, or, without any, those that begin with a program's name."""
    lines: list[str] = []
    for line in block.splitlines():
        is_output = lines and (lines[-1].startswith("|") or lines[-1].endswith("\\\\"))  # tables of Markdown and LaTeX
        if lines and lines[-1].endswith(("|", "\\")) and not is_output:
            between = " | " if lines[-1].endswith("|") else " "
            lines[-1] = lines[-1][:-1].rstrip() + between + line.lstrip()
        else:
            lines.append(line)
    prompts = any(line.startswith("$ ") for line in lines)
    step = None
    for line in lines:
        if line.startswith("$ ") if prompts else line.split(" ")[0] in PROGRAMS:
            step = Step(re.sub(r"\s+# .*", "", line.removeprefix("$ ")))
            yield step
        elif step is not None:
            step.shown.append(line)


def inline_commands(page: str) -> list[list[str]]:
    """Commands of ours within a page's sentences, as words; `a|b` stands for two of them, `[x]` may be left out."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    found = []
    for code in re.findall(r"`lookalike ([a-z][^`]*)`", text):
        words = re.sub(r"[\[\]]", "", code).split()
        group, choices = (words[:1], words[1]) if len(words) > 1 and "|" in words[1] else ([], words[0])
        found += [[*group, choice, *words[1 + len(group) :]] for choice in choices.split("|")]
    return found
