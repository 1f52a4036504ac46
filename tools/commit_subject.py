"""Check the subject of a commit: imperative, at most 72 characters, no full stop; an empty line before the body.

    commit_subject.py FILE    the file with the message, from git's hook commit-msg

Exit codes: 0 without faults; 1 with a line that says what to change.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST = 72
MADE_BY_GIT = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
NOT_IMPERATIVE = re.compile(r"(?i)(the|an?|this|that|we|it|no|now|all|every|more|made|\w+ing|\w+[^s]ed)\b")
"""First words that are not imperatives; imperatives such as `need` and `embed`, which look like a past tense, pass."""

VERBS = frozenset(("bring", "embed", "feed", "need", "ping", "proceed", "seed", "speed", "string"))


def fault(message: str) -> str | None:
    """Return the fault of a message; None without one."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if subject.startswith(MADE_BY_GIT):
        return None
    first = subject.split(" ")[0]
    if not subject.strip():
        return "the subject is empty"
    if len(subject) > LONGEST:
        return f"the subject has {len(subject)} characters; shorten it to {LONGEST}, and put the rest into the body"
    if subject.endswith("."):
        return "the subject ends with a full stop"
    if not first[0].isupper():
        return f"the subject must begin with a capital letter, got {first!r}"
    if first.lower() not in VERBS and (NOT_IMPERATIVE.match(subject) or re.fullmatch(r"\w+[^su]s", first)):
        return f"the subject must be an imperative, such as 'Add a reader', got {first!r}"
    if len(lines) > 1 and lines[1].strip():
        return "the line after the subject must be empty"
    return None


def main() -> int:
    """Print the fault, and return the exit code."""
    found = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if found:
        sys.stderr.write(f"commit message: {found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
