"""Galleries that store their vectors as 16-bit whole numbers: scores, round trips, damage and size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist

from lookalike.errors import GalleryDamagedError, MismatchError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.vector_replacement import VectorReplacement
from lookalike.gallery.milvus.metadata import MetadataStore
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer import parquet
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.index import INDEXES, RowFormat
from lookalike.spaces import Space, unit_rows
from lookalike.storage import sha256sums
from lookalike.types import Float32, Item
from milvus_server import MilvusServer

SPACES = (Space("deep", 48, "tiny@1", "int16"), Space("color", 13, "colour@1", "int16"))
IN_FULL = tuple(replace(space, dtype="float32") for space in SPACES)
WEIGHTS = {"deep": 1.0, "color": 0.3}
ROWS = 1500


def drawn(count: int, *, seed: int = 0) -> dict[str, Float32]:
    """Unit vectors of products that resemble each other."""
    random = np.random.default_rng(seed)
    products = np.random.default_rng(99).standard_normal((60, 61))
    rows = (products[random.integers(0, 60, count)] + 0.5 * random.standard_normal((count, 61))).astype(np.float32)
    return {"deep": unit_rows(rows[:, :48]), "color": unit_rows(rows[:, 48:])}


def items(count: int, *, start: int = 0) -> list[Item]:
    return [Item(id=str(number), photo=f"{number}.jpg") for number in range(start, start + count)]


def stored(gallery: LocalGallery) -> dict[str, Float32]:
    """All vectors, in the order of adding."""
    parts = [vectors for _, vectors in gallery.rows()]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def filled(folder: Path, *, spaces: tuple[Space, ...] = SPACES, rows: int = ROWS) -> LocalGallery:
    gallery = LocalGallery(folder, create=True)
    gallery.add(items(rows), drawn(rows), spaces=spaces)
    gallery.optimise()
    return gallery


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[LocalGallery]:
    with filled(tmp_path / "shop.gallery") as gallery:
        yield gallery


def slow_scores(vectors: dict[str, Float32], queries: dict[str, Float32]) -> Float32:
    """Scores of all rows, (Q, N)."""
    wide = {name: np.float64(rows) for name, rows in vectors.items()}
    total = sum(WEIGHTS.values())
    return sum(weight / total * (queries[name] @ wide[name].T) for name, weight in WEIGHTS.items())


@pytest.mark.parametrize("index", INDEXES)
def test_every_index_gives_the_scores_of_the_stored_vectors(gallery: LocalGallery, index: str) -> None:
    gallery.add(items(40, start=ROWS), drawn(40, seed=3), spaces=SPACES)  # not in the segment
    queries = drawn(8, seed=1)
    vectors = stored(gallery)
    right = slow_scores(vectors, queries)
    found = gallery.search(queries, SearchRequest(k=10, weights=WEIGHTS, index=index, probes=1000))
    assert_allclose(found.scores, np.take_along_axis(right, found.rows - 1, axis=1), atol=2e-7)
    assert_allclose(found.scores, -np.sort(-right, axis=1)[:, :10], atol=2e-7)
    for name in WEIGHTS:
        cosines = np.float64(queries[name]) @ np.float64(vectors[name]).T
        assert_allclose(found.by_space[name], np.take_along_axis(cosines, found.rows - 1, axis=1), atol=2e-7)


def test_scores_differ_little_from_those_of_the_vectors_that_were_added(gallery: LocalGallery) -> None:
    given, queries = drawn(ROWS), drawn(50, seed=1)
    for name, rows in stored(gallery).items():
        assert_allclose(np.linalg.norm(np.float64(rows), axis=1), 1, atol=2e-7)
        moved = np.sqrt(rows.shape[1]) * np.abs(given[name]).max() / 65534  # the farthest that rounding moves a vector
        assert_allclose(queries[name] @ rows.T, queries[name] @ given[name].T, rtol=0, atol=moved)
        assert moved < 1e-4


def test_the_scores_stay_when_rows_move_into_a_segment(tmp_path: Path) -> None:
    queries, request = drawn(5, seed=1), SearchRequest(k=30, weights=WEIGHTS)
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items(900), drawn(900), spaces=SPACES)
        before = gallery.search(queries, request)
        gallery.add(items(300, start=2000), drawn(300, seed=7), spaces=SPACES)
        gallery.optimise()
        gallery.remove([item.id for item in items(300, start=2000)])
        gallery.compact()
        after = gallery.search(queries, request)
        assert_array_equal(after.scores, before.scores)
        assert_array_equal(after.rows, before.rows)


def test_vectors_that_were_read_keep_their_bits_when_they_are_stored_again(tmp_path: Path) -> None:
    with filled(tmp_path / "shop.gallery") as gallery, LocalGallery(tmp_path / "again", create=True) as again:
        vectors = stored(gallery)
        again.add(items(ROWS), vectors, spaces=SPACES)
        (tmp_path / "table").mkdir()
        parquet.export(gallery, tmp_path / "table")
        with LocalGallery(tmp_path / "imported", create=True) as imported:
            sha256sums.write(tmp_path / "table", [parquet.FILE])
            parquet.load(tmp_path / "table", imported)
        with LocalGallery(tmp_path / "copied", create=True) as copied:
            assert copy_gallery(gallery, copied).written == ROWS
        for folder in ("again", "copied", "imported"):
            with LocalGallery(tmp_path / folder) as other:
                assert [space.dtype for space in other.spaces] == ["int16", "int16"]
                for name, rows in stored(other).items():
                    assert_array_equal(rows, vectors[name])
                assert other.verify().problems == ()


def test_zeros_and_vectors_of_other_lengths(tmp_path: Path) -> None:
    vectors = drawn(4)
    vectors["deep"][0], vectors["deep"][1], vectors["color"][2] = 0, vectors["deep"][1] * 3, 1e-30
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items(4), vectors, spaces=SPACES)
        kept = stored(gallery)
        assert_array_equal(kept["deep"][:2], vectors["deep"][:2])  # as added: their lengths tell something
        assert_array_equal(kept["color"][2], vectors["color"][2])
        assert_allclose(kept["deep"][3], vectors["deep"][3], atol=1e-5)
        queries = {"deep": vectors["deep"][3:]}
        found = gallery.search(queries, SearchRequest(k=4, weights={"deep": 1}))
        assert found.scores[0].tolist()[0] == pytest.approx(1, abs=2e-7)
        assert found.scores[0][found.rows[0] == 1].tolist() == [0]
        assert gallery.verify().problems == ()


def test_metrics_of_scipy_are_computed_from_the_stored_vectors(gallery: LocalGallery) -> None:
    queries = {"color": drawn(2, seed=1)["color"]}
    request = SearchRequest(k=5, weights={"color": 1}, metrics={"color": "seuclidean"})
    found = gallery.search(queries, request)
    rows = np.float64(stored(gallery)["color"])
    for place, query in enumerate(np.float64(queries["color"])):
        variances = np.concatenate([query[np.newaxis], rows]).var(axis=0, ddof=1)
        right = np.sort(cdist(query[np.newaxis], rows, "seuclidean", V=variances)[0])[:5]
        assert_allclose(-found.scores[place], right, rtol=1e-6)


@pytest.mark.milvus
def test_milvus_has_the_same_vectors_and_scores(gallery: LocalGallery, milvus_server: MilvusServer) -> None:
    """Also where they are added to it, and not copied."""
    queries, request = drawn(3, seed=1), SearchRequest(k=5, weights=WEIGHTS)
    right = gallery.search(queries, request)
    for name in ("copied", "added"):
        with open_gallery(f"{milvus_server.address}/int16_{name}?consistency=strong", create=True) as there:
            if name == "copied":
                assert copy_gallery(gallery, there).written == ROWS
            else:
                there.add(items(ROWS), drawn(ROWS), spaces=SPACES)
            assert [space.dtype for space in there.spaces] == ["int16", "int16"]
            assert_array_equal(there.vectors("7")["deep"], gallery.vectors("7")["deep"])
            assert_allclose(there.search(queries, request).scores, right.scores, atol=2e-7)
            assert there.verify().problems == ()


@pytest.mark.milvus
def test_two_processes_that_make_a_gallery_on_milvus_agree_on_its_type(
    milvus_server: MilvusServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one decides between the first look at the metadata and the last."""
    address = f"{milvus_server.address}/int16_race?consistency=strong"
    with open_gallery(address, create=True) as first, open_gallery(address) as second:
        decide = MetadataStore.decide_spaces

        def decide_after(store: MetadataStore, spaces: Sequence[Space]) -> None:
            monkeypatch.undo()
            decide(store, spaces)
            second._metadata_store.decide_spaces(IN_FULL)

        monkeypatch.setattr(MetadataStore, "decide_spaces", decide_after)
        first.add(items(5), drawn(5), spaces=SPACES)
        second.add(items(5, start=5), drawn(5, seed=4), spaces=IN_FULL)
        assert [space.dtype for space in first.spaces] == ["float32", "float32"]
        assert_array_equal(first.vectors("3")["deep"][0], drawn(5)["deep"][3])
        assert first.verify().problems == ()


