"""What a process that forks does with open galleries.

SQLite's connections must not be carried into a child: it would believe in locks that it does not have. So those that
are not in use are closed before a fork, on both sides others are opened when they are needed, and one that another
thread was using is left alone in the child for good.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """What wants to know of forks."""

    def before_fork(self) -> None:
        """Make ready, in the thread that forks; it may be in the middle of something of this very object."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Go on, in the parent or in the child, where only the thread that forked is left."""
        ...


_WATCHED: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()
_GUARD: Final = threading.Lock()
_registered = False


def watch(forkable: Forkable) -> None:
    """Tell an object of all forks from now on, for as long as it lives."""
    global _registered
    with _GUARD:
        _WATCHED.add(forkable)
        if not _registered and hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before, after_in_parent=lambda: _after(child=False), after_in_child=lambda: _after(child=True)
            )
            _registered = True


def _before() -> None:
    _GUARD.acquire()
    for forkable in list(_WATCHED):
        forkable.before_fork()


def _after(*, child: bool) -> None:
    for forkable in list(_WATCHED):
        forkable.after_fork(child=child)
    _GUARD.release()
