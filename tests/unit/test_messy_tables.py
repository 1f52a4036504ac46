"""Tables as exported by spreadsheets, databases and shops of several countries, and other files."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet
import pytest

from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError
from lookalike.types import JSON


def written(folder: Path, content: bytes, *, name: str = "table.csv", encoding: str | None = None) -> Catalogue:
    path = folder / name
    path.write_bytes(content)
    return open_catalogue(str(path), encoding=encoding)


def column(folder: Path, cells: list[str], *, delimiter: str = ";") -> tuple[list[JSON], tuple[str, ...]]:
    """What a column of these cells is read as, and what is said of it."""
    rows = "".join(f"{number}.jpg{delimiter}{cell}\n" for number, cell in enumerate(cells))
    found = written(folder, f"image{delimiter}value\n{rows}".encode())
    return [item.attributes.get("value") for item in found.items()], found.notes


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("named", [None, "utf-8", "cp1252"])
def test_a_mark_tells_the_encoding_whatever_is_named(tmp_path: Path, encoding: str, named: str | None) -> None:
    shop = written(tmp_path, "image,title\na.jpg,Ärmel\n".encode(encoding), encoding=named)
    assert [(item.id, item.attributes) for item in shop.items()] == [("a.jpg", {"title": "Ärmel"})]


@pytest.mark.parametrize(
    ("content", "line", "way_out"),
    [
        (b"title,image\n" + b"x,\n" * 5000 + b"caf\xe9,b.jpg\n", 5002, "cp1252"),
        ("image,title\na.jpg,x\n".encode("utf-16-le"), 1, "utf-16-le"),
        ("image,title\r\na.jpg,x\r\nb.jpg,é\r\n".encode("latin-1"), 3, "cp1252"),
        ("image,title\na.jpg,x\n".encode("utf-16") + b"\x00\xdc\n\x00", 3, "cp1252"),
    ],
)
def test_the_line_that_is_no_text_is_named(tmp_path: Path, content: bytes, line: int, way_out: str) -> None:
    with pytest.raises(CatalogueError, match=rf"table\.csv:{line}: the table is not .* --encoding {way_out}$"):
        written(tmp_path, content)


TABLE = pa.table({"image": ["a.jpg"]})


def feather(path: Path) -> None:
    pyarrow.feather.write_feather(TABLE, str(path))


def stream(path: Path) -> None:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, TABLE.schema) as writer:
        writer.write_table(TABLE)


def orc(path: Path) -> None:
    pyarrow.orc.write_table(TABLE, str(path))


def the_bytes(content: bytes) -> Callable[[Path], int]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (feather, "Arrow or Feather"),
        (stream, "stream of Arrow"),
        (orc, "ORC"),
        (the_bytes(b'\xef\xbb\xbf[\n  {"image": "a.jpg"}\n]\n'), "JSON"),
        (the_bytes(b'{"image": "a.jpg"}\n{"image": "b.jpg"}\n'), "JSON"),
        (the_bytes(b'\xef\xbb\xbf<?xml version="1.0"?>\n<catalog><item/></catalog>\n'), "XML or HTML"),
        (the_bytes(b"\n<table><tr><td>image</td></tr></table>\n"), "XML or HTML"),
        (the_bytes(bz2.compress(b"image\na.jpg\n")), "bzip2"),
        (the_bytes(lzma.compress(b"image\na.jpg\n")), "xz"),
        (the_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), "git lfs pull"),
    ],
)
def test_a_file_of_another_kind_is_called_by_its_name(
    tmp_path: Path, write: Callable[[Path], None], words: str
) -> None:
    path = tmp_path / "table.csv"
    write(path)
    with pytest.raises(CatalogueError, match=words) as caught:
        open_catalogue(str(path))
    assert "CSV or Parquet" in str(caught.value)


@pytest.mark.parametrize("first", ["PARENT", "ORCID", "BZhang", "[size]", "{id}", "<30 days"])
def test_a_column_named_like_another_kind_of_file_is_a_column(tmp_path: Path, first: str) -> None:
    (item,) = written(tmp_path, f"{first},image\n1,a.jpg\n".encode()).items()
    assert item.attributes == {first: 1}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["19,99", "1 299,00"], [19.99, 1299.0]),
        (["19,99", "1\u00a0299,00", "12\u00a0345"], [19.99, 1299.0, 12345.0]),
        (["19,99 €", "1\u202f299,00\u00a0€"], [19.99, 1299.0]),
        (["19.99", "1'299.00"], [19.99, 1299.0]),
        (["$19.99", "$1,299.00"], [19.99, 1299.0]),
        (["£5", "£ 7.5"], [5.0, 7.5]),
        (["1 299,00 EUR", "3,50 EUR"], [1299.0, 3.5]),
        (["199 kr", "89 kr"], [199, 89]),
        (["1.299 €", "19,90 €"], [1299.0, 19.9]),
        (["0.125 €", "1299.125 €"], [0.125, 1299.125]),
        (["1.299", "0.125"], [1.299, 0.125]),
        ([".5", "-.25", "3"], [0.5, -0.25, 3.0]),
        (["3", "<NA>", "(null)", "#N/A N/A", "#DIV/0!"], [3, None, None, None, None]),
    ],
    ids=lambda cells: str(cells[0]),
)
def test_numbers_of_other_countries_and_programs(tmp_path: Path, cells: list[str], expected: list[JSON]) -> None:
    assert column(tmp_path, cells)[0] == expected


@pytest.mark.parametrize(
    "cells",
    [
        ["123 456", "789 012"],  # as likely codes
        ["1 299,00", "1.299,00 000"],
        ["1 299'000,00"],
        ["$5", "€5"],
        ["12 34,5"],
        ["€"],
        ["5 $ 6"],
    ],
)
def test_what_may_be_no_number_stays_text(tmp_path: Path, cells: list[str]) -> None:
    assert column(tmp_path, cells)[0] == cells


@pytest.mark.parametrize(
    ("cells", "expected", "notes"),
    [
        (["true", "False", "TRUE"], [True, False, True], ()),
        (["true", "N/A"], [True, None], ("column 'value': taken as missing: 1 'N/A'",)),
        (["true", "yes"], ["true", "yes"], ()),
        (["true", "1"], ["true", "1"], ()),
        (["yes", "no"], ["yes", "no"], ()),
    ],
)
def test_truth_values(tmp_path: Path, cells: list[str], expected: list[JSON], notes: tuple[str, ...]) -> None:
    assert column(tmp_path, cells) == (expected, notes)


@pytest.mark.parametrize("cells", [["1.299 €", "89 €"], ["1,299 €", "19,90 €"], ["EUR 2.499", "EUR 19.90"]])
def test_a_price_that_can_be_read_in_two_ways_stays_text(tmp_path: Path, cells: list[str]) -> None:
    plain = "2499" if "2.499" in cells[0] else "1299"
    note = f"column 'value' is text: {cells[0]!r} in line 2 can be read in two ways; write {plain}"
    assert column(tmp_path, cells) == (cells, (note,))


def test_a_decimal_comma_between_commas_is_said(tmp_path: Path) -> None:
    catalogue = written(tmp_path, b'image,value\na.jpg,"19,99 \xe2\x82\xac"\nb.jpg,"20,00 \xe2\x82\xac"\n')
    assert [item.attributes["value"] for item in catalogue.items()] == ["19,99 €", "20,00 €"]
    (note,) = catalogue.notes
    assert note == "column 'value' is text: its commas may be decimal points; save the table with ;"


def test_what_was_taken_off_a_number_is_said(tmp_path: Path) -> None:
    assert column(tmp_path, ["$5", "<NA>"])[1] == (
        "column 'value': taken as missing: 1 '<NA>'; kept as numbers without $",
    )


def test_decimals_keep_their_digits_as_ids(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    ids = [Decimal("12345678901234567890.00"), Decimal("12345678901234567891.00"), Decimal("7.00"), Decimal("0.50")]
    images = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    table = {"image": images, "id": pa.array(ids, pa.decimal128(38, 2)), "product": pa.array(ids, pa.decimal128(38, 2))}
    pyarrow.parquet.write_table(pa.table(table), path)
    expected = ["12345678901234567890", "12345678901234567891", "7", "0.5"]
    assert [(item.id, item.product) for item in open_catalogue(str(path)).items()] == [(one, one) for one in expected]


def test_photos_in_the_table_itself_are_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pyarrow.parquet.write_table(pa.table({"image": [b"\xff\xd8\xff\xe0"]}), path)
    with pytest.raises(CatalogueError, match="the column 'image' holds bytes; expected UTF-8 text"):
        open_catalogue(str(path))


def test_years_before_our_era_have_four_digits(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    days = pa.array([-800_000, -719_529, 0], pa.int32()).cast(pa.date32())
    pyarrow.parquet.write_table(pa.table({"image": ["a.jpg", "b.jpg", "c.jpg"], "day": days}), path)
    found = [item.attributes["day"] for item in open_catalogue(str(path)).items()]
    assert found == ["-0221-09-04", "-0001-12-31", "1970-01-01"]


def test_a_row_with_the_character_that_ends_texts_in_sqlite_is_skipped(tmp_path: Path) -> None:
    table = pa.table({"image": ["a.jpg", "b.jpg", "c.jpg"], "id": ["a", "a\0b", "c"], "product": ["x", "y", "z\0"]})
    pyarrow.parquet.write_table(table, tmp_path / "table.parquet")
    catalogue = open_catalogue(str(tmp_path / "table.parquet"))
    assert [item.id for item in catalogue.items()] == ["a"]
    assert {skip.reason for skip in catalogue.skipped} == {"its id, product or photo has the character U+0000"}
    assert len(catalogue.skipped) == 2