def test_a_copy_that_would_round_vectors_is_refused(tmp_path: Path) -> None:
    with (
        filled(tmp_path / "in full", spaces=IN_FULL, rows=10) as in_full,
        filled(tmp_path / "int16", rows=10) as rounded,
    ):
        with pytest.raises(MismatchError, match="the target stores vectors as int16, and the source as float32"):
            copy_gallery(in_full, rounded)
        copy_gallery(rounded, in_full)
        assert_array_equal(stored(in_full)["deep"], stored(rounded)["deep"])


def test_an_import_that_would_round_vectors_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    with filled(tmp_path / "in full", spaces=IN_FULL, rows=10) as in_full:
        parquet.export(in_full, tmp_path / "table")
    sha256sums.write(tmp_path / "table", [parquet.FILE])
    with filled(tmp_path / "int16", rows=5) as rounded:
        with pytest.raises(MismatchError, match="as float32, which would be rounded; import the source into a new"):
            parquet.load(tmp_path / "table", rounded)
        assert len(rounded) == 5


@pytest.mark.parametrize(("first", "second"), [(SPACES, IN_FULL), (IN_FULL, SPACES)])
def test_a_gallery_keeps_its_type(tmp_path: Path, first: tuple[Space, ...], second: tuple[Space, ...]) -> None:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items(10), drawn(10), spaces=first)
        gallery.add(items(10, start=10), drawn(10, seed=4), spaces=second)
        assert [space.dtype for space in gallery.spaces] == [space.dtype for space in first]
        bits_are_kept = np.array_equal(stored(gallery)["deep"][10:], drawn(10, seed=4)["deep"])
        assert bits_are_kept == (first is IN_FULL)
        assert {space["dtype"] for space in gallery.info()["spaces"]} == {first[0].dtype}
        assert gallery.verify().problems == ()


