"""Processes that decode photos: the same outcomes as of threads, whatever becomes of the processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing import Pipe
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike.embedding import decoder_pool, decoder_process, photo_readers
from lookalike.embedding.batch_embedding import embed_photos
from lookalike.embedding.decoder_pool import DecoderEndedError, DecoderPool
from lookalike.embedding.decoder_process import PhotoSource
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.photo_tasks import Embedded, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.embedding.preparation import PhotoPreparation
from lookalike.embedding.protocol import Prepared
from lookalike.images import open_image
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Box, Content, FileStamp, Item

PHOTOS = 40


@pytest.fixture(scope="module")
def embedder(tiny_model: Path) -> PhotoEmbedder:
    return PhotoEmbedder(open_network(tiny_model, device="cpu"))


@pytest.fixture(scope="module")
def preparation(embedder: PhotoEmbedder) -> PhotoPreparation:
    return embedder.preparation


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> list[PhotoTask]:
    """Photos of several kinds: new, with a box, unchanged, of the content of another, damaged, and missing."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(5)
    tasks = []
    for number in range(PHOTOS):
        path = folder / (f"{number}.jpg" if number % 2 else f"{number}.png")
        Image.fromarray(random.integers(0, 255, (60 + number, 50, 3), dtype=np.uint8)).save(path)
        tasks.append(PhotoTask(Item(f"{number}", path.name, root=str(folder)), number))
    data = (folder / "3.jpg").read_bytes()
    (folder / "4.png").write_bytes(data)
    (folder / "11.jpg").write_bytes(data[: len(data) // 2])
    (folder / "22.png").write_bytes(b"not a photo")
    (folder / "27.jpg").unlink()
    for number, box in ((5, Box(4, 5, 30, 40)), (14, Box(900, 900, 950, 950))):
        tasks[number] = PhotoTask(Item(f"{number}", tasks[number].item.photo, root=str(folder), box=box), number)
    stamp = FileStamp(0, 0, decoder_process.stamp_of((folder / "7.jpg").read_bytes(), None).sha256)
    tasks[7] = PhotoTask(tasks[7].item, 7, file_stamp=stamp)
    return tasks


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes decode from the ninth photo on."""
    monkeypatch.setattr(photo_readers, "IN_THREADS", 8)
    monkeypatch.setattr(photo_readers, "MANY_PROCESSORS", 2)


def outcomes(work: Sequence[PhotoTask], embedder: PhotoEmbedder, workers: int = 2) -> Iterator[Outcome]:
    known = {Content(decoder_process.stamp_of(Path(work[9].item.location).read_bytes(), None).sha256).key}
    return embed_photos(work, defaultdict(float), embedder=embedder, batch=4, workers=workers, known=known)


def told(found: Sequence[Outcome]) -> list[tuple[object, ...]]:
    """Kind of outcome, item, and file stamp or error of each photo; first those unchanged, which come at any time."""
    rows: list[tuple[object, ...]] = []
    for each in found:
        if isinstance(each, Embedded):
            rows += [("embedded", *pair) for pair in zip(each.items, each.file_stamps, strict=True)]
        elif isinstance(each, Unreadable):
            rows.append(("unreadable", each.item, str(each.error)))
        else:
            rows.append((type(each).__name__, each.item, each.file_stamp))
    return sorted(rows, key=lambda row: row[0] != "Unchanged")


def vectors(found: Sequence[Outcome], name: str) -> np.ndarray:
    return np.concatenate([each.vectors[name] for each in found if isinstance(each, Embedded)])


def children() -> set[int]:
    """Ids of the processes that this one has started, and that run."""
    found = set[int]()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
            found.update(map(int, (thread / "children").read_text().split()))
    return found


def test_processes_give_what_threads_give(
    work: list[PhotoTask], embedder: PhotoEmbedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_threads = list(outcomes(work, embedder))
    monkeypatch.setattr(photo_readers, "IN_THREADS", 0)
    monkeypatch.setattr(photo_readers, "MANY_PROCESSORS", 2)
    monkeypatch.setattr(PhotoEmbedder, "prepare", None)  # so that no photo is prepared here
    in_processes = list(outcomes(work, embedder))
    assert told(in_processes) == told(in_threads)
    reasons = [str(each.error).rpartition(": ")[2] for each in in_threads if isinstance(each, Unreadable)]
    assert len(reasons) == 4
    assert {"no such file", "the file is cut short"} < set(reasons)
    assert [each.item.id for each in in_threads if isinstance(each, Reused)] == ["4", "9"]
    assert [each.item.id for each in in_threads if isinstance(each, Unchanged)] == ["7"]
    for space in embedder.spaces:
        np.testing.assert_array_equal(vectors(in_processes, space.name), vectors(in_threads, space.name))


@pytest.mark.usefixtures("processes")
def test_processes_end_with_the_run_and_when_it_is_left(work: list[PhotoTask], embedder: PhotoEmbedder) -> None:
    before = children()
    found = outcomes(work, embedder)
    assert next(found)
    while not children() - before:
        next(found)
    assert len(children() - before) == 2
    found.close()  # type: ignore[attr-defined]  # a generator, as Ctrl-C leaves it
    assert children() == before
    assert len(told(list(outcomes(work, embedder)))) == PHOTOS
    assert children() == before


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("killed", [1, 2])
def test_photos_of_a_killed_process_are_decoded_nonetheless(
    work: list[PhotoTask], embedder: PhotoEmbedder, killed: int, caplog: pytest.LogCaptureFixture
) -> None:
    before, found = children(), list[Outcome]()
    for each in outcomes(work * 5, embedder):
        found.append(each)
        some = sorted(children() - before)
        if len(some) == 2 and killed:
            for process in some[:killed]:
                os.kill(process, signal.SIGKILL)
            killed = 0
    assert len(told(found)) == 5 * PHOTOS
    lines = [record.getMessage() for record in caplog.records]
    assert lines
    assert set(lines) == {"a process that decodes photos ended with status -9; its photos are decoded by others"}
    assert children() == before


@pytest.mark.usefixtures("processes")
def test_processes_that_hang_end_with_the_run(
    work: list[PhotoTask], embedder: PhotoEmbedder, caplog: pytest.LogCaptureFixture
) -> None:
    before, found = children(), outcomes(work * 20, embedder)
    while len(some := children() - before) < 2:
        next(found)
    for process in some:
        os.kill(process, signal.SIGSTOP)
    began = time.monotonic()
    found.close()  # type: ignore[attr-defined]  # a generator, as Ctrl-C leaves it
    assert time.monotonic() - began < 5
    assert children() == before
    assert caplog.records == []


class Failing(PhotoPreparation):
    """Preparation with a bug."""

    def prepare(self, photo: Image.Image) -> Prepared:
        raise ZeroDivisionError("division by zero")


def test_a_bug_in_a_process_is_one_line(
    work: list[PhotoTask], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pool = DecoderPool(Failing({"deep": Preprocessing(8, 8)}), 1)
    try:
        with pytest.raises(DecoderEndedError), pool.borrowed() as decoder:
            assert decoder is not None
            decoder.read([PhotoSource("q", work[1].item.location, [None])])
            decoder.prepare([True])
    finally:
        pool.close()
    expected = "error: a process that decodes photos: ZeroDivisionError: division by zero\n"
    assert capfd.readouterr().err == expected
    assert [record.getMessage() for record in caplog.records] == [
        "a process that decodes photos ended with status 1; its photos are decoded by others"
    ]


@pytest.mark.usefixtures("processes")
@pytest.mark.parametrize("where", ["embedded", "frozen", "main", "lambda"])
def test_threads_decode_where_a_process_would_not_find_what_it_needs(
    work: list[PhotoTask], embedder: PhotoEmbedder, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    if where == "embedded":
        monkeypatch.setattr(sys, "executable", None)
    elif where == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    elif where == "main":
        monkeypatch.setattr(PhotoPreparation, "__module__", "__main__")
    else:
        monkeypatch.setattr(PhotoPreparation, "__reduce__", lambda _: (lambda: None, ()))
    before = children()
    for _ in outcomes(work, embedder):
        assert children() == before


def test_a_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from lookalike.embedding.decoder_pool import DecoderPool\n"
        "from lookalike.embedding.decoder_process import PhotoSource\n"
        "from lookalike.embedding.preparation import PhotoPreparation\n"
        "from lookalike.models.preprocessing import Preprocessing\n"
        "pool = DecoderPool(PhotoPreparation({'deep': Preprocessing(8, 8)}), 1)\n"  # without a guard of the main module
        "with pool.borrowed() as decoder:\n"
        "    decoder.read([PhotoSource('q', 'missing.jpg', [None])]), decoder.prepare([False])\n"
        "print(decoder._process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        decoder = Path(f"/proc/{int(parent.stdout.readline())}")
        assert decoder.exists()
        parent.kill()
    until = time.monotonic() + 20
    with suppress(FileNotFoundError, ProcessLookupError):  # it is gone
        while (decoder / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
            assert time.monotonic() < until
            time.sleep(0.01)


def test_large_photos_are_left_to_the_parent(tmp_path: Path, preparation: PhotoPreparation) -> None:
    path, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.new("RGB", (700, 700), "red").save(path)
    Image.new("RGB", (70, 70), "red").save(small)
    pool = DecoderPool(preparation, 2, memory=1 << 20)
    try:
        with pool.borrowed() as decoder:
            assert decoder is not None
            stamps = decoder.read([PhotoSource("q", str(each), [None]) for each in (path, small)])
            large, other = decoder.prepare([True, True])
    finally:
        pool.close()
    assert [each.size for each in stamps if each] == [path.stat().st_size, small.stat().st_size]
    assert large.parts is None
    assert other.parts is not None
    (expected,) = preparation.finish([preparation.prepare(open_image(small, at_least=preparation.wanted_size))])
    for name, rows in expected.items():
        np.testing.assert_array_equal(other.parts[0][name], rows)


def test_few_bytes_of_files_are_held_at_a_time(
    work: list[PhotoTask], preparation: PhotoPreparation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process answers for the first photos alone, and the others are sent again."""
    size = Path(work[1].item.location).stat().st_size
    monkeypatch.setattr(decoder_process, "MOST_HELD", size + 1)
    ours, theirs = Pipe()
    answering = threading.Thread(target=decoder_process.run, args=(os.dup(theirs.fileno()),))
    answering.start()
    theirs.close()
    ours.send((preparation, 2**30))
    ours.send([PhotoSource("q", work[1].item.location, [None])] * 5)
    assert len(ours.recv()) == 2
    ours.send([True, False])
    first, second = ours.recv()
    assert len(first.parts) == 1
    assert second.parts is None
    ours.close()
    answering.join()


def test_threads_decode_where_no_process_starts(
    work: list[PhotoTask],
    embedder: PhotoEmbedder,
    processes: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(decoder_pool.subprocess, "Popen", refuse)
    assert len(told(list(outcomes(work, embedder)))) == PHOTOS
    assert [record.getMessage() for record in caplog.records] == [
        "only 0 of 2 processes that decode photos started: Resource temporarily unavailable"
    ]
