"""Faults between a command and a Milvus server: one clear line, and no item lost or duplicated."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from time import monotonic

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import GalleryUnreachableError, MismatchError, UsageError
from lookalike.gallery.milvus.address import TOKEN, TOKEN_FILE
from lookalike.gallery.milvus.gallery import MilvusGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer.copy import copy_gallery
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item
from milvus_server import MilvusServer

pytestmark = pytest.mark.milvus

SPACES = (Space("deep", 24, "tiny@1"),)
ITEMS = 3000


def vectors(count: int) -> dict[str, Float32]:
    return {"deep": unit_rows(np.random.default_rng(0).standard_normal((count, 24), dtype=np.float32))}


def items(count: int) -> list[Item]:
    return [Item(id=f"item {number}", photo=f"{number}.jpg", attributes={"price": number}) for number in range(count)]


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a command says when it fails, and nothing else."""
    capsys.readouterr()
    assert main(list(arguments)) in (1, 2)
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1), shown
    return shown.err


@pytest.fixture
def address(milvus_server: MilvusServer) -> str:
    return f"{milvus_server.address}/faults_{uuid.uuid4().hex}"


# No server, or another one.


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    line = told(capsys, "gallery", "info", "-g", f"milvus://127.0.0.1:{port}/shop")
    assert f"Milvus at 127.0.0.1:{port} cannot be reached" in line


def test_somebody_listens_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        line = told(capsys, "gallery", "info", "-g", f"milvus://127.0.0.1:{port}/shop?timeout=2")
    assert f"Milvus at 127.0.0.1:{port}" in line


