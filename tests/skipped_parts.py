"""The last line of a test run: parts that were skipped, and how to run them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

import pytest

PARTS = {
    "Chromium": ("the page in Chromium", "apt-get install chromium-headless-shell"),
    "TypeScript client": ("the TypeScript client", "apt-get install npm && make client"),
    "nginx": ("nginx's configuration", "apt-get install nginx"),
    "curl": ("examples for curl", "apt-get install curl"),
    "C compiler": ("broken disks and watched networks", "apt-get install gcc libc6-dev, on Linux"),
    "systemd-analyze": ("the systemd unit", "apt-get install systemd"),
    "unshare|no disk of its own": ("a disk of its own", "as root on Linux, where unshare may mount"),
    "administrator may read": ("files without permission", "as a user other than root"),
    "could not import|is not installed": ("optional libraries", "pip install -e '.[dev]'"),
    "there is no SIGKILL|sends a signal|does not fork|POSIX|Linux|has no such limit|reserve room": (
        "what this system has not",
        "on Linux",
    ),
}
"""For a word of the reason a test gives: what is tested, and what it needs."""

MARKS = {
    "slow": "make test-slow",
    "milvus": "make test-milvus",
    "gpu": "make test-gpu",
    "trackers": "make test-trackers",
    "container": "make test-container",
}


def skipped_line(reasons: Iterable[str], expression: str) -> str:
    """The one line, or an empty one when all was run.

    Args:
        reasons: Why a test was skipped, for each of them.
        expression: As given with `-m`.
    """
    counts, others = Counter[tuple[str, str]](), 0
    for reason in reasons:
        part = next((part for words, part in PARTS.items() if re.search(words, reason)), None)
        if part is None:
            others += 1
        else:
            counts[part] += 1
    said = [f"{what} ({count}: {how})" for (what, how), count in counts.items()]
    said += [f"others ({others}: reasons above)"] if others else []
    said += [f"{mark} ({how})" for mark, how in MARKS.items() if re.search(rf"\bnot {mark}\b", expression)]
    return "not run: " + ", ".join(said) if said else ""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Write the line after all others."""
    yield
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [each.longrepr[2] if isinstance(each.longrepr, tuple) else str(each.longrepr) for each in skipped]
    if line := skipped_line(reasons, config.option.markexpr):
        terminalreporter.write_line(line)
