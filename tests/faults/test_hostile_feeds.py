"""Feeds that are damaged, too large or made to harm: refused in one line, or read where they are right."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path
from random import Random

import pytest

from fault_tries import Tries
from lookalike.catalogue import open_catalogue
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import CatalogueError


def opened(folder: Path, name: str, text: str | bytes) -> Catalogue:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_catalogue(str(path))


XML = '<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{}</channel></rss>'
OFFER = "<item><g:id>1</g:id><g:image_link>1.jpg</g:image_link>{}</item>"
BILLION_LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(9))
    + "]>"
    + XML.format(OFFER.format("<title>&j;</title>"))
)


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (BILLION_LAUGHS, "declares a document type"),
        ('<!DOCTYPE rss SYSTEM "file:///etc/passwd">' + XML.format(OFFER), "declares a document type"),
        (XML.format(OFFER.format("<title>&undefined;</title>")), "not well-formed XML: undefined entity"),
        (XML.format(OFFER.format("<a>" * 40 + "</a>" * 40)), "nested more than 32 deep"),
        (XML.format(OFFER.format(f"<title>{'x' * (2**20 + 1)}</title>")), "longer than 1,048,576 characters"),
        (
            XML.format(OFFER.format(5 * f"<g:size>{'x' * 10**6}</g:size>")),
            "texts of a record are longer than 4,194,304",
        ),
        (XML.format(OFFER.format(f"<title x='{'y' * 2**23}'/>")), "a piece of markup is longer than 4 MiB"),
        (XML.format(OFFER.format(f"<!--{'y' * 2**23}-->")), "a piece of markup is longer than 4 MiB"),
        (XML.format(OFFER.format("<a/>" * 10_001)), "more than 10,000 elements"),
        (XML.format(OFFER)[:-9], "not well-formed XML"),
        (XML.format(OFFER) + "<more/>", "not well-formed XML: junk after document element"),
        (XML.format("<item><g:id>1</g:id></item>"), "no product with a photo is in this feed"),
        ("<?xml version='1.0' encoding='klingon'?>" + XML.format(OFFER), "XML"),
        ("<html><body/></html>", "XML or HTML"),
        ('{"products": [{"handle": "a", "images": [{"src": "a.jpg"}]}', "cut short"),
        ('{"products": [{"handle": "a"', "cut short"),
        ('{"products": [1, 2]}', "a product is not an object"),
        ('{"products": [{"handle": NaN}]}', "NaN is not a number of JSON"),
        ('{"products": [' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "]}", "expected Shopify's"),
        ('{"products": [{"handle": "a", "x": "' + "y" * (2**23 + 2**20), "longer than 8,388,608 characters"),
        ('{"products": [{"handle": ' + "1" * 5000 + "}]}", "expected Shopify's"),
        ('{"products": [], "more": 1}', "expected } after the products"),
        ('{"products": []}', "no product with a photo is in this feed"),
        ("Handle,Title,Image Src,Title\na,b,c,d\n", "two columns are called 'Title'"),
        ("id\timage_link\n1\n", "expected 2 cells"),
        ("id,image_link\n1,\xff.jpg\n".encode("latin-1"), "not UTF-8 text"),
        (codecs.BOM_UTF16_LE + b"i\0d\0,", "not utf-16 text"),
    ],
    ids=map(str, range(26)),
)
def test_hostile_and_broken_feeds_are_refused_in_one_line(tmp_path: Path, document: str | bytes, told: str) -> None:
    with pytest.raises(CatalogueError) as error:
        opened(tmp_path, "feed", document)
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 700


def test_a_feed_that_is_wrong_in_places_is_read_in_the_others(tmp_path: Path) -> None:
    many = ",".join(f"https://img.example/{at}.jpg" for at in range(500))
    rows = [
        {"id": "1", "image_link": "1.jpg", "link": "javascript:alert(1)", "price": "12.500 EUR"},
        {"id": "1", "image_link": "2.jpg", "price": "3 EUR"},
        {"id": "", "image_link": "3.jpg"},
        {"id": "4", "image_link": "", "additional_image_link": ""},
        {"id": "5", "image_link": "data:image/png;base64,AAAA"},
        {"id": "6", "image_link": "6.jpg", "additional_image_link": many, "availability": "maybe"},
        {"id": "7", "image_link": "", "additional_image_link": "7.jpg"},
        {"id": "6#2", "image_link": "8.jpg"},
    ]
    file = io.StringIO(newline="")
    columns = ["id", "image_link", "additional_image_link", "link", "price", "availability"]
    writer = csv.DictWriter(file, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    catalogue = opened(tmp_path, "feed.csv", file.getvalue())
    items = {item.id: item for item in catalogue.items()}
    assert len(items) == 1 + 100 + 1
    assert (items["1"].photo, items["1"].attributes) == ("1.jpg", {})
    assert (items["6#100"].photo, items["7"].photo) == ("https://img.example/98.jpg", "7.jpg")
    assert [(skip.photo, skip.id, skip.reason) for skip in catalogue.skipped] == [
        ("feed.csv:3", "", "the id '1' comes twice; feed.csv:2 has it first"),
        ("feed.csv:4", "", "no id"),
        ("feed.csv:5", "4", "no photo"),
        ("feed.csv:6", "5", "no photo"),
        ("feed.csv:9", "", "the id '6#2' comes twice; feed.csv:7 has it first"),
    ]
    assert catalogue.notes == (
        "prices that are not numbers, or can be read in two ways, are left out: 1, such as '12.500 EUR'",
        "links that do not lead to a page on the web are left out: 1, such as 'javascript:alert(1)'",
        "photos that are neither paths nor addresses are left out: 1, such as 'data:image/png;base64,AAAA'",
        "availabilities that are not known give no in_stock: 1, such as 'maybe'",
        "products with more than 100 photos, of which these are taken: 1, such as 'feed.csv:7'",
    )


GOOD_FEEDS = {
    "xml": XML.format(OFFER.format("<title>A &amp; B</title><g:price>1,50 EUR</g:price>") * 3),
    "json": '{"products": [{"handle": "a", "variants": [{"price": "1"}], "images": [{"src": "a.jpg"}]}, {}]}',
    "merchant": "id\timage_link\tprice\tlink\n1\t1.jpg\t1 USD\thttps://a.example\n2\t2.jpg\t\t\n",
    "shopify": 'Handle,Title,Image Src,Variant Price\na,"A, ""b""",a.jpg,1\na,,b.jpg,\nb,B,c.jpg,2\n',
    "woocommerce": 'ID,Type,SKU,Name,Published,Images,Parent\n1,variable,x,X,1,"a.jpg, b",\n2,variation,,Y,1,,id:1\n',
    "product-search": 'gs://b/1.jpg,i,s,p,apparel-v2,N,"color=red,size=M",1,2,3,4\ngs://b/2.jpg,,s,q,toys,,,\n',
}


