"""Whether this process runs one command and nothing else, so that settings of the whole process may be changed."""

from __future__ import annotations

_own = False


def own() -> None:
    """Note that this process runs one command and nothing else."""
    global _own
    _own = True


def is_own() -> bool:
    """Whether this process runs one command and nothing else; not with commands that Python code runs."""
    return _own
