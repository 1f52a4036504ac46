"""Backups: what is restored answers as the gallery did, while it is written to, too; kills, damage and attacks."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from disk_faults import KILL, KILLED, Broken, broken, disk_watch
from sent_photos import change, files_in, photos_of, picture, put, writer_of

import lookalike
from fault_tries import Tries
from lookalike.cli import main
from lookalike.errors import BackupError, GalleryDamagedError, LookalikeError, StorageFullError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer import backup as backup_module
from lookalike.gallery.transfer import backup_parts
from lookalike.gallery.transfer.backup import backup
from lookalike.gallery.transfer.restoring import restore
from lookalike.types import Item

__all__ = ["broken", "disk_watch"]

ITEMS = 12


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A gallery of a table's photos and of uploaded ones, with overrides, learned weights and a model of its own."""
    folder = tmp_path_factory.mktemp("pattern")
    (folder / "photos").mkdir()
    for number in range(ITEMS):
        (folder / "photos" / f"{number}.png").write_bytes(picture(number))
    lines = [f"{number},photos/{number}.png,{number // 2},{number}" for number in range(ITEMS)]
    (folder / "shop.csv").write_text("\n".join(["id,image,product,price", *lines]))
    model = folder / "shop model.onnx"
    shutil.copy(tiny_model, model)
    with lookalike.open(folder / "shop.gallery", model=model) as shop:
        shop.index(folder / "shop.csv")
    with writer_of(folder / "shop.gallery", model) as writer:
        for number in range(4):
            put(writer, f"sent-{number}", 100 + number, price=number)
        change(writer, "5", by_hand="yes")
    return folder


@pytest.fixture
def shop(pattern: Path, tmp_path: Path) -> Path:
    """A gallery to change, with photos of its own."""
    shutil.copytree(pattern / "shop.gallery", tmp_path / "shop.gallery")
    with writer_of(tmp_path / "shop.gallery", pattern / "shop model.onnx"):
        pass
    return tmp_path / "shop.gallery"


@pytest.fixture
def archive(pattern: Path, tmp_path: Path) -> Path:
    """A backup."""
    return Path(backup(pattern / "shop.gallery", tmp_path / "kept.tar").place)


def contents(gallery: Path) -> dict[str, object]:
    """All that a gallery knows."""
    with LocalGallery(gallery) as opened:
        return {
            item.id: (placeless(item), [(name, row.tobytes()) for name, row in opened.vectors(item.id).items()])
            for item in opened.list(limit=None)[1]
        }


def placeless(item: Item) -> Item:
    """An item; with an uploaded photo, without the folder that it lies in."""
    return replace(item, root="") if item.id.startswith("sent") else item


def answers(gallery: Path) -> list[object]:
    with lookalike.open(gallery) as opened:
        found = []
        for number in (0, 3, 100, 102, 999):
            answer = opened.search(picture(number), k=8, where="price < 11")
            found.append([(placeless(match.item), match.score) for match in answer.matches])
        return found


# What is right.


def test_a_restored_gallery_answers_as_the_first_one_did(pattern: Path, archive: Path, tmp_path: Path) -> None:
    gallery = pattern / "shop.gallery"
    made = restore(archive, tmp_path / "new.gallery")
    assert (made.items, made.photos) == (ITEMS + 4, 4)
    new = tmp_path / "new.gallery"
    with LocalGallery(new) as opened:
        assert made.roots == opened.roots  # a server shows photos that lie in them
    assert contents(new) == contents(gallery)
    assert answers(new) == answers(gallery)
    assert photos_of(new) == photos_of(gallery)
    with LocalGallery(new) as opened:
        assert opened.verify(photos=True).problems == ()
        assert opened.model == str(new / "models" / "0" / "shop-model.onnx")
        sent = [item for item in opened.list(limit=None)[1] if item.id.startswith("sent")]
        assert {Path(item.root).parent for item in sent} == {new / "photos"}


