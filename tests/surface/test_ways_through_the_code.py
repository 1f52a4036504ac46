"""The ways through the code in CONTRIBUTING.md: every hop is a function that runs, in the documented order."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.server.app import create_app
from lookalike.server.context import AppContext

ROOT = Path(__file__).parents[2]
PACKAGE = Path(lookalike.__file__).parent
HOP = re.compile(r"^(\d)\. `([\w/]+\.py)` `([\w.]+)`", re.MULTILINE)


def ways() -> list[list[tuple[str, str]]]:
    """The hops of each way: file and function."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text.partition("## Three ways through the code\n")[2].partition("\n## ")[0]
    found: list[list[tuple[str, str]]] = []
    for number, file, name in HOP.findall(section):
        if number == "1":
            found.append([])
        assert int(number) == len(found[-1]) + 1
        found[-1].append((file, name))
    return found


@contextmanager
def calls() -> Iterator[list[tuple[str, str]]]:
    """First calls of the package's functions, in their order, over all threads."""
    seen: dict[tuple[str, str], None] = {}
    package = f"{PACKAGE}/"

    def profile(frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(package):
            file = code.co_filename.removeprefix(package)
            seen.setdefault((file, code.co_name))
            seen.setdefault((file, code.co_qualname))

    in_order: list[tuple[str, str]] = []
    threading.setprofile(profile)  # threads begin within
    sys.setprofile(profile)
    try:
        yield in_order
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        in_order += seen


def by_command(shop: Shop, folder: Path, context: AppContext) -> None:
    del context, folder
    assert main(["search", str(shop.photo("red-0")), "-g", str(shop.gallery), "--model", str(shop.model)]) == 0


def a_row(shop: Shop, folder: Path, context: AppContext) -> None:
    del context
    assert main(["index", str(shop.table), "-g", str(folder / "new.gallery"), "--model", str(shop.model)]) == 0


def over_http(shop: Shop, folder: Path, context: AppContext) -> None:
    del folder
    with TestClient(create_app(context)) as client:
        assert client.post("/v1/search", files={"photo": shop.photo("red-0").read_bytes()}).status_code == 200


def test_there_are_three_ways_of_at_most_eight_hops() -> None:
    assert [len(way) <= 8 for way in ways()] == [True] * 3


@pytest.mark.parametrize(("at", "go"), [(0, by_command), (1, a_row), (2, over_http)])
def test_the_code_goes_that_way(
    at: int, go: Callable[[Shop, Path, AppContext], None], shop: Shop, tmp_path: Path, context: AppContext
) -> None:
    with calls() as made:
        go(shop, tmp_path, context)
    way = ways()[at]
    assert [hop for hop in way if hop not in made] == []
    assert sorted(way, key=made.index) == way
