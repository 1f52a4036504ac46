"""Filter expressions: syntax, matching items, and positions of errors."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import FilterError
from lookalike.gallery.filters import expression
from lookalike.gallery.local import row_checksums, schema
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.records import AttributeNames, Kinds
from lookalike.spaces import Space
from lookalike.types import JSON, Item

DRESSES: dict[str, dict[str, JSON]] = {
    "linen": {"price": 80, "season": "Summer", "base colour": "Red", "sale": True, "size": "38"},
    "velvet": {"price": 120.5, "season": "Winter", "base colour": "Maroon", "sale": False, "size": 38},
    "plain": {"price": 19.99, "season": None, "title": "a Plain SHIRT", "sale": 1},
    "gift": {"price": "on request", "title": "100% cotton", "tags": ["new", "red"]},
    "bare": {},
}
STRANGE_NAMES = [
    *(
        "a.b",
        "a[0]",
        "a'b",
        'a"b',
        "a\\b",
        "$",
        "",
        " ",
        "a\nb",
        "größe",
        "日本",
        "a;drop table items;--",
        "1",
        "x' OR 1=1",
    ),
    *("order", "group", "select", "date", "values", "key", "row"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGallery]:
    items = [Item(id=name, photo=f"{name}.jpg", product=name[0], attributes=known) for name, known in DRESSES.items()]
    with LocalGallery(tmp_path_factory.mktemp("filters") / "shop.gallery", create=True) as gallery:
        rows = np.eye(len(items), dtype=np.float32)
        gallery.add(items, {"deep": rows}, spaces=[Space("deep", len(items), "test")])
        yield gallery


def found(gallery: LocalGallery, where: str) -> str:
    """Ids of the items that pass, in one line."""
    return " ".join(item.id for item in gallery.list(where=where)[1])


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("season = 'Winter'", "velvet"),
        ("season <> 'Winter'", "linen"),
        ("season != 'Winter'", "linen"),  # neither those without a season, nor those where it is null
        ("not season = 'Winter'", "linen"),
        ("season != 'Winter' or season is null", "linen plain gift bare"),
        ("season is null", "plain gift bare"),
        ("season is not null", "linen velvet"),
        ("\"base colour\" in ('Red', 'Maroon')", "linen velvet"),
        ("\"base colour\" not in ('Red')", "velvet"),
        ("price < 100", "linen plain"),
        ("price >= 80", "linen velvet"),  # and not `on request`, which SQLite alone would put after all numbers
        ("price = 19.99", "plain"),
        ("price = 80.0", "linen"),
        ("price != 80", "velvet plain gift"),  # text is not 80, whatever it says
        ("price > -1", "linen velvet plain"),
        ("price < 'p'", "gift"),
        ("price between 19.99 and 80", "linen plain"),
        ("price not between 19.99 and 80", "velvet gift"),
        ("sale = true", "linen"),  # 1 is not true
        ("sale = 1", "plain"),
        ("sale != true", "velvet plain"),
        ("sale in (true, 1)", "linen plain"),
        ("size = '38'", "linen"),
        ("size = 38", "velvet"),
        ("size like '3%'", "linen"),  # only text is like a pattern
        ("size not like '3%'", "velvet"),
        ("title like '%shirt%'", "plain"),  # A to Z and a to z are the same to `like`
        ("title like '100!%%'", ""),
        ("title like '100_ c%'", "gift"),
        ("title not like '%shirt%'", "gift"),
        ("tags is not null", "gift"),
        ("id = 'bare'", "bare"),
        ("id like '%e%' and not (id = 'bare')", "linen velvet"),
        ("product in ('l', 'v')", "linen velvet"),
        ("(price < 100 and season = 'Summer') or title like '%cotton'", "linen gift"),
        ("not (price < 100 or season = 'Winter')", ""),
        ("not not price < 100", "linen plain"),
        ("PRICE = 80 or price = 80", None),
        ("price = 80 AND season = 'Summer' OR price = 120.5", "linen velvet"),
    ],
)
def test_finds_the_items_that_pass(shop: LocalGallery, where: str, ids: str | None) -> None:
    if ids is None:  # the names of attributes are told apart by case
        with pytest.raises(FilterError, match="did you mean 'price'"):
            shop.list(where=where)
        return
    assert found(shop, where) == ids


@pytest.mark.parametrize(
    ("where", "position", "expected"),
    [
        ("", 0, "expected NAME"),
        ("   ", 0, "expected NAME"),
        ("price", 0, "expected NAME"),
        ("price <", 7, "expected NAME"),
        ("price < 5 and", 13, "expected NAME"),
        ("price 5", 6, "expected NAME"),
        ("price = 5)", 9, "expected NAME"),
        ("(price = 5", 10, "expected NAME"),
        ("price == 5", 6, "single ="),
        ("price ~ 5", 6, "expected NAME"),
        ("price + 1 = 5", 6, "expected NAME"),
        ("price = 5; price = 6", 9, "expected NAME"),
        ("price = 5 -- cheap", 8, "comments"),
        ("price = 'five", 13, "closing quote"),
        ("5 < price", 0, "name of an attribute"),
        ("price = size", 8, "expected text in single quotes, a number"),
        ("season = Winter", 9, "text stands in single quotes"),
        ("season = null", 0, "is null"),
        ("season is true", 0, "`is null` or `is not null`"),
        ("season = 5", 9, "expected text in single quotes, the values of 'season' in this gallery"),
        ("season > true", 0, "expected text in single quotes"),
        ("sale < true", 0, "= and != only"),
        ("price between 1 and 'x'", 20, "two numbers, or two texts"),
        ("price in ()", 0, "values in parentheses"),
        ("price in (select 1)", 0, "values in parentheses"),
        ("title like 5", 11, "expected text in single quotes"),
        ("price like 5", 11, "pattern in single quotes"),
        ("title like 'a' escape 'b'", 0, "expected NAME"),
        ("title ilike 'a'", 0, "expected NAME"),
        ("length(title) = 5", 0, "name of an attribute"),
        ("shop.price = 5", 4, "expected NAME"),
        ("tags = 'new'", 7, "only `is null`"),
        ("price = 5 and colour = 'Red'", 14, "there is no attribute 'colour'"),
        ("sesaon = 'Winter'", 0, "did you mean 'season'"),
        ("price = 1e999", 8, "a float64 can hold"),
        ("price > 1.5e3333-03", 8, "a float64 can hold"),
        ("case when price = 1 then 1 end", 10, "expected NAME"),
        ("exists (select 1)", 15, "expected NAME"),
        ("price = 0x10", 9, "expected NAME"),
        ("price = @x", 8, "expected NAME"),
    ],
)
def test_says_where_an_expression_is_wrong(shop: LocalGallery, where: str, position: int, expected: str) -> None:
    with pytest.raises(FilterError) as caught:
        shop.list(where=where)
    assert (caught.value.position, expected in caught.value.expected) == (position, True), caught.value


@pytest.mark.parametrize(
    "where",
    [
        "(" * 10_000,
        "(" * 1900 + "price = 1" + ")" * 1900,
        "not " * 990 + "price = 1",
        "(" * 17 + "price = 1" + ")" * 17,
        "price = 1 or " * 400,
        "price = " + "-" * 3000 + "1",
        "[" * 3000,
        "{" * 3000,
        "case " * 700,
        "price = 1 and price = 1 or " * 140 + "price",
        "id = '" + "x" * 4000 + "'",
    ],
)
def test_refuses_what_is_too_long_or_too_deep(where: str) -> None:
    with pytest.raises(FilterError):
        expression.parse(where, {"price": Kinds.NUMBER})


def test_takes_what_is_just_short_enough(shop: LocalGallery) -> None:
    assert found(shop, " or ".join(["price = 80"] * 280)) == "linen"
    assert found(shop, "price in (" + ", ".join(str(number) for number in range(700)) + ")") == "linen"
    assert found(shop, "(" * 16 + "price = 80" + ")" * 16) == "linen"
    assert found(shop, "not (" * 16 + "price = 80" + ")" * 16) == "linen"


def test_compares_numbers_beyond_64_bits(shop: LocalGallery) -> None:
    assert found(shop, f"price < {10**30}") == "linen velvet plain"
    assert found(shop, f"price > -{10**30} and price < {2**63}") == "linen velvet plain"


@pytest.mark.parametrize("name", STRANGE_NAMES)
def test_reaches_an_attribute_of_any_name(name: str, tmp_path: Path) -> None:
    """A name never becomes part of a statement, so none can break one."""
    items = [Item(id="with", photo="a.jpg", attributes={name: "O'Neill"}), Item(id="without", photo="b.jpg")]
    with LocalGallery(tmp_path / "strange.gallery", create=True) as gallery:
        gallery.add(items, {"deep": np.eye(2, dtype=np.float32)}, spaces=[Space("deep", 2, "test")])
        quoted = name.replace('"', '""')
        assert found(gallery, f"\"{quoted}\" = 'O''Neill'") == "with"
        assert found(gallery, f'"{quoted}" is null') == "without"
        assert gallery.get("with").attributes == {name: "O'Neill"}


def test_fields_win_over_attributes_of_the_same_name(tmp_path: Path) -> None:
    with LocalGallery(tmp_path / "fields.gallery", create=True) as gallery:
        item = Item(id="a", photo="a.jpg", product="p", attributes={"id": "b", "product": "q"})
        gallery.add([item], {"deep": np.ones((1, 1), dtype=np.float32)}, spaces=[Space("deep", 1, "test")])
        assert found(gallery, "id = 'a' and product = 'p'") == "a"
        assert gallery.get("a") == item


def test_names_and_kinds_survive_in_the_database() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    row_checksums.equip(connection)
    schema.write(connection)
    names = AttributeNames.read(connection)
    first = names.encode(Item(id="a", photo="a", attributes={"price": 5, "tags": []}))
    names.save(connection)
    names.encode(Item(id="b", photo="b", attributes={"price": "free", "sale": None}))
    names.save(connection)
    connection_sees = AttributeNames.read(connection)
    connection.close()
    assert json.loads(first) == {"1": 5, "2": []}
    assert connection_sees.kinds == {"price": Kinds.NUMBER | Kinds.TEXT, "tags": Kinds.NESTED, "sale": Kinds.NONE}
    assert connection_sees.decode(first) == {"price": 5, "tags": []}
