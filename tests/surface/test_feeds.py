"""Feeds of shops from the command line and Python: indexed, synchronised and found again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from small_shop import Shop

import lookalike
from lookalike.cli import main

NAMES = ("red-0", "red-1", "blue-0")


def feed(form: str, names: tuple[str, ...] = NAMES) -> str:
    """A feed of three photos of two products, in a format."""
    if form == "merchant.xml":
        offers = [
            f"<item><g:id>{name}</g:id><g:item_group_id>{name[:-2]}</g:item_group_id><g:title>{name} tee</g:title>"
            f"<g:image_link>photos/{name}.png</g:image_link><g:price>{at}.50 EUR</g:price></item>"
            for at, name in enumerate(names)
        ]
        return f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{"".join(offers)}</channel></rss>'
    if form == "merchant.tsv":
        rows = [f"{name}\t{name[:-2]}\t{name} tee\tphotos/{name}.png\t{at}.50 EUR" for at, name in enumerate(names)]
        return "\n".join(["id\titem_group_id\ttitle\timage_link\tprice", *rows])
    if form == "woocommerce.csv":
        rows = [f"{name},simple,,{name} tee,1,photos/{name}.png,{at}.5" for at, name in enumerate(names)]
        return "\n".join(["ID,Type,SKU,Name,Published,Images,Regular price", *rows])
    if form == "shopify.csv":
        rows = [f"{name},{name} tee,photos/{name}.png,{at}.50" for at, name in enumerate(names)]
        return "\n".join(["Handle,Title,Image Src,Variant Price", *rows])
    products = [
        {
            "handle": name,
            "title": f"{name} tee",
            "variants": [{"price": f"{at}.50"}],
            "images": [{"src": f"photos/{name}.png"}],
        }
        for at, name in enumerate(names)
    ]
    return json.dumps({"products": products})


def run_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main([str(argument) for argument in arguments] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", ["merchant.xml", "merchant.tsv", "woocommerce.csv", "shopify.csv", "shopify.json"])
def test_a_feed_is_indexed_found_and_synchronised(
    form: str, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery, path = tmp_path / "g.gallery", shop.folder / form
    path.write_text(feed(form))
    check = run_json(capsys, "catalogue", "check", path)
    assert (check["kind"], check["missing"], check["splits"]["all"]["photos"]) == (form.partition(".")[0], [], 3)
    ask = ["-g", gallery, "--model", shop.model, "--source", "shop", "--prune"]
    report = run_json(capsys, "index", path, *ask)
    assert (report["added"], report["skipped"]) == (3, [])
    found = run_json(capsys, "search", shop.photo("blue-0"), "-g", gallery, "--model", shop.model, "-k", 1)
    [match] = found["matches"]
    assert (match["id"], match["attributes"]["title"], match["attributes"]["price"]) == ("blue-0", "blue-0 tee", 2.5)
    tomorrow = shop.folder / f"tomorrow-{form}"
    tomorrow.write_text(feed(form, (*NAMES[1:], "green-0")))
    with lookalike.open(gallery, model=str(shop.model)) as opened:
        changed = opened.index(tomorrow, source_name="shop", prune=True)
        assert (changed.added, changed.updated, changed.removed, changed.embedded) == (1, 2, 1, 1)
        assert opened.gallery.sources() == {"shop": 3}


def test_what_was_read_of_a_feed_is_told(shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = shop.folder / "feed.csv"
    path.write_text(
        "id,image_link,link,price\n1,photos/red-0.png,javascript:alert(1),12.500 EUR\n2,photos/none.png,,\n3,,,\n"
    )
    assert main(["index", str(path), "-g", str(tmp_path / "g"), "--model", str(shop.model)]) == 3
    shown = capsys.readouterr()
    assert shown.out.startswith("1 added, 0 updated, 0 unchanged, 0 removed, 2 skipped")
    assert "skipped feed.csv:4: no photo" in shown.err
    assert "links that do not lead to a page on the web are left out: 1, such as 'javascript:alert(1)'" in shown.err
    assert "prices that are not numbers, or can be read in two ways, are left out: 1, such as '12.500 EUR'" in shown.err
