"""Galleries on Milvus: commands, Python and HTTP give the same answers as with a gallery in a folder."""

from __future__ import annotations

import base64
import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from small_shop import COLORS, Shop
from starlette.testclient import TestClient
from test_python_equals_cli import QUESTIONS, without_times

import lookalike
from lookalike.cli import main
from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import ConfigError
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.remote.allowed_hosts import VARIABLE
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.usage.events_file import events_path
from milvus_server import MilvusServer
from raw_server import RawServer, whole
from simulated_buyers import Buyers, fill_with_visits

pytestmark = pytest.mark.milvus

Capture = pytest.CaptureFixture[str]
TOKEN = b"a-token-that-nobody-guesses"


def run(capsys: Capture, *arguments: object, code: int = 0) -> Any:
    """Run a command, and read what it printed for programs."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def moved(milvus_server: MilvusServer, finished_shop: Shop) -> str:
    """The shop on Milvus, where one command has brought it; read only."""
    address = f"{milvus_server.address}/moved"
    assert main(["gallery", "export", "-g", str(finished_shop.gallery), "--to", address]) == 0
    return address


@pytest.fixture
def address(milvus_server: MilvusServer) -> str:
    """Where there is no gallery yet."""
    return f"{milvus_server.address}/shop_{uuid.uuid4().hex}"


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_photo_gets_the_answer_that_it_gets_from_a_folder(
    shop: Shop, moved: str, capsys: Capture, question: str
) -> None:
    options, arguments = QUESTIONS[question]
    photo = str(shop.photo("red-2"))
    there = run(capsys, "search", photo, *arguments, "-g", moved)
    here = run(capsys, "search", photo, *arguments, "-g", shop.gallery)
    with lookalike.open(moved) as opened:
        in_python = json.loads(json.dumps(opened.search(photo, **options).to_json()))
    assert without_times(in_python) == without_times(there)
    assert [match["id"] for match in there["matches"]] == [match["id"] for match in here["matches"]]
    for ours, theirs in zip(there["matches"], here["matches"], strict=True):
        assert ours["score"] == pytest.approx(theirs["score"], abs=1e-5)
        assert ours["scores"] == {name: pytest.approx(score, abs=1e-5) for name, score in theirs["scores"].items()}
    for answer in (there, here):
        for match in answer["matches"]:
            del match["score"], match["scores"]
        del answer["query"]["index"]  # a folder looks for lists that Milvus's one index has or has not
    assert without_times(there) == without_times(here)


LOOKS: dict[str, list[str]] = {
    "list": ["gallery", "list"],
    "list, filtered": ["gallery", "list", "--where", "colour = 'Red' or price > 31", "--limit", "3", "--strong"],
    "get": ["gallery", "get", "red-2"],
    "verify": ["gallery", "verify", "--photos"],
    "search by an item": ["search", "--item", "blue-0", "-k", "12", "--strong"],
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_command_that_looks_says_what_it_says_of_a_folder(shop: Shop, moved: str, capsys: Capture, look: str) -> None:
    there, here = (run(capsys, *LOOKS[look], "-g", place) for place in (moved, shop.gallery))
    for answer in (there, here):
        for match in answer.get("matches", []):
            match["score"] = pytest.approx(match["score"], abs=1e-5)
            match["scores"] = {name: pytest.approx(score, abs=1e-5) for name, score in match["scores"].items()}
        answer.pop("took_ms", None)
    assert there == here


def test_info_says_what_the_gallery_is(shop: Shop, moved: str, capsys: Capture) -> None:
    facts = run(capsys, "gallery", "info", "-g", moved)
    local = run(capsys, "gallery", "info", "-g", shop.gallery)
    for same in ("items", "model", "spaces", "weights", "sources", "attributes"):
        assert facts[same] == local[same]
    assert facts["address"] == moved
    assert (facts["server"]["shards"], facts["server"]["replicas"]) == (1, 1)
    assert facts["index"]["kind"] == "FLAT"
    assert facts["consistency"] == "Bounded"


def test_items_are_indexed_changed_removed_and_measured(shop: Shop, address: str, capsys: Capture) -> None:
    index = ["index", shop.table, "-g", address, "--model", shop.model]
    assert run(capsys, *index)["added"] == 12
    assert run(capsys, *index)["added"] == 0
    assert run(capsys, "gallery", "set", "red-0", "price=99", "-g", address)["attributes"]["price"] == 99
    assert run(capsys, *index)["added"] == 0
    assert run(capsys, "gallery", "get", "red-0", "-g", address, "--strong")["attributes"]["price"] == 99
    assert run(capsys, "gallery", "list", "-g", address, "--where", "price > 40", "--strong")["total"] == 1
    assert run(capsys, "gallery", "remove", "red-0", "blue-1", "-g", address) == {"removed": 2}
    assert run(capsys, "gallery", "list", "-g", address, "--strong")["total"] == 10
    assert run(capsys, "gallery", "compact", "-g", address).keys() == {"bytes_before", "bytes_after"}
    assert run(capsys, "gallery", "cluster", "-g", address)["items"] == 10
    assert run(capsys, "doctor", "-g", address)["gallery"]["items"] == 10
    kept = [line for line in shop.table.read_text().splitlines() if not line.startswith("white")]
    fewer = shop.table.with_name("fewer.csv")
    try:
        fewer.write_text("\n".join(kept) + "\n")
        # Another table is another source, and prunes only what came from itself.
        assert run(capsys, "index", fewer, "-g", address, "--prune")["removed"] == 0
        assert run(capsys, "gallery", "list", "-g", address, "--strong")["total"] == 12
        fewer.write_text("\n".join(line for line in kept if not line.startswith("green")) + "\n")
        assert run(capsys, "index", fewer, "-g", address, "--prune")["removed"] == 3
    finally:
        fewer.unlink()


def test_serves_the_page_and_writes_through_http(shop: Shop, address: str, capsys: Capture) -> None:
    assert main(["gallery", "export", "-g", str(shop.gallery), "--format", "gallery", "--to", address]) == 0
    settings = Settings(photos=str(shop.gallery.with_name("sent")))
    context = open_context(address, settings=settings, token=TOKEN)
    with TestClient(create_app(context)) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN.decode()}"
        assert client.get("/readyz").status_code == 200
        with shop.photo("red-2").open("rb") as file:
            found = client.post("/v1/search", files={"photo": file}, data={"k": "3", "where": "price < 2"}).json()
        assert [match["id"] for match in found["matches"]] == ["red-1", "red-0"]
        facets = {facet["name"]: facet["values"] for facet in client.get("/v1/facets").json()["facets"]}
        assert facets["colour"] == [{"value": color, "count": 3} for color in sorted(COLORS)]
        assert client.get("/v1/items/red-2").json()["product"] == "red"
        photo = client.get("/v1/items/red-2/photo?size=64")
        assert photo.headers["content-type"].startswith("image/")
        changed = client.patch("/v1/items/red-2", json={"attributes": {"price": 5}})
        assert (changed.status_code, client.get("/v1/items/red-2").json()["attributes"]["price"]) == (200, 5)
        assert client.delete("/v1/items/red-1").status_code in (200, 204)
        assert client.get("/v1/items/red-1").status_code == 404
        new = {"photo": ("new.png", shop.photo("blue-0").read_bytes())}
        assert client.put("/v1/items/new", files=new).status_code in (200, 201)
        nearest = client.post("/v1/search", json={"id": "new", "k": 1}).json()["matches"]
        assert [match["id"] for match in nearest] == ["blue-0"]


def test_lines_and_addresses_are_written_as_in_a_folder(
    shop: Shop, address: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines to both: items, overrides and reports are alike; the queue lies in the folder of the setting."""
    pytest.importorskip("aiohttp")
    assert main(["gallery", "export", "-g", str(shop.gallery), "--format", "gallery", "--to", address]) == 0
    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    photo = shop.photo("blue-0").read_bytes()
    with RawServer(lambda *_: whole(photo)) as web:
        lines = [
            {"id": "red-0", "attributes": {"price": 5, "season": None}},
            {"id": "red-0", "attributes": {"price": 5}},
            {"id": "red-1", "attributes": {"price": 6}, "replace": True},
            {"id": "red-1", "unset": ["colour"]},
            {"id": "red-2", "delete": True},
            {"id": "blue-0", "photo_base64": base64.b64encode(photo).decode()},
            {"id": "new", "photo_url": f"{web.address}/1.png", "attributes": {"a": 1}},
            {"id": "new", "attributes": {"b": 2}},
        ]
        told = []
        for gallery in (str(shop.gallery), address):
            settings = Settings(
                photos=str(tmp_path / "sent"), jobs=str(tmp_path / "jobs"), photo_hosts=(web.address[len("http://") :],)
            )
            context = open_context(gallery, settings=settings, token=TOKEN, model=str(shop.model))
            with TestClient(create_app(context), headers={"Authorization": f"Bearer {TOKEN.decode()}"}) as client:
                body = "\n".join(map(json.dumps, lines))
                report = client.post("/v1/items", content=body, headers={"Content-Type": "application/x-ndjson"}).json()
                job_id, deadline = report.pop("job"), time.monotonic() + 30
                while (job := client.get(f"/v1/jobs/{job_id}").json())["state"] == "running":
                    assert time.monotonic() < deadline, job
                    time.sleep(0.05)
                items = [client.get(f"/v1/items/{item_id}").json() for item_id in ("red-0", "red-1", "new")]
                assert client.get("/v1/items/red-2").status_code == 404
                counts = {name: value for name, value in job.items() if isinstance(value, int)}
                told.append((report, counts, [{**item, "photo": None} for item in items]))
            shown = run(capsys, "jobs", job_id, "-g", gallery, "--jobs", tmp_path / "jobs")
            assert shown == job
    assert told[0] == told[1]
    report, counts, (red_0, red_1, new) = told[0]
    assert [line["status"] for line in report["lines"]] == [
        *("updated", "unchanged", "updated", "updated", "deleted", "unchanged", "queued", "queued")
    ]
    assert (counts["added"], counts["total"]) == (1, 1)
    assert red_0["overrides"] == {"price": 5, "season": None}
    assert red_1["attributes"] == {"colour": "Red", "price": 6}
    assert new["attributes"] == {"a": 1, "b": 2}
    assert len(list((tmp_path / "jobs").glob("*.jobs.db"))) == 2


