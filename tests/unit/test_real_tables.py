"""Tables as real shops, spreadsheets, databases and data frames write them."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import AnnotationError, CatalogueError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space
from lookalike.types import JSON, Item


def table(
    tmp_path: Path, text: str, *, encoding: str | None = None, written: str = "utf-8", **columns: str
) -> Catalogue:
    path = tmp_path / "shop.csv"
    path.write_bytes(text.encode(written))
    return open_catalogue(str(path), columns=columns, encoding=encoding)


def known(catalogue: Catalogue) -> list[dict[str, JSON]]:
    items = list(catalogue.items())
    assert len(items) == catalogue.count
    return [dict(item.attributes) for item in items]


def parquet(tmp_path: Path, columns: dict[str, pa.Array]) -> Path:
    path = tmp_path / "shop.parquet"
    count = len(next(iter(columns.values())))
    pq.write_table(pa.table({"image": [f"{row}.jpg" for row in range(count)], **columns}), path)
    return path


def column(tmp_path: Path, array: pa.Array) -> list[JSON]:
    return [row.get("x") for row in known(open_catalogue(str(parquet(tmp_path, {"x": array}))))]


@pytest.mark.parametrize("word", ["NULL", "null", "NaN", "nan", "N/A", "NA", "#N/A", "None", "-", r"\N", "", " "])
def test_a_missing_value_leaves_a_column_of_numbers_what_it_is(tmp_path: Path, word: str) -> None:
    shop = table(tmp_path, f"image,price\na.jpg,19.99\nb.jpg,{word}\n")
    assert known(shop) == [{"price": 19.99}, {}]
    said = f"column 'price': taken as missing: 1 {word!r}"
    assert shop.notes == (() if word in (r"\N", "", " ") else (said,))


def test_a_word_for_a_missing_value_is_a_word_where_there_is_text(tmp_path: Path) -> None:
    shop = table(tmp_path, "image,brand\na.jpg,NA\nb.jpg,Acme\nc.jpg,\\N\nd.jpg,None\n")
    assert known(shop) == [{"brand": "NA"}, {"brand": "Acme"}, {}, {"brand": "None"}]
    assert shop.notes == ()


def test_what_keeps_a_column_from_being_numbers_is_told(tmp_path: Path) -> None:
    rows = "".join(f"{row}.jpg,{row}.5\n" for row in range(20))
    shop = table(tmp_path, f"image,price\n{rows}x.jpg,sold out\n")
    assert shop.notes == ("column 'price' is text: 'sold out' in line 22 is not a number",)
    assert known(shop)[0] == {"price": "0.5"}


@pytest.mark.parametrize(
    ("delimiter", "cells", "expected"),
    [
        (";", ["19,99", "5"], [19.99, 5.0]),
        (";", ["1.299,00", "-1,5"], [1299.0, -1.5]),
        ("\t", ["19,99", "0,5"], [19.99, 0.5]),
        (";", ["19,99", "19.99"], ["19,99", "19.99"]),
        (",", ['"1,299.00"', '"5.5"'], [1299.0, 5.5]),
        (",", ['"1,299"', "5"], ["1,299", "5"]),
        (";", ["1.299", "2.5"], [1.299, 2.5]),
        (",", ["19.99 EUR", "5 EUR"], [19.99, 5.0]),
        (";", ["EUR 19,99", "EUR 1"], [19.99, 1.0]),
        (",", ["19.99 EUR", "5 USD"], ["19.99 EUR", "5 USD"]),
        (",", ["00123", "17"], ["00123", "17"]),
        (",", ["1e5", "2e5"], ["1e5", "2e5"]),
        (",", ["42 XXL", "43 XXL"], ["42 XXL", "43 XXL"]),
    ],
)
def test_numbers_are_read_as_the_whole_column_writes_them(
    tmp_path: Path, delimiter: str, cells: list[str], expected: list[JSON]
) -> None:
    rows = "".join(f"{row}.jpg{delimiter}{cell}\n" for row, cell in enumerate(cells))
    assert known(table(tmp_path, f"image{delimiter}x\n{rows}")) == [{"x": value} for value in expected]


def test_codes_stay_text_by_their_name_or_their_check_digits(tmp_path: Path) -> None:
    codes = ["4006381333931", "9780201379624", "5901234123457", "4012345678901"]
    rows = "".join(f"{row}.jpg,{code},{code},{row}\n" for row, code in enumerate(codes))
    shop = table(tmp_path, f"image,Variant SKU,number,stock\n{rows}")
    assert known(shop)[0] == {"Variant SKU": codes[0], "number": codes[0], "stock": 0}


@pytest.mark.parametrize(("first", "delimiter"), [("sep=;", ";"), ("SEP=,", ","), ('"sep=|"', "|"), ("sep=\t", "\t")])
def test_excels_first_line_names_the_delimiter(tmp_path: Path, first: str, delimiter: str) -> None:
    shop = table(tmp_path, f"{first}\r\nimage{delimiter}title\r\na.jpg{delimiter}x\r\n\r\nb.jpg{delimiter}\r\n")
    assert known(shop) == [{"title": "x"}, {}]
    with pytest.raises(AnnotationError, match=r"shop\.csv:3: expected 2 cells"):
        table(tmp_path, f"{first}\r\nimage{delimiter}title\r\na.jpg\r\n")


def test_blank_rows_and_cells_beyond_the_last_column_are_no_rows_and_no_cells(tmp_path: Path) -> None:
    shop = table(tmp_path, "image;title;;\n;;;\na.jpg;x;;\n  ; ;;\nb.jpg;y;;\n;;;\n")
    assert known(shop) == [{"title": "x"}, {"title": "y"}]
    with pytest.raises(AnnotationError, match=r":2: expected 2 cells as in the first line, not 3"):
        table(tmp_path, "image,title,\na.jpg,x,y\n")


def test_an_index_without_a_name_is_left_out(tmp_path: Path) -> None:
    shop = table(tmp_path, ",image,title\n0,a.jpg,x\n")
    assert known(shop) == [{"title": "x"}]
    assert shop.notes == ("columns without a name are left out: 1",)


def test_spaces_around_cells_and_names_are_no_part_of_them(tmp_path: Path) -> None:
    (item,) = table(tmp_path, "id , image,\tcolour\u00a0\n 7 , a.jpg , Navy Blue \n").items()
    assert (item.id, item.photo, item.attributes) == ("7", "a.jpg", {"colour": "Navy Blue"})


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "mixed"])
def test_quotes_line_ends_and_long_cells(tmp_path: Path, end: str) -> None:
    ends = ["\r", "\n", "\r\n"] if end == "mixed" else [end] * 3
    long = "<p>long</p>" * 50_000
    text = f'image,title{ends[0]}a.jpg,"say ""hi"",\nthen go"{ends[1]}b.jpg,{long}{ends[2]}'
    assert known(table(tmp_path, text)) == [{"title": 'say "hi",\nthen go'}, {"title": long}]


@pytest.mark.parametrize("written", ["utf-16", "utf-8-sig", "utf-16-be with a mark"])
def test_the_mark_at_the_beginning_tells_the_encoding(tmp_path: Path, written: str) -> None:
    text = "image\ttitle\r\na.jpg\tCafé 日本\r\n"
    if written.startswith("utf-16-be"):
        text, written = "\ufeff" + text, "utf-16-be"
    assert known(table(tmp_path, text, written=written)) == [{"title": "Café 日本"}]


@pytest.mark.parametrize(("written", "title"), [("cp1252", "Café 5 €"), ("latin-1", "Café"), ("shift-jis", "日本")])
def test_other_encodings_are_refused_with_the_option_that_reads_them(tmp_path: Path, written: str, title: str) -> None:
    text = f"image,title\na.jpg,{title}\n"
    with pytest.raises(CatalogueError, match=r"the table is not UTF-8 text.*save it as UTF-8, or .*--encoding cp1252"):
        table(tmp_path, text, written=written)
    assert known(table(tmp_path, text, written=written, encoding=written)) == [{"title": title}]


def test_an_encoding_that_is_none_or_another_is_refused(tmp_path: Path) -> None:
    for name in ("cp12525", "base64", "", "\0"):
        with pytest.raises((UsageError, CatalogueError)) if name else pytest.raises(CatalogueError):
            table(tmp_path, "image\n\xe9.jpg\n", written="latin-1", encoding=name)
    with pytest.raises(CatalogueError, match=r"not ascii text.*give its encoding instead of ascii"):
        table(tmp_path, "image\né.jpg\n", encoding="ascii")
    with pytest.raises(CatalogueError, match="as UTF-16 without a byte order mark"):
        table(tmp_path, "image,title\na.jpg,x\n", written="utf-16-le")
    with pytest.raises(UsageError, match="encoding is for CSV tables only"):
        open_catalogue(str(parquet(tmp_path, {"x": pa.array([1])})), encoding="cp1252")
    with pytest.raises(UsageError, match="for tables only"):
        open_catalogue(str(tmp_path), encoding="cp1252")


@pytest.mark.parametrize(
    ("start", "words"), [(b"PK\x03\x04", "save it as CSV"), (b"\x1f\x8b\x08", "gzip"), (b"SQLite format 3\0", "SQLite")]
)
def test_files_that_are_no_tables_are_told_apart(tmp_path: Path, start: bytes, words: str) -> None:
    path = tmp_path / "shop.xlsx"
    path.write_bytes(start + bytes(40))
    with pytest.raises(CatalogueError, match=words):
        open_catalogue(str(path))


def test_a_table_without_a_header_is_refused_as_such(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"first line must name its columns, and looks like a row: 1, a\.jpg"):
        table(tmp_path, "1,a.jpg\n2,b.jpg\n")


def test_the_advice_for_a_column_can_be_pasted(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"--column 'image=Image Src'$"):
        table(tmp_path, "Handle,Image Src\nx,y\n")


@pytest.mark.parametrize("name", ["image\x0bfile", "x" * 100_000, '"image\nfile"'])
def test_strange_names_of_columns_make_no_long_message(tmp_path: Path, name: str) -> None:
    with pytest.raises(CatalogueError, match=r"--column image=NAME$") as caught:
        table(tmp_path, f"{name},title\na.jpg,x\n")
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500


@pytest.mark.timeout(60)
def test_a_table_of_very_many_columns_is_read(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(30_000)]
    (row,) = known(table(tmp_path, f"image,{','.join(names)}\na.jpg,{','.join(['1'] * len(names))}\n"))
    assert len(row) == len(names)
    with pytest.raises(CatalogueError, match=r"and 29,980 more; say which") as caught:
        table(tmp_path, f"{','.join(names)}\n{','.join(['1'] * len(names))}\n")
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(("named", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_composed_and_decomposed_names_find_each_other(tmp_path: Path, named: str, there: str) -> None:
    def spelled(form: str) -> str:
        return unicodedata.normalize(form, "Été/café.jpg")  # type: ignore[arg-type]

    photo = tmp_path / spelled(there)
    photo.parent.mkdir()
    photo.write_bytes(b"a photo")
    (item,) = table(tmp_path, f"image\n{spelled(named)}\n").items()
    assert item.id == spelled(named)
    assert Path(item.location).read_bytes() == b"a photo"


def test_paths_with_the_slashes_of_windows_are_found_and_real_names_are_kept(tmp_path: Path) -> None:
    (tmp_path / "photos" / "red").mkdir(parents=True)
    (tmp_path / "photos" / "red" / "1.jpg").touch()
    (tmp_path / "a\\b.jpg").touch()
    items = table(tmp_path, "image\nphotos\\red\\1.jpg\na\\b.jpg\nno\\such.jpg\n").items()
    assert [item.photo for item in items] == ["photos/red/1.jpg", "a\\b.jpg", "no\\such.jpg"]


SHOPIFY = (
    "Handle,Title,Vendor,Variant SKU,Variant Price,Variant Barcode,Image Src,Image Position\n"
    "polo,Polo,Acme,00017,19.99,4006381333931,https://cdn.example/polo-1.jpg?v=1,1\n"
    "polo,,,00018,24.99,,,\n"
    "polo,,,,,,https://cdn.example/polo-2.jpg?v=1,2\n"
)
WOOCOMMERCE = (
    "\ufeffID,Type,SKU,Name,Regular price,Images\n"
    '10,simple,woo-1,"Hoodie, blue",45,"https://shop.example/a.jpg, https://shop.example/b.jpg"\n'
    "11,variation,woo-2,Cap,,https://shop.example/c.jpg\n"
)
GOOGLE = (
    "id\ttitle\timage_link\tprice\tsale_price\tgtin\tavailability\n"
    "A1\tSatin dress\thttps://shop.example/1.jpg\t19.99 EUR\t\t04006381333931\tin_stock\n"
    'A2\tCoat 24" long\thttps://shop.example/2.jpg\t1299.00 EUR\t999.00 EUR\t\tin_stock\n'
)


def test_a_feed_of_shopify(tmp_path: Path) -> None:
    shop = table(tmp_path, SHOPIFY, image="Image Src", product="Handle")
    first, second = shop.items()
    assert (first.photo, first.product, second.product) == ("https://cdn.example/polo-1.jpg?v=1", "polo", "polo")
    assert first.attributes["Variant Price"] == 19.99
    assert (first.attributes["Variant SKU"], first.attributes["Variant Barcode"]) == ("00017", "4006381333931")
    assert [(skip.photo, skip.reason) for skip in shop.skipped] == [
        ("shop.csv:3", "no photo in the column 'Image Src'")
    ]


def test_a_feed_of_woocommerce(tmp_path: Path) -> None:
    shop = table(tmp_path, WOOCOMMERCE, id="ID", image="Images")
    assert [(item.id, item.photo) for item in shop.items()] == [
        ("10", "https://shop.example/a.jpg"),
        ("11", "https://shop.example/c.jpg"),
    ]
    assert shop.notes == ("1 row names several photos; the first of each was taken",)


def test_a_feed_of_google_merchant(tmp_path: Path) -> None:
    shop = table(tmp_path, GOOGLE, image="image_link")
    dress, coat = known(shop)
    assert (dress["price"], coat["price"], coat["sale_price"]) == (19.99, 1299.0, 999.0)
    assert (dress["gtin"], coat["title"]) == ("04006381333931", 'Coat 24" long')
    assert shop.notes == (
        "column 'price': kept as numbers without EUR",
        "column 'sale_price': kept as numbers without EUR",
    )


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([-719163, 2932897], pa.int32()).cast(pa.date32()), ["0000-12-31", "10000-01-01"]),
        (pa.array([-1, None], pa.int32()).cast(pa.date32()), ["1969-12-31", None]),
        (pa.array([2**31 - 1], pa.int32()).cast(pa.date32()), ["5881580-07-11"]),
        (pa.array([86_400_000], pa.int64()).cast(pa.date64()), ["1970-01-02"]),
        (pa.array([1_714_978_080_123_456_789], pa.int64()).cast(pa.timestamp("ns")), ["2024-05-06T06:48:00.123456789"]),
        (pa.array([253_402_300_800], pa.int64()).cast(pa.timestamp("s")), ["10000-01-01T00:00:00"]),
        (pa.array([1_500], pa.int64()).cast(pa.timestamp("ms", tz="Europe/Berlin")), ["1970-01-01T00:00:01.5+00:00"]),
        (pa.array([3_600_000_000_001], pa.int64()).cast(pa.time64("ns")), ["01:00:00.000000001"]),
        (pa.array([61], pa.int32()).cast(pa.time32("s")), ["00:01:01"]),
        (pa.array([1_500, 2_000], pa.int64()).cast(pa.duration("ms")), [1.5, 2]),
        (pa.array([Decimal("19.99"), Decimal("2.00")], pa.decimal128(10, 2)), [19.99, 2]),
        (pa.array([Decimal("1" + "0" * 60), None], pa.decimal256(70, 0)), [1e60, None]),
        (pa.array([19.99, float("nan"), float("inf"), None], pa.float32()), [19.99, None, None, None]),
        (pa.array(np.array([0.1], dtype=np.float16)), [0.1]),
        (pa.array([2**64 - 1, 2**63 - 1], pa.uint64()), ["18446744073709551615", 2**63 - 1]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array(["x"], pa.large_string()), ["x"]),
        (pa.array([bytes(range(16)), None], pa.binary(16)), ["00010203-0405-0607-0809-0a0b0c0d0e0f", None]),
        (pa.array([b"\xff\x01"], pa.binary(2)), ["ff01"]),
        (pa.array([True, None]), [True, None]),
        (pa.array([[1.1], None, []], pa.list_(pa.float32())), [[1.1], None, []]),
        (pa.array([{"a": {"b": [1]}}, None]), [{"a": {"b": [1]}}, None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), [{"k": 1}, None]),
        (pa.array([[0]], pa.list_(pa.timestamp("ns"))), [["1970-01-01T00:00:00"]]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)  # fmt: skip
def test_every_type_of_a_parquet_column_becomes_json(tmp_path: Path, array: pa.Array, expected: list[JSON]) -> None:
    assert column(tmp_path, array) == expected


def test_a_price_that_was_a_float32_is_found_by_the_digits_that_people_write(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"price": pa.array([19.99, 0.1, 1e-8, 123456.79], pa.float32())})
    items = list(open_catalogue(str(path)).items())
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items, {"deep": np.ones((4, 1), dtype=np.float32)}, spaces=[Space("deep", 1, "test")])
        for number, price in enumerate(("19.99", "0.1", "1e-8", "123456.79")):
            _, found = gallery.list(where=f"price = {price}")
            assert [item.id for item in found] == [f"{number}.jpg"], price


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([bytes(range(16))], pa.binary(16)), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (pa.array([b"caf\xc3\xa9"], pa.binary()), "café"),
        (pa.array([Decimal("7.00")], pa.decimal128(5, 2)), "7"),
        (pa.array(["00123"]).dictionary_encode(), "00123"),
        (pa.array([7.0]), "7"),
        (pa.array([2**63], pa.uint64()), "9223372036854775808"),
    ],
)
def test_ids_of_any_type(tmp_path: Path, ids: pa.Array, expected: str) -> None:
    items: list[Item] = list(open_catalogue(str(parquet(tmp_path, {"id": ids}))).items())
    assert [item.id for item in items] == [expected]


def test_what_every_type_becomes_can_be_kept_in_a_gallery(tmp_path: Path) -> None:
    table = Path(__file__).parents[1] / "corpus" / "tables" / "types.parquet"
    items = list(open_catalogue(str(table)).items())
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        rows = np.ones((len(items), 1), dtype=np.float32)
        gallery.add(items, {"deep": rows}, spaces=[Space("deep", 1, "test")])
        assert gallery.list(limit=None)[1] == items


def test_ids_that_are_no_text_are_refused_in_one_line(tmp_path: Path) -> None:
    for ids in (pa.array([b"\xff\xfe"], pa.binary()), pa.array([[1]])):
        with pytest.raises(CatalogueError) as caught:
            open_catalogue(str(parquet(tmp_path, {"id": ids})))
        assert "\n" not in str(caught.value)


def test_names_that_parquet_takes_for_paths_are_kept_apart(tmp_path: Path) -> None:
    path = parquet(tmp_path, {"a.b": pa.array([1]), "a": pa.array([{"b": 2}]), "id": pa.array(["x"])})
    assert known(open_catalogue(str(path))) == [{"a.b": 1, "a": {"b": 2}}]
