"""Every command that writes, on a disk that is full, bad or only to be read at any operation on files.

An operation fails once, or all do from then on. Then the command says so in one line, what was there before is there,
or what the command makes, and the same command on a sound disk ends as if nothing had happened.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from disk_faults import ALL, KILL, KILLED, Broken, broken, disk_watch
from test_kills import CASES, Case, Run, check_left, contents, fresh, is_well, pattern

from fault_tries import Tries
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest

__all__ = ["broken", "disk_watch", "fresh", "pattern"]

ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS)

SHOWN = {
    "search": "search {disk}/photos/1.png -g {disk}/shop.gallery --index exact --json",
    "montage": "search {disk}/photos/1.png -g {disk}/shop.gallery --montage {disk}/answer.png",
    "page": "search {disk}/photos/1.png -g {disk}/shop.gallery --html {disk}/answer.html",
    "verify": "gallery verify -g {disk}/shop.gallery",
    "report": "evaluate {disk}/shop.csv -g {disk}/shop.gallery --protocol product --report {disk}/report",
}
"""Commands that change no gallery, and what they leave."""


def hidden(disk: Path) -> list[Path]:
    """Files that were begun and not finished."""
    return [path for path in disk.rglob("*") if path.name.startswith(".") or path.name.endswith((".part", ".tmp"))]


def is_said(said: str) -> bool:
    """Whether the last line is an error, in a line, and no bug; a thread that failed as well may say so after it."""
    *_, last = [line for line in said.strip().splitlines() if not line.startswith("warning: a background")] or [""]
    return last.startswith("error: ") and "bug in lookalike" not in said and "Traceback" not in said


def is_exact(gallery: Path) -> None:
    """An exact search finds what a loop over the vectors finds."""
    with LocalGallery(gallery) as opened:
        known = {item.id: opened.vectors(item.id) for item in opened.list(limit=None)[1]}
        asked = known[min(known)]
        found = opened.search(asked, SearchRequest(index="exact", k=len(known), weights=dict.fromkeys(asked, 1.0)))
        scores = {
            item: float(np.mean([(row * asked[space]).sum() for space, row in rows.items()]))
            for item, rows in known.items()
        }
        ids = opened.items([int(row) for row in found.rows.ravel()])
        for row, score in zip(found.rows.ravel(), found.scores.ravel(), strict=True):
            assert abs(scores[ids[int(row)].id] - float(score)) < 1e-4


def draw_fault(luck: Random, operations: int) -> tuple[int, int, int]:
    """An error, how many operations pass before, and how many fail."""
    return luck.choice(ERRORS), luck.randrange(operations), luck.choice((1, ALL))


def test_commands_that_change_a_gallery(
    fresh: Callable[[], Path], broken: Broken, tiny_model: Path, tries: Tries, luck: Random
) -> None:
    runs: dict[str, Run] = {}
    names = luck.sample(sorted(CASES), len(CASES))
    for turn in range(tries("bad-disk", short=3, long=400)):
        name = names[turn % len(names)]
        case, disk = CASES[name], fresh()
        arguments = case.arguments.format(disk=disk, model=tiny_model).split()
        changed = disk / case.changes
        if name not in runs:
            before = contents(changed)
            whole = broken.command(*arguments)
            assert whole.code == 0, whole.said
            runs[name] = Run(before, contents(changed), whole.operations)
            fresh()
        run, (number, after, times) = runs[name], draw_fault(luck, runs[name].operations)
        told = (name, errno.errorcode[number], after, times)
        failed = broken.command(*arguments, number=number, after=after, times=times)
        check_failed(case, run, changed, code=failed.code, said=failed.said, told=told)
        if times == 1 and name not in ("export a gallery", "reduce", "augment"):
            assert not hidden(disk), (told, hidden(disk))
        if case.again or contents(changed) == run.before:
            is_done_again(broken, arguments, run, failed.code == 0 and not run.before, changed, told)
            assert not hidden(disk), (told, hidden(disk))


def check_failed(case: Case, run: Run, changed: Path, *, code: int, said: str, told: object) -> None:
    """An error of one line or none, and no third thing in the gallery."""
    assert code in (0, 1, 3), (told, code, said)
    if code == 1:
        assert is_said(said), (told, said)
        check_left(case, run, contents(changed), told=told)
    elif code == 0:
        assert contents(changed) == run.after, (told, said)
    is_well(changed)
    if contents(changed):
        is_exact(changed)


def is_done_again(broken: Broken, arguments: list[str], run: Run, is_there: bool, changed: Path, told: object) -> None:
    """The same command on a sound disk; an export that was whole is refused a second time."""
    again = broken.command(*arguments)
    assert again.code == 0 or (is_there and again.code == 2), (told, again.said)
    assert contents(changed) == run.after, told
    is_well(changed)


def test_a_search_is_answered_wherever_the_disk_fails(fresh: Callable[[], Path], broken: Broken) -> None:
    """Also where SQLite cannot even empty the shared memory that a killed process has left."""
    disk = fresh()
    arguments = SHOWN["search"].format(disk=disk).split()
    whole = broken.command(*arguments)
    shared = disk / "shop.gallery" / "gallery.db-shm"
    for number in (errno.EIO, errno.ENOSPC):
        for times in (1, ALL):
            for after in range(6):
                shared.write_bytes(bytes(32768))
                failed = broken.command(*arguments, number=number, after=after, times=times)
                assert (failed.code, failed.said) == (whole.code, whole.said), (number, after, times)


def test_commands_that_show(
    fresh: Callable[[], Path], broken: Broken, tiny_model: Path, tries: Tries, luck: Random
) -> None:
    """A picture, page or report that was there is as it was, or new as a whole; searches are answered anyway."""
    operations: dict[str, int] = {}
    names = luck.sample(sorted(SHOWN), len(SHOWN))
    disk = fresh()
    before = contents(disk / "shop.gallery")
    for turn in range(tries("bad-disk-shown", short=5, long=300)):
        name = names[turn % len(names)]
        arguments = SHOWN[name].format(disk=disk).split()
        if name not in operations:
            whole = broken.command(*arguments)
            assert whole.code == 0, whole.said
            operations[name] = max(whole.operations, 1)
        old = {path: path.read_bytes() for path in shown_files(disk)}
        number, after, times = draw_fault(luck, operations[name])
        told = (name, errno.errorcode[number], after, times)
        failed = broken.command(*arguments, number=number, after=after, times=times)
        assert failed.code in (0, 1), (told, failed)
        assert failed.code == 0 or is_said(failed.said), (told, failed.said)
        assert failed.code == 0 or name not in ("search", "verify"), (told, failed.said)
        for path, data in old.items():
            check_shown(path, data)
        if times == 1:
            assert not hidden(disk), (told, hidden(disk))
        assert broken.command(*arguments).code == 0, told
        assert not hidden(disk), (told, hidden(disk))
        assert contents(disk / "shop.gallery") == before


def shown_files(disk: Path) -> Iterator[Path]:
    """What commands made for people."""
    yield from (path for path in (disk / "answer.png", disk / "answer.html") if path.exists())
    yield from (disk / "report").glob("*")


def check_shown(path: Path, old: bytes) -> None:
    """A file ends as it should, whichever of the two it is."""
    data = path.read_bytes()
    if data != old:
        ends = {".png": b"IEND\xaeB`\x82", ".html": b"</html>\n", ".json": b"}\n", ".csv": b"\n", ".md": b"\n"}
        assert data.endswith(ends[path.suffix]), path
        if path.suffix == ".json":
            json.loads(data)


def test_a_copy_that_failed_leaves_nothing_in_the_way(
    fresh: Callable[[], Path], broken: Broken, tiny_model: Path
) -> None:
    """Photos that were copied already are removed with the gallery that would have named them."""
    disk = fresh()
    arguments = CASES["export a gallery"].arguments.format(disk=disk, model=tiny_model).split()
    failed = broken.command(*arguments, number=errno.EROFS, after=photo_made_at(broken, arguments, disk), times=1)
    assert failed.code == 1, failed.said
    assert not (disk / "copy.gallery").exists()
    again = broken.command(*arguments)
    assert again.code == 0, again.said
    assert len(contents(disk / "copy.gallery")) == len(contents(disk / "shop.gallery"))


def photo_made_at(broken: Broken, arguments: list[str], disk: Path) -> int:
    """An operation during which a photo of the copy is there, and its item is not."""
    for after in range(100, 200, 8):
        killed = broken.command(*arguments, number=KILL, after=after)
        photos = list((disk / "copy.gallery").rglob("photos/*/*/*"))
        items = len(contents(disk / "copy.gallery"))
        shutil.rmtree(disk / "copy.gallery", ignore_errors=True)
        if killed.code == KILLED and photos and not items:
            return after
    raise AssertionError("no photo was ever there before its item")