def test_addresses_need_a_folder_for_their_queue(shop: Shop, moved: str) -> None:
    settings = Settings(photo_hosts=("cdn.example",))
    with pytest.raises(ConfigError, match="`jobs`"):
        open_context(moved, settings=settings, token=TOKEN, model=str(shop.model))
    assert main(["jobs", "-g", moved]) == 2


def test_a_gallery_goes_there_and_back_with_one_command_each(
    shop: Shop, moved: str, address: str, tmp_path: Path, capsys: Capture
) -> None:
    assert run(capsys, "gallery", "set", "red-0", "price=99", "season=null", "-g", shop.gallery)
    first = run(capsys, "gallery", "export", "-g", shop.gallery, "--to", address)
    assert (first["items"], first["written"]) == (12, 12)
    again = run(capsys, "gallery", "export", "-g", shop.gallery, "--to", address)
    assert again == first | {"written": 0}
    back = tmp_path / "back.gallery"
    assert run(capsys, "gallery", "import", address, "-g", back) == first
    with lookalike.open(shop.gallery) as here, lookalike.open(back) as there:
        assert there.gallery.list(limit=None) == here.gallery.list(limit=None)
        [source] = json.loads(json.dumps(here.gallery.info()))["sources"]
        assert there.gallery.source_items(source) == here.gallery.source_items(source)
        assert there.gallery.model == here.gallery.model
    run(capsys, "gallery", "set", "red-0", "price=1", "-g", shop.gallery)
    assert run(capsys, "gallery", "export", "-g", shop.gallery, "--to", address)["written"] == 1
    third = run(capsys, "gallery", "export", "-g", moved, "--to", f"{address}_copy")
    assert (third["items"], third["written"]) == (12, 12)


