"""Reload: settings, keys and galleries change while the server answers, all of them or none."""

from __future__ import annotations

import json
import logging
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_server import RunningServer
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli.serve import Options
from lookalike.server.app import create_app
from lookalike.server.context import AppContext
from lookalike.server.keys import add_key, revoke_key
from lookalike.server.startup import open_server


class Files:
    """Files of a server whose galleries are named in the settings."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.config, self.keys, self.token = folder / "server.toml", folder / "keys.toml", folder / "token"
        self.token.write_text(TOKEN)
        self.admin = add_key(self.keys, "admin", write=True)
        self.red, self.rest = shop.gallery, folder / "rest.gallery"
        shutil.copytree(shop.gallery, self.rest)
        with lookalike.open(self.rest, model=str(shop.model)) as opened:
            opened.gallery.remove(["red-0", "red-1", "red-2"])
        self.write(shop=self.red)

    def write(self, settings: str = "", **galleries: Path) -> None:
        named = "".join(f"{name} = {json.dumps(str(path))}\n" for name, path in galleries.items())
        self.config.write_text(f"{settings}\n[galleries]\n{named}")

    @property
    def options(self) -> Options:
        return Options((), self.config, self.keys, self.token)


@pytest.fixture
def files(tmp_path: Path, shop: Shop) -> Files:
    return Files(tmp_path, shop)


@pytest.fixture
def served(files: Files, shop: Shop) -> AppContext:
    return open_server(files.options.read, model=str(shop.model))


@pytest.fixture
def client(served: AppContext) -> Iterator[TestClient]:
    with TestClient(create_app(served), raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        yield client


def reload(client: TestClient) -> dict[str, list[str]]:
    answer = client.post("/v1/admin/reload")
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def test_galleries_come_change_and_go(client: TestClient, files: Files, served: AppContext) -> None:
    assert client.get("/v1/shop/info").json()["items"] == 12
    before = served.default.opened
    files.write(shop=files.rest, all=files.red)
    assert reload(client) == {"galleries": ["shop", "all"], "opened": ["shop"], "closed": [], "restart": []}
    assert client.get("/v1/shop/info").json()["items"] == client.get("/v1/info").json()["items"] == 9
    assert served.galleries["all"].opened is before  # only its name is new
    files.write(shop=files.rest)
    assert reload(client) == {"galleries": ["shop"], "opened": [], "closed": ["all"], "restart": []}
    assert client.get("/v1/all/info").status_code == 404
    metrics = client.get("/metrics").text
    assert 'lookalike_gallery_items{gallery="shop"} 9.0' in metrics
    assert 'lookalike_gallery_items{gallery="all"}' not in metrics
    assert 'lookalike_reloads_total{result="done"} 2.0' in metrics


def test_a_folder_that_was_replaced_is_opened_again(
    client: TestClient, files: Files, served: AppContext, shop: Shop
) -> None:
    assert reload(client)["opened"] == []
    shutil.rmtree(files.red)
    with lookalike.open(files.red, model=str(shop.model)) as opened:
        opened.index(shop.table)
    assert reload(client)["opened"] == ["shop"]
    assert client.get("/v1/info").json()["items"] == 12
    link = files.config.with_name("current")
    link.symlink_to(files.red)
    files.write(shop=link)
    assert reload(client)["opened"] == ["shop"]
    link.unlink()
    link.symlink_to(files.rest)
    assert reload(client)["opened"] == ["shop"]
    assert client.get("/v1/info").json()["items"] == 9


def test_settings_and_keys_take_effect(client: TestClient, files: Files) -> None:
    key = add_key(files.keys, "page", origins=["https://shop.example"])
    files.write(
        "open = false\norigins = ['https://partner.example']\nworkers = 3\n[page]\nname = 'New'\n", shop=files.red
    )
    assert reload(client)["restart"] == ["workers"]
    assert reload(client)["restart"] == ["workers"]  # still
    page = {"Authorization": f"Bearer {key}", "Origin": "https://shop.example"}
    assert client.get("/v1/info", headers=page).status_code == 200
    partner = client.get("/v1/info", headers={"Origin": "https://partner.example"})
    assert partner.headers["Access-Control-Allow-Origin"] == "https://partner.example"
    del client.headers["Authorization"]
    assert client.get("/v1/info").status_code == 401
    assert "<title>New" in client.get("/").text
    assert client.get("/page.json").json()["name"] == "New"
    files.token.write_text("another-token-of-the-operator")
    revoke_key(files.keys, "page")
    client.headers["Authorization"] = f"Bearer {files.admin}"
    reload(client)
    assert client.get("/v1/info", headers={**page}).status_code == 401
    assert client.get("/v1/info", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    assert client.get("/v1/info", headers={"Authorization": "Bearer another-token-of-the-operator"}).status_code == 200


def test_events_are_those_of_the_gallery_that_answered(files: Files, shop: Shop) -> None:
    files.write("events = true\n", shop=files.red)
    context = open_server(files.options.read, model=str(shop.model))
    with TestClient(create_app(context), headers={"Authorization": f"Bearer {TOKEN}"}) as client:

        def seen() -> tuple[str, str]:
            answer = client.post("/v1/search", json={"id": "blue-0", "k": 1}).json()
            return answer["query"]["id"], answer["matches"][0]["id"]

        def click(query: str, item: str) -> int:
            event = {"query_id": query, "type": "click", "id": item, "rank": 1}
            return client.post("/v1/events", json=event).status_code

        red = seen()
        assert click(*red) == 202
        recorder = context.default.recorder
        files.write("events = true\n", shop=files.rest)
        reload(client)
        assert context.default.recorder is not recorder
        assert click(*seen()) == 202
        assert click(*red) == 422
        files.write("events = true\n", shop=files.red)
        reload(client)
        assert click(red[0], red[1]) == 202  # known
        assert 'lookalike_query_drift{gallery="shop"}' in client.get("/metrics").text


def break_config(files: Files) -> None:
    files.config.write_text("open = maybe")


def break_setting(files: Files) -> None:
    files.write("opne = false", shop=files.red)


def break_keys(files: Files) -> None:
    files.keys.write_text("[keys.a]\nsha256 = 'x'\n")


def lose_keys(files: Files) -> None:
    files.keys.unlink()


def break_token(files: Files) -> None:
    files.token.write_text("short")


def lose_gallery(files: Files) -> None:
    files.write(shop=files.red, more=files.red.with_name("none.gallery"))


def reserve_name(files: Files) -> None:
    files.write(items=files.red)


def name_none(files: Files) -> None:
    files.config.write_text("open = true\n")


def lose_logo(files: Files) -> None:
    files.write(f"[page]\nlogo = '{files.config.with_name('none.png')}'\n", shop=files.rest)


@pytest.mark.parametrize(
    "fault",
    [
        *(break_config, break_setting, break_keys, lose_keys, break_token, lose_gallery, reserve_name, name_none),
        lose_logo,
    ],
)
def test_a_fault_changes_nothing(
    fault: Callable[[Files], None],
    client: TestClient,
    files: Files,
    served: AppContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    state = (served.settings, served.access, served.galleries, served.default.opened)
    fault(files)
    with caplog.at_level(logging.INFO, logger="lookalike.server"):
        answer = client.post("/v1/admin/reload")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "reload_failed")
    assert answer.json()["error"]["message"].startswith("nothing was changed: ")
    assert str(files.config.parent) not in answer.text  # the log has the paths
    assert any(record.getMessage() == "reload failed" for record in caplog.records)
    assert (served.settings, served.access, served.galleries, served.default.opened) == state
    assert client.get("/v1/info").json()["items"] == 12
    assert client.get("/readyz").status_code == 200
    assert 'lookalike_reloads_total{result="failed"} 1.0' in client.get("/metrics").text


def test_only_who_may_write_everywhere_reloads(client: TestClient, files: Files) -> None:
    texts = {
        "reader": add_key(files.keys, "reader"),
        "one": add_key(files.keys, "one", write=True, galleries=["shop"]),
    }
    reload(client)
    for text, status in ((texts["reader"], 403), (texts["one"], 403), (files.admin, 200), ("lk_nonsense", 401)):
        answer = client.post("/v1/admin/reload", headers={"Authorization": f"Bearer {text}"})
        assert answer.status_code == status
    del client.headers["Authorization"]
    assert client.post("/v1/admin/reload").status_code == 401
    assert client.get("/v1/admin/reload").status_code == 405
    assert client.post("/v1/shop/admin/reload").status_code == 404


def wait_for_answers(counts: list[int], faults: list[str], *, more: int) -> None:
    goal, until = sum(counts) + more, time.monotonic() + 60
    while sum(counts) < goal and not faults and time.monotonic() < until:
        time.sleep(0.005)


def test_no_request_fails_while_a_name_is_switched(client: TestClient, files: Files, shop: Shop) -> None:
    stop, faults, counts = threading.Event(), [], [0, 0]
    photo = shop.photo("blue-1").read_bytes()

    def ask() -> None:
        while not stop.is_set():
            for answer in (
                client.post("/v1/shop/search", files={"photo": photo}, data={"k": "12"}),
                client.get("/v1/shop/items/blue-1/photo", params={"size": 32}),
                client.get("/v1/facets"),
            ):
                if answer.status_code != 200:
                    faults.append(answer.text)
                elif "matches" in answer.text[:2000]:
                    found = {match["id"] for match in answer.json()["matches"]}
                    if len(found) not in (9, 12) or ("red-0" in found) != (len(found) == 12):
                        faults.append(f"mixed: {found}")
                    counts[len(found) == 12] += 1

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(12):
        files.write(shop=files.rest if number % 2 == 0 else files.red)
        assert reload(client)["opened"] == ["shop"]
        wait_for_answers(counts, faults, more=len(threads) + 1)  # each may await one of the gallery before
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults, faults[:3]
    assert min(counts) > 0


def test_a_gallery_is_closed_after_its_last_request(served: AppContext, files: Files, client: TestClient) -> None:
    old = served.default.opened
    with served.using(None) as gallery:
        files.write(shop=files.rest)
        reload(client)
        assert gallery is not None
        assert old._retired
        assert len(gallery.retriever.gallery) == 12  # it goes on
        closed = []
        old.gallery.close = lambda: closed.append(True)  # type: ignore[method-assign]
    assert closed == [True]


class Running(RunningServer):
    """A server of the files."""

    def __init__(self, files: Files, shop: Shop, *options: str) -> None:
        named = ["--config", str(files.config), "--keys", str(files.keys), "--token-file", str(files.token)]
        super().__init__([*named, "--model", str(shop.model), *options])

    def items(self) -> int:
        with urllib.request.urlopen(f"{self.address}/v1/info", timeout=20) as answer:
            return int(json.load(answer)["items"])


@pytest.fixture
def running(files: Files, shop: Shop) -> Iterator[Running]:
    server = Running(files, shop)
    yield server
    server.stop()


def test_the_signal_reloads_and_does_not_stop_the_server(running: Running, files: Files) -> None:
    running.wait_for(lambda: running.items() == 12)
    files.write(shop=files.rest)
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.count("reloaded") == 1)
    assert running.items() == 9
    files.config.write_text("nonsense")
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.count("reload failed") == 1)
    assert running.items() == 9
    files.write(shop=files.red)
    for _ in range(5):  # a few at once are one, or a few one after the other
        running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.items() == 12)


def command_of(files: Files, shop: Shop) -> list[str]:
    return ["serve", "--config", str(files.config), "--model", str(shop.model), "--port", "0"]


def test_a_signal_during_the_start_is_kept(files: Files, shop: Shop) -> None:
    code = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP}); "
    code += "os.kill(os.getpid(), signal.SIGHUP); from lookalike.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *command_of(files, shop)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as started:
        assert started.stderr is not None
        lines = []
        for line in started.stderr:
            lines.append(line)
            if '"event": "reloaded"' in line:
                break
        else:
            raise AssertionError(lines)
        started.send_signal(signal.SIGTERM)
        assert started.wait(timeout=60) == 0


def test_a_server_in_a_terminal_stops_when_that_is_closed(files: Files, shop: Shop) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "lookalike", *command_of(files, shop)])
    said = b""
    while b"serves" not in said:
        said += os.read(terminal, 4096)
    time.sleep(0.5)
    os.close(terminal)
    for _ in range(600):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    raise AssertionError("it goes on")
