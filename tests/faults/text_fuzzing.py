"""Reads damaged tables, annotation files, exported lists and filters, and says which were answered wrongly.

    text_fuzzing.py KIND SEED COUNT       as `test_damaged_texts.py` runs it, in a process of its own

Each input is a file of tests/corpus, changed at random. It must end in items or in one error of one line, soon. The
last line on standard output is `{"tries": ..., "read": ..., "refused": ..., "wrong": [...]}`; a process that is gone
before has crashed at the input whose number it wrote last on standard error.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from lookalike.catalogue import open_catalogue
from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.folders import import_folder
from lookalike.spaces import Space
from lookalike.types import Item
from peak_memory import peak_memory

CORPUS = Path(__file__).parents[1] / "corpus"
LONGEST_S = 5.0
"""Of the processor, for one input of a few kilobytes."""

MEMORY = 2**30
"""Bytes that the whole run may hold at once, the libraries that it loads included."""

SHORT = 100
TOKENS = [
    *(b"", b"\0", b"\n", b"\r", b'"', b"'", b",", b";", b"\t", b"|", b" ", b"\\N", b"NULL", b"NaN", b"N/A", b"-"),
    *(b"sep=;\n", b"sep=,\r\n"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\xc3\xa9", b"e\xcc\x81", b"\xed\xa0\x80", b"\xf0\x9f\x91\x97"),
    *(b"19,99", b"1.299,00", b"19.99 EUR", b"1e999", b"-0", b"9" * 400, b"0" * 30, b"../" * 30, b"s3://", b"file:///"),
    *(b"PAR1", b"image", b"id", b"[1,2,3,4]", b"x" * 200_000, b'"' * 999, b"(" * 99, b" not" * 40, b" and price = 1"),
    *(b" or", b" between", b" like '%_'", b" in (1, 'a', true, null)", b" is not null", b"--", b"/*", b"::", b"$$"),
]  # fmt: skip


def changed(data: bytes, others: list[bytes], luck: Random) -> bytes:
    """A file with one to six changes; a short one with fewer, or nothing of it would be left."""
    for _ in range(luck.randint(1, 6 if len(data) > SHORT else 2)):
        at = luck.randrange(len(data) + 1)
        end = min(len(data), at + luck.choice([1, 1, 2, 8, 64, 1024]))
        match luck.randrange(8):
            case 0 | 1:
                if at < len(data):
                    data = data[:at] + bytes([data[at] ^ 1 << luck.randrange(8)]) + data[at + 1 :]
            case 2:
                data = data[:at] + data[end:]
            case 3:
                data = data[:end] + data[at:end] * luck.choice([1, 2, 50]) + data[end:]
            case 4 | 5:
                data = data[:at] + luck.choice(TOKENS) + data[at:]
            case 6:
                other = luck.choice(others)
                start = luck.randrange(len(other) + 1)
                data = data[:at] + other[start : start + 256] + data[end:]
            case 7:
                data = data[:at] if luck.random() < 0.3 else data
    return data


Read = Callable[[Path, bytes], object]


def inputs(kind: str, luck: Random, count: int) -> Iterator[tuple[Path, bytes]]:
    """Files of the corpus, and what became of them."""
    files = sorted(path for path in (CORPUS / kind).rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}
    for _ in range(count):
        path = luck.choice(files)
        yield path, changed(contents[path], list(contents.values()), luck)


def read_table(folder: Path) -> Read:
    """Read a table with the name of the one in the corpus."""

    def read(path: Path, data: bytes) -> object:
        table = folder / path.name
        table.write_bytes(data)
        return list(open_catalogue(str(table)).items())

    return read


def read_benchmark(folder: Path) -> Read:
    """Read the benchmark with one file of its annotations changed."""

    def read(path: Path, data: bytes) -> object:
        for other in (CORPUS / "benchmark").rglob("*.txt"):
            copy = folder / other.relative_to(CORPUS / "benchmark")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(data if other == path else other.read_bytes())
        (folder / "Img" / "img").mkdir(parents=True, exist_ok=True)
        return list(open_catalogue(str(folder)).items())

    return read


def read_lists(folder: Path) -> Read:
    """Import features whose list, or arrays, were changed."""

    def read(path: Path, data: bytes) -> object:
        for other in (CORPUS / "lists").iterdir():
            (folder / other.name).write_bytes(data if other == path else other.read_bytes())
        with tempfile.TemporaryDirectory(dir=folder) as made, LocalGallery(Path(made) / "g", create=True) as gallery:
            return import_folder(folder, gallery)

    return read


def read_filter(folder: Path) -> Read:
    """Ask a gallery of a few items with a filter."""
    gallery = LocalGallery(folder / "g", create=True)
    held: list[dict[str, Any]] = [
        {"price": 1, "season": "Winter", "base colour": "Red"},
        {"price": True, "tags": ["a"]},
    ]
    items = [Item(id=str(at), photo="x.jpg", attributes=known) for at, known in enumerate(held)]
    gallery.add(items, {"deep": np.ones((2, 1), dtype=np.float32)}, spaces=[Space("deep", 1, "test")])

    def read(path: Path, data: bytes) -> object:
        return gallery.list(where=data.decode("utf-8", "replace"))

    return read


READERS: dict[str, Callable[[Path], Read]] = {
    "tables": read_table,
    "benchmark": read_benchmark,
    "lists": read_lists,
    "filters": read_filter,
}


def main() -> None:
    """Make the tries."""
    kind, seed, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    read_count = refused = 0
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        read = READERS[kind](Path(folder))
        for number, (path, data) in enumerate(inputs(kind, Random(seed), count)):
            sys.stderr.write(f"{number}\n")
            began = time.process_time()
            try:
                read(path, data)
                read_count += 1
            except LookalikeError as error:
                refused += 1
                if len(str(error).splitlines()) != 1 or len(str(error)) > 5_000:
                    wrong.append(
                        f"input {number}, {path.name}: a message of several lines, or a long one: {str(error)[:300]!r}"
                    )
            except Exception as error:  # noqa: BLE001 - this is what is looked for
                wrong.append(f"input {number}, {path.name}: {type(error).__name__}: {str(error)[:300]}")
            if (took := time.process_time() - began) > LONGEST_S:
                wrong.append(f"input {number}, {path.name}: {took:.1f} s")
    if (held := peak_memory()) > MEMORY:
        wrong.append(f"{held / 2**20:.0f} MiB were held")
    sys.stdout.write(json.dumps({"tries": count, "read": read_count, "refused": refused, "wrong": wrong[:20]}) + "\n")


if __name__ == "__main__":
    main()