def test_a_named_source_goes_on_in_another_folder_without_embedding(
    shop: Shop, address: str, tmp_path: Path, capsys: Capture
) -> None:
    place = ["-g", address, "--model", shop.model]
    assert run(capsys, "index", shop.table, *place)["embedded"] == 12
    moved = tmp_path / "moved"
    shutil.copytree(shop.table.parent, moved, ignore=shutil.ignore_patterns("*.gallery"))
    table = moved / shop.table.name
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *rows[2:], f"new-{rows[3]}"]))
    report = run(capsys, "index", table, *place, "--source", "shop", "--prune")
    assert (report["added"], report["replaced_from"], report["embedded"]) == (1, {str(shop.table): 10}, 0)
    assert (report["reused"], report["removed"]) == (1, 0)
    item = rows[3].split(",")[0]
    run(capsys, "gallery", "set", item, "price=99", "note=by hand", "-g", address)
    table.write_text("\n".join([header, *rows[3:]]))
    won = run(capsys, "index", table, *place, "--source", "shop", "--discard-overrides")
    assert (won["unchanged"], won["updated"], won["discarded_overrides"]) == (8, 1, 1)
    shown = run(capsys, "gallery", "get", item, "-g", address, "--strong")
    assert (shown["attributes"]["note"], shown["overrides"]) == ("by hand", {"note": "by hand"})
    report = run(capsys, "index", table, *place, "--source", "shop", "--prune")
    assert (report["unchanged"], report["removed"], report["embedded"]) == (9, 2, 0)
    assert run(capsys, "gallery", "info", "-g", address, "--strong")["sources"] == {str(shop.table): 2, "shop": 9}


