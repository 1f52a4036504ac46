"""Many requests at once: photos share the network, queues are bounded, and every request gets an answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from starlette.requests import Request

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.model_loading import open_network, processors
from lookalike.embedding.protocol import Embedder, Embeddings, Prepared
from lookalike.errors import ModelError
from lookalike.finding import finder as finder_module
from lookalike.finding.finder import Finder
from lookalike.server import shared_models
from lookalike.server.access import Access
from lookalike.server.batching import BatchingEmbedder
from lookalike.server.concurrency import ClientGone, ConcurrencyLimiter
from lookalike.server.errors import ApiError
from lookalike.server.settings import Settings
from lookalike.server.shared_models import load_for_many
from lookalike.server.shared_state import SharedState


class Held(PhotoEmbedder):
    """An embedder whose network does not begin before it is let go."""

    go: threading.Event
    fails = False

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        self.go.wait(20)
        if self.fails:
            raise ModelError("out of order")
        return super().embed_prepared(batch)


@pytest.fixture
def held(tiny_model: Path) -> Held:
    embedder = Held(open_network(tiny_model, threads=1))
    embedder.go = threading.Event()
    return embedder


def pictures(count: int) -> list[Image.Image]:
    return [Image.new("RGB", (40, 40), (30 * number, 200 - 20 * number, 90)) for number in range(count)]


def wait_for(batching: BatchingEmbedder, count: int) -> None:
    for _ in range(2000):
        if len(batching._waiting) == count:
            return
        threading.Event().wait(0.005)
    raise AssertionError(f"{len(batching._waiting)} photos wait instead of {count}")


def test_photos_that_gather_while_the_network_runs_go_through_it_together(held: Held) -> None:
    batching = BatchingEmbedder(held, largest=4)
    sizes: list[int] = []
    batching.observe = sizes.append
    photos = pictures(6)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(batching.embed, photos[:1])
        while batching._free or batching._waiting:
            threading.Event().wait(0.005)
        others = [pool.submit(batching.embed, [photo]) for photo in photos[1:]]
        wait_for(batching, 5)
        held.go.set()
        rows = [future.result(timeout=20) for future in [first, *others]]
    assert sizes == [1, 4, 1]
    for photo, found in zip(photos, rows, strict=True):
        for space, alone in held.embed([photo]).items():
            np.testing.assert_allclose(found[space], alone, atol=1e-6)


def test_a_network_for_several_callers_runs_several_batches_at_once(held: Held) -> None:
    assert held.concurrent
    batching = BatchingEmbedder(held, largest=2, at_once=2)
    sizes: list[int] = []
    batching.observe = sizes.append
    photos = pictures(6)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(batching.embed, photos[:2])]
        while batching._free > 1:
            threading.Event().wait(0.005)
        running.append(pool.submit(batching.embed, photos[2:3]))
        while batching._free:
            threading.Event().wait(0.005)
        running.append(pool.submit(batching.embed, photos[3:]))  # more than a batch holds
        wait_for(batching, 3)
        assert not any(future.done() for future in running)
        held.go.set()
        rows = [future.result(timeout=20) for future in running]
    assert sorted(sizes) == [1, 1, 2, 2]
    assert batching._free > 1
    for begin, found in zip((0, 2, 3), rows, strict=True):
        for space, alone in held.embed(photos[begin : begin + len(found["deep"])]).items():
            np.testing.assert_allclose(found[space], alone, atol=1e-6)


@pytest.mark.parametrize(
    ("workers", "waits", "expected"),
    [(0, False, processors() + 1), (0, True, 8 if processors() == 1 else max(16, processors())), (5, True, 5)],
)
def test_more_searches_run_where_they_wait_than_where_they_compute(workers: int, waits: bool, expected: int) -> None:
    shared = SharedState(Settings(workers=workers), Access(None))
    shared.fit_searchers(waits=waits)
    together, extra = threading.Barrier(expected), threading.Event()
    try:
        running = [shared.searches.submit(lambda: together.wait(20)) for _ in range(expected)]
        shared.searches.submit(extra.set)
        assert sorted(future.result(timeout=20) for future in running) == [*range(expected)]
        assert extra.wait(20)
        assert len([each for each in threading.enumerate() if each.name.startswith("lookalike-searches")]) == expected
    finally:
        shared.finish()


def test_a_lane_that_gets_other_threads_finishes_what_it_has() -> None:
    lane = ConcurrencyLimiter("searches", workers=1, waiting=4, seconds=20)
    go, order = threading.Event(), []
    first = lane.submit(lambda: go.wait(20))
    waiting = lane.submit(lambda: order.append("waited"))
    lane.resize(2)
    together = threading.Barrier(2)
    assert sorted(each.result(timeout=20) for each in [lane.submit(lambda: together.wait(20)) for _ in range(2)]) == [
        0,
        1,
    ]
    assert not waiting.done()
    go.set()
    assert first.result(timeout=20)
    lane.close()
    assert order == ["waited"]


def test_a_finder_runs_once_for_each_processor_however_many_threads_there_are(
    tiny_finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, guard, full = finder_module.run_session, threading.Lock(), threading.Event()
    running: list[int] = [0]
    most: list[int] = []

    def counted(*given: Any) -> list[NDArray[Any]]:
        with guard:
            running[0] += 1
            most.append(running[0])
            if running[0] == processors():
                full.set()
        full.wait(20)  # until there are as many as may be
        threading.Event().wait(0.05)  # in which others would begin
        try:
            return run(*given)
        finally:
            with guard:
                running[0] -= 1

    finder, photo = Finder(tiny_finder), pictures(1)[0]
    alone = finder.find(photo)
    monkeypatch.setattr(finder_module, "run_session", counted)
    with ThreadPoolExecutor(4 * processors()) as pool:
        found = [*pool.map(lambda _: finder.find(photo), range(4 * processors()))]
    assert found == [alone] * (4 * processors())
    assert max(most) == processors()


def test_a_slow_network_gets_all_processors_and_a_quick_one_an_own_for_each_photo(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded_with: list[int | None] = []
    load = ModelFile.load

    def noted(self: ModelFile, remembered: str | None, *, gallery: str) -> Embedder:
        loaded_with.append(self.threads)
        return load(self, remembered, gallery=gallery)

    monkeypatch.setattr(ModelFile, "load", noted)
    for runtime, limit, expected in (("onnx", 60.0, processors()), ("onnx", 0.0, 1), ("openvino", 60.0, 1)):
        monkeypatch.setattr(shared_models, "QUICK_S", limit)
        embedder, at_once, gathers = load_for_many(ModelFile(str(tiny_model), runtime, "cpu"), None, address="g")
        assert at_once == expected
        assert gathers == ((runtime, limit) != ("onnx", 60.0))
        assert loaded_with[-1] == (1 if expected == processors() else None)
        assert embedder.embed(pictures(1))["deep"].shape[0] == 1


def test_an_error_of_the_network_comes_to_whoever_asked_and_to_nobody_later(held: Held) -> None:
    batching = BatchingEmbedder(held, largest=4)
    held.go.set()
    held.fails = True
    with pytest.raises(ModelError, match="out of order"):
        batching.embed(pictures(2))
    held.fails = False
    assert batching.embed(pictures(2))["deep"].shape[0] == 2


def test_a_fault_in_counting_leaves_nobody_waiting(held: Held) -> None:
    batching = BatchingEmbedder(held, largest=4)
    held.go.set()

    def observe(_: int) -> None:
        raise RuntimeError("cannot count")

    batching.observe = observe
    with pytest.raises(RuntimeError, match="cannot count"):
        batching.embed(pictures(1))
    batching.observe = None
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(batching.embed, pictures(2)).result(timeout=20)["deep"].shape[0] == 2


def request_of(client: asyncio.Event) -> Request:
    """A request whose client goes away when the event is set."""

    async def receive() -> dict[str, str]:
        await client.wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "method": "GET", "headers": [], "path": "/"}, receive)


async def until(limiter: ConcurrencyLimiter, taken: int) -> None:
    while limiter.taken != taken:
        await asyncio.sleep(0.005)


def test_a_full_lane_refuses_at_once_and_a_late_answer_is_not_waited_for() -> None:
    async def check() -> None:
        limiter, go = ConcurrencyLimiter("searches", workers=1, waiting=1, seconds=0.3), threading.Event()
        stays = request_of(asyncio.Event())
        begun: list[str] = []

        def work(name: str) -> str:
            begun.append(name)
            go.wait(20)
            return name

        running = asyncio.create_task(limiter.run(lambda: work("first"), request=stays))
        waiting = asyncio.create_task(limiter.run(lambda: work("second"), request=stays))
        await until(limiter, 2)
        assert limiter.waiting == 1
        with pytest.raises(ApiError, match="2 searches are running or waiting") as full:
            await limiter.run(lambda: work("third"), request=stays)
        assert (full.value.status, full.value.headers) == (429, {"Retry-After": "1"})
        for late in (running, waiting):
            with pytest.raises(ApiError, match="no answer within") as refused:
                await late
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "5"})
        go.set()
        await until(limiter, 0)
        assert begun == ["first"]  # what waited has gone without ever beginning
        assert await limiter.run(lambda: work("fourth"), request=stays) == "fourth"
        limiter.close()

    asyncio.run(check())


def test_a_client_that_goes_away_frees_its_place() -> None:
    async def check() -> None:
        limiter, go, client = (
            ConcurrencyLimiter("searches", workers=1, waiting=1, seconds=20),
            threading.Event(),
            asyncio.Event(),
        )
        running = asyncio.create_task(limiter.run(lambda: go.wait(20), request=request_of(asyncio.Event())))
        await until(limiter, 1)
        waiting = asyncio.create_task(limiter.run(lambda: go.wait(20), request=request_of(client)))
        await until(limiter, 2)
        client.set()
        with pytest.raises(ClientGone):
            await waiting
        await until(limiter, 1)
        go.set()
        assert await running is True
        limiter.close()

    asyncio.run(check())
