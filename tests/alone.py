"""Tests that measure time, or take the whole machine, are run beside no other test by the workers of pytest-xdist.

Tests of one file stay on one worker, so that what a module sets up is set up once. Tests with the mark `alone` come
last, all on one worker, and each waits until no other test runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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

        with self.door.open("w") as door, self.inside.open("w") as inside:
            fcntl.flock(door, fcntl.LOCK_EX)
            fcntl.flock(inside, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            fcntl.flock(door, fcntl.LOCK_UN)
            try:
                yield
            finally:  # explicitly, for a process that the test forked may have the file open still
                fcntl.flock(inside, fcntl.LOCK_UN)


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ and hasattr(config, "workerinput"):
        config.stash[_ROOM] = Room(Path(config.option.basetemp).parent)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _ROOM in config.stash:
        items.sort(key=is_alone)
        for item in filter(is_alone, items):
            item.add_marker(pytest.mark.xdist_group("alone"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait outside of what pytest-timeout measures."""
    room = item.config.stash.get(_ROOM, None)
    if room is None:
        return (yield)
    with room.entered(alone=is_alone(item)):
        return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker one file after the other, in the order they are collected in, and `alone` as if it were one."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return str(super()._split_scope(nodeid)).split("::")[0]

    config.option.loadscopereorder = False
    return ByFile(config, log)
