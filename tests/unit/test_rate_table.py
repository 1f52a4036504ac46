"""Token buckets that processes share, and metrics of several processes in one text."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lookalike.server import rate_table
from lookalike.server.metrics import Metrics
from lookalike.server.process_metrics import together
from lookalike.server.rate_table import RateTable
from lookalike.server.rates import Rate, TokenBucket


@pytest.fixture
def table() -> Iterator[RateTable]:
    made = RateTable.create()
    yield made
    made.close()


def test_a_shared_bucket_is_a_bucket(table: RateTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers as those of a bucket in memory, over a time in which both empty and fill."""
    now = 1000.0
    monkeypatch.setattr(rate_table, "monotonic", lambda: now)
    monkeypatch.setattr("lookalike.server.rates.monotonic", lambda: now)
    rate = Rate(5, 10)
    shared, alone = table.bucket("page", rate), TokenBucket(rate)
    waits = []
    for step in (0, 0, 0, 0, 0, 0, 0.5, 1.5, 0, 3, 0, 0, 100, 0, 0, 0, 0, 0, 0):
        now += step
        waits.append(shared.take())
        assert waits[-1] == pytest.approx(alone.take(), abs=1e-9)
    assert waits[5] == pytest.approx(2.0)
    assert waits.count(0.0) == 12


def test_buckets_are_apart(table: RateTable) -> None:
    slow = Rate(1, 3600)
    assert [table.bucket("a", slow).take() == 0 for _ in range(2)] == [True, False]
    assert table.bucket("b", slow).take() == 0
    assert table.bucket("a", Rate(2, 3600)).take() == 0  # another rate begins anew


def test_a_full_table_forgets_the_bucket_that_was_used_least_recently(
    table: RateTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, now = Rate(1, 3600), 1000.0
    monkeypatch.setattr(rate_table, "monotonic", lambda: now)
    for key in range(7, 7 + rate_table.ROWS * rate_table.TRIED, rate_table.ROWS):  # which all begin at the same row
        now += 1
        assert table.take(key, slow) == 0
    assert table.take(7, slow) > 0
    now += 1
    assert table.take(7 + rate_table.ROWS * rate_table.TRIED, slow) == 0  # in the place of the second, used longest ago
    assert table.take(7, slow) > 0
    assert table.take(7 + rate_table.ROWS, slow) == 0


def take_many(table: RateTable, channel: Connection) -> None:
    bucket = table.bucket("page", Rate(1000, 3600))
    channel.recv()
    channel.send(sum(bucket.take() == 0 for _ in range(800)))


def test_processes_take_from_one_bucket(table: RateTable) -> None:
    context = multiprocessing.get_context("spawn")
    channels, processes = [], []
    for _ in range(2):
        ours, theirs = context.Pipe()
        processes.append(context.Process(target=take_many, args=(table, theirs)))
        processes[-1].start()
        channels.append(ours)
    began = time.monotonic()
    for channel in channels:
        channel.send("begin")
    taken = sum(channel.recv() for channel in channels)
    for process in processes:
        process.join()
    assert 1000 <= taken <= 1000 + (time.monotonic() - began) * 1000 / 3600 + 1


def test_metrics_of_processes_are_told_apart() -> None:
    first, second = Metrics(), Metrics()
    first.answered(method="GET", route="/v1/items", gallery="shop", status=200, seconds=0.01)
    for _ in range(3):
        second.answered(method="GET", route="/v1/items", gallery="shop", status=200, seconds=0.01)
    second.refused("busy")
    text = together({1: first.text().decode(), 2: second.text().decode()}).decode()
    samples = {
        (sample.name, sample.labels["process"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    }
    assert [samples["lookalike_requests_total", process] for process in "12"] == [1, 3]
    assert samples["lookalike_request_seconds_count", "2"] == 3
    assert samples["lookalike_refused_total", "2"] == 1
    assert ("lookalike_refused_total", "1") not in samples
    assert text.count("# TYPE lookalike_requests_total counter") == 1
    kinds = {family.name: family.type for family in text_string_to_metric_families(first.text().decode())}
    assert {family.name: family.type for family in text_string_to_metric_families(text)}.items() >= kinds.items()
