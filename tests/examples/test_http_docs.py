"""docs/http-api.md: all examples run against the sample and give the shown results."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import changed_photo, make_products, write_drawn
from lookalike.cli.serve import listen
from lookalike.server.errors import ERROR_CODES
from lookalike.server.run import make_server
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context

TEXT = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text(encoding="utf-8")
TOKEN = "0123456789abcdef0123456789abcdef"
HERE = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """What `lookalike demo` leaves, served; the folder that it was called in, and the address."""
    folder = tmp_path_factory.mktemp("docs")
    with lookalike.open(folder / "demo" / "drawn.gallery") as shop:
        shop.index(write_drawn(folder / "demo" / "catalogue"))
    changed_photo(make_products(60)[12]).save(folder / "demo" / "query.jpg", quality=90)
    (folder / "token").write_text(TOKEN)
    context = open_context(str(folder / "demo" / "drawn.gallery"), settings=Settings(), token=TOKEN.encode())
    with listen("127.0.0.1", 0) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = make_server(context)
        thread = threading.Thread(target=lambda: server.run(sockets=[listening]))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield folder, address
        server.should_exit = True
        thread.join()


def test_every_curl_example_runs(demo: tuple[Path, str]) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    folder, address = demo
    shown = []
    for block in blocks("bash"):
        text = block.replace(HERE, address).replace("curl -s", "curl -s --fail-with-body")
        done = subprocess.run(["bash", "-euc", text], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        assert '"error":{"code"' not in done.stdout or "none.jpg" in block
        shown.append(done.stdout)
    assert len(shown) >= 6
    answer, report = (json.loads(block) for block in blocks("json")[:2])
    first = json.loads(shown[0])
    assert first["query"].pop("id") not in ("", answer["query"].pop("id", None))  # each search has its own
    assert first["query"] == answer["query"]
    assert [match["id"] for match in first["matches"]] == [match["id"] for match in answer["matches"]]
    assert [match["scores"].keys() for match in first["matches"]] == [
        match["scores"].keys() for match in answer["matches"]
    ]
    assert any(
        json.loads(line) == report
        for text in shown
        for line in text.replace("}{", "}\n{").splitlines()
        if '"added"' in line
    )


def test_every_python_example_runs(demo: tuple[Path, str]) -> None:
    folder, address = demo
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block.replace(HERE, address)], cwd=folder, capture_output=True, text=True, check=True
        )
        assert done.stdout


def test_the_tables_are_complete() -> None:
    for code, kind in ERROR_CODES.items():
        assert re.search(rf"^\| {kind.status} \|.*`{code}`", TEXT, flags=re.MULTILINE), code
    [settings] = blocks("toml")
    assert settings.strip() == defaults()


def defaults() -> str:
    """The settings as a TOML file says them; tables have pages of their own."""
    from dataclasses import MISSING, fields

    rows = []
    for field in fields(Settings):
        if field.default_factory is not MISSING:
            continue
        value = field.default
        shown = json.dumps(list(value)) if isinstance(value, tuple) else json.dumps(value)
        rows.append(f"{field.name} = {shown}")
    return "\n".join(rows)
