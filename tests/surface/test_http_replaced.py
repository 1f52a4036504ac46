"""A server whose gallery is restored, replaced or deleted goes on, or reports why not."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike


def best(client: TestClient, shop: Shop, name: str) -> tuple[str, float]:
    with shop.photo(name).open("rb") as photo:
        answer = client.post("/v1/search", files={"photo": photo}, data={"k": "1"})
    assert answer.status_code == 200, answer.text
    (match,) = answer.json()["matches"]
    return match["id"], match["score"]


@pytest.mark.parametrize("way", ["backup", "copy", "move"])
def test_goes_on_with_what_was_brought_back(writer: TestClient, shop: Shop, tmp_path: Path, way: str) -> None:
    before = tmp_path / "before.gallery"
    shutil.copytree(shop.gallery, before)
    # Two items change their photos; afterwards each has the other's row number or a new one.
    for item, photo in (("red-0", "blue-0"), ("blue-0", "red-0")):
        with shop.photo(photo).open("rb") as file:
            assert writer.put(f"/v1/items/{item}", files={"photo": file}).status_code == 200
    assert best(writer, shop, "red-0") == ("blue-0", pytest.approx(1, abs=1e-5))
    if way == "backup":
        with (
            closing(sqlite3.connect(before / "gallery.db")) as source,
            closing(sqlite3.connect(shop.gallery / "gallery.db")) as target,
        ):
            source.backup(target)
    elif way == "copy":
        shutil.copyfile(before / "gallery.db", shop.gallery / "gallery.db")
    else:
        shop.gallery.rename(tmp_path / "after.gallery")
        before.rename(shop.gallery)
    for name in ("red-0", "blue-0", "green-1"):
        assert best(writer, shop, name) == (name, pytest.approx(1, abs=1e-5))
    assert writer.get("/readyz").json() == {"status": "ready"}
    assert writer.patch("/v1/items/red-0", json={"attributes": {"price": 7}}).status_code == 200
    with lookalike.open(shop.gallery) as again:
        assert again.gallery.get("red-0").attributes["price"] == 7


def test_is_not_ready_when_its_gallery_is_gone(writer: TestClient, shop: Shop, tmp_path: Path) -> None:
    shop.gallery.rename(tmp_path / "elsewhere.gallery")
    answer = writer.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert "the gallery is not where it was" in answer.json()["error"]["message"]
    for ask in (
        lambda: writer.get("/v1/items/red-0"),
        lambda: writer.get("/v1/facets"),
        lambda: writer.post("/v1/search", json={"id": "red-0"}),
        lambda: writer.delete("/v1/items/red-0"),
        lambda: writer.put("/v1/items/new", files={"photo": shop.photo("red-0").read_bytes()}),
    ):
        answer = ask()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "gallery_gone"), answer.text
        assert str(tmp_path) not in answer.text
    assert not shop.gallery.exists()
    (tmp_path / "elsewhere.gallery").rename(shop.gallery)
    assert writer.get("/readyz").status_code == 200
    assert best(writer, shop, "red-0") == ("red-0", pytest.approx(1, abs=1e-5))


def test_is_not_ready_for_a_gallery_of_another_model(client: TestClient, shop: Shop) -> None:
    shutil.rmtree(shop.gallery)
    with lookalike.open(shop.gallery, model=str(shop.other_model)) as opened:
        opened.index(shop.table)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    assert "another model" in answer.json()["error"]["message"]
    with shop.photo("red-0").open("rb") as photo:
        answer = client.post("/v1/search", files={"photo": photo})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "mismatch")


@pytest.mark.parametrize("table", ["items", "vectors"])
def test_is_not_ready_when_its_gallery_is_damaged(client: TestClient, shop: Shop, tmp_path: Path, table: str) -> None:
    """No search is answered from it, and no traffic should be sent there."""
    assert client.get("/readyz").status_code == 200
    copied = shutil.copyfile(shop.gallery / "gallery.db", tmp_path / "damaged.db")
    with closing(sqlite3.connect(copied)) as connection, connection:
        connection.execute(f"UPDATE {table} SET checksum = checksum + 1 WHERE row = 1")
    shutil.copyfile(copied, shop.gallery / "gallery.db")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready"), answer.text
    assert "the gallery cannot be read" in answer.json()["error"]["message"]
