"""Check the subject of a commit: imperative, at most 72 characters, no full stop; an empty line before the body.

    commit_subject.py FILE    the message, as git's hook commit-msg names it

Exit codes: 0; 1 with a line that says what to mend.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

LONGEST = 72
MADE_BY_GIT = ("Merge ", "Revert ", "fixup! ", "squash! ", "amend! ")
NOT_IMPERATIVE = re.compile(r"(?i)(the|an?|this|that|we|it|no|now|all|every|more|made|\w+ing|\w+[^s]ed)\b")
"""First words of which no order is made; verbs such as `need` and `embed` end like a past tense and are none."""

VERBS = frozenset(("bring", "embed", "feed", "need", "ping", "proceed", "seed", "speed", "string"))


def fault(message: str) -> str | None:
    """What is wrong with a message, or None."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if subject.startswith(MADE_BY_GIT):
        return None
    first = subject.split(" ")[0]
    if not subject.strip():
        return "the subject is empty"
    if len(subject) > LONGEST:
        return f"the subject has {len(subject)} characters; at most {LONGEST}, and the rest into the body"
    if subject.endswith("."):
        return "the subject ends with a full stop"
    if not first[0].isupper():
        return f"the subject begins with a capital letter, not with {first!r}"
    if first.lower() not in VERBS and (NOT_IMPERATIVE.match(subject) or re.fullmatch(r"\w+[^su]s", first)):
        return f"the subject is an order, such as 'Add a reader'; {first!r} is none"
    if len(lines) > 1 and lines[1].strip():
        return "the line below the subject is empty, and then comes the body"
    return None


def main() -> int:
    """Print what is wrong."""
    found = fault(Path(sys.argv[1]).read_text(encoding="utf-8"))
    if found:
        sys.stderr.write(f"commit message: {found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
