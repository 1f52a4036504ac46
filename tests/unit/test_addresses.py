"""Parsing of addresses, the addresses that items may have, and public hosts."""

from __future__ import annotations

import pytest

from lookalike.errors import ConfigError, PhotoError
from lookalike.remote.addresses import is_remote, parse, place_of, reach_of, shown
from lookalike.remote.allowed_hosts import VARIABLE, may_connect
from lookalike.types import Item


@pytest.mark.parametrize(
    ("text", "understood"),
    [
        ("https://Shop.example/a/b.png?size=8#top", "https://shop.example/a/b.png?size=8"),
        ("HTTP://shop.example:8080", "http://shop.example:8080/"),
        ("https://user:word@shop.example/a", "https://shop.example/a"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("S3://Bucket/a b?c#d%20.png", "s3://Bucket/a b?c#d%20.png"),
        ("gs://shop.example/photos", "gs://shop.example/photos"),
        ("az://$web/a.png", "az://$web/a.png"),
        ("https://shop.example/a..b/...", "https://shop.example/a..b/..."),
    ],
)
def test_addresses_that_are_understood(text: str, understood: str) -> None:
    assert is_remote(text)
    assert parse(text).text == understood


@pytest.mark.parametrize(
    "text",
    [
        *(
            "file:///etc/passwd",
            "reference://",
            "zip::s3://shop/a.zip",
            "simplecache::http://shop.example/a",
            "s3a://b/c",
        ),
        *("http://shop.example/a::file:///etc/passwd", "HTTP::HTTP://shop.example/", "abfs://c@account/a", "s3:///a"),
        *(
            "s3://a@b/c",
            "s3://a:1/c",
            "s3://../c",
            "http://",
            "http:///a",
            "http://[",
            "http://a:99999/",
            "http://a:b/",
        ),
        *("http://shop.example\\@127.0.0.1/", "http://a b/", "http://a%2eb/", "https://shop.example/a/../b"),
        *(
            "https://shop.example/%2e%2e/b",
            "https://shop.example/%252E%252e/b",
            "s3://shop/a/..%2fb",
            "s3://shop/..\\b",
        ),
        *("http://shop.example/\r\nHost: b", "s3://shop/\0", "http://" + "a" * 9_000, "", "a.png", "://"),
    ],
)
def test_addresses_that_are_refused(text: str) -> None:
    with pytest.raises(PhotoError):
        parse(text)


SHOP, BUCKET = "http://127.0.0.1:80/shop", "s3://shop/photos"


@pytest.mark.parametrize(
    ("photo", "root", "place", "private"),
    [
        ("a.png", SHOP, f"{SHOP}/a.png", True),
        ("http://127.0.0.1:80/b.png", SHOP, "http://127.0.0.1:80/b.png", True),
        ("http://127.0.0.1:81/b.png", SHOP, "http://127.0.0.1:81/b.png", False),
        ("https://127.0.0.1:80/b.png", SHOP, "https://127.0.0.1:80/b.png", False),
        ("https://cdn.example/b.png", BUCKET, "https://cdn.example/b.png", False),
        ("s3://shop/other.png", BUCKET, "s3://shop/other.png", True),
        ("s3://other/a.png", "/srv/shop", "s3://other/a.png", True),
        ("http://10.0.0.1/a.png", "/srv/shop", "http://10.0.0.1/a.png", True),
        ("http://10.0.0.1/a.png", "", "http://10.0.0.1/a.png", False),
    ],
)
def test_where_an_item_may_lead(photo: str, root: str, place: str, private: bool) -> None:
    reach = reach_of(Item(id="a", photo=photo, root=root))
    assert (reach.address.text, reach.private) == (place, private)


@pytest.mark.parametrize(
    ("photo", "root"),
    [
        *(
            ("/etc/passwd", SHOP),
            ("\\etc", SHOP),
            ("../a.png", SHOP),
            ("file:/etc/passwd", SHOP),
            ("a::file:///b", SHOP),
        ),
        *(
            ("file:///etc/passwd", SHOP),
            ("s3://shop/a.png", SHOP),
            ("s3://other/a.png", BUCKET),
            ("gs://shop/a", BUCKET),
        ),
        *(("http://user:word@cdn.example/a", SHOP), ("/etc/passwd", BUCKET), ("s3://shop/a.png", "")),
    ],
)
def test_where_an_item_may_not_lead(photo: str, root: str) -> None:
    with pytest.raises(PhotoError):
        reach_of(Item(id="a", photo=photo, root=root))


def test_nothing_of_this_machine_lies_beneath_an_address() -> None:
    assert Item(id="a", photo="/etc/passwd", root=SHOP).location == f"{SHOP}//etc/passwd"


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
        ),
        *("100.100.100.200", "224.0.0.1", "239.1.2.3", "255.255.255.255", "240.0.0.1", "192.0.0.192", "198.18.0.1"),
        *(
            "168.63.129.16",
            "::1",
            "::",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "::127.0.0.1",
        ),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "fec0::1",
            "2606:4700:0:1:0:5efe:a9fe:a9fe",
            "2606:4700:0:1:200:5efe:7f00:1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "shop.example",
            "",
        ),
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ],
)
def test_addresses_that_are_not_public(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert not may_connect(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_addresses_that_are_public(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert may_connect(address)


def test_what_the_operator_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, " 10.1.0.0/16, fd00::/8,photos.internal , s3://Other/")
    assert may_connect("10.1.2.3")
    assert may_connect("::ffff:10.1.2.3")
    assert may_connect("fd12::1")
    assert not may_connect("10.2.0.1")
    assert reach_of(Item(id="a", photo="http://Photos.internal:8080/a", root=SHOP)).private
    assert not reach_of(Item(id="a", photo="http://photos.internal.example/a", root=SHOP)).private
    assert reach_of(Item(id="a", photo="s3://Other/a", root=SHOP)).address.host == "Other"
    monkeypatch.setenv(VARIABLE, "10.0.0.0/33")
    with pytest.raises(ConfigError, match=r"LOOKALIKE_ALLOWED_HOSTS: expected .* got '10\.0\.0\.0/33'"):
        may_connect("1.1.1.1")


def test_nothing_secret_of_an_address_is_shown() -> None:
    assert place_of("https://user:word@shop.example/a/table.csv?sig=x#y") == "https://shop.example/a/table.csv"
    told = "https://u:p@a.example/x?token=1: no such file; HTTP://b.example/?sig=2 'http://c.example/#k'; s3://d/e?f"
    assert shown(told) == "https://a.example/x no such file; HTTP://b.example/ 'http://c.example/'; s3://d/e?f"
