"""Background builds: a gallery is searched while it makes a new segment."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.errors import GalleryDamagedError, LookalikeError, StorageFailedError
from lookalike.gallery.local import segment_files, snapshot
from lookalike.gallery.local.file_identity import Files, files_at
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.refresh import refreshed_segment
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.segment_arrays import arrays_of
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.local.snapshot import UnindexedRows, extended
from lookalike.gallery.local.version import Version
from lookalike.gallery.request import SearchRequest
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
        (row,) = gallery.search({"deep": ROWS[number : number + 1]}, SearchRequest(k=1)).rows[0].tolist()
        assert gallery.items([row])[row].id == str(number)


@pytest.fixture
def grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalGallery:
    """One that calls 1,000 rows many, and has 1,200."""
    monkeypatch.setattr("lookalike.gallery.local.current_snapshot.LONG_TO_BUILD", 1000)
    gallery = LocalGallery(tmp_path / "gallery", create=True)
    add(gallery, 0, 1200)
    check(gallery, 0)
    assert gallery.info()["index"]["rows"] == 1200  # type: ignore[call-overload, index]
    return gallery


def test_searches_go_on_while_rows_are_derived_anew(grown: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    derive, may_go_on = SegmentFiles.build, threading.Event()

    def slowly(*arguments: Any, **named: Any) -> Segment | None:
        assert may_go_on.wait(60)
        return derive(*arguments, **named)

    monkeypatch.setattr(SegmentFiles, "build", slowly)
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


def test_closing_does_not_wait_for_all_that_is_being_derived(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, count = threading.Event(), 0

    def slowly(*arguments: Any, **named: Any) -> Any:
        nonlocal count
        count += 1
        begun.set()
        time.sleep(0.2)
        return arrays_of(*arguments, **named)

    monkeypatch.setattr(segment_files, "BATCH", 10)
    monkeypatch.setattr(segment_files, "arrays_of", slowly)
    add(grown, 1200, 2400)
    check(grown, 2399)
    assert begun.wait(60)
    grown.close()
    assert count < 100
    monkeypatch.undo()
    assert not list(grown.folder.glob("derived/.new-*"))
    with LocalGallery(grown.folder) as again:
        check(again, 5, 2399)
        assert again.info()["index"]["added_since"] == 0  # type: ignore[call-overload, index]


def test_rows_at_hand_stay_while_another_process_writes(grown: LocalGallery) -> None:
    add(grown, 1200, 2400)
    with LocalGallery(grown.folder) as other, other.writing():
        check(grown, 5, 2399)
        assert grown._current.snapshot is not None
        held = grown._current.snapshot.segment
        assert held is not None
        with grown._database.reading() as connection:
            now = Version.now(connection)
        assert refreshed_segment(grown._database, grown._segment_files, held=held, now=now, wait_s=0) is held
        grown.close()


def test_rows_that_are_newer_than_what_was_derived_stay(grown: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grown._current.snapshot is not None
    before = grown._current.snapshot
    with grown._database.reading() as connection:
        older = grown._segment_files.build(connection, keep=False)
    add(grown, 1200, 2400)
    grown.optimise()
    monkeypatch.setattr("lookalike.gallery.local.current_snapshot.refreshed_segment", lambda *_, **__: older)
    grown._current._rebuild_segment(before, before.version)
    assert grown.info()["index"]["rows"] == 2400  # type: ignore[call-overload, index]
    grown.close()


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (LookalikeError("the disk is full"), "WARNING"),
        (GalleryDamagedError("a vector is too short"), "ERROR"),
        (RuntimeError("faiss"), "WARNING"),
        (MemoryError(), "WARNING"),
    ],
)
def test_what_failed_is_tried_again_when_there_is_more_to_do(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception, level: str
) -> None:
    tries = 0

    def fail(*_: Any, **__: Any) -> Segment | None:
        nonlocal tries
        tries += 1
        raise error

    def settle(wanted: int) -> None:
        check(grown, 5)
        grown._current.background_build.stop()
        assert tries == wanted

    monkeypatch.setattr(SegmentFiles, "build", fail)
    monkeypatch.setattr(snapshot, "SMALL", 100)
    add(grown, 1200, 1400)
    settle(1)
    for number in range(1400, 1420):
        add(grown, number, number + 1)
        settle(1)
    add(grown, 1420, 1600)
    settle(2)
    assert [record.levelname for record in caplog.records] == [level, level]
    assert (str(error) or "MemoryError") in caplog.text
    monkeypatch.undo()
    monkeypatch.setattr("lookalike.gallery.local.current_snapshot.LONG_TO_BUILD", 1000)
    monkeypatch.setattr(snapshot, "SMALL", 100)
    add(grown, 1600, 1800)
    check(grown, 5)
    while grown.info()["index"]["rows"] == 1200:  # type: ignore[call-overload, index]
        time.sleep(0.01)
    grown.close()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system cannot reserve room")
def test_a_full_disk_is_said_before_rows_are_written(grown: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    add(grown, 1200, 2400)
    with pytest.raises(LookalikeError, match=r"cannot be written: .*No space left"):
        grown.optimise()
    monkeypatch.undo()
    grown.optimise()
    for path in grown.folder.glob("derived/rows-*/*.f32"):
        assert path.stat().st_blocks * 512 >= path.stat().st_size
    grown.close()


def test_rows_at_hand_serve_where_none_can_be_derived(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> Segment | None:
        raise LookalikeError("the disk is full")

    monkeypatch.setattr(SegmentFiles, "build", fail)
    add(grown, 1200, 2400)
    check(grown, 5, 2399)
    grown._current.background_build.stop()
    grown.close()
    assert "the disk is full" in caplog.text


def test_a_tail_grows_in_place_and_what_was_seen_before_stays() -> None:
    start = np.frombuffer(np.arange(6, dtype=np.float32).tobytes(), dtype=np.float32).reshape(3, 2)
    seen, whole = [start], start
    for number in range(10):
        whole = extended(whole, np.full((2, 2), number, dtype=np.float32), room=4)
        seen.append(whole)
    for earlier in seen:
        np.testing.assert_array_equal(earlier, whole[: len(earlier)])
    np.testing.assert_array_equal(whole[3:], np.repeat(np.arange(10), 4).reshape(-1, 2))
    assert len({id(rows.base) for rows in seen[1:]}) < 6


@pytest.mark.parametrize("lengths", [(1, 1, 3), (1, 1, 1, 3, 1), (3, 1, 1), (1, 3, 3, 1), (1, 1, 3, 3, 3)])
def test_a_tail_keeps_rows_of_any_length_beside_unit_rows(lengths: tuple[int, ...]) -> None:
    unindexed, seen = UnindexedRows(np.empty(0, np.int64), ROWS[:0], ROWS[:0]), []
    parts = [ROWS[number * 2 : number * 2 + 2] for number in range(len(lengths))]
    for number, (part, length) in enumerate(zip(parts, lengths, strict=True)):
        numbers = np.arange(number * 2, number * 2 + 2)
        later = UnindexedRows(numbers, part, part if length == 1 else part * length)
        unindexed = unindexed.followed_by(later, room=4)
        seen.append(unindexed)
    for count, then in enumerate(seen, start=1):
        np.testing.assert_array_equal(then.numbers, np.arange(count * 2))
        np.testing.assert_array_equal(then.unit, np.concatenate(parts[:count]))
        raw = [part * length for part, length in zip(parts[:count], lengths[:count], strict=True)]
        np.testing.assert_array_equal(then.raw, np.concatenate(raw))


def test_scores_stay_cosines_when_rows_of_another_length_follow(tmp_path: Path) -> None:
    with LocalGallery(tmp_path / "gallery", create=True) as gallery:
        for number, length in enumerate((1, 1, 1, 3, 1)):
            item = Item(id=str(number), photo="x.jpg")
            gallery.add([item], {"deep": ROWS[number : number + 1] * length}, spaces=SPACES)
            found = gallery.search({"deep": ROWS[: number + 1]}, SearchRequest(k=1))
            np.testing.assert_allclose(found.scores[:, 0], 1.0, atol=1e-5)
        np.testing.assert_allclose(gallery.vectors("3")["deep"], ROWS[3:4] * 3, rtol=1e-6)


def test_a_disk_that_damages_every_segment_ends_the_search(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    build, built = SegmentFiles.build, 0

    def damage(segment: Segment) -> None:
        assert segment.folder is not None
        with (segment.folder / "unit.f32").open("r+b") as file:
            file.write(b"other")

    def damaging(*arguments: Any, **named: Any) -> Segment | None:
        nonlocal built
        segment = build(*arguments, **named)
        assert segment is not None
        damage(segment)
        built += 1
        return segment

    monkeypatch.setattr(SegmentFiles, "build", damaging)
    kept = grown._current.present().segment
    assert kept is not None
    damage(kept)
    with pytest.raises(StorageFailedError, match="each of 3 segments made from the database"):
        grown.search({"deep": ROWS[:1]}, SearchRequest(index="exact"))
    assert built == 2
    monkeypatch.undo()
    assert grown.search({"deep": ROWS[:1]}, SearchRequest(k=1, index="exact")).scores[0, 0] == pytest.approx(
        1, abs=1e-5
    )


def test_a_database_that_is_replaced_at_each_attempt_ends_the_refresh(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(grown, 1200, 1201)
    monkeypatch.setattr(Version, "is_past_of", lambda version, connection: False)
    with pytest.raises(LookalikeError, match="is being replaced all the time; try again"):
        grown.search({"deep": ROWS[:1]}, SearchRequest(k=1))
    monkeypatch.undo()
    check(grown, 1200)


def test_a_database_that_is_replaced_at_each_attempt_ends_the_filter(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.gallery.local.current_snapshot.passing", lambda database, state, where: None)
    with pytest.raises(LookalikeError, match="is being replaced all the time; try again"):
        grown.search({"deep": ROWS[:1]}, SearchRequest(k=1, where="price < 3"))
    monkeypatch.undo()
    check(grown, 0)


def test_a_gallery_is_opened_while_another_process_moves_a_large_commit_into_it(
    grown: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown.close()
    moved = time.monotonic() + 0.3

    def files_while_moving(path: Path) -> Files:
        found = files_at(path)
        return found if time.monotonic() > moved else found._replace(database=(0, 0, 0, time.monotonic_ns()))

    monkeypatch.setattr("lookalike.gallery.local.connection_pool.files_at", files_while_moving)
    check(grown, 1199)
