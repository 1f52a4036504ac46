"""Catalogues that try to read local files or to reach hosts of the local network.

Two canaries decide: the bytes of a secret file must never be in an answer, the gallery, the cache or the log, and
nothing may connect to a listener on loopback that no catalogue was given leave for.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pyarrow import parquet
from starlette.testclient import TestClient

pytest.importorskip("aiohttp")

import lookalike
from fault_tries import Tries
from lookalike.errors import CatalogueError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.folders import export_gallery, import_folder
from lookalike.ingest.report import IndexReport
from lookalike.remote import object_store
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from raw_server import RawServer, head, whole

CANARY = b"CANARY-5f0c1f7e-not-for-anybody"
SCHEMES = (
    *("file", "local", "reference", "zip", "tar", "dir", "simplecache", "filecache", "blockcache", "github", "git"),
    *("ftp", "sftp", "ssh", "smb", "memory", "data", "hdfs", "webhdfs", "arrow_hdfs", "libarchive", "jlab", "dbfs"),
    *("s3a", "gcs", "abfs", "abfss", "adl", "oss", "dropbox", "asynclocal", "generic", "hf", "root", "box", "gdrive"),
)
Answer = Callable[[str, int], Iterator[bytes]]


def photo(color: tuple[int, int, int], *, secret: bool = False) -> bytes:
    notes = PngInfo()
    if secret:
        notes.add_text("Comment", CANARY.decode())
    file = io.BytesIO()
    Image.fromarray(np.full((40, 40, 3), color, np.uint8)).save(file, "PNG", pnginfo=notes)
    return file.getvalue()


GOOD, SECRET = photo((200, 30, 40)), photo((1, 2, 3), secret=True)


class Listener:
    """Listens on every loopback address of one port, sends the secret photo, and counts who came.

    Attributes:
        port: Its port.
        came: Connections so far.
    """

    def __init__(self) -> None:
        dual = socket.has_dualstack_ipv6()
        family, host = (socket.AF_INET6, "::") if dual else (socket.AF_INET, "0.0.0.0")
        self._listening = socket.create_server((host, 0), family=family, dualstack_ipv6=dual)
        self.port, self.came = self._listening.getsockname()[1], 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.came += 1
            with connection:
                connection.recv(65_536)
                connection.sendall(b"".join(whole(SECRET)))

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


class Place:
    """What a test works in."""

    def __init__(self, folder: Path, listener: Listener, model: Path) -> None:
        self.folder, self.listener, self.model = folder, listener, model
        self.private = folder / "private"
        self.private.mkdir()
        self.secret, self.key = self.private / "secret.png", self.private / "key.pem"
        self.secret.write_bytes(SECRET)
        self.key.write_bytes(b"BM" + b"\0" * 4 + CANARY * 40)
        self.gallery = folder / "shop.gallery"

    @contextmanager
    def served(self, **settings: Any) -> Iterator[TestClient]:
        context = open_context(str(self.gallery), settings=Settings(**settings), model=str(self.model))
        with TestClient(create_app(context), raise_server_exceptions=False) as client:
            yield client

    def answers(self, ids: Iterable[str]) -> dict[str, list[int]]:
        """Ask for all there is of items, and see that nothing of it is the secret; gives the statuses."""
        statuses = {}
        with self.served() as client:
            for item_id in ids:
                path = f"/v1/items/{quote(item_id, safe='')}/photo"
                answers = [
                    client.get(path),
                    client.get(f"{path}?size=16"),
                    client.get(path, headers={"Range": "bytes=0-"}),
                ]
                answers.append(client.get(path.removesuffix("/photo")))
                for answer in answers:
                    assert CANARY not in answer.content, item_id
                    assert answer.headers["x-content-type-options"] == "nosniff"
                if answers[0].status_code == 404:
                    assert answers[0].json()["error"]["code"] in ("photo_gone", "unknown_item")
                statuses[item_id] = [answer.status_code for answer in answers[:2]]
        return statuses

    def check(self, log: str) -> None:
        """See that no canary was touched."""
        assert self.listener.came == 0, "something connected to the canary listener"
        assert CANARY.decode() not in log
        for path in [*self.gallery.rglob("*"), *(self.folder / "cache").rglob("*")]:
            if path.is_file():
                assert CANARY not in path.read_bytes(), path


@pytest.fixture
def place(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.001)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, "not-used")
    listener = Listener()
    yield Place(tmp_path, listener, tiny_model)
    listener.close()


def index(place: Place, source: str | Path) -> IndexReport:
    with lookalike.open(place.gallery, model=str(place.model)) as shop:
        return shop.index(source)


def hosts_of(port: int, luck: Random) -> str:
    """A loopback host, written in one of many ways, with the canary's port."""
    return luck.choice(
        [
            *(f"127.0.0.1:{port}", f"127.0.0.2:{port}", f"127.1:{port}", f"0.0.0.0:{port}", f"2130706433:{port}"),
            *(f"0x7f000001:{port}", f"0177.0.0.1:{port}", f"[::1]:{port}", f"[::ffff:127.0.0.1]:{port}"),
            *(f"[::ffff:7f00:1]:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"localhost.:{port}"),
            *(f"rebind.example:{port}", f"mixed.example:{port}", f"[::]:{port}", f"[64:ff9b::7f00:1]:{port}"),
            *(f"[2002:7f00:1::]:{port}", f"user@127.0.0.1:{port}", f"user:pass@localhost:{port}", f"ⓛocalhost:{port}"),
        ]
    )


def names(monkeypatch: pytest.MonkeyPatch, luck: Random) -> None:
    """Names that resolve to loopback, each time to another address of it, as a hostile name server would answer."""
    plain = socket.getaddrinfo

    def resolve(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        if host in ("rebind.example", "mixed.example"):
            host = luck.choice(["127.0.0.1", "127.0.0.9", "::ffff:127.0.0.1", "0.0.0.0"])
            options.pop("flags", None)
            return plain(host, port, type=socket.SOCK_STREAM)
        return plain(host, port, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def disguised(text: str, luck: Random) -> str:
    """The same, perhaps in other letters or percent-encoded."""
    way = luck.randrange(6)
    if way == 0:
        return text.upper() if text.startswith(("http", "file")) else text.title()
    if way == 1:
        return text.replace("/", "%2f", luck.randrange(1, 3))
    if way == 2:
        return text.replace("..", "%2e%2e")
    if way == 3:
        return text.replace(":", "%3a", 1)
    return text


def hostile(place: Place, home: str, luck: Random) -> str:
    """A cell that wants what is not its own."""
    path = luck.choice([place.secret, place.key])
    up = "../" * luck.randrange(1, 12)
    inner = luck.choice([f"file://{path}", str(path), f"http://{hosts_of(place.listener.port, luck)}/a.png"])
    scheme = luck.choice(SCHEMES)
    host = hosts_of(place.listener.port, luck)
    own = home.removeprefix("http://")
    refs = json.dumps({"a.png": [f"file://{path}"]})
    return luck.choice(
        [
            *(str(path), f"/{path}", f"{up}{str(path).lstrip('/')}", f"\\{path}", f"~{path}", f"./{path}"),
            *(f"file:{path}", f"file://{path}", f"file://localhost{path}", f"file:///{path}", f"//{host}/a.png"),
            *(f"{scheme}://{path}", f"{scheme}://{host}/a.png", f"{scheme}::{inner}", f"{scheme}://a.png::{inner}"),
            *(f"a.png::{inner}", f"{home}/a.png::{inner}", f"zip://a.png::{home}/a.zip", f"reference://?fo={refs}"),
            *(f"http://{host}/a.png", f"https://{host}/a.png", f"http:/{host}/a.png", f"http:\\\\{host}\\a.png"),
            *(f"http://{own}@{host}/a.png", f"http://{own}#@{host}/a.png", f"http://{own}\\@{host}/a.png"),
            *(f"http://{host}#{own}/a.png", f"http://{host}?{own}", f"http:///{host}/a.png", f"http://{own}:{host}"),
            *(f"{home}/to?http://{host}/a.png", f"{home}/to?file://{path}", f"{home}/to?//{host}/a.png"),
            *(f"to?http://{host}/a.png", f"to?{scheme}://{path}", f"to?/to?http://{host}/b.png"),
            *(f"s3://{host}/a.png", f"s3://../{path}", f"s3://bucket@{host}/a", "s3://shop/a.png", f"gs://a/{up}b"),
            *(
                f"az://a@{host}/b.png",
                f"s3://a?endpoint_url=http://{host}",
                "s3://",
                f"http://{host}:99999/",
                f" {path}",
            ),
            *(f"{home}\r\nHost: {host}/a.png", f"{home}/\0{path}", f"{home}/{up}a.png", "http://[", "://", "a://"),
        ]
    )


def redirecting(path: str, times: int) -> Iterator[bytes]:
    """Sends good photos, and redirects wherever the query says."""
    if path.startswith("/shop/to?"):
        yield head("302 Found", Location=path.removeprefix("/shop/to?"), Content_Length=0)
    elif path.startswith("/to?"):
        yield head("307 Moved", Location=path.removeprefix("/to?"), Content_Length=0)
    else:
        yield from whole(GOOD)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_from_elsewhere_reads_nothing_private(
    kind: str,
    place: Place,
    tries: Tries,
    luck: Random,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    names(monkeypatch, luck)
    rows: list[str] = []

    def answer(path: str, times: int) -> Iterator[bytes]:
        return whole(table_of(rows, kind)) if path == f"/shop/table.{kind}" else redirecting(path, times)

    with RawServer(answer) as server:
        count = tries(f"hostile-{kind}", short=60, long=3_000)
        for start in range(0, count, 60):
            rows[:] = ["good.png", f"{server.address}/shop/also.png"]
            rows += [disguised(hostile(place, server.address, luck), luck) for _ in range(min(60, count - start))]
            report = index(place, f"{server.address}/shop/table.{kind}")
            assert report.added + report.updated + report.unchanged + len(report.skipped) == len(rows)
            statuses = place.answers(["0", "1", *map(str, range(2, len(rows), 4))])
            assert statuses["0"] == statuses["1"] == [200, 200]
            place.check(caplog.text)


def table_of(rows: list[str], kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "parquet":
        parquet.write_table(pa.table({"id": [str(at) for at in range(len(rows))], "image": rows}), file)
        return file.getvalue()
    text = io.StringIO()
    csv.writer(text).writerows([["id", "image"], *([at, row.replace("\0", "")] for at, row in enumerate(rows))])
    return text.getvalue().encode()


def test_what_changes_after_indexing_is_shown_only_from_the_indexed_folder(
    place: Place, tries: Tries, luck: Random, caplog: pytest.LogCaptureFixture
) -> None:
    folder = place.folder / "photos"
    (folder / "deep" / "er").mkdir(parents=True)
    ids = ["a.png", "deep/b.png", "deep/er/c.png"]
    for name in ids:
        (folder / name).write_bytes(GOOD)
    (place.private / "er").mkdir()
    for other in ("b.png", "er/c.png"):
        (place.private / other).write_bytes(SECRET)
    index(place, folder)
    untouched = shutil.copytree(folder, place.folder / "untouched")
    assert place.answers(ids) == {name: [200, 200] for name in ids}
    for _ in range(tries("changed-after-indexing", short=8, long=400)):
        shutil.rmtree(folder)
        shutil.copytree(untouched, folder)
        victim = luck.choice(ids)
        change(folder, victim, place, luck)
        statuses = place.answers(ids)
        assert statuses[victim] == [404, 404]
        place.check(caplog.text)


def change(folder: Path, victim: str, place: Place, luck: Random) -> None:
    """Put something else where a photo was."""
    path = folder / victim
    ways = [
        "link",
        "chain",
        "relative",
        "text",
        "fifo",
        "folder",
        "loop",
        "header",
        *(["parent"] if "/" in victim else []),
    ]
    way = luck.choice(ways)
    path.unlink()
    if way == "link":
        path.symlink_to(place.secret)
    elif way == "chain":
        (folder / "step").symlink_to(place.secret)
        path.symlink_to(folder / "step")
    elif way == "relative":
        path.symlink_to(os.path.relpath(place.secret, path.parent))
    elif way == "parent":
        shutil.rmtree(path.parent)
        path.parent.symlink_to(place.private if victim.count("/") == 1 else place.private / "er")
    elif way == "text":
        path.write_bytes(place.key.read_bytes())
    elif way == "header":  # begins like a photo, and then is something else
        path.write_bytes(GOOD[:40] + CANARY * 10)
    elif way == "fifo":
        os.mkfifo(path)
    elif way == "folder":
        path.mkdir()
    else:
        path.symlink_to(path.name)


def test_a_link_that_changes_while_it_is_opened_leads_nowhere_else(place: Place) -> None:
    folder = place.folder / "photos"
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "secret.png").write_bytes(GOOD)
    index(place, folder)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (folder / "in").rename(folder / "was")
            (folder / "in").symlink_to(place.private)
            (folder / "in").unlink()
            (folder / "was").rename(folder / "in")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        with place.served() as client:
            answers = [client.get("/v1/items/in%2Fsecret.png/photo") for _ in range(150)]
    finally:
        stop.set()
        thread.join()
    assert {answer.status_code for answer in answers} <= {200, 404}
    assert all(answer.content == GOOD for answer in answers if answer.status_code == 200)


@pytest.mark.parametrize("form", ["xml", "tsv", "json"])
def test_a_remote_feed_reaches_its_own_host_and_public_ones_only(form: str, place: Place) -> None:
    """Its photos are those beside it; a private host, a file of this machine and a script are no photos."""
    private = f"http://127.0.0.1:{place.listener.port}/a.png"
    photos = [
        "a.png",
        private,
        str(place.secret),
        f"file://{place.secret}",
        "javascript:alert(1)",
        "../private/secret.png",
    ]

    def feed() -> bytes:
        if form == "xml":
            offers = [
                f"<item><g:id>{at}</g:id><g:image_link>{photo}</g:image_link></item>" for at, photo in enumerate(photos)
            ]
            namespace = 'xmlns:g="http://base.google.com/ns/1.0"'
            return f"<rss {namespace}><channel>{''.join(offers)}</channel></rss>".encode()
        if form == "tsv":
            return "\n".join(["id\timage_link", *(f"{at}\t{photo}" for at, photo in enumerate(photos))]).encode()
        products = [{"handle": str(at), "images": [{"src": photo}]} for at, photo in enumerate(photos)]
        return json.dumps({"products": products}).encode()

    def answer(path: str, times: int) -> Iterator[bytes]:
        return whole(GOOD if path.endswith("/shop/a.png") else feed() if "/feed." in path else SECRET)

    with RawServer(answer, host="127.0.0.3") as server:
        report = index(place, f"{server.address}/shop/feed.{form}")
        assert (report.added, sorted(one.id for one in report.skipped)) == (1, ["1", "2", "3", "4", "5"])
        assert place.answers(["0"]) == {"0": [200, 200]}
    assert place.listener.came == 0


def test_a_local_table_is_its_owners_and_shows_no_more_than_its_folder(place: Place) -> None:
    shop = place.folder / "shop"
    (shop / "photos").mkdir(parents=True)
    (shop / "photos" / "a.png").write_bytes(GOOD)
    (shop / "link.png").symlink_to(place.secret)
    (shop / "out").symlink_to(place.private)
    rows = [
        "photos/a.png",
        str(place.secret),
        "../private/secret.png",
        "link.png",
        "out/secret.png",
        "../private/key.pem",
    ]
    (shop / "table.csv").write_bytes(table_of(rows, "csv"))
    report = index(place, shop / "table.csv")
    assert (report.added, [one.id for one in report.skipped]) == (5, ["5"])
    assert place.answers(map(str, range(6))) == {"0": [200, 200]} | {str(at): [404, 404] for at in range(1, 6)}
    with place.served(roots=(str(place.private),)) as client:  # the operator allows it
        assert client.get("/v1/items/1/photo").content == SECRET


@pytest.mark.parametrize("form", ["original", "parquet"])
def test_an_import_shows_no_files_of_this_machine(form: str, place: Place, tiny_model: Path) -> None:
    folder = place.folder / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(GOOD)
    index(place, folder)
    with lookalike.open(place.gallery, model=str(tiny_model)) as shop:
        export_gallery(shop.gallery, place.folder / "out", format=form)
    (place.folder / "out" / "SHA256SUMS").unlink()  # who forges an export leaves them out
    if form == "original":
        (place.folder / "out" / "all_feat.list").write_text(f"{place.secret}\n")
    else:
        forge(place.folder / "out" / "gallery.parquet", photo="secret.png", root=str(place.private))
    shutil.rmtree(place.gallery)
    with LocalGallery(place.gallery, create=True) as gallery:
        import_folder(place.folder / "out", gallery)
        [item] = gallery.list()[1]
    assert item.location == str(place.secret)
    serving_model = None if form == "original" else str(tiny_model)
    context = open_context(str(place.gallery), settings=Settings(), model=serving_model)
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        for query in ("", "?size=16"):
            answer = client.get(f"/v1/items/{quote(item.id, safe='')}/photo{query}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "photo_gone")
            assert CANARY not in answer.content


def test_an_imported_address_leads_to_no_private_network(place: Place, tiny_model: Path) -> None:
    folder = place.folder / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(GOOD)
    index(place, folder)
    with lookalike.open(place.gallery, model=str(tiny_model)) as shop:
        export_gallery(shop.gallery, place.folder / "out", format="parquet")
        (place.folder / "out" / "SHA256SUMS").unlink()
        for root in ("", str(folder), f"http://127.0.0.1:{place.listener.port}"):
            address = f"http://127.0.0.1:{place.listener.port}/a.png"
            forge(place.folder / "out" / "gallery.parquet", photo=address, root=root)
            import_folder(place.folder / "out", shop.gallery)
            assert place.answers(["a.png"]) == {"a.png": [404, 404]}
    assert place.listener.came == 0


def forge(file: Path, **values: str) -> None:
    """Write other texts into the columns of an exported file."""
    table = parquet.read_table(file)
    for name, value in values.items():
        column = table.schema.get_field_index(name)
        table = table.set_column(column, table.schema.field(name), pa.array([value] * len(table)))
    parquet.write_table(table, file)


def test_an_allowed_network_can_be_reached(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        return whole(table_of(rows, "csv")) if path == "/table.csv" else whole(GOOD)

    with RawServer(answer) as table, RawServer(answer, host="127.0.0.3") as photos:
        rows = [f"{photos.address}/a.png"]
        report = index(place, f"{table.address}/table.csv")
        assert [one.reason for one in report.skipped] == [
            "its address leads into a private network, which only the gallery's owner may name"
        ]
        for allowed in ("127.0.0.3", "10.0.0.0/8, 127.0.0.0/8"):
            shutil.rmtree(place.gallery)
            monkeypatch.setenv("LOOKALIKE_ALLOWED_HOSTS", allowed)
            assert index(place, f"{table.address}/table.csv").added == 1
            assert place.answers(["0"]) == {"0": [200, 200]}


def test_a_token_in_the_address_of_a_table_is_kept_nowhere(
    place: Place, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[bytes] = []

    def answer(path: str, times: int) -> Iterator[bytes]:
        if path.startswith(("/table.csv", "/broken.csv")):
            seen.append(path.encode())
            body = table_of(["a.png", "b.png"], "csv") if path.startswith("/table") else b"id,image\na\n"
            return whole(body)
        return whole(GOOD)

    with RawServer(answer) as server:
        host = server.address.removeprefix("http://")
        address = f"http://user:{CANARY.decode()}@{host}/table.csv?sig={CANARY.decode()}#{CANARY.decode()}"
        assert index(place, address).added == 2
        again = index(place, address.replace(f"?sig={CANARY.decode()}", "?sig=another"))
        assert (again.added, again.unchanged) == (0, 2)
        with lookalike.open(place.gallery, model=str(place.model)) as shop:
            assert list(shop.gallery.info()["sources"]) == [f"{server.address}/table.csv"]
        for wrong in ("broken.csv", "table.csv/../x"):
            with pytest.raises(CatalogueError) as error:
                index(place, address.replace("table.csv", wrong))
            assert CANARY.decode() not in str(error.value)
        assert place.answers(["0"]) == {"0": [200, 200]}
        assert all(b"Authorization: Basic" in head for head in server.heads[:2])
    assert seen[0].endswith(CANARY)
    place.check(caplog.text)
    assert CANARY.decode() not in "".join(capfd.readouterr())
