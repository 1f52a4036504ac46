"""Addresses of galleries on Milvus, and what is decided from them without a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike.errors import UnknownNameError, UsageError
from lookalike.gallery.filters import Among, Compare, Every, Some
from lookalike.gallery.milvus.address import TOKEN, TOKEN_FILE, parse, with_setting
from lookalike.gallery.milvus.facts import check_keeps_partitions
from lookalike.gallery.milvus.filter import within_partitions
from lookalike.gallery.milvus.records import partition_of
from lookalike.gallery.milvus.schema import planned


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
    "no collection": ("milvus://host:1", UsageError, "no name of a collection"),
    "a collection of no name": ("milvus://host/a-b", UsageError, "no name of a collection"),
    "no host": ("milvus:///shop", UsageError, "expected milvus://HOST:PORT/COLLECTION"),
    "no port": ("milvus://host:x/shop", UsageError, "expected milvus://HOST:PORT/COLLECTION"),
    "a secret": ("milvus://root:secret@host/shop", UsageError, TOKEN_FILE),
    "a setting twice": ("milvus://host/shop?shards=1&shards=2", UsageError, "stands twice"),
    "no such setting": ("milvus://host/shop?shard=1", UnknownNameError, "did you mean 'shards'?"),
    "no number": ("milvus://host/shop?shards=many", UsageError, "whole number of at least 1"),
    "no such consistency": ("milvus://host/shop?consistency=strng", UnknownNameError, "did you mean 'strong'?"),
    "no such index": ("milvus://host/shop?index=HNWS", UnknownNameError, "did you mean 'HNSW'?"),
    "a setting of another index": ("milvus://host/shop?index=FLAT&M=8", UsageError, "index=HNSW"),
    "partitions of nothing": ("milvus://host/shop?partitions=8", UsageError, "partition-by=NAME"),
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


def test_servers_that_lose_rows_of_partitions_are_refused() -> None:
    for new in ("v2.4.0", "v2.6.16", "2.10.1", "unknown"):
        check_keeps_partitions(new)
    for old in ("v2.3.5-lite", "2.2.16", "v1.1.1"):
        with pytest.raises(UsageError, match=r"wants Milvus 2\.4 or newer"):
            check_keeps_partitions(old)