def test_a_restored_gallery_can_be_moved_backed_up_and_restored_again(archive: Path, tmp_path: Path) -> None:
    """Its model lies in it, and moves with it."""
    restore(archive, tmp_path / "new.gallery")
    before = answers(tmp_path / "new.gallery")
    (tmp_path / "new.gallery").rename(tmp_path / "shop")
    assert answers(tmp_path / "shop") == before
    restore(backup(tmp_path / "shop", tmp_path).place, tmp_path / "third")
    shutil.rmtree(tmp_path / "shop")
    assert answers(tmp_path / "third") == before


def test_photos_of_a_gallery_that_was_moved_are_found(shop: Path, tmp_path: Path) -> None:
    shop.rename(tmp_path / "moved")
    assert backup(tmp_path / "moved", tmp_path / "kept.tar").left_out == ()


def test_any_tar_and_sha256sum_can_read_it(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive, "r:") as file:
        file.extractall(tmp_path / "out", filter="data")
    lines = (tmp_path / "out" / "SHA256SUMS").read_text().splitlines()
    sums = dict(reversed(line.split("  ")) for line in lines)
    found = {name: data for name, data in files_in(tmp_path / "out").items() if name != "SHA256SUMS"}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in found.items()} == sums  # type: ignore[arg-type]
    assert len([name for name in sums if name.startswith("photos/")]) == 4


def test_the_default_model_stays_the_default_unless_another_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "1.png").write_bytes(picture(1))
    with lookalike.open(tmp_path / "shop") as opened:
        opened.index(tmp_path / "photos")
    kept = backup(tmp_path / "shop", tmp_path / "kept.tar")
    assert (kept.models, kept.left_out) == (2, ())  # with its text encoder
    assert restore(tmp_path / "kept.tar", tmp_path / "same").model == "default"
    assert sorted(files_in(tmp_path / "same")) == ["gallery.db", "write.lock"]
    (tmp_path / "model.onnx").write_bytes(b"a newer one")
    monkeypatch.setattr("lookalike.gallery.transfer.restoring.SHIPPED_MODEL", tmp_path / "model.onnx")
    newer = tmp_path / "newer"
    assert restore(tmp_path / "kept.tar", newer).model == str(newer / "models" / "0" / "model.onnx")
    with lookalike.open(newer) as opened:
        assert [match.item.id for match in opened.search(text="red dress", k=1).matches] == ["1.png"]


