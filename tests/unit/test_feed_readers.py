"""Feeds of shops in the published form of each format: ids, products, photos and the one vocabulary of attributes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.checking import check_catalogue
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import AnnotationError
from lookalike.types import JSON, Box, Item


def opened(folder: Path, name: str, text: str | bytes, **options: str) -> Catalogue:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return open_catalogue(str(path), **options)  # type: ignore[arg-type]


def items_of(catalogue: Catalogue) -> dict[str, Item]:
    items = list(catalogue.items())
    assert len(items) == catalogue.count == len({item.id for item in items})
    assert items == list(catalogue.items())
    return {item.id: item for item in items}


def as_csv(rows: Sequence[Mapping[str, str]], *, columns: Sequence[str], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, columns, restval="", delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


RSS = """<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0">
<channel>
<title>Example - Online Store</title>
<link>https://shop.example</link>
<description>A feed</description>
<item>
<g:id>shirt-red-m</g:id>
<title>RSS title</title>
<g:title>Linen shirt &lt;b&gt;red&lt;/b&gt;</g:title>
<g:description><![CDATA[<p>Soft &amp; light.</p><p>Washable</p>]]></g:description>
<g:link>https://shop.example/shirt?variant=1&amp;x=2</g:link>
<g:image_link>https://img.example/red.jpg</g:image_link>
<g:additional_image_link>https://img.example/red-back.jpg</g:additional_image_link>
<g:additional_image_link>https://img.example/red.jpg</g:additional_image_link>
<g:additional_image_link>photos/detail.jpg</g:additional_image_link>
<g:condition>new</g:condition>
<g:availability>in stock</g:availability>
<g:price>29.90 EUR</g:price>
<g:sale_price>19.90 EUR</g:sale_price>
<g:shipping><g:country>DE</g:country><g:price>4.90 EUR</g:price></g:shipping>
<g:gtin>04006381333931</g:gtin>
<g:brand>Acme</g:brand>
<g:item_group_id>shirt</g:item_group_id>
<g:color>Red</g:color><g:size>M</g:size><g:gender>female</g:gender><g:age_group>adult</g:age_group>
<g:material>Linen</g:material><g:pattern>Plain</g:pattern>
<g:google_product_category>Apparel &amp; Accessories &gt; Clothing</g:google_product_category>
<g:product_type>Women &gt; Shirts</g:product_type>
<g:custom_label_0>margin-high</g:custom_label_0>
</item>
<item>
<g:id>belt</g:id><title>Belt</title><link>https://shop.example/belt</link>
<g:image_link>https://img.example/belt.jpg</g:image_link>
<g:availability>out_of_stock</g:availability><g:price>15 USD</g:price>
<g:google_product_category>Belts</g:google_product_category>
</item>
</channel>
</rss>
"""


def test_a_merchant_feed_in_rss(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, "feed.xml", RSS)
    items = items_of(catalogue)
    assert (catalogue.kind, catalogue.skipped, catalogue.notes) == ("merchant", (), ())
    assert list(items) == ["shirt-red-m", "shirt-red-m#2", "shirt-red-m#3", "belt"]
    shirt = items["shirt-red-m"]
    assert (shirt.product, shirt.photo, shirt.root) == ("shirt", "https://img.example/red.jpg", str(tmp_path))
    assert shirt.attributes == {
        "title": "Linen shirt red",
        "description": "Soft & light. Washable",
        "brand": "Acme",
        "color": "Red",
        "size": "M",
        "gender": "female",
        "age_group": "adult",
        "material": "Linen",
        "pattern": "Plain",
        "condition": "new",
        "gtin": "04006381333931",
        "category": "Women > Shirts",
        "custom_label_0": "margin-high",
        "price": 29.9,
        "sale_price": 19.9,
        "currency": "EUR",
        "in_stock": True,
        "availability": "in_stock",
        "link": "https://shop.example/shirt?variant=1&x=2",
    }
    further = [items["shirt-red-m#2"], items["shirt-red-m#3"]]
    assert [item.photo for item in further] == ["https://img.example/red-back.jpg", "photos/detail.jpg"]
    assert all(item.attributes == shirt.attributes for item in further)
    assert items["belt"].attributes == {
        "title": "Belt",
        "category": "Belts",
        "price": 15,
        "currency": "USD",
        "in_stock": False,
        "availability": "out_of_stock",
        "link": "https://shop.example/belt",
    }
    assert items["belt"].product == "belt"


@pytest.mark.parametrize("namespace", ["http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_merchant_feed_in_atom_in_any_encoding(tmp_path: Path, namespace: str, encoding: str) -> None:
    feed = f"""<?xml version="1.0" encoding="{encoding}"?>
