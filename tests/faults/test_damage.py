"""Damage of every kind of file: each try gives the answer of the undamaged files, or one clear error.

A try damages one file of a copy and asks in a process of its own, so that a crash or a hang is a fault that is found
and not the end of the run.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from fault_tries import Tries
from lookalike.embedding.model_loading import open_network
from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer.folders import export_gallery, import_folder
from lookalike.remote.cache import PhotoCache
from lookalike.spaces import Space, unit_rows
from lookalike.types import Box, FileStamp, Float32, Garment, Item

ITEMS = 1600
SPACES = (Space("deep", 32, "tests"), Space("color", 7, "tests"))
COLORS = ("red", "green", "blue", "grey")
PATIENCE_S = 60
AGREES = 1e-6

Answers = dict[str, Any]
Ask = Callable[[Path], Answers]


@dataclass(frozen=True)
class Kind:
    """A kind of file: the folder that holds it, where in it, and how it is asked."""

    folder: Path
    file: str
    ask: Ask


def vectors(count: int, seed: int) -> dict[str, Float32]:
    numbers = np.random.default_rng(seed)
    return {
        space.name: unit_rows(numbers.standard_normal((count, space.dimension), dtype=np.float32)) for space in SPACES
    }


def items(first: int, count: int) -> list[Item]:
    return [
        Item(
            id=f"item {number}",
            photo=f"photos/{number}.jpg",
            product=f"p{number // 3}",
            attributes={"color": COLORS[number % 4], "price": number % 90 + 0.5},
        )
        for number in range(first, first + count)
    ]


def outfits(first: int, count: int) -> list[Item]:
    """Items of which each third has two garments."""
    garments = Garment(Box(1, 2, 30, 40), "top", 0.9), Garment(Box(5, 50, 30, 99), "skirt", 0.8)
    return [
        replace(item, finder="finder@1", garments=garments) if number % 3 == 0 else item
        for number, item in enumerate(items(first, count))
    ]


def fill(folder: Path, items: Callable[[int, int], list[Item]] = items) -> None:
    """A gallery with frozen rows, every index, rows added and removed since, edits and rows of other lengths."""
    file_stamps = [FileStamp(number, number, f"{number:064x}") for number in range(ITEMS)]
    with LocalGallery(folder, create=True) as gallery:
        given = vectors(sum(len(item.parts) for item in items(0, ITEMS)), 1)
        given["deep"][:5] *= 3
        gallery.add(items(0, ITEMS), given, spaces=SPACES, source="shop", file_stamps=file_stamps)
        gallery.optimise()
        for name in ("ivf", "kmeans", "hnsw"):
            gallery.search(vectors(1, 2), SearchRequest(index=name))
        gallery.full_text(["red"], k=1)
        more = items(ITEMS, 30)
        gallery.add(more, vectors(sum(len(item.parts) for item in more), 3), spaces=SPACES, source="more")
        gallery.remove([f"item {number}" for number in range(7, 1607, 100)])
        gallery.override("item 3", {"color": "pink"})


def ask_gallery(folder: Path) -> Answers:
    """All kinds of questions; of an approximate index, whether the scores are those of the exact scan."""
    query = vectors(3, 4)
    answers: Answers = {}

    def found(**options: Any) -> list[list[tuple[str, float]]]:
        near = gallery.search(query, SearchRequest(**options))
        known = gallery.items([int(row) for row in near.rows.ravel()])
        for item in known.values():
            assert item.attributes["color"] in (*COLORS, "pink")
        return [
            [(known[int(row)].id, float(score)) for row, score in zip(*each, strict=True)]
            for each in zip(near.rows, near.scores, strict=True)
        ]

    with LocalGallery(folder) as gallery:
        if "garment" in gallery.attributes():
            answers["garment"] = found(where="garment = 'skirt' and price < 40", k=5)
        answers["exact"] = found(index="exact", k=len(gallery))
        answers["where"] = found(where="color = 'red' and price < 40", k=5)
        answers["metric"] = found(metrics={"deep": "euclidean"}, k=5)
        true = [dict(each) for each in answers["exact"]]
        for index in ("ivf", "kmeans", "hnsw", "auto"):
            near = found(index=index, k=5)
            answers[f"index {index}"] = [len(each) for each in near]
            answers[f"scores of {index}"] = all(
                same(score, all_[id_]) for each, all_ in zip(near, true, strict=True) for id_, score in each
            )
        answers["list"] = [(item.id, item.product, dict(item.attributes)) for item in gallery.list(limit=None)[1]]
        for words in (("pink",), ("p17", "blue"), ("itme",)):
            told = gallery.full_text(words, k=9)
            near = gallery.items(told.rows.tolist())
            scores = zip(told.rows.tolist(), told.scores.tolist(), strict=True)
            answers[f"words {words}"] = [(near[row].id, score) for row, score in scores], dict(told.corrected)
        answers["facets"] = [(facet.name, dict(facet.counts)) for facet in gallery.facets()]
        file_stamps = gallery.source_items("shop")
        answers["stamps"] = {
            id_: (dict(item.attributes), file_stamp) for id_, (item, file_stamp) in file_stamps.items()
        }
        answers["item"] = gallery.get("item 3")
        answers["vectors"] = {name: rows.tolist() for name, rows in gallery.vectors("item 4").items()}
        answers["count"] = len(gallery)
        answers["sources"] = gallery.info()["sources"]
    return answers


def same(found: object, expected: object) -> bool:
    if isinstance(expected, float):
        return isinstance(found, float) and abs(found - expected) <= AGREES
    if isinstance(expected, dict):
        return (
            isinstance(found, dict)
            and found.keys() == expected.keys()
            and all(same(found[key], expected[key]) for key in expected)
        )
    if isinstance(expected, list | tuple):
        return isinstance(found, list | tuple) and len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


def damage(path: Path, luck: Random) -> str:
    """Damage a file in one of the ways in which disks and people do."""
    data = bytearray(path.read_bytes())
    way = luck.choice(["bit", "bit", "bit", "byte", "page", "cut", "more", "swap"])
    at = luck.randrange(len(data))
    if way == "bit":
        data[at] ^= 1 << luck.randrange(8)
    elif way == "byte":
        data[at] = (data[at] + luck.randrange(1, 256)) % 256
    elif way == "page":
        start = at // 4096 * 4096
        data[start : start + 4096] = bytes(len(data[start : start + 4096]))
    elif way == "cut":
        del data[at:]
    elif way == "more":
        data += luck.randbytes(luck.randrange(1, 5000))
    else:
        others = sorted(each for each in path.parent.iterdir() if each.is_file() and each != path)
        data = bytearray(luck.choice(others).read_bytes()) if others else data[::-1]
    path.write_bytes(data)
    return f"{path.name}: {way} at {at}"


def answer_for(ask: Ask, folder: Path, expected: Answers, sender: Connection) -> None:
    """Ask, and send what came of it."""
    try:
        found = ask(folder)
        wrong = [name for name in expected if not same(found.get(name), expected[name])]
        sender.send(f"wrong: {wrong}" if wrong else "right")
    except LookalikeError as error:
        text = str(error)
        sender.send(f"refused: {text}" if "\n" not in text else f"more than a line: {text}")
    except BaseException:  # noqa: BLE001 - whatever it is, it is what the try found
        sender.send(f"not caught: {traceback.format_exc()}")
    finally:
        sender.close()
        os._exit(0)


def asked_apart(ask: Ask, folder: Path, expected: Answers) -> str:
    """Ask in a process of its own: `right`, `refused: ...`, or what went wrong."""
    # Not forked from this process: the threads of FAISS that have run here would be missing there.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "lookalike.index.inverted_lists", "lookalike.index.hnsw"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=answer_for, args=(ask, folder, expected, sender))
    with pytest.MonkeyPatch.context() as patch:  # or the server does not find this module, and each process loads all
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        process.start()
    sender.close()
    try:
        told = str(receiver.recv()) if receiver.poll(PATIENCE_S) else "hangs"
    except EOFError:
        told = "crashed"
    process.join(1)
    if process.is_alive():
        process.kill()
        process.join()
    return f"{told} ({process.exitcode})" if told == "crashed" else told


def kinds_of_gallery(folder: Path) -> list[Kind]:
    files = sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.stat().st_size
    )
    return [Kind(folder, file, ask_gallery) for file in files if not file.endswith(("-shm", ".lock"))]


def ask_import(folder: Path) -> Answers:
    target = folder.parent / "imported.gallery"
    shutil.rmtree(target, ignore_errors=True)
    with LocalGallery(target, create=True) as gallery:
        import_folder(folder, gallery)
        return {
            item.id: (
                item.garments,
                dict(item.attributes),
                {name: rows.tolist() for name, rows in gallery.vectors(item.id).items()},
            )
            for item in gallery.list(limit=40)[1]
        }


def ask_model(folder: Path) -> Answers:
    photos = np.random.default_rng(0).standard_normal((1, 3, 32, 32)).astype(np.float32)
    network = open_network(folder / "tiny.onnx")
    return {"embedding": network.run(photos).embedding.tolist(), "maker": network.identity.model_id}


def ask_cache(folder: Path) -> Answers:
    found = PhotoCache(folder).get("a photo")
    return {"photo": b"of a shirt" * 99 if found is None else found}  # what is not kept is fetched


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> dict[str, list[Kind]]:
    folder = tmp_path_factory.mktemp("sound")
    fill(folder / "closed.gallery")
    fill(folder / "outfits.gallery", outfits)
    with LocalGallery(folder / "outfits.gallery") as gallery:
        export_gallery(gallery, folder / "outfits", format="parquet")
    open_ = LocalGallery(folder / "closed.gallery")
    with open_ as gallery:
        for format in ("parquet", "original"):
            export_gallery(gallery, folder / format, format=format)
    (folder / "model").mkdir()
    shutil.copy(tiny_model, folder / "model" / "tiny.onnx")
    PhotoCache(folder / "cache").keep("a photo", b"of a shirt" * 99)
    [entry] = (folder / "cache").iterdir()
    closed = [kind for name in ("closed", "outfits") for kind in kinds_of_gallery(folder / f"{name}.gallery")]
    return {
        "database": [kind for kind in closed if kind.file == "gallery.db"],
        "derived": [kind for kind in closed if kind.file.startswith("derived")],
        "exports": [
            Kind(path.parent, path.name, ask_import)
            for format in ("parquet", "original", "outfits")
            for path in sorted((folder / format).iterdir())
        ],
        "model": [Kind(folder / "model", "tiny.onnx", ask_model)],
        "cache": [Kind(folder / "cache", entry.name, ask_cache)],
    }


@pytest.mark.parametrize(
    ("what", "short", "long"),
    [
        ("database", 8, 450),
        ("derived", 8, 400),
        ("exports", 6, 150),
        ("model", 6, 150),
        ("cache", 4, 50),
    ],
)
def test_damage_ends_in_the_right_answer_or_one_clear_error(
    what: str, short: int, long: int, kinds: dict[str, list[Kind]], tmp_path: Path, tries: Tries, luck: Random
) -> None:
    faults, ends = [], {"right": 0, "refused": 0}
    expected: dict[Path, Answers] = {}
    for number in range(tries(f"damage-{what}", short=short, long=long)):
        kind = luck.choice(kinds[what])
        copy = tmp_path / f"{number}" / kind.folder.name
        shutil.copytree(kind.folder, copy)
        if kind.folder not in expected:
            shutil.copytree(kind.folder, tmp_path / "sound" / kind.folder.name)
            expected[kind.folder] = kind.ask(tmp_path / "sound" / kind.folder.name)
        done = damage(copy / kind.file, luck)
        end = asked_apart(kind.ask, copy, expected[kind.folder])
        word = end.partition(":")[0]
        if word in ends:
            ends[word] += 1
        else:
            faults.append(f"try {number}, {kind.file}, {done}: {end}")
        shutil.rmtree(copy.parent)
    assert not faults, "\n".join([f"{len(faults)} faults, {ends}", *faults[:20]])
