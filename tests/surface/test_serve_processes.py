"""`serve --processes`: several processes that behave as one server, and what becomes of them when one dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from running_server import RunningServer
from small_shop import TOKEN, Shop
from test_http_jobs import Cdn

from lookalike.remote.allowed_hosts import VARIABLE
from lookalike.server.keys import add_key
from raw_server import RawServer

PROCESSES = 2


class Running(RunningServer):
    """A server with several processes."""

    def __init__(self, options: Sequence[str], **variables: str) -> None:
        super().__init__(["--processes", str(PROCESSES), *options], **variables)

    def ask(self, path: str, body: object = None, *, method: str | None = None, key: str = TOKEN) -> tuple[int, Any]:
        """Ask over a new connection, which any of the processes accepts."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        request = urllib.request.Request(self.address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def everywhere(self, path: str, body: object = None) -> list[Any]:
        """Answers over connections at the same time, until each process has answered some of them."""
        before = self.requests()
        answers: list[Any] = []
        with ThreadPoolExecutor(4) as pool:
            for _ in range(100):
                answers += [answer for _, answer in pool.map(lambda _: self.ask(path, body), range(8))]
                if all(count > before.get(process, 0) for process, count in self.requests().items()):
                    return answers
        raise AssertionError("one process answers nothing")

    def requests(self) -> dict[str, float]:
        """Requests of galleries by process."""
        found = dict.fromkeys(map(str, range(1, PROCESSES + 1)), 0.0)
        with urllib.request.urlopen(f"{self.address}/metrics", timeout=60) as answer:
            for family in text_string_to_metric_families(answer.read().decode()):
                for sample in family.samples:
                    if sample.name == "lookalike_requests_total" and sample.labels["gallery"]:
                        found[sample.labels["process"]] += sample.value
        return found

    def children(self) -> list[int]:
        """Process numbers of those that serve."""
        of_all = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in of_all if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