<feed xmlns="{namespace}" xmlns:g="http://base.google.com/ns/1.0">
<title>Store</title><link href="https://shop.example" rel="alternate" type="text/html"/><updated>2026-11-28</updated>
<entry><g:id>1</g:id><title>Röcke für Mädchen</title><summary>weiß</summary>
<link rel="enclosure" href="https://shop.example/no"/><link href="https://shop.example/1"/>
<g:image_link>https://img.example/1.jpg</g:image_link><g:price>1.299,00 €</g:price>
<g:availability>preorder</g:availability></entry>
</feed>"""
    if encoding in ("iso-8859-1", "windows-1252"):
        feed = feed.replace("€", "EUR")
    item = items_of(opened(tmp_path, "feed.xml", feed.encode(encoding)))["1"]
    assert item.attributes == {
        "title": "Röcke für Mädchen",
        "description": "weiß",
        "link": "https://shop.example/1",
        "price": 1299,
        "currency": "EUR",
        "in_stock": False,
        "availability": "preorder",
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("delimiter", ["\t", ","])
@pytest.mark.parametrize("space", ["_", " "])
def test_a_merchant_feed_in_a_text_file(tmp_path: Path, encoding: str, delimiter: str, space: str) -> None:
    offer = {
        "id": "7",
        "title": "Hat",
        "link": "https://shop.example/7",
        "image_link": "https://img.example/7.jpg",
        "additional_image_link": "https://img.example/8.jpg, https://img.example/a%2Cb.jpg",
        "price": "15.00 USD",
        "availability": "in_stock",
        "item_group_id": "hats",
        "sale_price": "",
        "condition": "new",
    }
    columns = [name.replace("_", space) for name in offer]
    rows = [dict(zip(columns, offer.values(), strict=True))]
    table = as_csv(rows, columns=columns, delimiter=delimiter)
    catalogue = opened(tmp_path, "feed.txt", table.encode(encoding))
    items = items_of(catalogue)
    assert {item.id: (item.photo, item.product) for item in items.values()} == {
        "7": ("https://img.example/7.jpg", "hats"),
        "7#2": ("https://img.example/8.jpg", "hats"),
        "7#3": ("https://img.example/a%2Cb.jpg", "hats"),
    }
    assert items["7#3"].attributes["price"] == 15


@pytest.mark.parametrize(("days", "shown"), [((-2, 2), True), ((-9, -2), False), ((2, 9), False)])
def test_a_sale_price_is_that_of_its_dates(tmp_path: Path, days: tuple[int, int], shown: bool) -> None:
    start, end = ((datetime.now(UTC) + timedelta(days=day)).strftime("%Y-%m-%dT%H:%M+0000") for day in days)
    offer = {"id": "1", "image_link": "1.jpg", "price": "20 EUR", "sale_price": "15 EUR"}
    offer["sale_price_effective_date"] = f"{start} / {end}"
    table = as_csv([offer], columns=list(offer))
    attributes = items_of(opened(tmp_path, "feed.csv", table))["1"].attributes
    assert attributes == {"price": 20, "currency": "EUR", **({"sale_price": 15} if shown else {})}


SEARCH = (
    'gs://shop/10001_A.jpg,img001,summer,p1,apparel-v2,tan summer bag,"style=womens,color=tan,color=beige",'
    "100,150,450,150,450,550,100,550\n"
    'gs://shop/10001_A.jpg,img001,summer,p2,apparel-v2,blue bag,"style=womens,Price=12.50 USD","670,790,980,920"\n'
    "gs://shop/10002_B.jpg,,summer,p1,apparel-v2,,,\n"
    "gs://shop/10002_B.jpg,img004,winter,p3,general-v1,,nonsense,0.1,0.1,0.9,0.9,\n"
    "gs://shop/10003.jpg,img005,winter,p4,toys,,,1,2,3,\n"
)


@pytest.mark.parametrize("with_header", [False, True])
def test_an_import_csv_of_product_search(tmp_path: Path, with_header: bool) -> None:
    header = "image-uri,image-id,product-set-id,product-id,product-category,product-display-name,labels,bounding-poly\n"
    catalogue = opened(tmp_path, "import.csv", (header if with_header else "") + SEARCH)
    items = items_of(catalogue)
    assert catalogue.kind == "product-search"
    assert {item.id: (item.product, item.photo, item.box) for item in items.values()} == {
        "img001": ("p1", "gs://shop/10001_A.jpg", Box(100, 150, 450, 550)),
        "img001#2": ("p2", "gs://shop/10001_A.jpg", Box(670, 790, 980, 920)),
        "gs://shop/10002_B.jpg": ("p1", "gs://shop/10002_B.jpg", None),
        "img004": ("p3", "gs://shop/10002_B.jpg", None),
        "img005": ("p4", "gs://shop/10003.jpg", None),
    }
    bag = {"title": "tan summer bag", "category": "apparel-v2", "product_set": "summer", "style": "womens"}
    assert items["img001"].attributes == {**bag, "color": "tan, beige"}
    assert items["img001#2"].attributes == {**bag, "title": "blue bag", "price": 12.5, "currency": "USD"}
    assert items["img004"].attributes == {"category": "general-v1", "product_set": "winter"}
    first = 2 if with_header else 1
    assert catalogue.notes == (
        "labels that are not key=value are left out: 1, such as 'nonsense'",
        "polygons in fractions of the photo are left out, and whole photos embedded: 1, "
        f"such as 'import.csv:{first + 3}'",
        f"polygons that are not pairs of numbers are left out: 1, such as 'import.csv:{first + 4}: 1,2,3'",
    )


SHOPIFY_COLUMNS = (
    *("Handle", "Title", "Body (HTML)", "Vendor", "Product Category", "Type", "Tags", "Published"),
    *("Option1 Name", "Option1 Value", "Option2 Name", "Option2 Value", "Variant SKU", "Variant Inventory Tracker"),
    *("Variant Inventory Qty", "Variant Inventory Policy", "Variant Price", "Variant Compare At Price"),
    *("Variant Barcode", "Image Src", "Image Position", "Variant Image", "Google Shopping / Gender", "Status"),
)
PRESENT_NAMES = {
    "Handle": "URL handle",
    "Body (HTML)": "Description",
    "Product Category": "Product category",
    "Published": "Published on online store",
    "Option1 Name": "Option1 name",
    "Option1 Value": "Option1 value",
    "Option2 Name": "Option2 name",
    "Option2 Value": "Option2 value",
    "Variant SKU": "SKU",
    "Variant Inventory Tracker": "Inventory tracker",
    "Variant Inventory Qty": "Inventory quantity",
    "Variant Inventory Policy": "Continue selling when out of stock",
    "Variant Price": "Price",
    "Variant Compare At Price": "Compare-at price",
    "Variant Barcode": "Barcode",
    "Image Src": "Product image URL",
    "Image Position": "Image position",
    "Variant Image": "Variant image URL",
}
CDN = "https://cdn.shopify.com/s/files"
SHOPIFY = [
    {
        "Handle": "tee",
        "Title": "Tee <i>soft</i>",
        "Body (HTML)": "<p>Fine</p>",
        "Vendor": "Acme",
        "Type": "Shirts",
        "Tags": "summer, cotton",
        "Published": "true",
        "Option1 Name": "Colour",
        "Option1 Value": "Dark Blue",
        "Option2 Name": "Size",
        "Option2 Value": "M",
        "Variant SKU": "T-1",
        "Variant Inventory Tracker": "shopify",
        "Variant Inventory Qty": "0",
        "Variant Inventory Policy": "deny",
        "Variant Price": "20.00",
        "Variant Barcode": "'00017",
        "Image Src": f"{CDN}/blue.jpg?v=1",
        "Image Position": "1",
        "Variant Image": f"{CDN}/blue.jpg?v=1",
        "Google Shopping / Gender": "unisex",
        "Status": "active",
    },
    {
        "Handle": "tee",
        "Option1 Value": "Red",
        "Option2 Value": "M",
        "Variant SKU": "T-2",
        "Variant Inventory Tracker": "shopify",
        "Variant Inventory Qty": "7",
        "Variant Inventory Policy": "deny",
        "Variant Price": "15.00",
        "Variant Compare At Price": "20.00",
        "Image Src": f"{CDN}/back.jpg",
        "Image Position": "3",
        "Variant Image": f"{CDN}/red.jpg",
    },
    {"Handle": "tee", "Image Src": f"{CDN}/red.jpg", "Image Position": "2"},
    {
        "Handle": "cap",
        "Title": "Cap",
        "Published": "true",
        "Option1 Name": "Title",
        "Option1 Value": "Default Title",
        "Variant Price": "9.5",
        "Image Src": "//cdn.shopify.com/cap.jpg",
        "Image Position": "1",
        "Status": "active",
    },
    {
        "Handle": "old",
        "Title": "Old",
        "Published": "true",
        "Variant Price": "1",
        "Image Src": "x.jpg",
        "Status": "draft",
    },
    {"Handle": "off", "Title": "Off", "Published": "false", "Variant Price": "1", "Image Src": "x.jpg"},
    {"Handle": "bare", "Title": "Bare", "Published": "true", "Variant Price": "1", "Status": "active"},
]
TEE: dict[str, JSON] = {
    "title": "Tee soft",
    "description": "Fine",
    "brand": "Acme",
    "category": "Shirts",
    "tags": "summer, cotton",
}
TEE_BLUE: dict[str, JSON] = {"color": "Dark Blue", "size": "M", "sku": "T-1", "in_stock": False, "price": 20}
TEE_RED: dict[str, JSON] = {"color": "Red", "size": "M", "sku": "T-2", "in_stock": True, "price": 20, "sale_price": 15}


@pytest.mark.parametrize("names", [{}, PRESENT_NAMES], ids=["before", "present"])
def test_shopifys_product_csv(tmp_path: Path, names: Mapping[str, str]) -> None:
    rows = [{names.get(name, name): cell for name, cell in row.items()} for row in SHOPIFY]
    table = as_csv(rows, columns=[names.get(name, name) for name in SHOPIFY_COLUMNS])
    catalogue = opened(tmp_path, "products_export_1.csv", table)
    items = items_of(catalogue)
    assert catalogue.kind == "shopify"
    assert {item.id: (item.product, item.photo) for item in items.values()} == {
        "tee/Dark Blue/M": ("tee", f"{CDN}/blue.jpg?v=1"),
        "tee/Red/M": ("tee", f"{CDN}/red.jpg"),
        "tee#3": ("tee", f"{CDN}/back.jpg"),
        "cap": ("cap", "https://cdn.shopify.com/cap.jpg"),
    }
    tee = {**TEE, "gender": "unisex"}
    assert items["tee/Dark Blue/M"].attributes == {**tee, **TEE_BLUE, "gtin": "'00017"}
    assert items["tee/Red/M"].attributes == {**tee, **TEE_RED}
    assert items["tee#3"].attributes == {**tee, "size": "M", "in_stock": True, "price": 20, "sale_price": 15}
    assert items["cap"].attributes == {"title": "Cap", "in_stock": True, "price": 9.5}
    assert [(skip.photo, skip.id, skip.reason) for skip in catalogue.skipped] == [
        ("products_export_1.csv:8", "bare", "no photo")
    ]
    assert catalogue.notes == ("products that are not active and published are left out: 2, such as 'old'",)


def shopify_json() -> dict[str, object]:
    variant = {"option3": None, "requires_shipping": True, "taxable": True, "grams": 0}
    return {
        "products": [
            {
                "id": 1,
                "title": "Tee <i>soft</i>",
                "handle": "tee",
                "body_html": "<p>Fine</p>",
                "vendor": "Acme",
                "published_at": "2026-01-01T00:00:00Z",
                "product_type": "Shirts",
                "tags": ["summer", "cotton"],
                "variants": [
                    {
                        **variant,
                        "id": 11,
                        "title": "Dark Blue / M",
                        "option1": "Dark Blue",
                        "option2": "M",
                        "sku": "T-1",
                        "available": False,
                        "price": "20.00",
                        "compare_at_price": None,
                        "featured_image": {"id": 5, "src": f"{CDN}/blue.jpg?v=1"},
                    },
                    {
                        **variant,
                        "id": 12,
                        "title": "Red / M",
                        "option1": "Red",
                        "option2": "M",
                        "sku": "T-2",
                        "available": True,
                        "price": "15.00",
                        "compare_at_price": "20.00",
                        "image_id": 6,
                    },
                ],
                "images": [
                    {"id": 7, "position": 3, "src": f"{CDN}/back.jpg"},
                    {"id": 5, "position": 1, "src": f"{CDN}/blue.jpg?v=1"},
                    {"id": 6, "position": 2, "src": f"{CDN}/red.jpg"},
                ],
                "options": [{"name": "Colour", "position": 1}, {"name": "Size", "position": 2}],
            },
            {
                "id": 2,
                "title": "Cap",
                "handle": "cap",
                "body_html": None,
                "status": "active",
                "tags": "",
                "variants": [{"option1": "Default Title", "price": 9.5, "inventory_management": None}],
                "images": [{"src": "//cdn.shopify.com/cap.jpg"}],
                "options": [{"name": "Title"}],
            },
            {"title": "Old", "handle": "old", "status": "archived", "variants": [], "images": [{"src": "x.jpg"}]},
            {"title": "Off", "handle": "off", "published_at": None, "variants": [], "images": [{"src": "x.jpg"}]},
        ]
    }


@pytest.mark.parametrize("indent", [None, 2])
def test_shopifys_json_gives_the_same_items_as_its_csv(tmp_path: Path, indent: int | None) -> None:
    catalogue = opened(tmp_path, "products.json", json.dumps(shopify_json(), indent=indent))
    items = items_of(catalogue)
    table = items_of(opened(tmp_path, "products.csv", as_csv(SHOPIFY, columns=SHOPIFY_COLUMNS)))
    assert {item.id: (item.product, item.photo) for item in items.values()} == {
        item.id: (item.product, item.photo) for item in table.values()
    }
    assert items["tee/Dark Blue/M"].attributes == {**TEE, **TEE_BLUE}
    assert items["tee/Red/M"].attributes == {**TEE, **TEE_RED}
    assert items["tee#3"].attributes == {**TEE, "size": "M", "in_stock": True, "price": 20, "sale_price": 15}
    assert items["cap"].attributes == table["cap"].attributes
    assert catalogue.notes == ("products that are not active and published are left out: 2, such as 'old'",)


def test_pages_of_json_one_after_the_other_are_one_feed(tmp_path: Path) -> None:
    pages = [
        json.dumps({"products": [{"handle": f"p{page}-{at}", "images": [{"src": "a.jpg"}]} for at in range(250)]})
        for page in range(4)
    ]
    items = items_of(opened(tmp_path, "products.json", "\n".join([*pages, '{"products": []}\n'])))
    assert list(items) == [f"p{page}-{at}" for page in range(4) for at in range(250)]


WOO_COLUMNS = (
    *("ID", "Type", "SKU", "Name", "Published", "Visibility in catalog", "Short description", "Description"),
    *("Date sale price starts", "Date sale price ends", "In stock?", "Sale price", "Regular price", "Categories"),
    *("Tags", "Images", "Parent", "External URL", "Attribute 1 name", "Attribute 1 value(s)", "Attribute 2 name"),
    *("Attribute 2 value(s)", "Brands"),
)
UPLOADS = "https://shop.example/wp-content/uploads"
WOO = [
    {
        "ID": "76",
        "Type": "variation",
        "SKU": "vneck-red",
        "Name": "V-Neck - Red",
        "Published": "1",
        "In stock?": "0",
        "Regular price": "20",
        "Images": f"{UPLOADS}/red.jpg",
        "Parent": "vneck",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Red",
        "Attribute 2 name": "Size",
    },
    {
        "ID": "44",
        "Type": "variable",
        "SKU": "vneck",
        "Name": "V-Neck",
        "Published": "1",
        "In stock?": "1",
        "Visibility in catalog": "visible",
        "Short description": "Short",
        "Description": "<b>Long</b>",
        "Categories": "Clothing > Tshirts",
        "Brands": "Acme",
        "Attribute 1 name": "Color",
        "Images": f"{UPLOADS}/red.jpg, {UPLOADS}/green.jpg, {UPLOADS}/back.jpg",
        "Attribute 1 value(s)": "Blue, Green, Red",
        "Attribute 2 name": "Size",
        "Attribute 2 value(s)": "L, M",
    },
    {
        "ID": "77",
        "Type": "variation",
        "Name": "V-Neck - Green",
        "Published": "1",
        "In stock?": "1",
        "Sale price": "15",
        "Regular price": "18",
        "Images": f"{UPLOADS}/green.jpg",
        "Parent": "id:44",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Green",
    },
    {
        "ID": "48",
        "Type": "simple",
        "SKU": "beanie",
        "Name": "Beanie",
        "Published": "1",
        "In stock?": "backorder",
        "Sale price": "18",
        "Regular price": "20",
        "Date sale price ends": "2020-01-31",
        "Tags": "warm",
        "Images": f"{UPLOADS}/beanie.jpg, {UPLOADS}/beanie-2.jpg",
        "Attribute 1 name": "Color",
        "Attribute 1 value(s)": "Red",
    },
    {
        "ID": "90",
        "Type": "external",
        "SKU": "wp",
        "Name": "Pennant",
        "Published": "1",
        "In stock?": "1",
        "Regular price": "11.05",
        "External URL": "https://other.example/p",
        "Images": "pennant.jpg",
    },
    {
        "ID": "64",
        "Type": "simple",
        "Name": "Hidden",
        "Published": "1",
        "Visibility in catalog": "hidden",
        "Images": "h.jpg",
    },
    {"ID": "65", "Type": "simple", "Name": "Draft", "Published": "-1", "Images": "d.jpg"},
    {"ID": "99", "Type": "variation", "Name": "Orphan", "Published": "1", "Parent": "id:1", "Images": "o.jpg"},
]


def test_variations_of_a_product_that_is_not_sold_are_left_out(tmp_path: Path) -> None:
    """Without being skipped, which would keep them in a gallery that is pruned."""
    rows = [{**row, "Published": "0"} if row["Type"] == "variable" else row for row in WOO]
    catalogue = opened(tmp_path, "wc-product-export.csv", as_csv(rows, columns=WOO_COLUMNS))
    assert {"76", "77"}.isdisjoint(items_of(catalogue))
    assert [skip.id for skip in catalogue.skipped] == ["99"]


def test_woocommerces_product_csv(tmp_path: Path) -> None:
    catalogue = opened(tmp_path, "wc-product-export.csv", as_csv(WOO, columns=WOO_COLUMNS))
    items = items_of(catalogue)
    assert catalogue.kind == "woocommerce"
    assert {item.id: (item.product, item.photo) for item in items.values()} == {
        "76": ("44", f"{UPLOADS}/red.jpg"),
        "77": ("44", f"{UPLOADS}/green.jpg"),
        "44#3": ("44", f"{UPLOADS}/back.jpg"),
        "48": ("48", f"{UPLOADS}/beanie.jpg"),
        "48#2": ("48", f"{UPLOADS}/beanie-2.jpg"),
        "90": ("90", "pennant.jpg"),
    }
    parent = {"description": "Long", "category": "Clothing > Tshirts", "brand": "Acme"}
    assert items["76"].attributes == {
        **parent,
        "title": "V-Neck - Red",
        "sku": "vneck-red",
        "size": "L, M",
        "color": "Red",
        "price": 20,
        "in_stock": False,
    }
    assert items["77"].attributes == {
        **parent,
        "title": "V-Neck - Green",
        "sku": "vneck",
        "size": "L, M",
        "color": "Green",
        "price": 18,
        "sale_price": 15,
        "in_stock": True,
    }
    assert items["44#3"].attributes == {
        **parent,
        "title": "V-Neck",
        "sku": "vneck",
        "size": "L, M",
        "price": 18,
        "sale_price": 15,
        "in_stock": True,
    }
    beanie = {"title": "Beanie", "sku": "beanie", "tags": "warm", "color": "Red", "price": 20, "in_stock": False}
    assert items["48"].attributes == items["48#2"].attributes == beanie
    assert items["90"].attributes["link"] == "https://other.example/p"
    assert catalogue.notes == ("products that are not published, or hidden, are left out: 2, such as 'Hidden'",)
    assert [(skip.id, skip.reason) for skip in catalogue.skipped] == [
        ("99", "its parent 'id:1' is not among the products")
    ]


def test_a_column_that_is_said_makes_a_feed_a_plain_table(tmp_path: Path) -> None:
    table = "id,image_link,price\n1,1.jpg,15.00 USD\n"
    assert opened(tmp_path, "feed.csv", table).kind == "merchant"
    plain = open_catalogue(str(tmp_path / "feed.csv"), columns={"image": "image_link"})
    assert (plain.kind, next(plain.items()).attributes) == ("csv", {"price": 15})
    assert opened(tmp_path, "own.csv", "id,image,image_link\n1,1.jpg,2.jpg\n").kind == "csv"


def test_check_reads_feeds_too(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"")
    opened(tmp_path, "feed.csv", "id,image_link,item_group_id,price\n1,1.jpg,p,a lot\n2,2.jpg,p,3\n3,,p,3\n")
    check = check_catalogue(str(tmp_path / "feed.csv"))
    assert (check.kind, check.splits["all"].photos, check.splits["all"].products) == ("merchant", 2, 1)
    assert (check.missing, check.skipped) == (["2.jpg"], ["feed.csv:4"])
    assert check.notes[0] == "prices that are not numbers, or can be read in two ways, are left out: 1, such as 'a lot'"


def test_a_line_of_product_search_that_is_too_short_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="expected image-uri, image-id"):
        opened(tmp_path, "import.csv", SEARCH + "gs://shop/1.jpg,img\n")
