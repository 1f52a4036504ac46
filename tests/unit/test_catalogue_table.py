"""Tables as catalogues: roles and types of columns, and errors for malformed rows."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.errors import AnnotationError, CatalogueError, UnknownNameError
from lookalike.types import Box, Item


def read(path: Path, **columns: str) -> list[Item]:
    catalogue = open_catalogue(str(path), columns=columns)
    items = list(catalogue.items())
    assert len(items) == catalogue.count
    assert list(catalogue.items()) == items, "a catalogue can be read again"
    return items


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "shop.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_the_four_columns_and_the_attributes(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "id,image,product,box,colour,price\n"
        'a1,photos/1.jpg,p1,"10,20,30,40",Navy Blue,19\n'
        "a2,https://shop.example/2.jpg,,,,\n"
        "a3,/abs/3.jpg,p1,[1 2 3.5 4],Red,7.5\n",
    )
    first, second, third = read(path)
    assert first == Item(
        "a1", "photos/1.jpg", str(tmp_path), "p1", Box(10, 20, 30, 40), {"colour": "Navy Blue", "price": 19.0}
    )
    assert first.location == f"{tmp_path}/photos/1.jpg"
    assert (second.product, second.box, second.attributes) == (None, None, {})
    assert second.location == "https://shop.example/2.jpg"
    assert third.box == Box(1, 2, 3.5, 4)
    assert third.location == "/abs/3.jpg"


def test_a_column_is_of_numbers_only_when_all_of_it_is(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "image,whole,decimal,small,code,article,mixed,long,infinite\n"
        "1.jpg,12,1.5,1e-05,007,12E5,3,1234567890123456,1\n"
        "2.jpg,-3,2,0.5,123,13E5,three,2,inf\n"
        "3.jpg, 4 ,,3,,,,,\n",
    )
    items = read(path)
    assert items[0].attributes == {
        "whole": 12,
        "decimal": 1.5,
        "small": 1e-05,
        "code": "007",
        "article": "12E5",
        "mixed": "3",
        "long": "1234567890123456",
        "infinite": "1",
    }
    assert [type(item.attributes["whole"]) for item in items] == [int, int, int]
    assert items[2].attributes == {"whole": 4, "small": 3.0}


def test_ids_and_products_stay_as_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path, "id,image,product\n001,a.jpg,0042\n002,b.jpg,1e3\n")
    assert [(item.id, item.product) for item in read(path)] == [("001", "0042"), ("002", "1e3")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_found(tmp_path: Path, delimiter: str) -> None:
    rows = [['"file"', '"the, title; of\tit"', '"group"'], ["a.jpg", '"x, y; z\tw"', "g"]]
    path = write(tmp_path, "\r\n".join(delimiter.join(row) for row in rows))
    (item,) = read(path, image="file", product="group")
    assert (item.id, item.photo, item.product) == ("a.jpg", "a.jpg", "g")
    assert item.attributes == {"the, title; of\tit": "x, y; z\tw"}


def test_a_byte_order_mark_and_newlines_in_cells_are_understood(tmp_path: Path) -> None:
    path = write(tmp_path, 'image, title \na.jpg,"two\nlines"\n\nb.jpg,one\n', encoding="utf-8-sig")
    assert [item.attributes for item in read(path)] == [{"title": "two\nlines"}, {"title": "one"}]


def test_without_an_image_column_the_error_offers_the_likely_one(tmp_path: Path) -> None:
    path = write(tmp_path, "id,photo,file\n1,big,a.jpg\n")
    with pytest.raises(CatalogueError, match=r"no column 'image', only id, photo, file; .*--column image=file$"):
        open_catalogue(str(path))
    path = write(tmp_path, "sku,Product_URL\n1,a.jpg\n")
    with pytest.raises(CatalogueError, match=r"--column image=Product_URL$"):
        open_catalogue(str(path))
    path = write(tmp_path, "a,b\n1,2\n")
    with pytest.raises(CatalogueError, match=r"--column image=NAME$"):
        open_catalogue(str(path))


def test_a_misspelt_column_or_role_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "id,file\n1,a.jpg\n")
    with pytest.raises(UnknownNameError, match="'fiel'; did you mean 'file'"):
        open_catalogue(str(path), columns={"image": "fiel"})
    with pytest.raises(UnknownNameError, match="'imgae'; did you mean 'image'"):
        open_catalogue(str(path), columns={"imgae": "file"})


@pytest.mark.parametrize(
    ("rows", "line", "words"),
    [
        ("1,a.jpg,\n1,b.jpg,\n", 3, "a unique id, and line 2 has the same, got '1'"),
        (",a.jpg,\n", 2, "an id in the column 'id'"),
        ('1,a.jpg,"5,5,1,1"\n', 2, "expected a box"),
        ("1,a.jpg,here\n", 2, "got 'here'"),
        ('1,"a\nb.jpg",\n2,b.jpg\n', 4, "3 cells as in the first line, not 2"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path: Path, rows: str, line: int, words: str) -> None:
    path = write(tmp_path, "id,image,box\n" + rows)
    with pytest.raises(AnnotationError) as caught:
        open_catalogue(str(path))
    assert caught.value.line == line
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "its first line must name its columns"),
        ("id,image\n", "no rows"),
        ("image,image\na,b\n", "two columns are called 'image'"),
        ('image\n"open', ":2: not a row of a CSV table"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(CatalogueError, match=words):
        open_catalogue(str(write(tmp_path, text)))


def test_a_table_in_another_encoding_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="save it as UTF-8"):
        open_catalogue(str(write(tmp_path, "image,title\na.jpg,café\n", encoding="latin-1")))


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    columns = {
        "id": [1, 2],
        "image": ["a.jpg", "b.jpg"],
        "product": [7.0, None],
        "box": [[1, 2, 3, 4], None],
        "price": [1.5, float("nan")],
        "new": [True, False],
        "since": [date(2024, 5, 6), None],
        "at": [datetime(2024, 5, 6, 7, 8), None],
        "cost": [Decimal("1.20"), Decimal("2.00")],
        "tags": [["x", "y"], []],
        "maker": [{"name": "Ä"}, None],
        "thumb": [b"\xff", b""],
    }
    pq.write_table(pa.table(columns), path)
    first, second = read(path)
    assert first == Item(
        "1",
        "a.jpg",
        str(tmp_path),
        "7",
        Box(1, 2, 3, 4),
        {
            "price": 1.5,
            "new": True,
            "since": "2024-05-06",
            "at": "2024-05-06T07:08:00",
            "cost": 1.2,
            "tags": ["x", "y"],
            "maker": {"name": "Ä"},
        },
    )
    assert second == Item("2", "b.jpg", str(tmp_path), None, None, {"new": False, "cost": 2, "tags": []})
    assert open_catalogue(str(path)).notes == ("columns of bytes, or without a name, are left out: thumb",)


def test_parquet_rows_are_checked_before_any_is_given_out(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    pq.write_table(pa.table({"sku": ["a", "b", "a"], "image": ["1", "2", "3"]}), path)
    with pytest.raises(AnnotationError, match=r"shop.parquet:3: expected a unique id, and line 1 has the same"):
        open_catalogue(str(path), columns={"id": "sku"})
    assert [item.id for item in read(path)] == ["1", "2", "3"]


def test_a_damaged_or_empty_parquet_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "shop.parquet"
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(CatalogueError, match="not a Parquet table"):
        open_catalogue(str(path))
    pq.write_table(pa.table({"image": pa.array([], pa.string())}), path)
    with pytest.raises(CatalogueError, match="no rows"):
        open_catalogue(str(path))


def test_a_long_cell_is_quoted_in_part(tmp_path: Path) -> None:
    path = write(tmp_path, f'id,image,box\na1,1.jpg,"{"x" * 50_000}"\n')
    with pytest.raises(AnnotationError) as caught:
        read(path)
    assert str(caught.value).endswith(f"got '{'x' * 200}...'")