@pytest.mark.parametrize("kind", ["original", "parquet"])
def test_files_are_written_and_read_as_from_a_folder(
    shop: Shop, moved: str, address: str, tmp_path: Path, capsys: Capture, kind: str
) -> None:
    for gallery, folder in ((moved, tmp_path / "there"), (shop.gallery, tmp_path / "here")):
        run(capsys, "gallery", "export", "-g", gallery, "--format", kind, "--to", folder)
    there, here = ({file.name: file for file in folder.iterdir()} for folder in (tmp_path / "there", tmp_path / "here"))
    assert set(there) == set(here)
    if kind == "original":
        assert all(there[name].read_bytes() == here[name].read_bytes() for name in here)
    assert run(capsys, "gallery", "import", tmp_path / "there", "-g", address) == {"items": 12}
    assert run(capsys, "gallery", "verify", "-g", address)["items"] == 12


def test_reduces_augments_fuses_and_evaluates(
    shop: Shop, moved: str, address: str, tmp_path: Path, capsys: Capture
) -> None:
    assert run(capsys, "augment", "-g", moved, "--to", address, "--neighbours", 2)
    assert len(run(capsys, "gallery", "list", "-g", address, "--strong")["items"]) == 12
    run(capsys, "reduce", "-g", moved, "--to", f"{address}_reduced", "--dimension", "deep=4")
    photo = shop.photo("red-2")
    reduced = run(capsys, "search", photo, "-g", f"{address}_reduced", "-k", 1, "--strong")
    assert reduced["matches"][0]["id"] == "red-2"
    with lookalike.open(f"{address}_reduced") as opened:
        assert [space.dimension for space in opened.gallery.spaces if space.name == "deep"] == [4]
        opened.gallery.store_weights(StoredWeights({"deep": 1.0, "color": 3.0}, {"protocol": "product"}))
    weights = run(capsys, "search", photo, "-g", f"{address}_reduced", "-k", 1)["query"]["weights"]
    assert weights == {"deep": 1.0, "color": 3.0}
    assert main(["fuse", "-g", f"{address}_reduced", "--reset"]) == 0
    weights = run(capsys, "search", photo, "-g", f"{address}_reduced", "-k", 1)["query"]["weights"]
    assert weights == {"deep": 1.0, "color": 0.1}
    there, here = (run(capsys, "evaluate", shop.table, "-g", place) for place in (moved, shop.gallery))
    assert there["metrics"] == here["metrics"]


def test_a_gallery_of_another_model_is_refused(shop: Shop, moved: str, capsys: Capture) -> None:
    for command in (["search", shop.photo("red-0")], ["index", shop.table]):
        assert main([*map(str, command), "-g", moved, "--model", str(shop.other_model)]) == 2
        told = capsys.readouterr().err
        assert "was filled by the model tiny@01234567, and this one is other@fedcba98" in told
        assert told.count("\n") == 1


