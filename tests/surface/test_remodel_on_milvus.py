"""`lookalike gallery remodel` on Milvus: another collection, put in place by one change of properties."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from small_shop import Shop, paint
from test_remodel import ask, wait_for

import lookalike
from lookalike.cli import main
from lookalike.errors import GalleryLockedError, MismatchError
from lookalike.gallery.milvus import vector_replacement as replacement
from lookalike.gallery.milvus.address import parse
from lookalike.gallery.milvus.gallery import MilvusGallery
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.spaces import Space
from lookalike.tuning.remodelling import on_milvus
from lookalike.tuning.remodelling.remodel import drop, remodel, remodelling_state, switch
from milvus_server import MilvusServer

pytestmark = pytest.mark.milvus

Capture = pytest.CaptureFixture[str]
CURRENT = {"deep": 1.0, "color": 0.5}


@pytest.fixture
def address(milvus_server: MilvusServer, shop: Shop) -> str:
    """The shop on Milvus, with learned weights and an item changed by hand."""
    address = f"{milvus_server.address}/shop_{uuid.uuid4().hex[:12]}?consistency=strong"
    with lookalike.open(address, model=shop.model) as opened:
        opened.index(shop.table)
        opened.gallery.override("blue-0", {"by hand": 1})
        opened.gallery.store_weights(StoredWeights(CURRENT, {"metric": "test"}))
    return address


def contents(address: str) -> tuple[list[lookalike.Item], dict[str, dict[str, bytes]]]:
    """Items in the order of adding, and their vectors."""
    with MilvusGallery(parse(address)) as opened:
        items = [*opened.list(limit=None)[1]]
        return items, {
            item.id: {name: row.tobytes() for name, row in opened.vectors(item.id).items()} for item in items
        }


def collections(address: str) -> set[str]:
    """Collections that belong to a gallery."""
    with MilvusGallery(parse(address)) as opened, opened._connection.client(doing="listing") as client:
        return {name for name in client.list_collections() if name.startswith(opened.address.collection)}


def test_a_gallery_gets_a_new_model_and_the_old_one_back(shop: Shop, address: str, capsys: Capture) -> None:
    items, before = contents(address)
    command = ["gallery", "remodel", "-g", address]
    assert main([*command, "--model", str(shop.other_model), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["models"], state["staged"]["models"]) == (["tiny@01234567"], ["other@fedcba98"])
    assert state["staged"]["items"] == state["items"] == state["embedded"] == len(items) == 12
    assert contents(address) == (items, before)
    assert main([*command, "--compare", str(shop.table), "--protocol", "product", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"]

    with lookalike.open(address) as opened:  # what changes meanwhile is followed
        opened.gallery.remove("red-0")
        opened.gallery.override("blue-1", {"price": 99})
        added = lookalike.Item("new", str(shop.photo("white-1")), attributes={"price": 7})
        opened.gallery.add(
            [added], opened.embedder.embed([paint((250, 250, 250), 1)]), spaces=opened.gallery.spaces, source="http"
        )
    items, before = contents(address)
    assert main([*command, "--switch", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["models"], state["staged"], state["kept"]["models"]) == (["other@fedcba98"], None, ["tiny@01234567"])
    now_items, now = contents(address)
    assert now_items == items and [item.id for item in items][-1] == "new"
    fresh = shop.gallery.parent / "fresh"
    with lookalike.open(fresh, model=shop.other_model) as opened:
        opened.index(shop.table)
        for item_id in now.keys() - {"new"}:
            there = {name: row.tobytes() for name, row in opened.gallery.vectors(item_id).items()}
            assert now[item_id] == there
        here = [match.item.id for match in opened.search(item="green-1", k=3, where="colour = 'Green'").matches]
    assert now["new"] == now["white-1"] != before["white-1"]
    with lookalike.open(address) as opened:
        assert opened.gallery.stored_weights == StoredWeights()
        assert opened.gallery.model == str(shop.other_model)
        assert opened.gallery.get("blue-1").attributes["price"] == 99
        assert opened.gallery.stored_items(["blue-1"])["blue-1"].overrides == {"price": 99}
        assert opened.gallery.verify().problems == ()
        assert [match.item.id for match in opened.search(item="green-1", k=3, where="colour = 'Green'").matches] == here
        assert opened.search(shop.photo("red-1"), k=1).matches[0].score == pytest.approx(1)

    assert main([*command, "--back"]) == 0
    assert contents(address) == (items, before)
    with lookalike.open(address) as opened:
        assert opened.gallery.stored_weights == StoredWeights(CURRENT, {"metric": "test"})
        assert opened.gallery.model == str(shop.model)
    assert main([*command, "--switch"]) == 0
    assert contents(address) == (items, now)
    assert main([*command, "--drop"]) == 0
    capsys.readouterr()
    assert main([*command, "--status"]) == 0
    assert capsys.readouterr().out == "in place: other@fedcba98, 12 items\n"
    facts = f"{parse(address).collection}_facts"
    with MilvusGallery(parse(address)) as opened:
        assert collections(address) == {facts, replacement.collection_of(opened)}
    assert contents(address) == (items, now)


def test_writes_wait_during_the_switch_and_a_failure_opens_the_gallery_again(
    shop: Shop, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remodel(address, shop.other_model)
    monkeypatch.setattr(replacement, "SETTLING_S", 0.0)
    refused: list[str] = []
    last_stage, point = on_milvus.last_stage, replacement.put_in_place

    def while_closed(*arguments: Any, **options: Any) -> Any:
        with MilvusGallery(parse(address)) as other:
            for write in (
                lambda: other.remove("red-1"),
                lambda: other.override("red-1", {"price": 1}),
                lambda: other.add([], {}, spaces=other.spaces),
            ):
                with pytest.raises(GalleryLockedError, match="being given another model"):
                    write()
                refused.append("locked")
        return last_stage(*arguments, **options)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(on_milvus, "last_stage", while_closed)
    monkeypatch.setattr(replacement, "put_in_place", broken)
    with pytest.raises(KeyboardInterrupt):
        switch(address)
    assert refused == ["locked"] * 3
    with lookalike.open(address) as opened:
        opened.gallery.override("red-1", {"price": 1})  # writes are taken again
        assert opened.gallery.spaces[0].model_id == "tiny@01234567"
    state = remodelling_state(address)
    assert state.staged == 12 and state.kept_ids == ()
    monkeypatch.setattr(on_milvus, "last_stage", last_stage)
    monkeypatch.setattr(replacement, "put_in_place", point)
    monkeypatch.setattr(replacement, "remove", broken)  # killed after the switch, before its end
    with pytest.raises(KeyboardInterrupt):
        switch(address)
    monkeypatch.undo()
    done = switch(address)
    assert (done.model_ids, done.staged, done.kept_ids) == (("other@fedcba98",), None, ("tiny@01234567",))
    items, _ = contents(address)
    assert {item.id: item.attributes["price"] for item in items}["red-1"] == 1
    with lookalike.open(address) as opened, pytest.raises(MismatchError):
        opened.gallery.add(items[:1], {}, spaces=(Space("deep", 4, "tiny@1"),))
    assert drop(address).kept_ids == ()


def test_mistakes_are_one_line(shop: Shop, address: str, capsys: Capture) -> None:
    for said, arguments in (
        ("has no staged vectors", ["--switch"]),
        ("has kept no vectors", ["--back"]),
        ("has no staged vectors", ["--compare", str(shop.table)]),
        ("has the vectors of tiny@01234567 already", ["--model", str(shop.model)]),
    ):
        assert main(["gallery", "remodel", "-g", address, *arguments]) == 2, arguments
        shown = capsys.readouterr()
        assert said in shown.err and shown.err.count("\n") == 1
    assert len(collections(address)) == 2


def test_a_running_server_loads_the_new_model_by_itself(shop: Shop, address: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "-g", address, "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as server:
        assert server.stderr is not None
        first = server.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found, first + server.stderr.read()
        threading.Thread(target=server.stderr.read, daemon=True).start()
        try:
            with httpx.Client(base_url=found[0], timeout=60) as client:
                assert wait_for(client, shop) == "tiny@01234567"
                remodel(address, shop.other_model)
                assert ask(client, shop) == "tiny@01234567"
                switch(address)
                assert wait_for(client, shop) in ("tiny@01234567", "other@fedcba98")
                for _ in range(100):
                    if wait_for(client, shop) == "other@fedcba98":
                        break
                assert wait_for(client, shop) == "other@fedcba98"
                assert client.get("/readyz").status_code == 200
        finally:
            server.terminate()
