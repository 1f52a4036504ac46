"""`lookalike gallery remodel`: another model for a gallery that is searched and written to."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from small_shop import Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.errors import GalleryLockedError, MismatchError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.tuning.remodelling import staging
from lookalike.tuning.remodelling.remodel import STAGED, drop, remodel, remodelling_state, switch
from lookalike.types import Box

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def gallery(shop: Shop, tmp_path: Path) -> Path:
    """A gallery of table photos, one with a box and one set by hand, and of an uploaded one."""
    folder = tmp_path / "own.gallery"
    with lookalike.open(folder, model=shop.model) as opened:
        opened.index(shop.table)
        kept = opened.gallery
        photo = PhotoStore(kept).keep("sent", shop.photo("red-1").read_bytes())
        kept.add([photo], opened.embedder.embed([paint((200, 30, 40), 1)]), spaces=kept.spaces, source="http")
        kept.override("blue-0", {"by hand": 1})
        boxed = lookalike.Item("boxed", str(shop.photo("green-1")), box=Box(8, 10, 40, 50))
        vectors = opened.embedder.embed([paint((30, 160, 60), 1).crop((8, 10, 40, 50))])
        kept.add([boxed], vectors, spaces=kept.spaces, source="boxes")
        kept.store_weights(StoredWeights({"deep": 1.0, "color": 0.5}, {"metric": "test"}))
    return folder


def vectors_of(gallery: Path) -> dict[str, Any]:
    with LocalGallery(gallery) as opened:
        return {
            item.id: {name: row.tobytes() for name, row in opened.vectors(item.id).items()}
            for item in opened.list(limit=None)[1]
        }


def items_of(gallery: Path) -> list[lookalike.Item]:
    with LocalGallery(gallery) as opened:
        return list(opened.list(limit=None)[1])


def answer(gallery: Path, shop: Shop) -> list[tuple[str, float]]:
    with lookalike.open(gallery) as opened:
        found = opened.search(shop.photo("red-1"), k=20, weights={"deep": 1.0}).matches
        return [(match.item.id, round(match.score, 5)) for match in found]


def test_a_gallery_gets_a_new_model_and_the_old_one_back(shop: Shop, gallery: Path, capsys: Capture) -> None:
    """The new vectors are those that indexing with the new model makes; items, and what was set by hand, stay."""
    before, items = vectors_of(gallery), items_of(gallery)
    command = ["gallery", "remodel", "-g", str(gallery)]
    assert main([*command, "--model", str(shop.other_model), "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert state["models"] == ["tiny@01234567"]
    assert state["staged"]["models"] == ["other@fedcba98"]
    assert state["staged"]["items"] == state["items"] == state["embedded"] == len(items)
    assert vectors_of(gallery) == before
    old = answer(gallery, shop)

    assert main([*command, "--compare", str(shop.table), "--protocol", "product", "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert (compared["a"], compared["b"]) == (str(gallery), str(gallery / STAGED))
    assert compared["metrics"]

    assert main([*command, "--switch", "--json"]) == 0
    state = json.loads(capsys.readouterr().out)
    assert (state["models"], state["staged"], state["kept"]["models"]) == (["other@fedcba98"], None, ["tiny@01234567"])
    assert items_of(gallery) == items
    fresh = gallery.parent / "fresh"
    with lookalike.open(fresh, model=shop.other_model) as opened:
        opened.index(shop.table)
    now = vectors_of(gallery)
    assert {item_id: now[item_id] for item_id in vectors_of(fresh)} == vectors_of(fresh)
    assert now["sent"] == now["red-1"]
    assert now["boxed"]["deep"] not in (now["green-1"]["deep"], before["boxed"]["deep"])
    with LocalGallery(gallery) as opened:
        assert opened.verify(photos=True).problems == ()
        assert opened.model == str(shop.other_model)
        assert opened.stored_weights.weights is None

    assert main([*command, "--back"]) == 0
    assert vectors_of(gallery) == before
    assert answer(gallery, shop) == old
    with LocalGallery(gallery) as opened:
        assert opened.stored_weights.weights == {"deep": 1.0, "color": 0.5}
    assert main([*command, "--switch"]) == 0
    assert vectors_of(gallery) == now
    assert main([*command, "--drop"]) == 0
    capsys.readouterr()
    assert main([*command, "--status"]) == 0
    assert capsys.readouterr().out == f"in place: other@fedcba98, {len(items)} items\n"
    assert not list(gallery.glob("*remodel*"))
    assert not list(gallery.glob(".*"))


def test_a_model_inside_the_gallery_moves_with_it(shop: Shop, gallery: Path) -> None:
    """Vectors that are staged, and those that are kept, name it by its place in the gallery."""
    (gallery / "models").mkdir()
    for model, name in ((shop.model, "old.onnx"), (shop.other_model, "new.onnx")):
        shutil.copy(model, gallery / "models" / name)
    with LocalGallery(gallery) as opened:
        opened.remember_model(str(gallery / "models" / "old.onnx"))
    before = vectors_of(gallery)
    remodel(gallery, gallery / "models" / "new.onnx")
    moved = gallery.rename(gallery.with_name("moved.gallery"))
    switch(moved)
    with LocalGallery(moved) as opened:
        assert opened.model == str(moved / "models" / "new.onnx")
    again = moved.rename(gallery.with_name("moved again.gallery"))
    switch(again, back=True)
    with LocalGallery(again) as opened:
        assert opened.model == str(again / "models" / "old.onnx")
    assert vectors_of(again) == before


def test_what_changes_meanwhile_is_followed(shop: Shop, gallery: Path) -> None:
    remodel(gallery, shop.other_model)
    with lookalike.open(gallery) as opened:
        opened.gallery.remove(["boxed", "red-0"])
        added = lookalike.Item("new", str(shop.photo("white-1")))
        opened.gallery.add([added], opened.embedder.embed([paint((250, 250, 250), 1)]), spaces=opened.gallery.spaces)
        opened.gallery.override("blue-1", {"by hand": 2})
        photo = PhotoStore(opened.gallery).keep("sent", shop.photo("blue-1").read_bytes())
        opened.gallery.add(
            [photo], opened.embedder.embed([paint((40, 60, 190), 1)]), spaces=opened.gallery.spaces, source="http"
        )
    items = items_of(gallery)
    state = remodel(gallery, shop.other_model)
    assert (state.embedded, state.staged, state.items) == (2, len(items), len(items))
    with lookalike.open(gallery) as opened:
        opened.gallery.remove("white-0")  # after the last run: the switch follows
    switch(gallery)
    now = vectors_of(gallery)
    assert now["new"] == now["white-1"]
    assert now["sent"] == now["blue-1"]
    assert items_of(gallery) == [item for item in items if item.id != "white-0"]
    with LocalGallery(gallery) as opened:
        assert opened.verify().problems == ()


def test_an_interrupted_run_goes_on_where_it_stopped(
    shop: Shop, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staging, "WRITTEN", 1)
    monkeypatch.setattr(staging, "embed_photos", partial(staging.embed_photos, batch=2))

    def interrupt(done: int, total: int) -> None:
        if done >= 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        remodel(gallery, [shop.other_model], progress=interrupt)
    there = remodelling_state(gallery)
    assert there.staged is not None and 5 <= there.staged < there.items
    again = remodel(gallery, shop.other_model)
    assert again.embedded == there.items - there.staged


def test_photos_out_of_reach_hold_up_the_switch(shop: Shop, gallery: Path, capsys: Capture) -> None:
    with LocalGallery(gallery) as opened:
        Path(opened.get("sent").location).rename(gallery.parent / "kept")
    command = ["gallery", "remodel", "-g", str(gallery)]
    assert main([*command, "--model", str(shop.other_model)]) == 3
    assert "skipped sent: " in capsys.readouterr().err
    before = vectors_of(gallery)
    assert main([*command, "--switch"]) == 2
    said = capsys.readouterr().err
    assert "1 items have no vectors of the new model (sent: " in said
    assert said.count("\n") == 1
    assert vectors_of(gallery) == before
    with LocalGallery(gallery) as opened:
        opened.remove("sent")
    assert main([*command, "--switch"]) == 0
    assert "sent" not in vectors_of(gallery)


def test_photos_that_changed_since_they_were_indexed_hold_up_the_switch(
    shop: Shop, tmp_path: Path, capsys: Capture
) -> None:
    """Else the vectors of a new content would stand for the indexed one, and be copied to other items of it."""
    gallery, photos = tmp_path / "own.gallery", tmp_path / "photos"
    photos.mkdir()
    for name in ("red-0", "blue-0", "green-0"):
        shutil.copy(shop.photo(name), photos)
    with lookalike.open(gallery, model=shop.model) as opened:
        opened.index(photos)
    red, blue = photos / "red-0.png", photos / "blue-0.png"
    contents = red.read_bytes(), blue.read_bytes()
    for path, content in zip((blue, red), contents, strict=True):
        path.write_bytes(content)
    done = remodel(gallery, shop.other_model)
    assert (done.staged, [item_id for item_id, _ in done.unreadable]) == (1, ["blue-0.png", "red-0.png"])
    assert all("changed since it was indexed" in reason for _, reason in done.unreadable)
    with lookalike.open(gallery) as opened:
        opened.index(photos)
    assert remodel(gallery, shop.other_model).unreadable == ()
    switch(gallery)
    with lookalike.open(gallery) as opened:
        for item in opened.gallery.list(limit=None)[1]:
            found = opened.search(Path(item.location), k=1).matches[0]
            assert (found.item.id, found.score) == (item.id, pytest.approx(1, abs=1e-5))


def test_files_outside_of_the_roots_are_not_read(shop: Shop, gallery: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere" / "1.png"
    outside.parent.mkdir()
    shutil.copy(shop.photo("red-1"), outside)
    with lookalike.open(gallery) as opened:
        imported = lookalike.Item("imported", str(outside))
        opened.gallery.add([imported], opened.embedder.embed([paint((1, 2, 3), 1)]), spaces=opened.gallery.spaces)
    assert [item_id for item_id, _ in remodel(gallery, shop.other_model).unreadable] == ["imported"]


def test_searches_of_the_old_model_are_refused_after_a_switch(
    shop: Shop, gallery: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the switch comes between the embedding of the photo and the search: no score mixes two models."""
    remodel(gallery, shop.other_model)
    with lookalike.open(gallery) as opened:
        assert opened.search(shop.photo("red-1"), k=1).matches
        embed = opened._embed

        def late(*arguments: Any) -> Any:
            embedded = embed(*arguments)
            switch(gallery)
            return embedded

        monkeypatch.setattr(opened, "_embed", late)
        with pytest.raises(MismatchError, match="was given another model during this search"):
            opened.search(shop.photo("red-1"), k=1)
        monkeypatch.undo()
        with pytest.raises(MismatchError, match=r"was filled by the model other@fedcba98"):
            opened.search(shop.photo("red-1"), k=1)
        assert opened.search(item="red-1", k=1).matches[0].item.id in ("sent", "red-0")
    with lookalike.open(gallery) as again:
        assert again.search(shop.photo("red-1"), k=1).matches[0].score == pytest.approx(1)