def test_settings_of_the_address_decide_about_the_collection(shop: Shop, address: str, capsys: Capture) -> None:
    for setting, shown in (("index=HNSW&M=8", {"kind": "HNSW", "M": 8}), ("index=IVF_SQ8", {"kind": "IVF_SQ8"})):
        place = f"{address}_{shown['kind']}?{setting}&shards=2"
        assert run(capsys, "gallery", "import", shop.gallery, "-g", place)["items"] == 12
        facts = run(capsys, "gallery", "info", "-g", place)
        assert facts["index"].items() >= shown.items()
        assert facts["server"]["shards"] == 2
        exact = run(capsys, "search", shop.photo("red-2"), "-g", shop.gallery)["matches"]
        found = run(capsys, "search", shop.photo("red-2"), "-g", f"{place}&consistency=strong")["matches"]
        assert [match["id"] for match in found] == [match["id"] for match in exact]
        assert found[0]["score"] == pytest.approx(exact[0]["score"], abs=1e-5)  # never that of the compressed row
    with open_gallery(f"{address}_HNSW?consistency=strong") as opened, open_gallery(str(shop.gallery)) as source:
        query = source.vectors("red-2")
        assert opened.search(query, SearchRequest()).index == "hnsw"
        optimised = run(capsys, "gallery", "import", shop.gallery, "-g", f"{address}_HNSW?index=IVF_FLAT&nlist=16")
        assert optimised["written"] == 0
        facts = run(capsys, "gallery", "info", "-g", f"{address}_HNSW")
        assert facts["index"].items() >= {"kind": "IVF_FLAT", "nlist": 16}.items()
        assert opened.search(query, SearchRequest()).index == "ivf_flat"  # that of another process, at once
        assert opened.search(query, SearchRequest(index="exact")).index == "exact"


def test_partitions_are_refused_where_the_server_would_lose_rows(shop: Shop, address: str, capsys: Capture) -> None:
    place = f"{address}?partition-by=colour&partitions=4"
    assert main(["gallery", "import", str(shop.gallery), "-g", place]) == 2
    assert "partition-by needs Milvus 2.4 or newer, and the server has v2.3.5" in capsys.readouterr().err
    assert main(["gallery", "info", "-g", address]) == 2  # nothing is left behind
    assert "there is no gallery at" in capsys.readouterr().err


def test_events_are_kept_and_learned_from(
    shop: Shop, address: str, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of events lies in the working folder; what is learned from it is kept on the server."""
    monkeypatch.chdir(tmp_path)
    assert main(["gallery", "export", "-g", str(shop.gallery), "--to", address]) == 0
    settings = Settings(events=True, events_attributes=("price",), workers=2, jobs=str(tmp_path))
    question = {"id": "red-0", "k": 5}
    with TestClient(create_app(open_context(address, settings=settings, model=str(shop.model)))) as client:
        answer = client.post("/v1/search", json=question).json()
        click = {"query_id": answer["query"]["id"], "type": "click", "id": answer["matches"][1]["id"]}
        assert client.post("/v1/events", json=click).json() == {"added": 1, "known": 0}
        assert client.post("/v1/events", json=click).json() == {"added": 0, "known": 1}
        refused = client.post("/v1/events", json={**click, "id": "red-0"})
        assert refused.status_code == 422
    with lookalike.open(address) as opened:
        file, model = events_path(opened.gallery), "+".join(model_ids_of(opened.gallery.spaces))
    assert file.parent == tmp_path and file.stat().st_mode & 0o777 == 0o600
    report = run(capsys, "report", "usage", "-g", address)
    assert (report["searches"], report["events"]) == (1, {"click": 1})
    assert main(["report", "usage", "-g", address, "--html", str(tmp_path / "usage.html")]) == 0
    fill_with_visits(file, Buyers().visits(900), model=model)
    found = run(capsys, "learn", "-g", address, "--apply")
    assert found["ranking_kept"] == "default" and found["ranking"]["gain"]["interval"][0] > 0
    with TestClient(create_app(open_context(address, settings=settings, model=str(shop.model)))) as client:
        learned = client.post("/v1/search", json={**question, "k": 11}).json()
        assert learned["query"]["ranking"] == found["ranking"]["name"]
        similar = client.post("/v1/search", json={**question, "ranking": "similarity"}).json()
        assert "ranking" not in similar["query"]
        values = [sum(match["contributions"].values()) for match in learned["matches"] if "contributions" in match]
        assert values == sorted(values, reverse=True) and values
    assert run(capsys, "report", "usage", "-g", address)["searches"] >= 3
    assert main(["learn", "-g", address, "--reset"]) == 0
    with lookalike.open(address) as opened:
        assert opened.gallery.stored_weights.ranking is None
