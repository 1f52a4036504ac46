"""Several galleries, links and foreign files in one photo folder: each gallery deletes only photos of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random

import pytest
from sent_photos import change, files_in, photos_of, picture, put, writer_of

from fault_tries import Tries
from lookalike.cli import main
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.photo_store import PhotoStore
from lookalike.server.ordered_writes import OrderedWrites

OLD = (1, 1)
"""Times of files that no sweep would take for new."""


def foreign_files(shared: Path, elsewhere: Path) -> None:
    """What others keep in the folder, some of it with names like those of photos that were sent."""
    digest = "0123456789abcdef" * 4
    for place in (shared, elsewhere):
        for name in (
            "cat.jpg",
            f"ab/{digest}.jpg",
            f"ab/{digest}-01234567.jpg",
            f"{digest[:32]}/ab/.{digest}-01234567.jpg",
        ):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(b"foreign")
            os.utime(place / name, OLD)
    (shared / "cd").symlink_to(elsewhere / "ab")
    (shared / "link.jpg").symlink_to(elsewhere / "cat.jpg")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A photo folder that others use, too."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "elsewhere").mkdir()
    foreign_files(tmp_path / "shared", tmp_path / "elsewhere")
    return tmp_path / "shared"


def strangers(shared: Path) -> dict[str, bytes | str]:
    """The files that the galleries did not make."""
    elsewhere = {f"../elsewhere/{name}": held for name, held in files_in(shared.parent / "elsewhere").items()}
    return elsewhere | {
        name: held for name, held in files_in(shared).items() if held in (b"foreign",) or not isinstance(held, bytes)
    }


def test_a_start_deletes_nothing_of_others(tmp_path: Path, shared: Path, tiny_model: Path) -> None:
    before = strangers(shared)
    for name in ("a", "b"):
        with writer_of(tmp_path / f"{name}.gallery", tiny_model, shared) as writer:
            put(writer, "same id", 1)
    for path in shared.rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, OLD)
    for name in ("a", "b", "a"):
        with writer_of(tmp_path / f"{name}.gallery", tiny_model, shared) as writer:
            put(writer, "another", 2)
    assert strangers(shared) == before
    for name in ("a", "b"):
        assert photos_of(tmp_path / f"{name}.gallery") == {"same id": picture(1), "another": picture(2)}


def test_links_put_into_a_gallerys_own_folder_are_not_followed(tmp_path: Path, tiny_model: Path) -> None:
    gallery, outside = tmp_path / "a.gallery", tmp_path / "outside"
    with writer_of(gallery, tiny_model) as writer:
        put(writer, "x", 1)
    (root,) = (gallery / "photos").iterdir()
    (shelf,) = root.iterdir()
    (kept,) = shelf.iterdir()
    outside.mkdir()
    stray = "ee" + kept.name[2:]
    (outside / stray).write_bytes(b"mine")
    os.utime(outside / stray, OLD)
    (root / "ee").symlink_to(outside)  # a folder behind a link, and a file behind one
    (shelf / stray).symlink_to(outside / stray)
    with writer_of(gallery, tiny_model) as writer:
        writer.remove("x")
    assert files_in(outside) == {stray: b"mine"}
    assert (shelf / stray).is_symlink()


def test_a_photo_folder_that_is_a_link_is_shared(tmp_path: Path, tiny_model: Path) -> None:
    """Also by a copy of the gallery, which has the same items: it deletes none of the photos that both name."""
    first, second, shared = tmp_path / "a.gallery", tmp_path / "b.gallery", tmp_path / "shared"
    shared.mkdir()
    LocalGallery(first, create=True).close()
    (first / "photos").symlink_to(shared)
    with writer_of(first, tiny_model) as writer:
        put(writer, "x", 1)
    shutil.copytree(first, second, symlinks=True)
    with writer_of(second, tiny_model) as writer:
        writer.remove("x")
        put(writer, "y", 2)
    with writer_of(first, tiny_model):
        pass
    assert photos_of(first) == {"x": picture(1)}
    assert photos_of(second) == {"y": picture(2)}


@pytest.mark.parametrize("beside", [False, True])
def test_a_copy_into_another_gallery_has_photos_of_its_own(
    tmp_path: Path, tiny_model: Path, beside: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "a.gallery", tmp_path / "b.gallery"
    photos = tmp_path / "beside" if beside else None
    with writer_of(first, tiny_model, photos) as writer:
        put(writer, "x", 1)
        put(writer, "y", 2, price=3)
        change(writer, "y", price=4)
    for _ in range(2):  # the second finds all as it should be
        assert main(["gallery", "export", "--format", "gallery", "-g", str(first), "--to", str(second)]) == 0
    assert ", 0 of them written now" in capsys.readouterr().out
    with writer_of(first, tiny_model, photos) as writer:
        writer.remove("x")
    assert photos_of(second) == {"x": picture(1), "y": picture(2)}
    with writer_of(second, tiny_model) as writer:
        assert writer.gallery.get("y").attributes == {"price": 4}
        writer.remove("y")
    assert photos_of(first) == {"y": picture(2)}


@pytest.mark.parametrize("copied", [False, True])
def test_photos_follow_a_gallery_that_is_moved_or_copied(tmp_path: Path, tiny_model: Path, copied: bool) -> None:
    first, second = tmp_path / "a.gallery", tmp_path / "b.gallery"
    with writer_of(first, tiny_model) as writer:
        put(writer, "x", 1)
        put(writer, "y", 2)
    (shutil.copytree if copied else shutil.move)(first, second)
    with writer_of(second, tiny_model) as writer:
        writer.remove("x")
        assert photos_of(second) == {"y": picture(2)}
    assert len(files_in(second / "photos")) == 1
    if copied:
        assert photos_of(first) == {"x": picture(1), "y": picture(2)}


def test_removing_on_the_command_line_removes_the_photo(tmp_path: Path, shared: Path, tiny_model: Path) -> None:
    before = strangers(shared)
    for photos in (shared, None):
        gallery = tmp_path / f"{photos is None}.gallery"
        with writer_of(gallery, tiny_model, photos) as writer:
            put(writer, "x", 1)
            put(writer, "y", 2)
        assert main(["gallery", "remove", "-g", str(gallery), "x"]) == 0
        assert sum(held == picture(1) for held in files_in(photos or gallery / "photos").values()) == 0
        assert photos_of(gallery) == {"y": picture(2)}
    assert strangers(shared) == before


class World:
    """Galleries that use one photo folder or their own, and what each of them was told to keep.

    A copy made by the file system names photos that still belong to the gallery it was copied from, when these are not
    in the gallery's folder: `borrowed`. Their owner may remove them.
    """

    def __init__(self, folder: Path, shared: Path, model: Path, luck: Random) -> None:
        self.folder, self.shared, self.tiny, self.luck = folder, shared, model, luck
        self.items: dict[Path, dict[str, int]] = {}
        self.photos: dict[Path, Path | None] = {}
        self.borrowed: dict[Path, set[str]] = {}
        self.count = 0
        self.begin()

    def some(self) -> Path:
        return self.luck.choice(sorted(self.items))

    def begin(self, photos: Path | None = None, items: dict[str, int] | None = None) -> Path:
        gallery = self.folder / f"gallery-{self.count}"
        self.count += 1
        self.items[gallery] = dict(items or {})
        self.photos[gallery] = photos if items is not None else self.luck.choice([self.shared, None])
        self.borrowed[gallery] = set()
        with self.writer(gallery):
            return gallery

    def writer(self, gallery: Path) -> AbstractContextManager[OrderedWrites]:
        return writer_of(gallery, self.tiny, self.photos[gallery])

    def put(self, seed: int) -> None:
        gallery, item_id = self.some(), self.luck.choice("abcdef")
        with self.writer(gallery) as writer:
            put(writer, item_id, seed)
        self.items[gallery][item_id] = seed
        self.borrowed[gallery].discard(item_id)

    def remove(self) -> None:
        gallery = self.some()
        if self.items[gallery]:
            item_id = self.luck.choice(sorted(self.items[gallery]))
            with self.writer(gallery) as writer:
                writer.remove(item_id)
            del self.items[gallery][item_id]

    def kill(self, seed: int) -> None:
        """A writer that is killed when it has written a photo."""
        gallery = self.some()
        with self.writer(gallery) as writer:
            PhotoStore(writer.gallery, self.photos[gallery]).keep("killed", picture(seed))

    def copy(self, bring: Callable[[Path, Path], object]) -> None:
        gallery = self.some()
        bring(gallery, self.folder / f"gallery-{self.count}")
        other = self.begin(self.photos[gallery], self.items[gallery])
        if self.photos[gallery] is not None:
            self.borrowed[other] = set(self.borrowed[gallery] if bring is shutil.move else self.items[gallery])
        if bring is shutil.move:
            self.forget(gallery)

    def drop(self) -> None:
        if len(self.items) > 2:
            gallery = self.some()
            shutil.rmtree(gallery)
            self.forget(gallery)

    def forget(self, gallery: Path) -> None:
        del self.items[gallery], self.photos[gallery], self.borrowed[gallery]

    def check(self) -> None:
        for gallery, items in self.items.items():
            found = photos_of(gallery)
            assert set(found) == set(items)
            for item_id, seed in items.items():
                gone = found[item_id] is None and item_id in self.borrowed[gallery]
                assert gone or found[item_id] == picture(seed), (gallery, item_id)


def test_any_sequence_of_changes_leaves_each_gallery_its_photos(
    tmp_path: Path, shared: Path, tiny_model: Path, tries: Tries, luck: Random
) -> None:
    """Puts, removals, starts, copies, moves and killed writes on galleries that share a folder, against a model."""
    before, world = strangers(shared), World(tmp_path, shared, tiny_model, luck)
    for step in range(tries("shared-folders", short=40, long=1500)):
        deeds = [lambda: world.put(step)] * 5 + [world.remove] * 2 + [lambda: world.kill(step), world.drop]  # noqa: B023
        if len(world.items) < 5:
            deeds += [
                lambda: world.copy(shutil.copytree),
                lambda: world.copy(shutil.move),
                lambda: world.begin() and None,
            ]
        luck.choice(deeds)()
        world.check()
        assert strangers(shared) == before, step
    for gallery, items in world.items.items():
        with world.writer(gallery):
            if world.photos[gallery] is None:
                assert len(files_in(gallery / "photos")) == len(items)