def test_words_and_relevance_are_those_of_the_model_that_is_there(shop: Shop, tmp_path: Path) -> None:
    """Of an open retriever too, whose text encoder and calibration were read before the switch."""
    gallery = tmp_path / "default.gallery"
    with lookalike.open(gallery) as opened:
        opened.index(shop.table)
    with lookalike.open(gallery) as opened:
        assert opened.search(text="red dress", text_search="visual", k=1).matches
        assert opened.search(item="red-1", k=1).matches[0].relevance is not None
        remodel(gallery, shop.other_model)
        switch(gallery)
        with pytest.raises(MismatchError, match="is the text encoder of the model default@"):
            opened.search(text="red dress", text_search="visual", k=1)
        assert opened.search(item="red-1", k=1).matches[0].relevance is None


def test_garments_are_embedded_as_they_were_found(shop: Shop, tmp_path: Path, tiny_finder: Path) -> None:
    folder, fresh = tmp_path / "outfits", tmp_path / "fresh"
    for place, model in ((folder, shop.model), (fresh, shop.other_model)):
        with lookalike.open(place, model=model, finder=tiny_finder) as opened:
            opened.index(shop.table, garments=True)
    remodel(folder, shop.other_model)
    switch(folder)
    with LocalGallery(folder) as one, LocalGallery(fresh) as other:
        for mine, theirs in zip(one.records(), other.records(), strict=True):
            assert [item.garments for item in mine.items] == [item.garments for item in theirs.items]
            assert {name: rows.tobytes() for name, rows in mine.vectors.items()} == {
                name: rows.tobytes() for name, rows in theirs.vectors.items()
            }
        assert one.verify().problems == ()


