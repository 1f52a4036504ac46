"""Pictures and pages show photos below the roots of a gallery only; an import has none opened and none fetched."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.images import open_image
from lookalike.render.montage import TILE
from store_servers import WebServer

SECRET = (250, 0, 250)
OUTSIDE = "it lies outside the folders and addresses that the gallery"


@pytest.fixture
def web() -> Iterator[WebServer]:
    file = io.BytesIO()
    paint((30, 160, 60), 2).save(file, "PNG")
    with WebServer(lambda path, time: (200, file.getvalue())) as server:
        yield server


@pytest.fixture
def mixed(shop: Shop, web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gallery of three photos: one below its table, one outside of it, one on the web."""
    monkeypatch.setenv("LOOKALIKE_CACHE", "")
    folder = tmp_path / "mine"
    folder.mkdir()
    paint((200, 30, 40), 0).save(folder / "inside.png")
    Image.new("RGB", (48, 60), SECRET).save(tmp_path / "outside.png")
    table = folder / "table.csv"
    table.write_text(f"id,image\ninside,inside.png\noutside,../outside.png\nweb,{web.address}/web.png\n")
    gallery = tmp_path / "mixed.gallery"
    assert main(["index", str(table), "-g", str(gallery), "--model", str(shop.model)]) == 0
    return gallery


def drawn(gallery: Path, model: Path, *, item: str = "inside") -> tuple[str, np.ndarray]:
    """The page and the picture of a search by an item."""
    page, picture = gallery.with_suffix(".html"), gallery.with_suffix(".png")
    options = ["--item", item, "-g", str(gallery), "--model", str(model), "-k", "3"]
    assert main(["search", *options, "--html", str(page), "--montage", str(picture)]) == 0
    return page.read_text(), np.asarray(open_image(picture)).astype(int)


def shows_secret(picture: np.ndarray) -> bool:
    return bool((np.abs(picture - SECRET).max(axis=2) < 8).sum() > TILE[0])


def test_photos_of_an_indexed_gallery_are_shown_below_its_roots(shop: Shop, mixed: Path, web: WebServer) -> None:
    web.asked.clear()
    page, picture = drawn(mixed, shop.model)
    assert page.count("<img ") == 2  # the query and the one on the web
    assert page.count(f"No photo: {OUTSIDE}") == 1
    assert web.asked["/web.png"] == 2  # for the page and for the picture
    assert not shows_secret(picture)
    page, picture = drawn(mixed, shop.model, item="outside")
    assert page.count(f"No photo: {OUTSIDE}") == 1
    assert not shows_secret(picture)


def test_an_import_has_no_photo_opened_and_no_address_asked(
    shop: Shop, mixed: Path, web: WebServer, tmp_path: Path
) -> None:
    imported = tmp_path / "imported.gallery"
    assert main(["gallery", "export", "-g", str(mixed), "--to", str(tmp_path / "files")]) == 0
    assert main(["gallery", "import", str(tmp_path / "files"), "-g", str(imported)]) == 0
    web.asked.clear()
    for item in ("inside", "outside", "web"):
        page, picture = drawn(imported, shop.model, item=item)
        assert page.count(f"No photo: {OUTSIDE}") == 3 and "<img " not in page
        assert not shows_secret(picture)
    with lookalike.open(imported, model=str(shop.model)) as opened:
        answer = opened.search(item="inside", k=2)
    for each in (answer, pickle.loads(pickle.dumps(answer))):
        html = each._repr_html_()
        assert html.count(f"No photo: {OUTSIDE}") == 2 and "<img" not in html
    assert not web.asked


def test_a_root_that_is_added_counts_at_once(shop: Shop, mixed: Path, tmp_path: Path) -> None:
    with lookalike.open(mixed, model=str(shop.model)) as opened:
        before = opened.search(item="inside", k=2)._repr_html_()
        assert before.count(f"No photo: {OUTSIDE}") == 1
        with lookalike.open(mixed, model=str(shop.model)) as other:
            other.gallery.remember_roots([str(tmp_path)])
        after = opened.search(item="inside", k=2)._repr_html_()
        assert "No photo" not in after and after.count("<img") == 2
