"""A gallery that has outgrown its index derives a new one while it is searched."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import LookalikeError
from lookalike.gallery.derived import Derived
from lookalike.gallery.frozen import Frozen
from lookalike.gallery.local import LocalGallery
from lookalike.gallery.snapshot import extended
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = [Space("deep", 32, "tiny@1")]
ROWS: Float32 = unit_rows(np.random.default_rng(0).standard_normal((2400, 32), dtype=np.float32))


def add(gallery: LocalGallery, start: int, stop: int) -> None:
    items = [Item(id=str(number), photo="x.jpg") for number in range(start, stop)]
    gallery.add(items, {"deep": ROWS[start:stop]}, spaces=SPACES)


def check(gallery: LocalGallery, *numbers: int) -> None:
    """Each row finds itself."""
    for number in numbers:
        (row,) = gallery.search({"deep": ROWS[number : number + 1]}, k=1).rows[0].tolist()
        assert gallery.items([row])[row].id == str(number)


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalGallery:
    """One that calls 1,000 rows many, and has 1,200."""
    monkeypatch.setattr("lookalike.gallery.local.LONG_TO_BUILD", 1000)
    gallery = LocalGallery(tmp_path / "gallery", create=True)
    add(gallery, 0, 1200)
    check(gallery, 0)
    assert gallery.info()["index"]["rows"] == 1200  # type: ignore[call-overload, index]
    return gallery


def test_searches_go_on_while_rows_are_derived_anew(grown: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    derive, may_go_on = Derived.freeze, threading.Event()

    def slowly(*arguments: Any, **named: Any) -> Frozen | None:
        assert may_go_on.wait(60)
        return derive(*arguments, **named)

    monkeypatch.setattr(Derived, "freeze", slowly)
    add(grown, 1200, 2400)
    check(grown, 5, 2399)
    grown.remove(["7"])
    check(grown, 5, 1500)
    assert grown.info()["index"] == {"rows": 1200, "removed_since": 1, "added_since": 1200, "kept": []}
    may_go_on.set()
    while grown.info()["index"]["rows"] == 1200:  # type: ignore[call-overload, index]
        time.sleep(0.01)
    assert grown.info()["index"] == {"rows": 2399, "removed_since": 0, "added_since": 0, "kept": []}
    check(grown, 5, 1500, 2399)
    grown.close()


def test_closing_waits_for_what_is_being_derived(grown: LocalGallery) -> None:
    add(grown, 1200, 2400)
    check(grown, 2399)
    grown.close()
    with LocalGallery(grown.folder) as again:
        check(again, 5, 2399)
        assert again.info()["index"]["added_since"] == 0  # type: ignore[call-overload, index]


def test_rows_at_hand_serve_where_none_can_be_derived(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Frozen | None:
        raise LookalikeError("the disk is full")

    monkeypatch.setattr(Derived, "freeze", fail)
    add(grown, 1200, 2400)
    check(grown, 5, 2399)
    grown.close()
    assert "the disk is full" in caplog.text


def test_a_tail_grows_in_place_and_what_was_seen_before_stays() -> None:
    start = np.frombuffer(np.arange(6, dtype=np.float32).tobytes(), dtype=np.float32).reshape(3, 2)
    seen, whole = [start], start
    for number in range(10):
        whole = extended(whole, np.full((2, 2), number, dtype=np.float32))
        seen.append(whole)
    for earlier in seen:
        np.testing.assert_array_equal(earlier, whole[: len(earlier)])
    np.testing.assert_array_equal(whole[3:], np.repeat(np.arange(10), 4).reshape(-1, 2))
    assert len({id(rows.base) for rows in seen[1:]}) < 6
