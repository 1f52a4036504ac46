"""Number of tries and seed of the fault suites: a few in `make test-faults`, many with `LONG=1`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random

import pytest

Tries = Callable[..., int]

_TAKEN: pytest.StashKey[dict[str, tuple[int, float]]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--long", action="store_true", help="make as many tries as each fault suite names for a long run")
    group.addoption("--seed", type=int, default=0, help="seed of all fault suites")
    group.addoption(
        "--tries", action="append", default=[], metavar="SUITE=N", help="tries of one fault suite; may be repeated"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TAKEN] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    taken = config.stash[_TAKEN]
    if taken and config.getoption("--long"):
        terminalreporter.section(f"fault suites, seed {config.getoption('--seed')}")
        for suite, (count, seconds) in sorted(taken.items()):
            terminalreporter.write_line(f"{suite:32} {count:8,} tries {seconds:8.0f} s")


@pytest.fixture
def tries(request: pytest.FixtureRequest) -> Iterator[Tries]:
    """Decide how often to try: `tries("kills", short=5, long=500)`, changed by `--long` and `--tries kills=N`."""
    config, began, asked = request.config, time.monotonic(), list[tuple[str, int]]()

    def decide(suite: str, *, short: int, long: int) -> int:
        named = dict(each.split("=", 1) for each in config.getoption("--tries"))
        count = int(named.get(suite, long if config.getoption("--long") else short))
        asked.append((suite, count))
        return count

    yield decide
    taken = config.stash[_TAKEN]
    for suite, count in asked:
        before = taken.get(suite, (0, 0.0))
        taken[suite] = before[0] + count, before[1] + time.monotonic() - began


@pytest.fixture
def luck(request: pytest.FixtureRequest) -> Random:
    """Random numbers of this test alone, the same for the same `--seed`."""
    return Random(f"{request.config.getoption('--seed')} {request.node.nodeid}")
