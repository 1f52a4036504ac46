"""Damaged index files: in parts that opening does not read, and with wrong checksums."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lookalike.errors import IndexFileError
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.version import Version
from lookalike.index import INDEXES, Index, Rows, build, checksummed, faiss_candidates, inverted_lists, load
from lookalike.index.mapped_lists import PLACE
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32

SPACES = (Space("deep", 48, "tests"),)
ROWS = 3000
CODE_BYTES = 12
"""Of a row: 24 pairs of columns, 4 bits each."""

Places = npt.NDArray[Any]

each_of_lists = pytest.mark.parametrize("name", ["kmeans", "ivf"])


@pytest.fixture(scope="module")
def rows() -> Float32:
    return unit_rows(np.random.default_rng(0).standard_normal((ROWS, 48), dtype=np.float32))


@pytest.fixture(scope="module")
def built(rows: Float32) -> dict[str, Index]:
    return {name: build(name, rows, spaces=SPACES) for name in INDEXES}


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the bulk of a small gallery, as of a large one, most pages are not looked at."""
    monkeypatch.setattr(checksummed, "SAMPLES", 3)


@pytest.fixture(scope="module")
def segment_at(rows: Float32) -> Callable[[Path], Segment]:
    version = Version("g", SPACES, 1, "s", ROWS, 0, ROWS, raw=False)
    return lambda folder: Segment(version, np.arange(1, ROWS + 1), Rows(rows), folder=folder)


def bulk_of(path: Path) -> int:
    content = path.read_bytes()
    line = content[-checksummed.LENGTH_DIGITS - int(content[-checksummed.LENGTH_DIGITS :]) : -checksummed.LENGTH_DIGITS]
    return int(json.loads(line)["bulk"])


def places_of(path: Path) -> Places:
    with path.open("rb") as file:
        file.seek(bulk_of(path))
        places: Places = np.load(file)
    return places