class Files:
    """Files of the server."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.config, self.keys, self.token = folder / "server.toml", folder / "keys.toml", folder / "token"
        self.token.write_text(TOKEN)
        self.key = add_key(self.keys, "page", rate="30/h")
        self.shop = shop
        self.write()

    def write(self, *names: str, hosts: Sequence[str] = ()) -> None:
        galleries = "".join(f"{name} = {json.dumps(str(self.shop.gallery))}\n" for name in ("shop", *names))
        settings = f"events = true\nphoto_hosts = {json.dumps(hosts)}\n"
        self.config.write_text(f"{settings}[galleries]\n{galleries}")

    @property
    def options(self) -> list[str]:
        files = ["--config", str(self.config), "--keys", str(self.keys), "--token-file", str(self.token)]
        return [*files, "--model", str(self.shop.model)]


@pytest.fixture
def files(tmp_path: Path, shop: Shop) -> Files:
    return Files(tmp_path, shop)


@pytest.fixture
def running(files: Files) -> Iterator[Running]:
    server = Running(files.options)
    yield server
    server.stop()


def test_several_processes_are_one_server(running: Running, files: Files) -> None:
    """What one has written, counted or reloaded holds for all of them."""
    assert f"with {PROCESSES} processes" in running.log[0]
    answers = running.everywhere("/v1/search", {"id": "red-0", "k": 5})
    assert {tuple(match["id"] for match in answer["matches"]) for answer in answers} == {
        tuple(match["id"] for match in answers[0]["matches"])
    }

    for number in range(20):  # the search is remembered by one process, and its event may come to another one
        query = running.ask("/v1/search", {"id": "red-0", "k": 2})[1]
        event = {"query_id": query["query"]["id"], "id": query["matches"][0]["id"], "type": "click"}
        assert running.ask("/v1/events", event) == (202, {"added": 1, "known": 0}), number
    event["query_id"] = "0" * 32
    assert running.ask("/v1/events", event)[0] == 422

    assert running.ask("/v1/items/red-0", {"attributes": {"price": 7}}, method="PATCH")[0] == 200
    assert {answer["attributes"]["price"] for answer in running.everywhere("/v1/items/red-0")} == {7}

    with ThreadPoolExecutor(8) as pool:
        counted = list(pool.map(lambda _: running.ask("/v1/items?limit=0", key=files.key)[0], range(40)))
    assert sorted(counted) == [200] * 30 + [429] * 10

    files.write("also")
    status, report = running.ask("/v1/admin/reload", method="POST")
    assert (status, report["galleries"]) == (200, ["shop", "also"])
    assert {answer.get("total") for answer in running.everywhere("/v1/also/items?limit=0")} == {12}
    files.write()
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.count("reloaded") == 2 * PROCESSES)
    assert {running.ask("/v1/also/items?limit=0")[0] for _ in range(20)} == {404}
    files.config.write_text("nonsense")
    assert running.ask("/v1/admin/reload", method="POST")[1]["error"]["code"] == "reload_failed"
    assert {answer["total"] for answer in running.everywhere("/v1/items?limit=0")} == {12}


def test_a_photo_is_fetched_whichever_process_queues_it(files: Files) -> None:
    pytest.importorskip("aiohttp")
    with RawServer(Cdn().answer) as web:
        files.write(hosts=[web.address.removeprefix("http://")])
        server = Running(files.options, **{VARIABLE: "127.0.0.1"})
        for number in range(6):
            job = server.ask(f"/v1/items/web-{number}", {"photo_url": f"{web.address}/{number}.png"}, method="PUT")[1]
            server.wait_for(lambda job=job: server.ask(f"/v1/jobs/{job['id']}")[1]["state"] == "finished")
        server.stop()


def test_a_process_that_dies_is_started_again(running: Running) -> None:
    before = running.children()
    assert len(before) == PROCESSES
    os.kill(before[0], signal.SIGKILL)
    assert {running.ask("/v1/items?limit=0")[0] for _ in range(20)} == {200}  # by the other
    running.wait_for(lambda: any("serves again" in line for line in running.log))
    assert any("ended by signal SIGKILL; it is started again" in line for line in running.log)
    after = running.children()
    assert len(after) == PROCESSES
    assert before[0] not in after
    assert {answer["total"] for answer in running.everywhere("/v1/items?limit=0")} == {12}


def test_each_process_has_about_as_many_connections(running: Running) -> None:
    assert any(max(shares) - min(shares) <= 4 for shares in map(lambda _: shares_of(running, 24), range(5)))


def shares_of(running: Running, count: int) -> list[int]:
    """Connections by process, of some that are opened at a time; a process may get no processor for a moment."""
    opened = connections(running, count)
    try:
        for connection in opened:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert all(b" 200 " in connection.recv(4096) for connection in opened)
        return [sum("socket:" in str(file.readlink()) for file in files_of(child)) for child in running.children()]
    finally:
        for connection in opened:
            connection.close()


def connections(running: Running, count: int) -> list[socket.socket]:
    """New connections to the server."""
    host = urllib.parse.urlsplit(running.address)
    assert host.hostname and host.port
    return [socket.create_connection((host.hostname, host.port)) for _ in range(count)]


def test_a_process_that_is_stopped_holds_up_no_connection(running: Running) -> None:
    stopped = running.children()[0]
    os.kill(stopped, signal.SIGSTOP)
    idle = connections(running, 1)  # the other process has more than the stopped one now
    try:
        began = time.monotonic()
        assert {running.ask("/v1/items?limit=0")[0] for _ in range(20)} == {200}
        assert time.monotonic() - began < 10
    finally:
        os.kill(stopped, signal.SIGCONT)
        idle[0].close()


def files_of(process: int) -> list[Path]:
    """Open files of a process."""
    return [*Path(f"/proc/{process}/fd").iterdir()]


def test_processes_end_with_the_one_that_started_them(files: Files) -> None:
    server = Running(files.options)
    children = server.children()
    server.process.kill()
    server.process.wait()
    for _ in range(600):
        if not any(Path(f"/proc/{child}").exists() for child in children):
            break
        time.sleep(0.05)
    else:
        raise AssertionError(server.log)
    server.close()


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--processes", "3"], 2, "error: there is no gallery at "),
        (["--processes", "0"], 2, "0 is not in the range 1<=x<=256"),
    ],
)
def test_a_mistake_is_told_once(tmp_path: Path, options: list[str], code: int, message: str) -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", "none.gallery", "--port", "0"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (ended.returncode, ended.stderr.count(message)) == (code, 1), ended.stderr
    assert "Traceback" not in ended.stderr