def test_one_space_in_full_keeps_all_of_them_in_full(tmp_path: Path) -> None:
    assert not RowFormat.of((SPACES[0], IN_FULL[1])).is_int16
    with filled(tmp_path / "shop.gallery", spaces=(SPACES[0], IN_FULL[1])) as gallery:
        assert_array_equal(stored(gallery)["deep"], drawn(ROWS)["deep"])
        assert [space["dtype"] for space in gallery.info()["spaces"]] == ["float32", "float32"]
        assert [space.dtype for space in gallery.spaces] == ["float32", "float32"]


def test_new_vectors_bring_their_type(tmp_path: Path) -> None:
    """As `lookalike gallery remodel` does."""
    vectors = drawn(ROWS, seed=8)
    with filled(tmp_path / "old", spaces=IN_FULL) as old, LocalGallery(tmp_path / "new", create=True) as new:
        new.add(items(ROWS), vectors, spaces=SPACES)
        replacement = VectorReplacement(old.folder)
        replacement.replace(new)
        replacement.close()
    with LocalGallery(tmp_path / "old") as old, LocalGallery(tmp_path / "new") as new:
        assert [space.dtype for space in old.spaces] == ["int16", "int16"]
        assert_array_equal(stored(old)["deep"], stored(new)["deep"])
        assert old.verify().problems == ()


def test_a_type_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="must be float32 or int16, got 'float16'"):
        Space("deep", 2, "tiny@1", "float16")


def test_the_bytes_of_the_arrays(gallery: LocalGallery) -> None:
    [folder] = (gallery.folder / "derived").glob("rows-*")
    numbers = ROWS * sum(space.dimension for space in SPACES)
    assert (folder / "unit.i16").stat().st_size == 2 * numbers
    assert (folder / "unit.scales").stat().st_size == 4 * ROWS * len(SPACES)
    assert not (folder / "unit.f32").exists()
    assert not (folder / "raw.f32").exists()


def test_a_damaged_row_is_found_and_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "shop.gallery"
    queries, request = drawn(3, seed=1), SearchRequest(k=10, weights=WEIGHTS, index="exact")
    with filled(folder) as gallery:
        right = gallery.search(queries, request)
    [path] = folder.glob("derived/rows-*/unit.i16")
    with path.open("r+b") as file:
        file.seek(2 * 61 * 700 + 5)
        file.write(b"\xff\x7f")
    with LocalGallery(folder) as gallery:
        assert any("unit.i16 is damaged" in problem for problem in gallery.verify().problems)
        again = gallery.search(queries, request)
        assert_array_equal(again.scores, right.scores)
        assert gallery.verify().problems == ()


def test_a_damaged_vector_of_the_database_is_found(gallery: LocalGallery) -> None:
    with gallery._database.writing() as connection:
        connection.execute("UPDATE vectors SET unit = zeroblob(122) WHERE row = 5")
    assert any("'4'" in problem and "not as written" in problem for problem in gallery.verify().problems)
    with pytest.raises(GalleryDamagedError, match="row 5"):
        gallery.vectors("4")
