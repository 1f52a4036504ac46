"""Export and import of galleries, and the files of the original system."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.spatial.distance import cdist

from lookalike.errors import CatalogueError, MismatchError, UnknownNameError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer.folders import export_gallery, import_folder
from lookalike.spaces import Space, unit_rows
from lookalike.types import Box, FileStamp, Float32, Item

SPACES = [Space("deep", 16, "tiny@1"), Space("color", 6, "colour@1")]


def new_gallery(folder: Path) -> LocalGallery:
    return LocalGallery(folder, create=True)


def write_original(folder: Path, *, count: int = 200, colors: int = 30) -> tuple[Float32, Float32, list[str]]:
    """Files as the original writes them: features of any length."""
    random = np.random.default_rng(0)
    deep = (3 * random.standard_normal((count, 16))).astype(np.float32)
    color = random.standard_normal((count, colors)).astype(np.float32)
    paths = [f"img/Sheer Blouse/img_{number:08d}.jpg" for number in range(count)]
    folder.mkdir(exist_ok=True)
    np.save(folder / "all_feat.npy", deep)
    np.save(folder / "all_color_feat.npy", color)
    (folder / "all_feat.list").write_text("\n".join(paths))
    return deep, color, paths


def filled(folder: Path) -> LocalGallery:
    """A gallery with a bit of everything."""
    random = np.random.default_rng(1)
    gallery = new_gallery(folder)
    items = [
        Item(
            id=f"größe {number}",
            photo=f"photos/{number}.jpg",
            root="s3://shop" if number % 2 else "",
            product=f"p{number // 3}" if number % 4 else None,
            box=Box(0, 0.5, 10, 20.25) if number % 5 == 0 else None,
            attributes={"price": number / 7, "tags": ["a", {"b": None}], "sale": number % 2 == 0, "ß": None},
        )
        for number in range(60)
    ]
    file_stamps = [FileStamp(size=number, modified_ns=10**18 + number, sha256=f"{number:064x}") for number in range(30)]
    vectors = {space.name: unit_rows(random.standard_normal((60, space.dimension), np.float32)) for space in SPACES}
    vectors["color"][7] *= 3
    vectors["color"][8] = 0
    for part, kept in ((slice(0, 30), file_stamps), (slice(30, 60), None)):
        rows = {name: array[part] for name, array in vectors.items()}
        gallery.add(items[part], rows, spaces=SPACES, source="catalogue.csv" if kept else "", file_stamps=kept)
    gallery.remove(["größe 11"])
    return gallery


def everything(gallery: LocalGallery) -> dict[str, Any]:
    """All that a gallery knows, as values that compare."""
    batches = list(gallery.rows())
    return {
        "spaces": gallery.spaces,
        "items": [item for items, _ in batches for item in items],
        "vectors": {
            space.name: np.concatenate([vectors[space.name] for _, vectors in batches]).tobytes()
            for space in gallery.spaces
        },
        "stamps": {source: gallery.source_items(source) for source in ("catalogue.csv", "")},
    }


def test_parquet_brings_back_an_identical_gallery(tmp_path: Path) -> None:
    with filled(tmp_path / "a.gallery") as first, new_gallery(tmp_path / "b.gallery") as second:
        told: list[tuple[int, int]] = []
        export_gallery(first, tmp_path / "out", format="parquet")
        assert import_folder(tmp_path / "out", second, progress=lambda *at: told.append(at)) == 59
        assert everything(second) == everything(first)
        assert told[-1] == (59, 59)


def test_parquet_can_be_read_by_others(tmp_path: Path) -> None:
    from pyarrow import parquet

    with filled(tmp_path / "a.gallery") as gallery:
        export_gallery(gallery, tmp_path, format="parquet")
        table = parquet.read_table(tmp_path / "gallery.parquet")
        item = gallery.get("größe 10")
        row = table["id"].to_pylist().index(item.id)
        assert table["box"][row].as_py() == [0, 0.5, 10, 20.25]
        assert json.loads(table["attributes"][row].as_py()) == item.attributes
        assert_array_equal(table["vector:deep"][row].as_py(), gallery.vectors(item.id)["deep"][0])


@pytest.mark.parametrize("colors", [30, 12])
def test_original_files_survive_bit_for_bit(tmp_path: Path, colors: int) -> None:
    deep, color, paths = write_original(tmp_path / "in", colors=colors)
    with new_gallery(tmp_path / "g.gallery") as gallery:
        assert import_folder(tmp_path / "in", gallery) == 200
        name = "color-original" if colors == 30 else "color"
        assert [(space.name, space.dimension) for space in gallery.spaces] == [("deep", 16), (name, colors)]
        export_gallery(gallery, tmp_path / "out", format="original")
    assert np.load(tmp_path / "out" / "all_feat.npy").tobytes() == deep.tobytes()
    assert np.load(tmp_path / "out" / "all_color_feat.npy").tobytes() == color.tobytes()
    assert (tmp_path / "out" / "all_feat.list").read_text().split("\n") == paths
    for name in ("all_feat.npy", "all_color_feat.npy", "all_feat.list"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_imported_photos_are_found_beneath_the_list_and_exported_as_they_were_listed(tmp_path: Path) -> None:
    _, _, paths = write_original(tmp_path / "in")
    for at, place in ((0, "in"), (1, "in/in_shop")):
        (tmp_path / place / paths[at]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place / paths[at]).touch()
    with new_gallery(tmp_path / "g.gallery") as gallery:
        import_folder(tmp_path / "in", gallery)
        found = [gallery.get(path).location for path in paths[:3]]
        assert found == [f"{tmp_path}/in/{paths[0]}", f"{tmp_path}/in/in_shop/{paths[1]}", paths[2]]
        export_gallery(gallery, tmp_path / "out", format="original")
    assert (tmp_path / "out" / "all_feat.list").read_bytes() == (tmp_path / "in" / "all_feat.list").read_bytes()


def test_paths_are_whole_where_relative_ones_would_be_taken_for_each_other(tmp_path: Path) -> None:
    spaces = [Space("deep", 2, "ours"), Space("color", 2, "ours")]
    rows = {space.name: np.ones((2, 2), dtype=np.float32) for space in spaces}
    with new_gallery(tmp_path / "g.gallery") as gallery:
        gallery.add([Item(id=root, photo="a.jpg", root=f"/{root}") for root in ("x", "y")], rows, spaces=spaces)
        export_gallery(gallery, tmp_path / "out", format="original")
    assert (tmp_path / "out" / "all_feat.list").read_text() == "/x/a.jpg\n/y/a.jpg"


@pytest.mark.parametrize("count", [200, 1500])  # all in the tail, and all derived
def test_ranks_imported_files_as_the_original_does(tmp_path: Path, count: int) -> None:
    deep, color, paths = write_original(tmp_path / "in", count=count)
    with new_gallery(tmp_path / "g.gallery") as gallery:
        import_folder(tmp_path / "in", gallery)
        for query in (3, 150):
            original = -(cdist(deep[[query]], deep) + 0.1 * cdist(color[[query]], color))[0]
            best = np.argsort(-original)[:5]
            found = gallery.search(
                {"deep": deep[[query]], "color-original": color[[query]]},
                SearchRequest(
                    k=5,
                    weights={"deep": 1, "color-original": 0.1},
                    metrics={"deep": "euclidean", "color-original": "euclidean"},
                ),
            )
            items = gallery.items(found.rows[0].tolist())
            assert [items[row].photo for row in found.rows[0].tolist()] == [paths[place] for place in best]
            np.testing.assert_allclose(found.scores[0], original[best], atol=1e-5)


def test_export_prefers_the_originals_own_colour(tmp_path: Path) -> None:
    spaces = [Space("color", 2, "ours"), Space("deep", 2, "ours"), Space("color-original", 2, "theirs")]
    rows = {space.name: np.full((1, 2), number, dtype=np.float32) for number, space in enumerate(spaces)}
    with new_gallery(tmp_path / "g.gallery") as gallery:
        gallery.add([Item(id="a", photo="a.jpg", root="/photos")], rows, spaces=spaces)
        export_gallery(gallery, tmp_path / "out", format="original")
    assert np.load(tmp_path / "out" / "all_feat.npy").tolist() == [[1, 1]]
    assert np.load(tmp_path / "out" / "all_color_feat.npy").tolist() == [[2, 2]]
    assert (tmp_path / "out" / "all_feat.list").read_text() == "a.jpg"


class Bomb:
    """Goes off when it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return pytest.fail, ("something was unpickled",)


