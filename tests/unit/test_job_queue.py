"""The queue of photos to fetch: one waiting photo for each item, durable, bounded."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest

from lookalike.errors import LookalikeError, MismatchError, UnknownNameError
from lookalike.jobs import queue as job_queue
from lookalike.jobs.job import NewPhoto
from lookalike.jobs.queue import KEPT_S, Done, JobQueue


def photo(item: str, line: int = 1, *, host: str = "cdn.example") -> NewPhoto:
    return NewPhoto(line, item, f"https://{host}/{item}.jpg?key=secret", host, json.dumps({"of": item}))


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    return JobQueue(tmp_path / "jobs.db", create=True)


def counts(queue: JobQueue, job_id: str) -> dict[str, int]:
    return {state: count for state, count in queue.job(job_id).counts.items() if count}


def test_a_job_goes_from_waiting_to_finished(queue: JobQueue) -> None:
    job_id = queue.add([photo("a", 1), photo("b", 2), photo("c", 3)])
    assert (queue.job(job_id).state, counts(queue, job_id), queue.waiting()) == ("running", {"waiting": 3}, 3)
    a, b, c = queue.due("cdn.example", limit=9, without=())
    assert [each.item for each in (a, b, c)] == ["a", "b", "c"]
    assert [each.item for each in queue.due("cdn.example", limit=1, without={a.number})] == ["b"]
    queue.finish([Done(a.number, "added"), Done(b.number, "failed", "unreadable_photo", "no photo")])
    assert counts(queue, job_id) == {"added": 1, "failed": 1, "waiting": 1}
    assert queue.job(job_id).finished is None
    queue.finish([Done(c.number, "unchanged"), Done(a.number, "failed")])  # the first end counts
    job = queue.job(job_id)
    assert (job.state, counts(queue, job_id)) == ("finished", {"added": 1, "failed": 1, "unchanged": 1})
    [failure] = queue.failures(job_id)
    assert failure.to_json() == {
        "line": 2, "id": "b", "photo_url": "https://cdn.example/b.jpg", "tries": 1,
        "error": {"code": "unreadable_photo", "message": "no photo"},
    }  # fmt: skip


def test_a_later_photo_of_an_item_takes_the_place_of_the_earlier(queue: JobQueue) -> None:
    first, second = queue.add([photo("a"), photo("b")]), queue.add([photo("b")])
    third = queue.add([photo("c")])
    queue.extend(third, [photo("a", 7)])
    assert (counts(queue, first), queue.job(first).state) == ({"superseded": 2}, "finished")
    assert {item: each.job for item, each in queue.waiting_for("abcd").items()} == {"a": third, "b": second, "c": third}
    queue.supersede(["b", "nobody"])
    assert queue.job(second).state == "finished"
    assert queue.waiting() == 2


def test_what_is_written_with_a_photo_can_change(queue: JobQueue) -> None:
    queue.add([photo("a")])
    a = queue.waiting_for(["a"])["a"]
    queue.change([(a.number, "new")])
    assert queue.still_waiting([a.number, 99])[a.number].fields == "new"
    queue.finish([Done(a.number, "added")])
    queue.change([(a.number, "late")])
    assert queue.still_waiting([a.number]) == {}


def test_a_photo_is_tried_again_when_it_is_due(queue: JobQueue) -> None:
    job_id = queue.add([photo("a"), photo("b")])
    a, _ = queue.due("cdn.example", limit=9, without=())
    queue.retry(a.number, after_s=60, message="busy")
    assert [each.item for each in queue.due("cdn.example", limit=9, without=())] == ["b"]
    assert 58 < (queue.seconds_until_due() or 0) <= 60
    assert queue.job(job_id).retrying == 1
    queue.retry(a.number, after_s=0, message="locked", counted=False)
    assert queue.waiting_for(["a"])["a"].tries == 1
    assert len(queue.due("cdn.example", limit=9, without=())) == 2
    assert queue.seconds_until_due() is None


def test_hosts_are_served_apart(queue: JobQueue) -> None:
    queue.add([photo("a"), photo("b", host="other.example:8443")])
    assert sorted(queue.hosts()) == ["cdn.example", "other.example:8443"]
    assert [each.item for each in queue.due("other.example:8443", limit=9, without=())] == ["b"]


def test_cancelling_drops_what_waits_and_nothing_else(queue: JobQueue) -> None:
    job_id, other = queue.add([photo("a"), photo("b")]), queue.add([photo("c")])
    a = queue.waiting_for(["a"])["a"]
    queue.finish([Done(a.number, "added")])
    assert queue.cancel(job_id).to_json()["state"] == "cancelled"
    assert counts(queue, job_id) == {"added": 1, "cancelled": 1}
    assert queue.job(other).state == "running"
    queue.finish([Done(queue.waiting_for(["c"])["c"].number, "added")])
    assert queue.cancel(other).state == "finished"
    for ask in (queue.cancel, queue.job, queue.failures):
        with pytest.raises(UnknownNameError, match="unknown job 'none'"):
            ask("none")


def test_jobs_are_listed_the_latest_first(queue: JobQueue) -> None:
    ids = [queue.add([photo(str(number))]) for number in range(5)]
    total, page = queue.jobs(offset=1, limit=2)
    assert (total, [job.id for job in page]) == (5, [ids[3], ids[2]])


def test_old_jobs_are_dropped(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    done, running = queue.add([photo("a"), photo("b")]), queue.add([photo("c")])
    queue.finish([Done(each.number, "added") for each in queue.waiting_for("ab").values()])
    assert queue.purge(now=time.time() + KEPT_S - 60) == 0
    assert queue.purge(now=time.time() + KEPT_S + 60) == 1
    with pytest.raises(UnknownNameError):
        queue.job(done)
    assert queue.job(running).state == "running"
    monkeypatch.setattr(job_queue, "KEPT_PHOTOS", 4)
    ids = []
    for number in range(4):
        ids.append(queue.add([photo(f"{number} {at}") for at in range(2)]))
        queue.supersede([f"{number} 0", f"{number} 1"])
    assert queue.purge() == 2
    assert {job.id for job in queue.jobs()[1]} == {running, *ids[2:]}


def test_the_file_is_read_by_others_and_survives(queue: JobQueue) -> None:
    job_id = queue.add([photo("a")])
    reader = JobQueue(queue.path)
    assert reader.job(job_id).state == "running"
    with pytest.raises(LookalikeError, match="readonly"):
        reader.supersede(["a"])
    queue.cancel(job_id)
    assert reader.job(job_id).state == "cancelled"


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\0" + b"\xff" * 2000])
def test_a_file_of_something_else_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "jobs.db").write_bytes(content)
    with pytest.raises(LookalikeError, match="is damaged"):
        JobQueue(tmp_path / "jobs.db", create=True)
    assert (tmp_path / "jobs.db").read_bytes() == content


def test_another_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "jobs.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (a)")
    connection.close()
    with pytest.raises(MismatchError, match="another program"):
        JobQueue(path, create=True)


def test_no_items_share_a_waiting_photo(queue: JobQueue) -> None:
    with pytest.raises(LookalikeError, match="UNIQUE"):
        queue.add([photo("a"), photo("a")])
    assert queue.jobs()[0] == 0
