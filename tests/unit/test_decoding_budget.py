"""The memory budget of decoding: shared, with a queue, and an error for photos that exceed it."""

from __future__ import annotations

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images import Budget, one_photo, open_image
from lookalike.images.memory_budget import memory_for


def png(side: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), "grey").save(file, "PNG")
    return file.getvalue()


def test_photos_share_the_budget_and_a_large_one_has_it_alone() -> None:
    budget, seen, lock = Budget(100), list[int](), threading.Lock()

    def work(needed: int) -> None:
        with budget.in_use(), one_photo(), memory_for(needed, name="q"):
            with lock:
                seen.append(budget.held)
            time.sleep(0.002)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 40, 30, 250, 60, 99, 1, 250, 10] * 5))
    assert budget.held == 0
    assert max(held for held in seen if held != 250) <= 100
    assert seen.count(250) >= 10


def test_memory_is_held_as_long_as_the_photo_is_looked_at() -> None:
    budget = Budget(10**9)
    with budget.in_use():
        with one_photo():
            open_image(png(100))
            assert budget.held >= 4 * 100 * 100
        assert budget.held == 0
        open_image(png(100))
        assert budget.held == 0


def test_a_photo_waits_and_who_came_first_goes_first() -> None:
    budget, order = Budget(100), list[str]()
    budget.take(80)

    def work(name: str, needed: int) -> None:
        budget.take(needed)
        order.append(name)
        budget.give_back(needed)

    threads = []
    for name, needed in (("large", 90), ("small", 5)):
        threads.append(threading.Thread(target=work, args=(name, needed)))
        threads[-1].start()
        while len(budget._waiting) < len(threads):
            time.sleep(0.001)
    assert order == []
    budget.give_back(80)
    for thread in threads:
        thread.join()
    assert order == ["large", "small"]


def test_what_can_never_be_had_is_refused_where_that_is_asked() -> None:
    budget = Budget(1 << 20)
    with budget.in_use(refuse=True), pytest.raises(PhotoError, match=r"decoding it takes .* MiB, more than the 1 MiB"):
        open_image(png(600), name="q")
    with budget.in_use():
        assert open_image(png(600)).size == (600, 600)
    assert budget.held == 0


def test_a_second_photo_within_the_first_does_not_wait_for_itself() -> None:
    with Budget(10).in_use(), one_photo():
        assert open_image(png(50)).size == open_image(png(50)).size


def test_a_photo_that_fails_gives_its_memory_back() -> None:
    budget = Budget(1 << 20)
    with budget.in_use(), pytest.raises(PhotoError):
        open_image(png(200)[:-40])
    assert budget.held == 0
