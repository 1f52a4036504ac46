"""Order of tests under pytest-xdist: tests that measure time or use the whole machine run alone.

They have the mark `alone`. Each waits until no other test runs, and comes after the other tests of its file; a file of
nothing else comes after all others, so that there is less to wait for.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_ROOM: pytest.StashKey[Room] = pytest.StashKey()


class Room:
    """A lock of files that any number of workers share, or one has alone; who waits to be alone is not overtaken.

    Attributes:
        door: Held while a test waits to begin.
        inside: Held while a test runs.
    """

    def __init__(self, folder: Path) -> None:
        self.door, self.inside = folder / "door", folder / "inside"

    @contextmanager
    def entered(self, *, alone: bool) -> Iterator[None]:
        """Wait until a test may run, and keep the room for it.

        Args:
            alone: Whether no other test may run meanwhile.
        """
        import fcntl  # of POSIX; elsewhere tests run in one process

        # `lockf` locks belong to the worker. With `flock` a process that a test forked would keep the lock of a worker
        # that crashed, and the next test that is to be alone would wait for ever.
        with self.door.open("a+") as door, self.inside.open("a+") as inside:
            fcntl.lockf(door, fcntl.LOCK_EX)
            fcntl.lockf(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.lockf(door, fcntl.LOCK_UN)
            yield


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(config, "workerinput"):
        config.stash[_ROOM] = Room(Path(config.option.basetemp).parent)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _ROOM in config.stash:
        items.sort(key=is_alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait outside of what pytest-timeout measures."""
    room = item.config.stash.get(_ROOM, None)
    if room is None:
        return (yield)
    with room.entered(alone=is_alone(item)):
        return (yield)
