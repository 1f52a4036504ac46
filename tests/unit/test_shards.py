"""Ray's shards: cutting a catalogue, transfer, results, and division of a cluster."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.embedding.photo_tasks import Embedded, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.errors import LookalikeError, PhotoError, UsageError
from lookalike.gallery.record_batch import RecordBatch
from lookalike.ingest.ray import job
from lookalike.ingest.ray.cluster import Share, _why_not_connected, share_of
from lookalike.ingest.ray.job import RayEmbedding
from lookalike.ingest.ray.shards import Shard, cut, read_result, read_work, reused_keys, write_result
from lookalike.ingest.ray.worker import BATCH, GPU_BYTES, ON_GPU, PER_INPUT, ShardWorker, Task, Tries, batch_for
from lookalike.spaces import Space
from lookalike.types import Box, Content, FileStamp, Garment, Item

SPACES = (Space("deep", 3, "mean@1"), Space("color", 2, "color@1"))


def work_of(number: int) -> PhotoTask:
    box = Box(0, 0, number + 1, 9.5) if number % 2 else None
    item = Item(str(number), f"{number}.jpg", "/photos", f"p{number}", box, {"price": number, "où": "là"})
    return PhotoTask(item, number, FileStamp(number, 10**18 + number, f"{number:064x}") if number % 3 == 0 else None)


def test_shards_are_neighbours_in_the_catalogue_whatever_is_left_to_do() -> None:
    work = [work_of(number) for number in range(100)]
    whole = list(cut(work, count=100, spaces=SPACES))
    assert [[each.position for each in shard.work] for shard in whole] == [
        list(range(start, min(start + 16, 100))) for start in range(0, 100, 16)
    ]
    rest = list(cut(work[20:], count=100, spaces=SPACES))
    assert [shard.name for shard in rest[1:]] == [shard.name for shard in whole[2:]]
    assert rest[0].name != whole[1].name


@pytest.mark.parametrize(("count", "size"), [(1, 16), (1024, 16), (6400, 100), (10**6, 512)])
def test_a_large_catalogue_has_large_shards(count: int, size: int) -> None:
    first = next(cut((work_of(number) for number in range(600)), count=count, spaces=SPACES))
    assert len(first.work) == size


def test_the_same_work_has_the_same_name_and_any_other_has_another() -> None:
    work = [work_of(1), work_of(2)]
    name = Shard.of(work, SPACES).name
    assert Shard.of([work_of(1), work_of(2)], SPACES).name == name
    others = [
        Shard.of(work[:1], SPACES),
        Shard.of([work_of(1), work_of(3)], SPACES),
        Shard.of(work, SPACES[:1]),
        Shard.of(work, (SPACES[0], Space("color", 2, "color@2"))),
    ]
    assert len({name, *(other.name for other in others)}) == 5


def test_work_arrives_as_it_was_sent() -> None:
    work = [work_of(number) for number in range(6)]
    arrived = read_work(Shard.of(work, SPACES).text)
    assert [(each.item, each.file_stamp) for each in arrived] == [(each.item, each.file_stamp) for each in work]


def outcomes(work: list[PhotoTask]) -> list[Outcome]:
    """One photo as it was, one that cannot be read, the others with vectors that can be told apart."""
    described = work[2:]
    vectors = {
        "deep": np.array([[each.position, 1, 0.1] for each in described], dtype=np.float32),
        "color": np.array([[0.5, each.position] for each in described], dtype=np.float32),
    }
    return [
        Unchanged(work[0].item, FileStamp(7, 8, "same")),
        Unreadable(work[1].item, PhotoError(work[1].item.location, "no such file")),
        Embedded([each.item for each in described[:1]], [FileStamp(1, 2, "x")], {n: v[:1] for n, v in vectors.items()}),
        Embedded(
            [each.item for each in described[1:]], [FileStamp(3, 4, "y")] * 2, {n: v[1:] for n, v in vectors.items()}
        ),
    ]


def test_what_became_of_the_photos_comes_back_to_the_bit() -> None:
    work = [work_of(number) for number in range(5)]
    shard = Shard.of(work, SPACES)
    data = write_result(outcomes(work), source="shop.csv", spaces=SPACES, took={"decode": 1.5})
    found, took = read_result(shard, data, SPACES)
    assert took == {"decode": 1.5}
    assert found[0] == Unchanged(work[0].item, FileStamp(7, 8, "same"))
    assert isinstance(found[1], Unreadable)
    assert (found[1].item, found[1].error.reason) == (work[1].item, "no such file")
    assert isinstance(found[2], Embedded)
    assert list(found[2].items) == [each.item for each in work[2:]]
    assert list(found[2].file_stamps) == [FileStamp(1, 2, "x"), FileStamp(3, 4, "y"), FileStamp(3, 4, "y")]
    np.testing.assert_array_equal(found[2].vectors["deep"], np.float32([[2, 1, 0.1], [3, 1, 0.1], [4, 1, 0.1]]))
    np.testing.assert_array_equal(found[2].vectors["color"], [[0.5, 2], [0.5, 3], [0.5, 4]])


def test_reused_contents_come_back_after_what_they_are_copied_from() -> None:
    work = [work_of(number) for number in range(5)]
    work[3] = replace(work[3], reuse=False)
    shard = Shard.of(work, SPACES)
    assert [each.reuse for each in read_work(shard.text)] == [True, True, True, False, True]
    assert shard.name != Shard.of([work_of(number) for number in range(5)], SPACES).name
    reused = []
    for each, sha256 in ((work[0], "x"), (work[1], "known")):  # the first is of the content of the third photo
        file_stamp = FileStamp(1, 2, sha256)
        reused.append(Reused(each.item, file_stamp, Content.of(each.item, file_stamp)))
    made = outcomes(work)[2:]
    found, _ = read_result(shard, write_result([*made, *reused], source="", spaces=SPACES, took={}), SPACES)
    assert [type(each) for each in found] == [Embedded, Reused, Reused]
    assert found[1:] == reused
    assert reused_keys(found) == {reused[1].content.key}


def test_garments_come_back_too() -> None:
    work = [replace(work_of(number), finder=None if number == 1 else "finder@1") for number in range(4)]
    shard, plain = Shard.of(work, SPACES), Shard.of([work_of(number) for number in range(4)], SPACES)
    assert (shard.name != plain.name, shard.with_garments, plain.with_garments) == (True, True, False)
    assert [each.finder for each in read_work(shard.text)] == [each.finder for each in work]
    garments = [Garment(Box(1, 2, 3, 4), "top", 0.9), Garment(Box(1, 2, 30, 40), "skirt", 0.5)]
    items = [
        replace(each.item, garments=tuple(garments[:number]), finder=each.finder)
        for number, each in zip((2, 0, 0, 1), work, strict=True)
    ]
    vectors = {space.name: np.arange(5.0 * space.dimension, dtype=np.float32) for space in SPACES}
    vectors = {space.name: vectors[space.name].reshape(5, space.dimension) for space in SPACES}
    stamps = [FileStamp(number, number, "x") for number in range(4)]
    for parts in ([(0, 4)], [(0, 2), (2, 4)]):
        rows_of = RecordBatch(items, vectors, [], [], []).rows
        sent = [
            Embedded(
                items[start:end],
                stamps[start:end],
                {name: rows[rows_of[start].start : rows_of[end - 1].stop] for name, rows in vectors.items()},
            )
            for start, end in parts
        ]
        data = write_result(sent, source="shop", spaces=SPACES, took={}, with_garments=True)
        [found], _ = read_result(shard, data, SPACES)
        assert isinstance(found, Embedded)
        assert (list(found.items), list(found.file_stamps)) == (items, stamps)
        for name, rows in vectors.items():
            np.testing.assert_array_equal(found.vectors[name], rows)
        with pytest.raises(ValueError, match="other spaces"):
            read_result(plain, data, SPACES)


def test_a_shard_of_unreadable_photos_comes_back_too() -> None:
    shard = Shard.of([work_of(1)], SPACES)
    data = write_result([Unreadable(shard.work[0].item, PhotoError("x", "gone"))], source="", spaces=SPACES, took={})
    assert [type(each) for each in read_result(shard, data, SPACES)[0]] == [Unreadable]


def test_a_result_of_other_photos_or_half_a_file_is_not_taken() -> None:
    work = [work_of(number) for number in range(5)]
    data = write_result(outcomes(work), source="", spaces=SPACES, took={})
    for wrong in (work[:4], [*work, work_of(9)]):
        with pytest.raises(ValueError, match="not contain each of its photos once"):
            read_result(Shard.of(wrong, SPACES), data, SPACES)
    flipped = bytes([*data[:99], data[99] ^ 4, *data[100:]])
    for damaged in (data[: len(data) // 2], data + b"0", flipped, b""):
        with pytest.raises(ValueError, match="does not fit its checksum"):
            read_result(Shard.of(work, SPACES), damaged, SPACES)
    other = b"no table"
    with pytest.raises(ValueError, match="not the result of a shard"):
        read_result(Shard.of(work, SPACES), other + hashlib.sha256(other).digest(), SPACES)
    with pytest.raises(ValueError, match="other spaces"):
        read_result(Shard.of(work, SPACES), data, SPACES[:1])


def node(alive: bool = True, **resources: float) -> dict[str, Any]:
    return {"Alive": alive, "Resources": resources}


@pytest.mark.parametrize(
    ("nodes", "device", "share"),
    [
        ([node(CPU=4, memory=800), node(CPU=2, memory=300)], "auto", Share(1, 0, 150, 6)),
        ([node(CPU=4, memory=800), node(False, CPU=64, memory=1)], "auto", Share(1, 0, 200, 4)),
        ([node(CPU=8), node(CPU=16, GPU=2, memory=1000)], "auto", Share(8, 1, 500, 2)),
        ([node(CPU=8, memory=800), node(CPU=16, GPU=2, memory=1600)], "cpu", Share(1, 0, 100, 24)),
    ],
)
def test_a_cluster_is_divided_among_workers(nodes: list[dict[str, Any]], device: str, share: Share) -> None:
    assert share_of(nodes, device=device) == share


def test_a_cluster_with_nothing_to_divide_is_refused() -> None:
    with pytest.raises(UsageError, match="no machine of the cluster has a processor"):
        share_of([node(memory=100)], device="auto")
    with pytest.raises(UsageError, match="there is no GPU in the cluster"):
        share_of([node(CPU=4, memory=100)], device="cuda")


def test_the_batch_goes_by_the_memory() -> None:
    class Asking:
        wanted_size = 224

    photo = 3 * 4 * 224 * 224 * PER_INPUT
    sizes = [batch_for(Asking(), memory=4 * photo * fits, gpu=False) for fits in (0, 1, 7, 1000)]  # type: ignore[arg-type]
    assert sizes == [1, 1, 7, BATCH]
    assert batch_for(Asking(), memory=0, gpu=True) == min(ON_GPU, GPU_BYTES // photo)  # type: ignore[arg-type]


def task_for(tiny_model: Path, shards: Path) -> tuple[Task, Any]:
    from lookalike.embedding.embedder import PhotoEmbedder
    from lookalike.embedding.model_loading import open_network

    embedder = PhotoEmbedder(open_network(tiny_model))
    return Task([], "auto", "cpu", embedder.spaces, "shop", shards=str(shards)), embedder


def test_a_finished_shard_is_taken_and_a_damaged_one_is_made_again(tmp_path: Path, tiny_model: Path) -> None:
    photo = tmp_path / "a.png"
    Image.new("RGB", (40, 40), (200, 30, 40)).save(photo)
    task, embedder = task_for(tiny_model, tmp_path / "shards")

    def described() -> Outcome:
        worker = ShardWorker(task)
        worker.__dict__["_embedder"] = embedder  # which it would load
        shard = Shard.of([PhotoTask(Item("a", str(photo)))], task.spaces)
        [outcome] = read_result(shard, worker.result(shard), task.spaces)[0]
        return outcome

    first = described()
    assert isinstance(first, Embedded)
    photo.unlink()
    again = described()
    assert isinstance(again, Embedded)
    np.testing.assert_array_equal(again.vectors["deep"], first.vectors["deep"])
    [kept] = (tmp_path / "shards").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert isinstance(described(), Unreadable)


def test_a_machine_without_the_folder_of_the_photos_says_so_at_once(tmp_path: Path, tiny_model: Path) -> None:
    task, embedder = task_for(tiny_model, tmp_path / "shards")
    worker = ShardWorker(task)
    worker.__dict__["_embedder"] = embedder
    elsewhere = [PhotoTask(Item("a", "a.png", root=str(tmp_path / "none"))), PhotoTask(Item("b", "/b.png"))]
    with pytest.raises(LookalikeError, match=f"a machine of the cluster, has no folder {tmp_path}/none; photos must"):
        worker.result(Shard.of(elsewhere, task.spaces))
    stands_for_itself = Shard.of([PhotoTask(Item("b", "/none/b.png", root=str(tmp_path / "none")))], task.spaces)
    [refused] = read_result(stands_for_itself, worker.result(stands_for_itself), task.spaces)[0]
    assert isinstance(refused, Unreadable)


def test_a_photo_that_is_only_here_is_told_from_one_that_is_nowhere(tmp_path: Path) -> None:
    (tmp_path / "here.jpg").write_bytes(b"photo")
    items = [Item(name, name, root=str(tmp_path)) for name in ("here.jpg", "none.jpg")]
    lost = [Unreadable(item, PhotoError(item.location, "no such file")) for item in items]
    outcomes = [job._seen_from_here(each) for each in lost]
    assert [each.error.reason for each in outcomes if isinstance(each, Unreadable)] == [
        "no such file on the machine of the cluster that was to read it, though there is one here",
        "no such file",
    ]


def test_a_cluster_that_wants_a_token_is_told_from_one_that_cannot_be_reached() -> None:
    """Ray hides the reason in the text of an error that it has caught."""
    hidden, other = ConnectionError("Failed to connect"), ConnectionError("Version mismatch:\n    Ray: 2.50")
    hidden.__context__ = RuntimeError("Traceback ... ray.exceptions.AuthenticationError: RPC error: InvalidAuthToken")
    assert "wants its token: set RAY_AUTH_MODE=token" in _why_not_connected("host:1", hidden)
    assert _why_not_connected("host:1", other) == (
        "no Ray cluster can be reached at host:1: Version mismatch: Ray: 2.50"
    )


def test_tries_are_counted_by_shard() -> None:
    tries = Tries()
    assert [tries.begin(name) for name in ("a", "b", "a", "a")] == [1, 1, 2, 3]


@pytest.mark.parametrize(("deadly", "told"), [({5}, None), (set(range(8)), "lost, each several times")])
def test_a_photo_that_ends_its_worker_is_found_by_halving(
    monkeypatch: pytest.MonkeyPatch, deadly: set[int], told: str | None
) -> None:
    """Workers that are lost with certain photos stand in for Ray, which would take minutes to lose them."""

    def results(shards: list[Shard], *_: object) -> Iterator[tuple[str, bytes]]:
        for shard in shards:
            if deadly.isdisjoint(each.position for each in shard.work):
                same = [Unchanged(each.item, FileStamp(1, 1, "")) for each in shard.work]
                yield shard.name, write_result(same, source="", spaces=SPACES, took={"decode": 0.0})

    monkeypatch.setattr(job, "_results", results)
    run = object.__new__(RayEmbedding)
    run._finished = []
    task = Task([], "auto", "cpu", SPACES, "")
    shards = [Shard.of([work_of(number) for number in part], SPACES) for part in (range(4), range(4, 8))]
    wave = run._wave(shards, task, Share(1, 0, 1, 1), {"decode": 0.0})
    if told:
        with pytest.raises(LookalikeError, match=told):
            list(wave)
        return
    found = list(wave)
    assert sorted(each.item.id for each in found if isinstance(each, Unchanged)) == ["0", "1", "2", "3", "4", "6", "7"]
    [refused] = [each for each in found if isinstance(each, Unreadable)]
    assert (refused.item.id, refused.error.reason) == ("5", "the process that reads it is lost, each time")
