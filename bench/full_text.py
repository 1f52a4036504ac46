"""Benchmark full text in a gallery: the first answer, two words with and without a filter, writes in between.

    python bench/full_text.py FOLDER [ITEMS]

fills FOLDER with a gallery of drawn titles (100,000 items, or ITEMS) if it is empty, and otherwise asks it and prints
milliseconds of processor time (one thread; the files are in memory) and bytes.
"""

from __future__ import annotations

import resource
import shutil
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from random import Random
from statistics import median

import numpy as np

from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space, unit_rows
from lookalike.types import Item

ITEMS = 100_000
BATCH = 1_000
SPACES = (Space("deep", 16, "drawn@1"),)
QUERIES = 200
SYLLABLES = [first + second for first in "bcdfghklmnprst" for second in "aeiou"]
COLORS = ("red", "blue", "green", "black", "white", "beige", "navy", "olive", "pink", "grey")
KINDS = ("dress", "shirt", "skirt", "jeans", "coat", "jacket", "sweater", "blouse", "shorts", "boots")
PATTERNS = ("floral", "striped", "plain", "dotted", "checked", "leopard")


def drawn(random: Random, number: int) -> Item:
    """An item with a title of eight words, 70 numbers in turn as its price, and three more attributes."""
    model, brand = ("".join(random.choices(SYLLABLES, k=3)) for _ in range(2))
    color, kind = random.choice(COLORS), random.choice(KINDS)
    return Item(
        id=f"sku-{number:07}",
        photo=f"{number}.jpg",
        product=f"style-{number // 3}",
        attributes={
            "title": f"{brand[:4]} women's {color} {random.choice(PATTERNS)} {kind} {model} with long sleeves",
            "brand": brand[:4],
            "price": number % 100,
            "kind": kind,
            "tags": [color, "casual", "summer"],
        },
    )


def fill(gallery: LocalGallery, count: int, *, first: int = 0) -> float:
    """Add drawn items. Returns the seconds of processor time that the gallery took."""
    random, numbers = Random(first), np.random.default_rng(first)
    seconds = 0.0
    for start in range(first, first + count, BATCH):
        items = [drawn(random, number) for number in range(start, min(start + BATCH, first + count))]
        rows = unit_rows(numbers.standard_normal((len(items), 16)).astype(np.float32))
        begun = time.process_time()
        gallery.add(items, {"deep": rows}, spaces=SPACES)
        seconds += time.process_time() - begun
    return seconds


def asked(gallery: LocalGallery, *words: str, where: str | None = None) -> float:
    """Milliseconds of processor time of a search for the best 100 items."""
    begun = time.process_time()
    gallery.full_text(words, k=100, where=where)
    return 1000 * (time.process_time() - begun)


def ranked_by_fts5(gallery: LocalGallery) -> list[float]:
    """Milliseconds of processor time of FTS5's own ranking by two frequent words: all items, and 5 % of them."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE VIRTUAL TABLE words USING fts5(title, rest, content='')")
        items = gallery.list(limit=None)[1]
        texts = [(number, item.attributes["title"], item.attributes["kind"]) for number, item in enumerate(items)]
        connection.executemany("INSERT INTO words (rowid, title, rest) VALUES (?, ?, ?)", texts)
        times = []
        for condition in ("1", f"rowid IN (SELECT value FROM json_each('{[*range(0, len(items), 20)]}'))"):
            begun = time.process_time()
            connection.execute(
                f"SELECT rowid, bm25(words) AS score FROM words WHERE words MATCH ? AND {condition} "
                "ORDER BY score LIMIT 100",
                ('"red" OR "dress"',),
            ).fetchall()
            times.append(1000 * (time.process_time() - begun))
        return times


def report(gallery: LocalGallery, folder: Path, count: int) -> None:
    """Ask the gallery, write to it, and print times."""
    random = Random(1)
    titles = [str(item.attributes["title"]) for item in gallery.list(offset=count // 2, limit=QUERIES)[1]]
    pairs = [random.sample(title.replace("'s", "").split(), 2) for title in titles]
    wrong = [word[:2] + word[3:] for title in titles for word in title.split() if len(word) == 6 and word.isalpha()]

    def show(name: str, times: list[float]) -> None:
        print(f"{name}: p50 {median(times):.2f} ms, longest {max(times):.2f} ms")

    shutil.rmtree(folder / "derived", ignore_errors=True)
    print(f"first answer, which reads all words: {asked(gallery, 'red'):.0f} ms")
    print(f"file: {sum(path.stat().st_size for path in folder.glob('derived/text-*/*')) / 1e6:.1f} MB")
    with LocalGallery(folder) as other:
        print(f"first answer of another process: {asked(other, 'red'):.0f} ms")
        show("two words of a title, as they come first", [asked(other, *two) for two in pairs])
        show("the same again", [asked(other, *two) for two in pairs])
        for where in ("price < 5", "price < 50"):
            asked(other, "red", where=where)
            name = f"with the filter {where}"
            show(name, [asked(other, *two, where=where) for two in pairs])
        show("a typing error", [asked(other, word) for word in wrong[:100]])
        times = []
        for number in range(50):
            other.override(f"sku-{number:07}", {"title": f"velvet {number}"})
            times.append(asked(other, "velvet", str(number)))
        show("one item changed before each search", times)
        print(f"two frequent words: {asked(other, 'red', 'dress'):.1f} ms")
    print(f"peak of memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    print("ranked by FTS5, and with a filter: {:.0f} and {:.0f} ms".format(*ranked_by_fts5(gallery)))


def main(folder: Path, count: int) -> None:
    """Fill the folder, or ask the gallery in it."""
    if not folder.is_dir():
        with LocalGallery(folder, create=True) as gallery:
            print(f"added {count:,} items in {fill(gallery, count):.1f} s; run it again to measure")
        return
    with LocalGallery(folder) as gallery:
        report(gallery, folder, len(gallery))


main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else ITEMS)
