"""Atomic writes of items: no reader sees a part of one, and a refused write changes nothing."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sent_photos import change, files_in, photos_of, picture, put, writer_of

from lookalike.errors import GalleryLockedError, StorageFullError, UsageError
from lookalike.gallery.editing import stored_item
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.server.item_write import ItemWrite
from lookalike.server.item_writer import Written
from lookalike.storage.write_lock import WriteLock
from lookalike.types import Item


@pytest.mark.parametrize("with_photo", [True, False])
def test_no_reader_sees_a_part_of_what_was_put(tmp_path: Path, tiny_model: Path, with_photo: bool) -> None:
    """Each put has attributes of its own, and so has each change by hand between: they never mix."""
    gallery, done, seen = tmp_path / "a.gallery", threading.Event(), list[Item]()

    def read() -> None:
        with LocalGallery(gallery) as reader:
            while not done.is_set():
                seen.append(reader.get("x"))

    with writer_of(gallery, tiny_model) as writer:
        put(writer, "x", 0, put=0)
        photo = {writer.gallery.get("x").photo: 0}
        reading = threading.Thread(target=read)
        reading.start()
        for number in range(1, 60):
            change(writer, "x", by_hand=number)
            if with_photo:
                put(writer, "x", number, put=number)
                photo[writer.gallery.get("x").photo] = number
            else:
                writer.put(ItemWrite("x", attributes={"put": number}, replace=True))
        done.set()
        reading.join()
    assert len(seen) > 60
    for item in seen:
        number = item.attributes["put"]
        assert item.attributes in ({"put": number}, {"put": number, "by_hand": number + 1})
        if with_photo:
            assert photo[item.photo] == number


def test_a_put_answers_what_it_committed(tmp_path: Path, tiny_model: Path) -> None:
    with writer_of(tmp_path / "a.gallery", tiny_model) as writer:
        for number in range(3):
            attributes = {"number": number, "nothing": None}
            write = ItemWrite("x", attributes=attributes, product="p", photo=picture(number), replace=True)
            written, _ = writer.put(write)
            assert written == Written(stored_item(writer.gallery, "x"), "added" if number == 0 else "updated")
            assert change(writer, "x", by_hand=True) == writer.gallery.get("x")
            written, _ = writer.put(ItemWrite("x", attributes={"described": number}, replace=True))
            assert written == Written(stored_item(writer.gallery, "x"), "updated")
            assert writer.gallery.get("x").attributes == {"described": number}


def test_a_write_that_is_refused_has_changed_nothing(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = tmp_path / "a.gallery"
    with writer_of(gallery, tiny_model) as writer:
        put(writer, "x", 1, price=1)
        change(writer, "x", by_hand=1)

        def state() -> object:
            return writer.gallery.get("x"), len(writer.gallery), files_in(gallery / "photos")

        before = state()
        monkeypatch.setattr("lookalike.storage.write_lock.PATIENCE_S", 0.05)
        locked, free = threading.Event(), threading.Event()

        def hold() -> None:
            with WriteLock(gallery / "write.lock").held():
                locked.set()
                free.wait(30)

        holding = threading.Thread(target=hold)
        holding.start()
        assert locked.wait(30)
        for write in (
            lambda: put(writer, "x", 2, price=2),
            lambda: put(writer, "y", 2, price=2),
            lambda: writer.put(ItemWrite("x", replace=True)),
            lambda: change(writer, "x", by_hand=2),
            lambda: writer.remove("x"),
        ):
            with pytest.raises(GalleryLockedError):
                write()
            assert state() == before
        free.set()
        holding.join()
        for bad in ({"price": float("nan")}, {"price": "\udc80"}):
            with pytest.raises(UsageError):
                writer.put(ItemWrite("x", attributes=bad, photo=picture(3)))  # type: ignore[arg-type]
            with pytest.raises(UsageError):
                writer.put(ItemWrite("x", attributes=bad))  # type: ignore[arg-type]
            assert state() == before
        put(writer, "x", 2, price=2)
        assert photos_of(gallery) == {"x": picture(2)}


def test_a_copy_brings_what_was_set_by_hand_with_the_item(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An item is never in the target without it, not even when the copy is broken off there."""
    with writer_of(tmp_path / "a.gallery", tiny_model) as writer:
        put(writer, "x", 1, price=1)
        writer.gallery.update([writer.gallery.get("x")], overrides=[{"price": 2, "by hand": True}])

    def stop(*_: object) -> None:
        raise StorageFullError("no room")

    monkeypatch.setattr(LocalGallery, "override", stop)
    with LocalGallery(tmp_path / "a.gallery") as source, LocalGallery(tmp_path / "b.gallery", create=True) as target:
        assert copy_gallery(source, target).written == 1
        assert target.get("x").attributes == {"price": 2, "by hand": True}
        target.update([target.source_items("http")["x"][0]])
        assert target.get("x").attributes == {"price": 2, "by hand": True}
