"""Every command and route that writes, killed at any operation on files: what was acknowledged is there, all of it.

A run without a kill tells what is there before and after, and how many operations on files there are; then the same
is killed in the middle of one of them, and what is left is compared with the two.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import pytest
from disk_faults import KILL, KILLED, Broken, broken, disk_watch
from sent_photos import change, files_in, photos_of, picture, put, writer_of

import lookalike
from fault_tries import Tries
from lookalike.cli import main
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.photo_reader import is_sent
from lookalike.types import Item

__all__ = ["broken", "disk_watch"]

Contents = dict[str, object]


def contents(gallery: Path) -> Contents:
    """All that a gallery knows: each item with its vectors, and what was learned; nothing when there is none."""
    if not (gallery / "gallery.db").exists() or not (gallery / "gallery.db").stat().st_size:
        return {}
    with LocalGallery(gallery) as opened:
        known: Contents = {
            item.id: (shown(item), [(name, row.tobytes()) for name, row in opened.vectors(item.id).items()])
            for item in opened.list(limit=None)[1]
        }
        if opened.stored_weights.weights is not None:
            known["learned weights"] = dict(opened.stored_weights.weights)
        return known


def shown(item: Item) -> object:
    """An item; a photo that was sent for it as it is, whatever the name of its folder."""
    if not is_sent(item):
        return item
    return replace(item, root="", photo=""), Path(item.location).parents[2], Path(item.location).read_bytes()


def is_well(gallery: Path) -> None:
    """Nothing that `verify` finds, and the photo of each item is there."""
    if (gallery / "gallery.db").exists() and (gallery / "gallery.db").stat().st_size:
        with LocalGallery(gallery) as opened:
            assert opened.verify().problems == ()


# Commands.


@dataclass(frozen=True)
class Case:
    """One command.

    Attributes:
        arguments: In which {disk} is the folder of all files, {model} the model.
        together: Whether all of it is there or nothing; otherwise each item by itself.
        changes: The gallery that it changes or makes, below the folder.
        again: Whether the same command, once more, has the outcome of one that was not killed.
    """

    arguments: str
    together: bool = True
    changes: str = "shop.gallery"
    again: bool = True


CASES = {
    "index": Case("index {disk}/more.csv -g {disk}/shop.gallery", together=False),
    "index again": Case(
        "index {disk}/more.csv -g {disk}/new.gallery --model {model}", together=False, changes="new.gallery"
    ),
    "prune": Case("index {disk}/fewer.csv -g {disk}/shop.gallery --prune", together=False),
    "set": Case("gallery set -g {disk}/shop.gallery 3 price=77 new=yes"),
    "remove": Case("gallery remove -g {disk}/shop.gallery 1 2 sent", again=False),
    "compact": Case("gallery compact -g {disk}/shop.gallery"),
    "cluster": Case("gallery cluster -g {disk}/shop.gallery"),
    "import": Case("gallery import {disk}/exported -g {disk}/shop.gallery", together=False),
    "import a gallery": Case("gallery import {disk}/other.gallery -g {disk}/shop.gallery", together=False),
    "export a gallery": Case(
        "gallery export --format gallery -g {disk}/shop.gallery --to {disk}/copy.gallery",
        together=False,
        changes="copy.gallery",
    ),
    "export parquet": Case("gallery export --format parquet -g {disk}/shop.gallery --to {disk}/parquet", changes="-"),
    "export original": Case(
        "gallery export --format original -g {disk}/shop.gallery --to {disk}/original", changes="-"
    ),
    "fuse": Case("fuse {disk}/shop.csv -g {disk}/shop.gallery --keep always --protocol product"),
    "reduce": Case(
        "reduce -g {disk}/shop.gallery --to {disk}/small.gallery --dimension deep=4", changes="small.gallery"
    ),
    "augment": Case("augment -g {disk}/shop.gallery --to {disk}/big.gallery --neighbours 2", changes="big.gallery"),
}


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """A folder with galleries, photos and tables, to be copied."""
    disk = tmp_path_factory.mktemp("pattern") / "disk"
    (disk / "photos").mkdir(parents=True)
    for number in range(12):
        (disk / "photos" / f"{number}.png").write_bytes(picture(number))
    for name, numbers in (("shop", range(8)), ("more", range(4, 12)), ("fewer", range(4))):
        lines = [f"{number},photos/{(number + (name == 'more')) % 12}.png,{number // 2},{number}" for number in numbers]
        (disk / f"{name}.csv").write_text("\n".join(["id,image,product,price", *lines]))
    for name in ("shop", "other"):
        with lookalike.open(disk / f"{name}.gallery", model=str(tiny_model)) as opened:
            opened.index(disk / f"{'more' if name == 'other' else 'shop'}.csv")
        with writer_of(disk / f"{name}.gallery", tiny_model) as writer:
            put(writer, "sent", 100)
            change(writer, "5", **{"by hand": name})
    return disk


@pytest.fixture
def fresh(pattern: Path, broken: Broken, tiny_model: Path) -> Callable[[], Path]:
    """Brings the folder back to what it was."""

    def bring() -> Path:
        shutil.rmtree(broken.folder)
        shutil.copytree(pattern, broken.folder)
        for name in ("shop", "other"):  # at this place, with photos of its own
            with writer_of(broken.folder / f"{name}.gallery", tiny_model):
                pass
        assert (
            main(
                [
                    "gallery",
                    "export",
                    "-g",
                    str(broken.folder / "other.gallery"),
                    "--to",
                    str(broken.folder / "exported"),
                ]
            )
            == 0
        )
        return broken.folder

    return bring


@dataclass(frozen=True)
class Run:
    """What a command does when it is not killed: contents before and after, and how many operations on files."""

    before: Contents
    after: Contents
    operations: int


def test_commands_killed_at_any_operation(
    fresh: Callable[[], Path], broken: Broken, tiny_model: Path, tries: Tries, luck: Random
) -> None:
    """Each command in turn; then the same command once more, which has the outcome of one that was not killed."""
    runs: dict[str, Run] = {}
    names = luck.sample(sorted(CASES), len(CASES))
    for turn in range(tries("kills", short=3, long=900)):
        name = names[turn % len(names)]
        case, disk = CASES[name], fresh()
        arguments = case.arguments.format(disk=disk, model=tiny_model).split()
        changed = disk / case.changes
        if name not in runs:
            before = contents(changed)
            whole = broken.command(*arguments)
            assert whole.code == 0, whole.said
            assert whole.operations > 3
            runs[name] = Run(before, contents(changed), whole.operations)
            fresh()
        others = {each: contents(each) for each in disk.glob("*.gallery") if each != changed}
        at = luck.randrange(runs[name].operations)
        killed = broken.command(*arguments, number=KILL, after=at)
        assert killed.code in (KILLED, 0), (name, at, killed.said)
        check_left(case, runs[name], contents(changed), told=(name, at))
        assert {each: contents(each) for each in others} == others
        for gallery in (changed, *others):
            is_well(gallery)
        if case.again or contents(changed) == runs[name].before:
            again = broken.command(*arguments)
            assert again.code == 0, (name, at, again.said)
            assert contents(changed) == runs[name].after, (name, at)
            is_well(changed)
            assert not [path for path in disk.rglob(".*") if path.parent.name != "derived"], (name, at)


def check_left(case: Case, run: Run, left: Contents, *, told: object) -> None:
    """What a killed command leaves is what was there, or what it makes, and no third thing."""
    before, after = run.before, run.after
    if case.together:
        assert left in (before, after), told
        return
    assert set(before) & set(after) <= set(left) <= set(before) | set(after), told
    assert all(value in (before.get(item), after.get(item)) for item, value in left.items()), told


# Routes.


def latin(data: bytes) -> str:
    return data.decode("latin-1")


State: TypeAlias = dict[str, tuple[int, dict[str, Any]]]
Change: TypeAlias = Callable[[State], State]


def as_written(lines: list[tuple[Change, set[str]]], state: State) -> list[State]:
    """States after the commits of a bulk request: of new photos, of changes, of deletions.

    Lines of other items are written together, deletions first and new photos last; those of one item one after the
    other.

    Args:
        lines: What the lines do, in this order, and to which items.
        state: The state before.
    """
    together: list[list[tuple[int, Change]]] = [[]]
    seen = set[str]()
    for rank, (deed, items) in enumerate(lines):
        if seen & items:
            together.append([])
            seen = set()
        together[-1].append((rank, deed))
        seen |= items
    states = []
    for part in together:
        for _, deed in sorted(part, key=lambda each: -each[0]):
            state = deed(state)
            states.append(state)
    return states


class Requests:
    """Random writes over HTTP, and what a gallery is after each of them, a bulk request in its steps."""

    def __init__(self, luck: Random, items: dict[str, tuple[int, dict[str, Any]]]) -> None:
        self.luck, self.items = luck, dict(items)
        self.asked: list[dict[str, Any]] = []
        self.states: list[list[dict[str, tuple[int, dict[str, Any]]]]] = []

    def some(self, *, new: bool = False) -> str:
        return self.luck.choice([*self.items, *(["n1", "n2", "n3"] if new else [])])

    def add(self) -> None:
        """Think of one more."""
        start, steps = self.items, list[dict[str, tuple[int, dict[str, Any]]]]()
        kind = self.luck.choice(["put", "put", "describe", "patch", "delete", "bulk"])
        attributes, seed = {"number": len(self.asked)}, self.luck.randrange(1000)
        request: dict[str, Any]
        if kind == "put":
            name = self.some(new=True)
            request = {"method": "PUT", "photo": latin(picture(seed)), "data": {"attributes": json.dumps(attributes)}}
            steps.append({**start, name: (seed, attributes)})
        elif kind == "bulk":
            names = sorted({self.some(new=True) for _ in range(3)})
            photos = [
                {"id": each, "photo_base64": base64.b64encode(picture(seed + at)).decode(), "attributes": attributes}
                for at, each in enumerate(names)
            ]
            told, gone = self.some(), self.luck.choice(["nobody", self.some()])
            lines = [*photos, {"id": told, "attributes": {"bulk": seed}}, {"id": gone, "delete": True}]

            def with_photos(state: State) -> State:
                sent = {
                    each: (seed + at, {**state.get(each, (0, {}))[1], **attributes}) for at, each in enumerate(names)
                }
                return {**state, **sent}

            def with_told(state: State) -> State:
                return {**state, told: (state[told][0], {**state[told][1], "bulk": seed})}

            def without_gone(state: State) -> State:
                return {each: value for each, value in state.items() if each != gone}

            steps += as_written([(with_photos, {*names}), (with_told, {told}), (without_gone, {gone})], start)
            name = ""
            request = {
                "method": "POST",
                "path": "/v1/items",
                "content": "\n".join(map(json.dumps, lines)),
                "headers": {"Content-Type": "application/x-ndjson"},
            }
        else:
            name = self.some()
            photo, old = start[name]
            if kind == "delete" and len(start) > 2:
                request = {"method": "DELETE"}
                steps.append({each: value for each, value in start.items() if each != name})
            else:
                request = {"method": "PATCH" if kind == "patch" else "PUT", "json": {"attributes": attributes}}
                steps.append({**start, name: (photo, {**old, **attributes} if kind == "patch" else attributes)})
        self.asked.append({"path": f"/v1/items/{name}", **request})
        self.states.append([start, *steps])
        self.items = steps[-1]


def written(gallery: Path) -> dict[str, tuple[bytes | None, dict[str, Any]]]:
    photos = photos_of(gallery)
    with LocalGallery(gallery) as opened:
        return {item.id: (photos[item.id], dict(item.attributes)) for item in opened.list(limit=None)[1]}


def expected(state: dict[str, tuple[int, dict[str, Any]]]) -> dict[str, tuple[bytes | None, dict[str, Any]]]:
    return {name: (picture(seed), attributes) for name, (seed, attributes) in state.items()}


def served(folder: Path, model: Path) -> Path:
    """A gallery with three items that were sent."""
    gallery = folder / "shop.gallery"
    shutil.rmtree(gallery, ignore_errors=True)
    with writer_of(gallery, model) as writer:
        for seed, name in enumerate("abc"):
            put(writer, name, seed)
    return gallery


FIRST: dict[str, tuple[int, dict[str, Any]]] = {name: (seed, {}) for seed, name in enumerate("abc")}


def test_routes_killed_at_any_operation(broken: Broken, tiny_model: Path, tries: Tries, luck: Random) -> None:
    """What was answered is there; the request that was not is there as a whole or not, a bulk request by its steps."""
    for _ in range(tries("kills-http", short=4, long=400)):
        gallery, requests = served(broken.folder, tiny_model), Requests(luck, FIRST)
        for _ in range(6):
            requests.add()
        outcome = broken.requests(gallery, tiny_model, requests.asked, number=KILL, after=luck.randrange(140))
        assert all(status in (200, 201, 204) for status, _ in outcome.answers), outcome
        done = len(outcome.answers)
        possible = requests.states[done] if done < len(requests.states) else [requests.items]
        with writer_of(gallery, tiny_model) as writer:  # as a server starts again
            assert written(gallery) in [expected(state) for state in possible], (done, outcome)
            assert len(files_in(gallery / "photos")) == len(writer.gallery)
        is_well(gallery)


def test_making_a_gallery_is_killed_at_any_operation(
    broken: Broken, tiny_model: Path, fresh: Callable[[], Path], tries: Tries, luck: Random
) -> None:
    """Until its first commit there is no gallery, and nothing that the next run stumbles over."""
    disk = fresh()
    arguments = ("index", disk / "more.csv", "-g", disk / "new.gallery", "--model", tiny_model)
    for at in luck.sample(range(14), tries("kills-making", short=3, long=14)):
        shutil.rmtree(disk / "new.gallery", ignore_errors=True)
        assert broken.command(*arguments, number=KILL, after=at).code == KILLED
        assert contents(disk / "new.gallery") == {}
        again = broken.command(*arguments)
        assert again.code == 0, (at, again.said)