def test_a_collection_of_another_program_is_left_alone(
    milvus_server: MilvusServer, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from pymilvus import MilvusClient

    name = address.rpartition("/")[2]
    client = MilvusClient(milvus_server.address.replace("milvus", "http", 1))
    client.create_collection(name, 8)
    assert "is a collection of another program" in told(capsys, "gallery", "info", "-g", address)
    with pytest.raises(MismatchError, match="of another program"):
        open_gallery(address, create=True)
    assert client.describe_collection(name)["fields"][1]["params"]["dim"] == 8
    assert not client.has_collection(f"{name}_facts")
    client.close()


def test_a_collection_that_another_program_has_changed_is_refused(milvus_server: MilvusServer, address: str) -> None:
    from pymilvus import MilvusClient

    with open_gallery(address, create=True) as gallery:
        gallery.add(items(3), vectors(3), spaces=SPACES)
    name = address.rpartition("/")[2]
    client = MilvusClient(milvus_server.address.replace("milvus", "http", 1))
    client.drop_collection(name)
    client.create_collection(name, 24)
    client.close()
    with open_gallery(address) as gallery, pytest.raises(MismatchError, match="has other fields than a gallery") as no:
        gallery.search(vectors(1), SearchRequest())
    assert "\n" not in str(no.value)


def test_vectors_of_other_lengths_or_makers_are_refused(address: str) -> None:
    with open_gallery(address, create=True) as gallery:
        gallery.add(items(3), vectors(3), spaces=SPACES)
        for wrong in (Space("deep", 12, "tiny@1"), Space("deep", 24, "other@2"), Space("shape", 24, "tiny@1")):
            rows = np.ones((3, wrong.dimension), dtype=np.float32)
            with pytest.raises(MismatchError, match="the gallery has the spaces deep"):
                gallery.add(items(3), {wrong.name: rows}, spaces=[wrong])
        with pytest.raises(MismatchError):
            gallery.search({"deep": np.ones((1, 12), dtype=np.float32)}, SearchRequest())
        assert len(gallery) == 3


# Secrets and certificates.


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and what it has signed for a server and for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ["openssl", "req", "-newkey", "rsa:2048", "-nodes"]
    steps = [[*key, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=Tests"]]
    (folder / "names").write_text("subjectAltName=DNS:shop.example,IP:127.0.0.1")
    for name in ("server", "client"):
        steps.append([*key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"])
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        steps.append(["openssl", "x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed])
    for step in steps:
        subprocess.run(step, cwd=folder, check=True, capture_output=True)
    return folder


def guarded(tmp_path: Path, certificates: Path, *, mode: int) -> MilvusServer:
    """A server that wants a user, and certificates: mode 1 shows its own, 2 wants the client's too."""
    files = {"serverPemPath": "server.pem", "serverKeyPath": "server.key", "caPemPath": "ca.pem"}
    return MilvusServer(
        tmp_path / "guarded",
        "common.security.authorizationEnabled=true",
        f"common.security.tlsMode={mode}",
        *(f"tls.{name}={certificates / file}" for name, file in files.items()),
    )


@pytest.mark.parametrize("mode", [1, 2])
def test_users_and_certificates_are_checked(
    tmp_path: Path, certificates: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    server = guarded(tmp_path, certificates, mode=mode)
    server.start()
    try:
        place = server.address.replace("milvus://", "milvus+tls://") + "/shop?"
        trusted = f"{place}ca={certificates / 'ca.pem'}"
        own = f"&cert={certificates / 'client.pem'}&key={certificates / 'client.key'}" if mode == 2 else ""
        with pytest.raises(GalleryUnreachableError, match=r"begins with milvus\+tls://"):
            open_gallery(f"{server.address}/shop")
        for wrong in (place, f"{place}ca={certificates / 'client.pem'}", f"{trusted}&server-name=others.example"):
            with pytest.raises(UsageError, match="do not trust each other's certificates"):
                open_gallery(wrong + own)
        with pytest.raises(UsageError, match=r"a certificate cannot be read: .*nowhere\.pem"):
            open_gallery(f"{place}ca={certificates / 'nowhere.pem'}{own}")
        if mode == 2:
            with pytest.raises((UsageError, GalleryUnreachableError)):
                open_gallery(trusted)
        for token in (None, "root:wrong"):
            if token is not None:
                monkeypatch.setenv(TOKEN, token)
            with pytest.raises(UsageError, match=f"refuses the user; put user:password.*{TOKEN}"):
                open_gallery(trusted + own)
        file = tmp_path / "token"
        file.write_text("root:Milvus\n")
        monkeypatch.setenv(TOKEN_FILE, str(file))
        with open_gallery(f"{trusted}{own}&server-name=shop.example", create=True) as gallery:
            gallery.add(items(3), vectors(3), spaces=SPACES)
            assert len(gallery) == 3
        monkeypatch.delenv(TOKEN_FILE)
        with open_gallery(f"{trusted}{own}&token-file={file}") as gallery:
            assert len(gallery) == 3
    finally:
        server.stop()


# A server that stands still, or dies.


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server that may be killed."""
    server = MilvusServer(tmp_path_factory.mktemp("doomed"))
    server.start()
    yield server
    server.stop()


def test_a_server_that_stands_still_is_not_waited_for(doomed: MilvusServer) -> None:
    with open_gallery(f"{doomed.address}/still?timeout=2&consistency=strong", create=True) as gallery:
        gallery.add(items(20), vectors(20), spaces=SPACES)
        os.kill(doomed.pid, signal.SIGSTOP)
        try:
            started = monotonic()
            with pytest.raises(GalleryUnreachableError) as no:
                gallery.search(vectors(1), SearchRequest())
            assert monotonic() - started < 20
            assert "\n" not in str(no.value)
        finally:
            os.kill(doomed.pid, signal.SIGCONT)
        assert gallery.search(vectors(1), SearchRequest(k=1)).rows.shape == (1, 1)


def index(source: Path, model: Path) -> Callable[[str, Callable[[], None]], int]:
    """Index a table; `halfway` is called when some are there."""

    def load(address: str, halfway: Callable[[], None]) -> int:
        with lookalike.open(address, model=str(model)) as shop:
            report = shop.index(
                source / "catalogue.csv", progress=lambda so_far, total: so_far.added > 1000 and halfway()
            )
        return report.added

    return load


def copy(source: Path) -> Callable[[str, Callable[[], None]], int]:
    """Copy a gallery; `halfway` is called when some are there."""

    def load(address: str, halfway: Callable[[], None]) -> int:
        with open_gallery(str(source)) as shop, open_gallery(address, create=True) as into:
            return copy_gallery(shop, into, progress=lambda done, total: halfway()).written

    return load


@pytest.mark.parametrize("how", ["index", "copy"])
def test_a_server_killed_in_the_middle_of_a_load_ends_with_every_item_exactly_once(
    doomed: MilvusServer, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr("lookalike.gallery.milvus.writes.AT_ONCE_BYTES", 1 << 16)  # hundreds of writes
    if how == "index":
        monkeypatch.setattr("lookalike.ingest.pipeline.WRITE_ROWS", 512)
        for number in range(ITEMS):  # each of its own content: known ones would be copied, too fast for the kill
            Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(tmp_path / f"{number}.bmp")
        lines = [f"item {number},{number}.bmp,{number}" for number in range(ITEMS)]
        (tmp_path / "catalogue.csv").write_text("\n".join(["id,image,price", *lines]))
        load = index(tmp_path, tiny_model)
    else:
        with open_gallery(str(tmp_path / "shop.gallery"), create=True) as shop:
            shop.add(items(ITEMS), vectors(ITEMS), spaces=SPACES, source="table")
        load = copy(tmp_path / "shop.gallery")
    address = f"{doomed.address}/{how}"
    killing: list[Timer] = []

    def kill_soon() -> None:
        if not killing:
            killing.append(Timer(0.05, doomed.kill))
            killing[0].start()

    with pytest.raises(GalleryUnreachableError) as broken:
        load(f"{address}?timeout=5", kill_soon)
    assert "\n" not in str(broken.value)
    killing[0].join()
    monkeypatch.undo()
    doomed.start()
    assert address.startswith(doomed.address)
    with open_gallery(f"{address}?consistency=strong") as gallery:
        assert isinstance(gallery, MilvusGallery)
        there = len(gallery)
        assert 0 < there < ITEMS
        assert load(f"{address}?consistency=strong", lambda: None) == ITEMS - there
        assert len(gallery) == ITEMS
        assert {item.id for item in gallery.list(limit=None)[1]} == {item.id for item in items(ITEMS)}
        health = gallery.verify()
        assert (health.items, health.problems) == (ITEMS, ())