def test_projections_and_index_settings(shop: Shop, gallery: Path) -> None:
    """Projections belong to the old vectors, and come back with them; index settings stay."""
    small = gallery.parent / "small.gallery"
    lookalike.reduce(gallery, small, dimensions={"deep": 4})
    with LocalGallery(small) as opened:
        opened.remember_roots([str(shop.folder)])
        opened.set_index({"nlist": 4})
        projected = opened.spaces
    before = vectors_of(small)
    remodel(small, shop.other_model)
    switch(small)
    with LocalGallery(small) as opened:
        assert not opened.projections
        assert opened.spaces[0].dimension == 16
        assert opened.index_settings.to_json() == {"nlist": 4}
    switch(small, back=True)
    with LocalGallery(small) as opened:
        assert opened.spaces == projected
        assert set(opened.projections) == {"deep"}
    assert vectors_of(small) == before


def test_mistakes_are_one_line(shop: Shop, gallery: Path, attentive_model: Path, capsys: Capture) -> None:
    for said, arguments in (
        ("give one of --model M", []),
        ("give one of --model M", ["--switch", "--back"]),
        ("has no staged vectors", ["--switch"]),
        ("has kept no vectors", ["--back"]),
        ("has no staged vectors", ["--compare", str(shop.table)]),
        ("has the vectors of tiny@01234567 already", ["--model", str(shop.model)]),
        ("no such model file", ["--model", "none.onnx"]),
    ):
        assert main(["gallery", "remodel", "-g", str(gallery), *arguments]) == 2, arguments
        shown = capsys.readouterr()
        assert said in shown.err
        assert shown.err.count("\n") == 1
    assert not (gallery / STAGED).exists()