def pickled(folder: Path) -> None:
    np.save(folder / "all_feat.npy", np.array([[Bomb()]] * 200, dtype=object), allow_pickle=True)


def broken_row(folder: Path, value: float, name: str = "all_feat.npy") -> None:
    rows = np.load(folder / name)
    rows[199, -1] = value
    np.save(folder / name, rows)


def rewritten(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    path = folder / "all_feat.list"
    path.write_text("\n".join(change(path.read_text().split("\n"))))


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda folder: [path.unlink() for path in folder.iterdir()], "holds nothing to import"),
    "no colour": (lambda folder: (folder / "all_color_feat.npy").unlink(), "all_color_feat.npy: No such file"),
    "no list": (lambda folder: (folder / "all_feat.list").unlink(), "all_feat.list: No such file"),
    "no deep": (lambda folder: (folder / "all_feat.npy").unlink(), "all_feat.npy: No such file"),
    "pickled": (pickled, "not an array of numbers"),
    "text": (lambda folder: (folder / "all_feat.npy").write_text("1 2 3"), "not an array of numbers"),
    "empty": (lambda folder: (folder / "all_feat.npy").write_bytes(b""), "not an array of numbers"),
    "no archive": (lambda folder: (folder / "all_feat.npy").write_bytes(b"PK\3\4"), "not an array of numbers"),
    "cut short": (
        lambda folder: (folder / "all_feat.npy").write_bytes((folder / "all_feat.npy").read_bytes()[:1000]),
        "not an array of numbers",
    ),
    "an archive": (
        lambda folder: (np.savez(folder / "a.npz", a=np.ones(2)), (folder / "a.npz").replace(folder / "all_feat.npy")),
        "not an array of numbers",
    ),
    "whole numbers": (lambda folder: np.save(folder / "all_feat.npy", np.ones((200, 16), int)), "got int64"),
    "one dimension": (
        lambda folder: np.save(folder / "all_feat.npy", np.ones(200)),
        "shape (N, D), got float64 (200,)",
    ),
    "other rows": (lambda folder: np.save(folder / "all_feat.npy", np.ones((199, 16))), "199 rows, and all_feat.list"),
    "nan": (lambda folder: broken_row(folder, np.nan), "row 199 (from 0)"),
    "infinite": (lambda folder: broken_row(folder, -np.inf, "all_color_feat.npy"), "all_color_feat.npy: row 199"),
    "too large": (lambda folder: np.save(folder / "all_feat.npy", np.full((200, 16), 1e39)), "row 0 (from 0)"),
    "a path twice": (lambda folder: rewritten(folder, lambda lines: [*lines[:-1], lines[0]]), ":200: the path"),
    "an empty line": (lambda folder: rewritten(folder, lambda lines: [*lines[:-1], " "]), ":200: expected a path"),
    "a line less": (lambda folder: rewritten(folder, lambda lines: lines[:-1]), "200 rows, and all_feat.list has 199"),
    "empty list": (lambda folder: (folder / "all_feat.list").write_text(""), "got an empty file"),
    "not text": (lambda folder: (folder / "all_feat.list").write_bytes(b"\xff\xfe"), "expected UTF-8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_refuses_wrong_files_and_leaves_the_gallery_alone(tmp_path: Path, case: str) -> None:
    write_original(tmp_path / "in")
    spoil, reason = WRONG[case]
    spoil(tmp_path / "in")
    with new_gallery(tmp_path / "g.gallery") as gallery:
        with pytest.raises(CatalogueError) as caught:
            import_folder(tmp_path / "in", gallery)
        assert reason in str(caught.value)
        assert "\n" not in str(caught.value)
        assert (len(gallery), gallery.spaces) == (0, ())


def test_refuses_files_of_other_spaces(tmp_path: Path) -> None:
    write_original(tmp_path / "in")
    with filled(tmp_path / "g.gallery") as gallery:
        before = everything(gallery)
        with pytest.raises(MismatchError, match="imported:original"):
            import_folder(tmp_path / "in", gallery)
        assert everything(gallery) == before


def test_refuses_foreign_and_damaged_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    path = tmp_path / "gallery.parquet"
    with new_gallery(tmp_path / "g.gallery") as gallery, filled(tmp_path / "full.gallery") as full:
        parquet.write_table(pa.table({"id": ["a"]}), path)
        with pytest.raises(CatalogueError, match="was not written by"):
            import_folder(tmp_path, gallery)
        path.write_bytes(b"PAR1 and nothing else PAR1")
        with pytest.raises(CatalogueError, match="cannot be read"):
            import_folder(tmp_path, gallery)
        path.unlink()
        export_gallery(full, tmp_path, format="parquet")
        table = parquet.read_table(path)
        parquet.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
        with pytest.raises(CatalogueError, match="comes twice"):
            import_folder(tmp_path, gallery)
        spoiled = ["[1, 2", *table["attributes"].to_pylist()[1:]]
        parquet.write_table(table.set_column(table.schema.get_field_index("attributes"), "attributes", [spoiled]), path)
        with pytest.raises(CatalogueError, match="is invalid"):
            import_folder(tmp_path, gallery)
        assert len(gallery) == 0


def with_column(name: str, value: Any, *, row: int = 40) -> Callable[[Any], Any]:
    """A table with one cell changed."""

    def change(table: Any) -> Any:
        import pyarrow as pa

        place = table.schema.get_field_index(name)
        cells = table[name].to_pylist()
        cells[row] = value
        return table.set_column(place, table.schema.field(place), pa.array(cells, table.schema.field(place).type))

    return change


def with_metadata(change: Callable[[dict[str, Any]], object]) -> Callable[[Any], Any]:
    """A table that says something else of itself."""

    def changed(table: Any) -> Any:
        made = json.loads(table.schema.metadata[b"lookalike"])
        change(made)
        return table.replace_schema_metadata({b"lookalike": json.dumps(made).encode()})

    return changed


BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no id": (with_column("id", None), "row 40 (from 0) is invalid: it has no id"),
    "empty id": (with_column("id", ""), "it has no id"),
    "no photo": (with_column("photo", None), "it has no photo"),
    "no root": (with_column("root", None), "it has no root"),
    "no source": (with_column("source", None), "it has no source"),
    "no attributes": (with_column("attributes", None), "it has no attributes"),
    "an id twice": (with_column("id", "größe 0"), "the id 'größe 0' comes twice"),
    "attributes in a list": (with_column("attributes", "[1]"), "its attributes are not a JSON object"),
    "attributes of one number": (with_column("attributes", "7"), "its attributes are not a JSON object"),
    "an attribute not finite": (with_column("attributes", '{"a": NaN}'), "cannot be stored"),
    "an attribute too large": (with_column("attributes", '{"a": 1e999}'), "cannot be stored"),
    "an attribute not Unicode": (with_column("attributes", r'{"a": "\ud800"}'), "not Unicode"),
    "attributes too deep": (with_column("attributes", '{"a": ' + "[" * 200 + "]" * 200 + "}"), "nested more than"),
    "attributes without end": (with_column("attributes", '{"a": ' + "[" * 99_999), "is invalid"),
    "three corners": (with_column("box", [1.0, 2.0, 3.0]), "is invalid"),
    "a box inside out": (with_column("box", [9.0, 9.0, 1.0, 1.0]), "0 <= x1 < x2"),
    "a box of nothing": (with_column("box", [1.0, 2.0, None, 4.0]), "is invalid"),
    "half a stamp": (with_column("size", None, row=3), "only some of size, modified_ns and sha256"),
    "no vector": (with_column("vector:deep", None), "the vector of 'deep' of an item is missing or incomplete"),
    "half a vector": (
        with_column("vector:color", [1.0, None, 1.0, 1.0, 1.0, 1.0]),
        "the vector of 'color' of an item is missing",
    ),
    "nan in a vector": (with_column("vector:color", [float("nan")] * 6), "row 40 (from 0): the vector of 'color'"),
    "infinite vector": (with_column("vector:deep", [float("inf")] * 16), "row 40 (from 0): the vector of 'deep'"),
    "another dimension": (with_metadata(lambda made: made["spaces"][0].__setitem__(1, 15)), "was not written by"),
    "no dimension": (with_metadata(lambda made: made["spaces"][0].__setitem__(1, -1)), "was not written by"),
    "a space twice": (with_metadata(lambda made: made["spaces"].append(made["spaces"][0])), "was not written by"),
    "no spaces": (with_metadata(lambda made: made["spaces"].clear()), "was not written by"),
    "a maker of nothing": (with_metadata(lambda made: made["spaces"][0].__setitem__(2, None)), "was not written by"),
    "a list of spaces": (lambda table: table.replace_schema_metadata({b"lookalike": b"[]"}), "was not written by"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_refuses_broken_parquet_before_anything_is_added(tmp_path: Path, case: str) -> None:
    from pyarrow import parquet

    spoil, reason = BROKEN[case]
    with filled(tmp_path / "a.gallery") as gallery:
        export_gallery(gallery, tmp_path, format="parquet")
        path = tmp_path / "gallery.parquet"
        parquet.write_table(spoil(parquet.read_table(path)), path)
        before = everything(gallery)
        with pytest.raises(CatalogueError) as caught:
            import_folder(tmp_path, gallery)
        assert reason in str(caught.value)
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)
        assert everything(gallery) == before


def test_export_wants_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with filled(tmp_path / "a.gallery") as gallery:
        for place in ("file", "file/beneath"):
            with pytest.raises(UsageError, match="a file; choose a folder"):
                export_gallery(gallery, tmp_path / place, format="parquet")
    assert (tmp_path / "file").read_text() == "mine"


def test_export_overwrites_nothing_and_leaves_no_half_files(tmp_path: Path) -> None:
    with filled(tmp_path / "g.gallery") as gallery:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "all_feat.list").write_text("mine")
        with pytest.raises(UsageError, match="exists already"):
            export_gallery(gallery, tmp_path / "out", format="original")
        assert (tmp_path / "out" / "all_feat.list").read_text() == "mine"
        with pytest.raises(UnknownNameError, match="did you mean 'parquet'"):
            export_gallery(gallery, tmp_path / "out", format="parket")
        gallery.update([Item(id="größe 50", photo="two\nlines.jpg")])
        with pytest.raises(UsageError, match="has a line break"):
            export_gallery(gallery, tmp_path / "other", format="original")
        assert list((tmp_path / "other").iterdir()) == []
    with new_gallery(tmp_path / "empty.gallery") as empty, pytest.raises(UsageError, match="empty"):
        export_gallery(empty, tmp_path / "none", format="parquet")


@pytest.mark.parametrize("format", ["parquet", "original"])
def test_a_flipped_bit_of_an_export_is_refused(tmp_path: Path, format: str, luck: Random) -> None:
    with filled(tmp_path / "a.gallery") as gallery:
        export_gallery(gallery, tmp_path / "sound", format=format)
        expected = len(gallery)
    names = sorted(path.name for path in (tmp_path / "sound").iterdir())
    assert "SHA256SUMS" in names
    with new_gallery(tmp_path / "b.gallery") as target:
        for _ in range(5):
            for name in names:
                shutil.copytree(tmp_path / "sound", tmp_path / "flipped")
                data = bytearray((tmp_path / "flipped" / name).read_bytes())
                data[luck.randrange(len(data))] ^= 1 << luck.randrange(8)
                (tmp_path / "flipped" / name).write_bytes(data)
                with pytest.raises(CatalogueError):
                    import_folder(tmp_path / "flipped", target)
                shutil.rmtree(tmp_path / "flipped")
        assert len(target) == 0
        assert import_folder(tmp_path / "sound", target) == expected