def test_the_command_names_the_file_and_tells_what_is_in_it(
    pattern: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gallery", "backup", "-g", str(pattern / "shop.gallery"), "--to", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["place"]).parent == tmp_path
    assert Path(told["place"]).match("shop-*T*Z.tar")
    assert told == {
        "place": told["place"],
        "items": ITEMS + 4,
        "photos": 4,
        "models": 1,
        "bytes": Path(told["place"]).stat().st_size,
        "left_out": [],
    }
    assert main(["gallery", "restore", told["place"], "-g", str(tmp_path / "new"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["gallery"], told["items"], told["photos"]) == (str(tmp_path / "new"), ITEMS + 4, 4)


def test_what_visitors_chose_is_kept(shop: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(shop / "events.sqlite")) as events:
        events.execute("PRAGMA journal_mode = WAL")
        events.execute("CREATE TABLE clicks (item TEXT)")
        events.execute("INSERT INTO clicks VALUES ('3')")
        events.commit()
        assert backup(shop, tmp_path / "kept.tar").left_out == ()  # with commits that are in the log only
    restore(tmp_path / "kept.tar", tmp_path / "new")
    with closing(sqlite3.connect(tmp_path / "new" / "events.sqlite")) as events:
        assert events.execute("SELECT item FROM clicks").fetchall() == [("3",)]
    (shop / "events.sqlite").write_bytes(b"SQLite format 3\0" + bytes(200))
    for helper in ("-wal", "-shm"):
        (shop / f"events.sqlite{helper}").unlink(missing_ok=True)
    (told,) = backup(shop, tmp_path / "again.tar").left_out
    assert "the file of events is damaged" in told


# What is missing or wrong with the gallery.


def test_missing_photos_and_another_model_are_told(shop: Path, pattern: Path, other_model: Path) -> None:
    with LocalGallery(shop) as opened:
        Path(opened.get("sent-1").location).unlink()
        opened.remember_model(str(other_model))
    before = contents(shop)
    made = backup(shop, shop.parent / "kept.tar")
    assert (made.items, made.photos, made.models) == (ITEMS + 4, 3, 0)
    photo, model = made.left_out
    assert "the photo is missing" in photo
    assert "other@fedcba98 now, and the gallery was filled by tiny@01234567" in model
    assert contents(shop) == before
    assert main(["gallery", "backup", "-g", str(shop), "--to", str(shop.parent / "again.tar")]) == 3


def test_a_damaged_gallery_is_not_backed_up(shop: Path) -> None:
    with LocalGallery(shop) as opened, opened._database.writing() as connection:
        connection.execute("UPDATE items SET product = 'another' WHERE id = '3'")
    with pytest.raises(GalleryDamagedError, match=r"was not backed up: the items '3': not as written"):
        backup(shop, shop.parent / "kept.tar")
    assert sorted(path.name for path in shop.parent.iterdir()) == ["shop.gallery"]


def test_mistakes_are_one_line(shop: Path, archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shop.parent
    (folder / "file").write_text("mine")
    (folder / "empty").mkdir()
    for code, said, arguments in (
        (2, "exists already", ["backup", "-g", shop, "--to", archive]),
        (2, "no such folder", ["backup", "-g", shop, "--to", folder / "none" / "x.tar"]),
        (2, "there is no gallery", ["backup", "-g", folder / "none", "--to", folder / "x.tar"]),
        (2, "there is already a gallery", ["restore", archive, "-g", shop]),
        (2, "a gallery is a folder", ["restore", archive, "-g", folder / "file"]),
        (2, "no such folder", ["restore", archive, "-g", folder / "none" / "g"]),
        (2, "No such file", ["restore", folder / "none.tar", "-g", folder / "g"]),
        (2, "no backup of a gallery", ["restore", folder / "file", "-g", folder / "g"]),
        (2, "into a folder", ["restore", archive, "-g", "milvus://localhost:1/shop"]),
        (0, "verified", ["restore", archive, "-g", folder / "empty"]),
    ):
        assert main(["gallery", *map(str, arguments)]) == code, arguments
        shown = capsys.readouterr()
        assert said in shown.out + shown.err, arguments
        assert (shown.out + shown.err).count("\n") == 1, arguments
    assert (folder / "file").read_text() == "mine"
    assert not (folder / "g").exists()


def test_a_disk_without_room_is_told_first(
    shop: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_module, "MARGIN", 1 << 60)
    with pytest.raises(StorageFullError, match=r"MB are needed, and .* MB are free"):
        backup(shop, tmp_path / "more.tar")
    with pytest.raises(StorageFullError, match=r"MB are needed, and .* MB are free"):
        restore(archive, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept.tar", "shop.gallery"]


# While it is written to.


@contextmanager
def repeated(*works: Callable[[], None]) -> Iterator[None]:
    """Do each of several things again and again, in threads, while the context lasts."""
    stop = threading.Event()

    def repeat(work: Callable[[], None]) -> None:
        while not stop.is_set():
            work()

    with ThreadPoolExecutor(len(works)) as threads:
        running = [threads.submit(repeat, work) for work in works]
        try:
            yield
        finally:
            stop.set()
    for each in running:
        each.result()


def test_backups_of_a_gallery_that_is_searched_and_written_to(
    shop: Path, pattern: Path, tries: Tries, luck: Random, tmp_path: Path
) -> None:
    """Each is one version: of two items that one commit changes together, both have the same change."""
    with writer_of(shop, pattern / "shop model.onnx") as writer, lookalike.open(shop) as reader:
        turn = 0

        def write_once() -> None:
            nonlocal turn
            turn += 1
            put(writer, f"sent-{turn % 5}", 200 + turn, price=turn)
            items = [replace(writer.gallery.get(name), attributes={"turn": turn}) for name in ("1", "2")]
            writer.gallery.update(items)
            if turn % 7 == 0:
                writer.remove(f"sent-{turn % 5}")

        def search_once() -> None:
            assert reader.search(picture(luck.randrange(20)), k=5).matches

        with repeated(write_once, search_once):
            for number in range(tries("backups-under-load", short=4, long=100)):
                new = tmp_path / f"{number}.gallery"
                restore(backup(shop, tmp_path / f"{number}.tar").place, new)
                check_version(new)
    assert turn > 4


def check_version(gallery: Path) -> None:
    """Whether a restored gallery is one version of the gallery that is written to, with its photos and no others."""
    with LocalGallery(gallery) as opened:
        assert opened.get("1").attributes.get("turn") == opened.get("2").attributes.get("turn")
        assert opened.verify(photos=True).problems == ()
    photos = [photo for item_id, photo in photos_of(gallery).items() if item_id.startswith("sent")]
    assert None not in photos
    assert len(list((gallery / "photos").rglob("*.png"))) == len(photos)


def test_photos_that_are_replaced_while_they_are_read_are_looked_for_again(
    shop: Path, pattern: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer replaces the photo of an item after each look at the gallery; at last it rests."""
    looked = backup_parts.sent_photos
    with writer_of(shop, pattern / "shop model.onnx") as writer:
        seeds = iter(range(300, 300 + 5))

        def look(connection: Any, folder: Path) -> Any:
            found = looked(connection, folder)
            for seed in seeds:
                put(writer, "sent-2", seed)
                break
            return found

        monkeypatch.setattr(backup_parts, "sent_photos", look)
        made = backup(shop, shop.parent / "kept.tar")
        assert made.left_out == ()
        restore(shop.parent / "kept.tar", shop.parent / "new")
        assert photos_of(shop.parent / "new") == photos_of(shop)
        seeds = iter(range(400, 10_000))
        with pytest.raises(LookalikeError, match="replaced faster than they can be read"):
            backup(shop, shop.parent / "never.tar")
    assert not (shop.parent / "never.tar").exists()


# Kills and bad disks.


def test_killed_backups_and_restores_leave_all_or_nothing(
    pattern: Path, broken: Broken, tries: Tries, luck: Random
) -> None:
    """Killed, or refused by the disk, at any operation on files; then the same once more."""
    disk = broken.folder
    shutil.copytree(pattern / "shop.gallery", disk / "shop.gallery")
    backup(disk / "shop.gallery", disk / "kept.tar")
    commands = {
        "made.tar": ("gallery", "backup", "-g", disk / "shop.gallery", "--to", disk / "made.tar"),
        "new.gallery": ("gallery", "restore", disk / "kept.tar", "-g", disk / "new.gallery"),
    }
    there, known = sorted(path.name for path in disk.iterdir()), contents(disk / "shop.gallery")
    for name, command in commands.items():
        whole = broken.command(*command)
        assert whole.code == 0, whole.said
        for _ in range(tries("killed backups", short=3, long=200)):
            clear(disk / name)
            number = luck.choice([KILL, KILL, errno.ENOSPC, errno.EIO])
            outcome = broken.command(*command, number=number, after=luck.randrange(whole.operations))
            assert outcome.code in ((KILLED, 0) if number == KILL else (0, 1)), outcome
            if (disk / name).exists():
                check(disk / name, known)
            else:
                assert number == KILL or sorted(path.name for path in disk.iterdir()) == there, outcome
                again = broken.command(*command)
                assert again.code == 0, (outcome, again.said)
                check(disk / name, known)
        clear(disk / name)
        assert broken.command(*command).code == 0
        assert sorted(path.name for path in disk.iterdir()) == sorted([*there, name])
        assert not list((disk / name).glob("restore*"))
        clear(disk / name)


def clear(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def check(made: Path, known: dict[str, object]) -> None:
    """What a command made is whole."""
    gallery = made
    if made.is_file():
        gallery = made.parents[1] / "checked"
        restore(made, gallery)
    assert contents(gallery) == known
    with LocalGallery(gallery) as opened:
        assert opened.verify(photos=True).problems == ()
    if made.is_file():
        shutil.rmtree(gallery)


# Damage and attacks.


def test_damaged_backups_are_refused(archive: Path, tries: Tries, luck: Random, tmp_path: Path) -> None:
    """Whatever byte is changed, cut off or put in: one line, and nothing is restored."""
    data = archive.read_bytes()
    for _ in range(tries("damaged backups", short=60, long=5_000)):
        damaged = bytearray(data)
        place = luck.randrange(len(data))
        kind = luck.choice(["flip", "cut", "add", "swap"])
        if kind == "flip":
            damaged[place] ^= 1 << luck.randrange(8)
        elif kind == "cut":
            del damaged[place : place + luck.choice([1, 511, 512, len(data)])]
        elif kind == "add":
            damaged[place:place] = luck.randbytes(luck.choice([1, 512, 1024]))
        else:
            other = luck.randrange(0, len(data) - 512) // 512 * 512
            place = place // 512 * 512
            damaged[place : place + 512] = data[other : other + 512]
        if bytes(damaged) == data or is_cosmetic(bytes(damaged), data):
            continue
        archive.write_bytes(damaged)
        with pytest.raises(BackupError):
            restore(archive, tmp_path / "new")
        assert [path.name for path in tmp_path.iterdir()] == [archive.name]


def is_cosmetic(damaged: bytes, data: bytes) -> bool:
    """Whether only fields of headers differ that nobody reads, with a checksum that fits."""
    if len(damaged) != len(data):
        return False
    with tarfile.open(fileobj=io.BytesIO(data)) as file:
        headers = {info.offset for info in file.getmembers()}
    return all(at // 512 * 512 in headers for at in range(len(data)) if damaged[at] != data[at])


def members_of(archive: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(archive) as file:
        return [(info, file.extractfile(info).read()) for info in file.getmembers()]  # type: ignore[union-attr]


def write(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], **settings: Any) -> None:
    """Write a tar with the checksums that a forger would put in."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {info.name}\n" for info, data in members)
    with tarfile.open(path, "w", **settings) as file:
        for info, data in [*members, (tarfile.TarInfo("SHA256SUMS"), sums.encode())]:
            info.size = len(data) if info.isreg() else 0
            file.addfile(info, io.BytesIO(data))


def forged() -> Iterator[tuple[str, tarfile.TarInfo, bytes]]:
    for name in (
        "../escaped",
        "/tmp/escaped",
        "photos/../../escaped",
        "models/0/../../../escaped",
        "models/0/.hidden",
        "gallery.db-wal",
        "write.lock",
        "photos/" + "0" * 32,
        "manifest.json",
        "gallery.db",
        "models/0/\u00e9.onnx",
        "photos/" + "0" * 32 + "/aa/" + "b" * 64 + "-00000000.png/x",
        "x" * 300,
    ):
        yield name, tarfile.TarInfo(name), b"mine"
    for kind in (
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.DIRTYPE,
        tarfile.GNUTYPE_SPARSE,
        tarfile.CONTTYPE,
    ):
        info = tarfile.TarInfo("models/1/x.onnx")
        info.type, info.linkname = kind, "/etc/passwd"
        yield f"type {kind!r}", info, b""


@pytest.mark.parametrize(("info", "data"), [pytest.param(info, data, id=name[:40]) for name, info, data in forged()])
def test_hostile_backups_are_refused(archive: Path, tmp_path: Path, info: tarfile.TarInfo, data: bytes) -> None:
    members = members_of(archive)[:-1]
    place = tmp_path / "hostile.tar"
    write(place, [*members, (info, data)], format=tarfile.GNU_FORMAT)
    with pytest.raises(BackupError):
        restore(place, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hostile.tar", "kept.tar"]
    assert not (tmp_path.parent / "escaped").exists()


def test_bombs_are_refused(archive: Path, tmp_path: Path) -> None:
    """Compressed archives, members that claim more than there is, and headers that would fill the memory."""
    members = members_of(archive)[:-1]
    place = tmp_path / "bomb.tar"
    for mode in ("w:gz", "w:xz"):
        with tarfile.open(place, mode) as file:  # type: ignore[call-overload]
            for info, data in members:
                file.addfile(info, io.BytesIO(data))
        with pytest.raises(BackupError, match="no backup of a gallery"):
            restore(place, tmp_path / "new")
    large = tarfile.TarInfo("gallery.db")
    large.size = 1 << 50
    with place.open("wb") as raw:
        raw.write(archive.read_bytes()[:1024] + large.tobuf(tarfile.GNU_FORMAT))
    with pytest.raises(BackupError, match="is incomplete, or no backup"):
        restore(place, tmp_path / "new")
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        header = tarfile.TarInfo("././@LongLink")
        header.type, header.size = kind, 1 << 40
        place.write_bytes(archive.read_bytes()[:1024] + header.tobuf(tarfile.GNU_FORMAT))
        with pytest.raises(BackupError, match="no backup of a gallery"):
            restore(place, tmp_path / "new")
    manifest = tarfile.TarInfo("manifest.json")
    manifest.size = 1 << 30
    place.write_bytes(manifest.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(BackupError):
        restore(place, tmp_path / "new")


def test_a_backup_of_another_format_says_so(archive: Path, tmp_path: Path) -> None:
    (info, data), *others = members_of(archive)[:-1]
    newer = json.dumps(json.loads(data) | {"format": 2}).encode()
    write(tmp_path / "newer.tar", [(info, newer), *others], format=tarfile.USTAR_FORMAT)
    with pytest.raises(BackupError, match="expected a backup of format 1"):
        restore(tmp_path / "newer.tar", tmp_path / "new")
    with pytest.raises(UsageError, match="expected a file, or an address of s3://"):
        restore("https://shop.example/kept.tar", tmp_path / "new")


def test_a_database_of_another_program_is_not_restored(archive: Path, tmp_path: Path) -> None:
    members = [
        (info, b"SQLite format 3\0 and nothing else" if info.name == "gallery.db" else data)
        for info, data in members_of(archive)[:-1]
    ]
    write(tmp_path / "foreign.tar", members, format=tarfile.USTAR_FORMAT)
    with pytest.raises(LookalikeError):
        restore(tmp_path / "foreign.tar", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign.tar", "kept.tar"]


def test_large_members_are_told_by_numbers_that_fit() -> None:
    from lookalike.gallery.transfer.backup_archive import header_of

    info = tarfile.TarInfo.frombuf(header_of("gallery.db", 20 << 30), "utf-8", "strict")
    assert (info.name, info.size) == ("gallery.db", 20 << 30)
    name = f"photos/{'0' * 32}/ab/{'c' * 64}-01234567.jpg"
    info = tarfile.TarInfo.frombuf(header_of(name, 5), "utf-8", "strict")
    assert (info.name, info.size) == (name, 5)


def test_vectors_survive_bit_for_bit(archive: Path, pattern: Path, tmp_path: Path) -> None:
    restore(archive, tmp_path / "new")
    with LocalGallery(tmp_path / "new") as new, LocalGallery(pattern / "shop.gallery") as old:
        for (_, mine), (_, theirs) in zip(new.rows(), old.rows(), strict=True):
            for name in theirs:
                np.testing.assert_array_equal(mine[name], theirs[name])


def test_rights_do_not_come_from_the_archive(archive: Path, tmp_path: Path) -> None:
    members = members_of(archive)[:-1]
    for info, _ in members:
        info.mode, info.uid = 0o4777, 0
    write(tmp_path / "rights.tar", members, format=tarfile.USTAR_FORMAT)
    restore(tmp_path / "rights.tar", tmp_path / "new")
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "new" / "gallery.db").stat().st_mode & 0o7777 == 0o666 & ~mask