def test_a_third_model_waits_until_the_others_are_dropped(shop: Shop, gallery: Path, attentive_model: Path) -> None:
    remodel(gallery, shop.other_model)
    with pytest.raises(UsageError, match=r"vectors of other@fedcba98 are staged in .*--drop"):
        remodel(gallery, attentive_model)
    switch(gallery)
    with pytest.raises(UsageError, match=r"vectors of tiny@01234567 are kept in .*--drop"):
        remodel(gallery, attentive_model)  # before the photos are embedded, which `--drop` would undo
    assert remodelling_state(gallery).model_ids == ("other@fedcba98",)
    drop(gallery)
    remodel(gallery, attentive_model)
    switch(gallery)
    with LocalGallery(gallery) as opened:
        assert {space.name for space in opened.spaces} == {"deep", "color", "color-original"}
        assert opened.verify().problems == ()


def test_two_runs_at_a_time_are_refused(shop: Shop, gallery: Path) -> None:
    remodel(gallery, shop.other_model)
    with LocalGallery(gallery / STAGED) as staged, staged.writing():
        for work in (lambda: remodel(gallery, shop.other_model), lambda: switch(gallery), lambda: drop(gallery)):
            with pytest.raises(GalleryLockedError):
                work()


def test_a_running_server_loads_the_new_model_by_itself(shop: Shop, gallery: Path) -> None:
    """Before, with and after the switch it answers by one model; there is no answer of a mixture of two."""
    command = [sys.executable, "-m", "lookalike", "serve", "-g", str(gallery), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        first = server.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", first)
        assert found, first + server.stderr.read()
        threading.Thread(target=server.stderr.read, daemon=True).start()
        try:
            with httpx.Client(base_url=found[0], timeout=30) as client:
                assert wait_for(client, shop) == "tiny@01234567"
                remodel(gallery, shop.other_model)
                assert ask(client, shop) == "tiny@01234567"
                switch(gallery)
                assert wait_for(client, shop) == "other@fedcba98"
                assert client.get("/readyz").status_code == 200
        finally:
            server.terminate()


def ask(client: httpx.Client, shop: Shop) -> str:
    """Model of an answer, whose best match is the photo itself; or the code of an error."""
    answered = client.post("/v1/search", files={"photo": shop.photo("red-1").read_bytes()}, data={"k": "1"})
    told = answered.json()
    if answered.status_code != 200:
        return str(told["error"]["code"])
    assert told["matches"][0]["score"] > 0.99
    return str(told["query"]["model"])


def wait_for(client: httpx.Client, shop: Shop) -> str:
    """Model of the first answer; until then, that the model is another one is all that is said."""
    for _ in range(300):
        with contextlib.suppress(httpx.TransportError):
            said = ask(client, shop)
            if "@" in said:
                return said
            assert said == "mismatch"
        time.sleep(0.1)
    raise AssertionError("the server does not answer")
