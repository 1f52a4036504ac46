"""The TypeScript client: generated from the current document, checked by its compiler, run against a server."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript"
TOKEN = "a-token-for-the-tests"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the client, with its compiler."""
    tools = CLIENT / "node_modules"
    if not (tools / "installed").is_file():
        if os.environ.get("LOOKALIKE_NEEDS_NPM"):
            raise RuntimeError("the tools of the TypeScript client are missing: make client")
        pytest.skip("the tools of the TypeScript client are not installed; make client")
    copy = tmp_path_factory.mktemp("client") / "typescript"
    shutil.copytree(CLIENT, copy, ignore=shutil.ignore_patterns("node_modules", "dist"))
    (copy / "node_modules").symlink_to(tools)
    return copy


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(client: Path) -> Path:
    """The client, compiled."""
    run(client, "npm", "run", "--silent", "build")
    return client


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address of a server of drawn garments, and a photo of one of them."""
    folder = tmp_path_factory.mktemp("served")
    table = write_drawn(folder / "drawn", products=8, photos=2)
    with lookalike.open(folder / "drawn.gallery") as shop:
        shop.index(table)
        photo = Path(shop.gallery.list(limit=1)[1][0].location)
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o600)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", str(folder / "drawn.gallery")]
    command += ["--port", port, "--token-file", str(folder / "token")]
    endpoint = f"http://127.0.0.1:{port}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{endpoint}/readyz", timeout=5).close()
                break
            except (urllib.error.URLError, OSError):
                assert process.poll() is None, (folder / "log").read_text()
                time.sleep(0.1)
        yield endpoint, photo
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_document_is_that_of_the_server() -> None:
    """`make client` writes it."""
    document = run(ROOT, sys.executable, "tools/openapi.py", "/dev/stdout")
    assert document == (CLIENT / "openapi.json").read_text()


def test_the_types_are_those_of_the_document(client: Path, tmp_path: Path) -> None:
    generated = tmp_path / "schema.ts"
    run(client, "npx", "openapi-typescript", "openapi.json", "--output", str(generated))
    assert generated.read_text() == (CLIENT / "src" / "schema.ts").read_text()


def test_it_works_against_a_running_server(built: Path, served: tuple[str, Path]) -> None:
    endpoint, photo = served
    said = run(
        built,
        *("npm", "run", "--silent", "test"),
        LOOKALIKE_ENDPOINT=endpoint,
        LOOKALIKE_TOKEN=TOKEN,
        LOOKALIKE_PHOTO=str(photo),
    )
    assert "# fail 0" in said
    assert "# pass 7" in said


def test_the_package_holds_what_it_exports(built: Path) -> None:
    listed = run(built, "npm", "pack", "--dry-run", "--json", "--ignore-scripts")
    for name in ("dist/index.js", "dist/index.d.ts", "dist/schema.d.ts", "README.md"):
        assert f'"{name}"' in listed
    assert "test" not in listed
    assert "node_modules" not in listed
