"""Addresses of galleries on Milvus, and decisions that need no server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, cast

import pytest

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.filters.expression import Among, Compare, Condition, Every, Some
from lookalike.gallery.filters.expression import parse as parse_filter
from lookalike.gallery.filters.milvus import within_partitions
from lookalike.gallery.milvus.address import TOKEN, TOKEN_FILE, parse, with_setting
from lookalike.gallery.milvus.connection import Timed
from lookalike.gallery.milvus.metadata import check_keeps_partitions
from lookalike.gallery.milvus.records import partition_of
from lookalike.gallery.milvus.schema import planned
from lookalike.gallery.records import Kinds


def test_an_address_says_where_and_how() -> None:
    plain = parse("milvus://host/shop")
    assert (plain.uri, plain.collection, plain.consistency, plain.timeout_s) == (
        "http://host:19530",
        "shop",
        "Bounded",
        60,
    )
    full = parse("milvus+tls://[::1]:443/shop?consistency=strong&timeout=5&replicas=2&index=HNSW&M=16")
    assert (full.uri, full.consistency, full.timeout_s) == ("https://[::1]:443", "Strong", 5)
    assert (full.number("replicas"), full.number("shards"), full.index_settings) == (2, None, {"M": 16})
    assert parse(with_setting(full.text, "consistency", "bounded")).consistency == "Bounded"


WRONG: dict[str, tuple[str, type[UsageError], str]] = {
    "no collection": ("milvus://host:1", UsageError, "not a valid collection name"),
    "a collection of no name": ("milvus://host/a-b", UsageError, "not a valid collection name"),
    "no host": ("milvus:///shop", UsageError, "expected milvus://HOST:PORT/COLLECTION"),
    "no port": ("milvus://host:x/shop", UsageError, "expected milvus://HOST:PORT/COLLECTION"),
    "a secret": ("milvus://root:secret@host/shop", UsageError, TOKEN_FILE),
    "a setting twice": ("milvus://host/shop?shards=1&shards=2", UsageError, "occurs twice"),
    "no such setting": ("milvus://host/shop?shard=1", UnknownNameError, "did you mean 'shards'?"),
    "no number": ("milvus://host/shop?shards=many", UsageError, "whole number of at least 1"),
    "no such consistency": ("milvus://host/shop?consistency=strng", UnknownNameError, "did you mean 'strong'?"),
    "no such index": ("milvus://host/shop?index=HNWS", UnknownNameError, "did you mean 'HNSW'?"),
    "a setting of another index": ("milvus://host/shop?index=FLAT&M=8", UsageError, "index=HNSW"),
    "partitions of nothing": ("milvus://host/shop?partitions=8", UsageError, "partition-by=NAME"),
    "partitions by id": ("milvus://host/shop?partition-by=id", UsageError, "name of an attribute, got 'id'"),
    "partitions by no name": ("milvus://host/shop?partition-by=", UsageError, "name of an attribute, got ''"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_addresses_are_refused_in_a_line(case: str) -> None:
    address, error, words = WRONG[case]
    with pytest.raises(error, match=words) as no:
        parse(address)
    assert "\n" not in str(no.value)
    assert "secret" not in str(no.value)


def test_the_token_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = parse("milvus://host/shop")
    monkeypatch.delenv(TOKEN_FILE, raising=False)
    monkeypatch.setenv(TOKEN, "root:one")
    assert address.token() == "root:one"
    file = tmp_path / "token"
    file.write_text("root:two\n")
    monkeypatch.setenv(TOKEN_FILE, str(file))
    assert address.token() == "root:two"
    other = tmp_path / "other"
    other.write_text("key")
    assert parse(f"milvus://host/shop?token-file={other}").token() == "key"
    for content in (None, "\n"):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
        with pytest.raises(UsageError, match="token"):
            address.token()


@pytest.mark.parametrize(
    ("count", "kind"), [(0, "FLAT"), (50_000, "FLAT"), (50_001, "IVF_FLAT"), (5_000_000, "IVF_SQ8"), (10**9, "IVF_SQ8")]
)
def test_the_index_fits_the_size_where_nobody_says_otherwise(count: int, kind: str) -> None:
    assert planned(parse("milvus://host/shop"), count=count, columns=576).kind == kind
    assert planned(parse("milvus://host/shop?index=HNSW&M=8"), count=count, columns=576).parameters["M"] == 8
    assert planned(parse(f"milvus://host/shop?rows={count + 1}"), count=0, columns=576).kind in (kind, "IVF_FLAT")


def test_partitions_hold_the_texts_of_an_attribute_and_filters_keep_to_them() -> None:
    red = Compare("colour", "=", "Red")
    cheap = Compare("price", "<", 5)
    assert within_partitions("x", red, "colour") == '_partition == "Red" and x'
    assert within_partitions("x", Every((cheap, red)), "colour") == '_partition == "Red" and x'
    assert within_partitions("x", Among("colour", ("Red", "Blue")), "colour") == '_partition in ["Red", "Blue"] and x'
    for everywhere in (cheap, Some((red, cheap)), Among("colour", ("Red", 1)), Compare("colour", "!=", "Red")):
        assert within_partitions("x", everywhere, "colour") == "x"
    assert within_partitions("x", red, None) == within_partitions("x", red, "price") == "x"
    assert partition_of({"colour": "Red"}, "colour") == {"_partition": "Red"}
    assert partition_of({"colour": 1}, "colour") == partition_of({}, "colour") == {"_partition": ""}
    assert partition_of({"product": "p1", "attribute product": "x"}, "product") == {"_partition": "p1"}
    assert partition_of({"colour": "Red"}, None) == {}


FILTERS: dict[str, str | None] = {
    "colour = 'Red'": '_partition == "Red"',
    "colour = ''": '_partition == ""',
    "colour in ('Red', 'Blue')": '_partition in ["Red", "Blue"]',
    "colour in ('Red', 1)": None,
    "colour = 1": None,
    "colour != 'Red'": None,
    "colour >= 'Red'": None,
    "colour between 'A' and 'R'": None,
    "colour like 'Red'": None,
    "colour is null": None,
    "colour is not null": None,
    "not (colour = 'Red')": None,
    "not (not (colour = 'Red'))": None,
    "not (colour = 'Red' and price = 1)": None,
    "price = 1": None,
    "price = 1 and colour = 'Red'": '_partition == "Red"',
    "colour = 'Red' and colour = 'Blue'": '_partition == "Red"',
    "colour = 1 and colour = 'Red'": '_partition == "Red"',
    "price = 1 or colour = 'Red'": None,
    "colour = 'Red' or colour = 'Blue'": None,
    "(price = 1 or colour = 'Red') and price = 2": None,
    "(price = 1 or colour = 'Red') and colour in ('Blue')": '_partition in ["Blue"]',
    "colour is null and not (colour = 'Red')": None,
}
"""Filters, and the partitions that each is kept to, if it is to any."""


@pytest.mark.parametrize("where", FILTERS)
def test_a_filter_keeps_to_partitions_only_where_all_that_pass_are_in_them(where: str) -> None:
    kinds = {"colour": Kinds.TEXT | Kinds.NUMBER, "price": Kinds.NUMBER}
    condition, kept_to = parse_filter(where, kinds), FILTERS[where]
    assert within_partitions("x", condition, "colour") == ("x" if kept_to is None else f"{kept_to} and x")
    if kept_to is None:
        return
    partitions = re.findall('"([^"]*)"', kept_to)
    for colour in ("Red", "Blue", "Green", "", 1, True, None, MISSING):
        for price in (1, 2, MISSING):
            item = {name: value for name, value in (("colour", colour), ("price", price)) if value is not MISSING}
            if passes(condition, item):
                assert partition_of(item, "colour")["_partition"] in partitions


MISSING = object()


def passes(condition: Condition, item: dict[str, object]) -> bool:
    """Whether an item passes a filter of =, in, and, or."""
    match condition:
        case Every(terms):
            return all(passes(term, item) for term in terms)
        case Some(terms):
            return any(passes(term, item) for term in terms)
        case Among(name, values):
            return any(passes(Compare(name, "=", value), item) for value in values)
        case Compare(name, "=", value):
            return type(item.get(name)) is type(value) and item[name] == value
    raise AssertionError(condition)


@pytest.mark.parametrize("held", [1, 2.5, True, None, {}, [], ["Red"]])
def test_what_is_no_text_is_in_the_partition_without_a_name(held: object) -> None:
    assert partition_of({"colour": held}, "colour") == {"_partition": ""}


class Client:
    """Says how it was called."""

    def query(self, **named: object) -> dict[str, object]:
        return named

    def prepare_index_params(self, **named: object) -> dict[str, object]:
        return named

    def close(self, **named: object) -> dict[str, object]:
        return named


def test_only_what_asks_the_server_is_told_how_long_it_may_take() -> None:
    client = Timed(cast(Any, Client()), 5.0)
    assert client.query() == {"timeout": 5.0}
    assert client.query(timeout=9.0) == {"timeout": 9.0}
    assert client.prepare_index_params() == client.close() == {}


def test_servers_that_lose_rows_of_partitions_are_refused() -> None:
    for new in ("v2.4.0", "v2.6.16", "2.10.1", "unknown"):
        check_keeps_partitions(new)
    for old in ("v2.3.5-lite", "2.2.16", "v1.1.1"):
        with pytest.raises(UsageError, match=r"needs Milvus 2\.4 or newer"):
            check_keeps_partitions(old)