@pytest.mark.parametrize("form", GOOD_FEEDS)
def test_feeds_with_changed_bytes_are_read_or_refused(form: str, tmp_path: Path, tries: Tries) -> None:
    luck = Random(11)
    good = GOOD_FEEDS[form].encode()
    assert opened(tmp_path, "feed", good).count
    pieces = [
        b"<",
        b">",
        b'"',
        b",",
        b"\t",
        b"\n",
        b"\0",
        b"\xff",
        b"&#0;",
        b"]]>",
        b"{",
        b"[",
        b"\\ud800",
        b"%",
        b"://",
        b"#2",
    ]
    for _ in range(tries("feeds-with-changed-bytes", short=60, long=20_000)):
        data = bytearray(good)
        for _ in range(luck.randrange(1, 4)):
            at = luck.randrange(len(data) + 1)
            way = luck.randrange(3)
            if way == 0:
                data[at : at + luck.randrange(1, 30)] = b""
            elif way == 1:
                data[at:at] = luck.choice(pieces) * luck.choice([1, 1, 50])
            else:
                data[at:at] = data[luck.randrange(len(data) + 1) :][:40]
        try:
            catalogue = opened(tmp_path, "feed", bytes(data))
        except CatalogueError as error:
            assert "\n" not in str(error), data
            continue
        items = list(catalogue.items())
        assert len({item.id for item in items}) == len(items) == catalogue.count, data
        for item in items:
            link = str(item.attributes.get("link", "https://"))
            assert link.lower().startswith(("http://", "https://")), data
