"""Fork handlers of open galleries.

SQLite connections must not be used in a forked child, which would rely on locks that it does not hold. So idle
connections are closed before a fork, parent and child open new ones when needed, and the child never touches a
connection that another thread was using.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Final, Protocol


class Forkable(Protocol):
    """Interface of objects that handle forks."""

    def before_fork(self) -> None:
        """Prepare, in the thread that forks, which may be within a method of this object."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Continue in the parent, or in the child, where only the forking thread exists."""
        ...


_WATCHED: Final[weakref.WeakSet[Forkable]] = weakref.WeakSet()
_GUARD: Final = threading.Lock()
_registered = False


def watch(forkable: Forkable) -> None:
    """Call an object's handlers at each fork, as long as the object lives."""
    global _registered
    with _GUARD:
        _WATCHED.add(forkable)
        if not _registered:
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