def unseen_row(path: Path) -> tuple[int, int]:
    """A row whose number stands in a page that opening does not look at, and the byte where it stands."""
    content, pages = path.read_bytes(), -(-bulk_of(path) // checksummed.PAGE)
    seen = {at * (pages - 1) // (checksummed.SAMPLES - 1) for at in range(checksummed.SAMPLES)}
    for size, capacity, offset in places_of(path).tolist():
        start = offset + capacity * CODE_BYTES
        for at in range(start, start + 8 * size, 8):
            if at // checksummed.PAGE not in seen:
                return int.from_bytes(content[at : at + 8], "little"), at
    raise AssertionError("every page is looked at")


def overwrite(path: Path, at: int, number: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(np.int64(number).tobytes())


@each_of_lists
@pytest.mark.parametrize("damage", ["beyond", "far beyond", "negative", "twice"])
@pytest.mark.usefixtures("few_samples")
def test_a_search_that_finds_damage_has_the_index_built_anew(
    name: str,
    damage: str,
    rows: Float32,
    built: dict[str, Index],
    segment_at: Callable[[Path], Segment],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / f"index-{name}"
    built[name].save(path)
    sound = path.read_bytes()
    row, at = unseen_row(path)
    query = rows[row : row + 1]
    expected = built[name].search(query, 10)
    other = int(expected[0][0, 1])
    overwrite(path, at, {"beyond": ROWS, "far beyond": 1 << 40, "negative": -7, "twice": other}[damage])
    with pytest.raises(IndexFileError, match="rows out of range, or a row twice"):
        load(name, path, rows=rows, spaces=SPACES).search(query, 10)

    segment = segment_at(tmp_path)
    (problem,) = segment.damaged_indexes()
    assert "bulk checksum" in problem
    for _ in range(2):
        positions, scores = segment.index(name, keep=True).search(query, 10)
        np.testing.assert_array_equal(positions, expected[0])
        np.testing.assert_array_equal(scores, expected[1])
        assert positions[0, 0] == built["exact"].search(query, 1)[0][0, 0] == row
    assert [record.message.count("built again") for record in caplog.records] == [1]
    assert len(path.read_bytes()) == len(sound)
    assert segment.damaged_indexes() == segment_at(tmp_path).damaged_indexes() == []


@pytest.mark.usefixtures("few_samples")
def test_one_who_may_not_write_leaves_the_damaged_file_and_answers_rightly(
    rows: Float32, built: dict[str, Index], segment_at: Callable[[Path], Segment], tmp_path: Path
) -> None:
    path = tmp_path / "index-ivf"
    built["ivf"].save(path)
    row, at = unseen_row(path)
    overwrite(path, at, ROWS)
    damaged, segment = path.read_bytes(), segment_at(tmp_path)
    for _ in range(2):
        assert segment.index("ivf", keep=False).search(rows[row : row + 1], 1)[0].tolist() == [[row]]
    assert path.read_bytes() == damaged
    assert len(segment.damaged_indexes()) == 1


def resealed(path: Path, change: Callable[[Places], Places]) -> None:
    """Change where the lists are said to stand, and seal the file as if that was so."""
    bulk, places = bulk_of(path), places_of(path)
    with path.open("r+b") as file:
        file.seek(bulk)
        np.load(file)
        rest = np.load(file)
        file.seek(bulk)
        file.truncate()
        np.save(file, change(places))
        np.save(file, rest)
    checksummed.write_footer(path, name="ivf", count=ROWS, spaces=SPACES, bulk=bulk)


def put(field: str, number: int) -> Callable[[Places], Places]:
    """Say a number of one list."""

    def change(places: Places) -> Places:
        places[field][1] = number
        return places

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (put("offset", 1 << 40), "out of the file"),
        (put("offset", (1 << 64) - 1), "out of the file"),
        (put("capacity", 1 << 40), "out of the file"),
        (put("capacity", (1 << 64) // (CODE_BYTES + 8) + 1), "out of the file"),
        (put("capacity", 1), f"do not hold {ROWS} rows"),
        (put("size", 1 << 62), f"do not hold {ROWS} rows"),
        (put("size", 0), f"do not hold {ROWS} rows"),
        (lambda places: places[:-1], "valid table of its lists"),
        (lambda places: places.astype([("size", "<u8"), ("capacity", "<u8"), ("offset", "<f8")]), "valid table"),
        (lambda places: places.view("<u8"), "valid table of its lists"),
    ],
)
def test_lists_that_reach_out_of_the_bulk_are_refused(
    change: Callable[[Places], Places], reason: str, rows: Float32, built: dict[str, Index], tmp_path: Path
) -> None:
    path = tmp_path / "index"
    built["ivf"].save(path)
    resealed(path, lambda places: places)
    load("ivf", path, rows=rows, spaces=SPACES)
    assert places_of(path).dtype == PLACE
    resealed(path, change)
    with pytest.raises(IndexFileError, match=reason):
        load("ivf", path, rows=rows, spaces=SPACES)


def test_a_file_without_its_lists_places_is_refused(rows: Float32, tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(b"")
    checksummed.write_footer(path, name="ivf", count=ROWS, spaces=SPACES)
    with pytest.raises(IndexFileError):
        load("ivf", path, rows=rows, spaces=SPACES)
    path.write_bytes(b"")
    checksummed.write_footer(path, name="ivf", count=ROWS, spaces=SPACES, bulk=10_000)  # beyond the file's end
    with pytest.raises(IndexFileError):
        load("ivf", path, rows=rows, spaces=SPACES)


@pytest.mark.parametrize("bulk", ["Infinity", "-Infinity", "NaN", "1e300", "99999999999999999999999", "-5", "[]"])
def test_a_bulk_that_cannot_be_is_refused(bulk: str, tmp_path: Path) -> None:
    path = tmp_path / "index"
    line = f'{{"bulk": {bulk}}}'
    path.write_text(f"{line}{len(line):08d}")
    for all_of_it in (False, True):
        with pytest.raises(IndexFileError):
            checksummed.check(path, name="ivf", count=ROWS, spaces=SPACES, all_of_it=all_of_it)


@pytest.mark.parametrize(
    ("name", "where"), [("ivf", (inverted_lists, "read_mapped")), ("hnsw", (faiss_candidates, "read"))]
)
@pytest.mark.parametrize("gone", [False, True])
def test_a_file_that_is_replaced_while_it_is_opened_is_refused(
    name: str,
    where: tuple[Any, str],
    gone: bool,
    rows: Float32,
    built: dict[str, Index],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path, read = tmp_path / "index", getattr(*where)
    built[name].save(path)
    (tmp_path / "other").write_bytes(path.read_bytes())

    def replaced_first(*arguments: Any, **named: Any) -> object:
        (tmp_path / "other").replace(path)
        found: object = read(*arguments, **named)
        if gone:
            path.unlink()
        return found

    monkeypatch.setattr(*where, replaced_first)
    with pytest.raises(IndexFileError, match="No such file" if gone else "replaced while"):
        load(name, path, rows=rows, spaces=SPACES)
    monkeypatch.undo()
    if not gone:
        load(name, path, rows=rows, spaces=SPACES)
