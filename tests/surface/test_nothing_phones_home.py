"""No command looks up a name, connects to another machine or leaves an identifier in the home folder.

A small library in C is loaded into each process before all others, because the libraries that report home do so from
threads of their own that Python does not see.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from small_shop import Shop

import lookalike
from lookalike import telemetry
from lookalike.catalogue.sample.drawn import write_drawn
from tiny_clip import make_clip, write_folder

HERE = Path(__file__).parent
REPORTS_AFTER_S = 4.0
"""ONNX Runtime writes its identifier at once, and begins to upload some seconds later."""

TRAINING = """
name = "tiny"
products = 4
photos = 2
workers = 0
[network]
backbone = "mobilenetv3_small_050"
embedding = 8
[input]
height = 32
width = 32
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
dev_photos = 8
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-2
"""


@pytest.fixture(scope="session")
def watching_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that is loaded first, built here."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler to watch the network of native libraries")
    library = tmp_path_factory.mktemp("watch") / "network_watch.so"
    source = HERE / "network_watch.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


class Watched:
    """Runs programs with an empty home folder, and with every library's own settings as they are by default."""

    def __init__(self, folder: Path, library: Path) -> None:
        self.folder, self.home, self.log = folder, folder / "home", folder / "network.log"
        self.home.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(lookalike.__file__).parents[1]),
            "HOME": str(self.home),
            "LD_PRELOAD": str(library),
            "WATCH_LOG": str(self.log),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *arguments: str | Path) -> None:
        done = subprocess.run(
            [sys.executable, *arguments], env=self.environment, cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def lookalike(self, *arguments: str | Path) -> None:
        self.run("-m", "lookalike", *arguments)

    def met(self) -> list[str]:
        """Whom the programs looked up or connected to."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def left(self) -> list[str]:
        """What they left in the home folder; what matplotlib knows of the system's fonts is no identifier."""
        files = (path.relative_to(self.home) for path in self.home.rglob("*") if not path.is_dir())
        return sorted(str(path) for path in files if path.parts[1:2] != ("matplotlib",))


@pytest.fixture
def watched(tmp_path: Path, watching_library: Path) -> Watched:
    (tmp_path / "watched").mkdir()
    return Watched(tmp_path / "watched", watching_library)


def test_the_watch_sees_look_ups_connections_and_datagrams(watched: Watched) -> None:
    watched.run(
        "-c",
        "import socket, contextlib\n"
        "for call in (\n"
        "    lambda: socket.getaddrinfo('home.invalid', 80),\n"
        "    lambda: socket.create_connection(('192.0.2.1', 80), timeout=0.01),\n"
        "    lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.2', 53)),\n"
        "    lambda: socket.create_connection(('127.0.0.1', 9), timeout=0.01),\n"
        "):\n"
        "    with contextlib.suppress(OSError):\n"
        "        call()\n",
    )
    words = [line.rpartition(" (")[0] for line in watched.met()]
    assert words == ["looks up home.invalid", "connects to 192.0.2.1", "sends to 192.0.2.2"]


@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_indexing_and_searching_report_to_no_one(watched: Watched, shop: Shop, runtime: str) -> None:
    gallery = watched.folder / "new.gallery"
    watched.lookalike("index", shop.table, "--gallery", gallery, "--runtime", runtime)
    watched.lookalike("search", shop.photo("red-0"), "--gallery", gallery, "--runtime", runtime, "--json")
    watched.lookalike("gallery", "verify", "--gallery", gallery)
    assert (watched.met(), watched.left()) == ([], [])


def wait_for_address(said: Path, server: subprocess.Popen[bytes]) -> str:
    """The address that a server says it listens at."""
    while server.poll() is None:
        if found := re.search(r"http://\S+/", said.read_text(encoding="utf-8")):
            return found[0]
        time.sleep(0.05)
    raise AssertionError(said.read_text(encoding="utf-8"))


def test_a_server_reports_to_no_one(watched: Watched, shop: Shop) -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", str(shop.gallery), "--port", "0"]
    said = watched.folder / "said.txt"
    with said.open("w") as file, subprocess.Popen(command, env=watched.environment, stderr=file) as server:
        try:
            address = wait_for_address(said, server)
            until = time.monotonic() + REPORTS_AFTER_S
            while time.monotonic() < until:
                for path in ("readyz", "v1/facets", "", "metrics", "v1/items/red-0/photo"):
                    urllib.request.urlopen(address + path, timeout=30).read()
                time.sleep(0.2)
        finally:
            server.terminate()
    assert (watched.met(), watched.left()) == ([], [])


def test_evaluating_reports_to_no_one(watched: Watched, shop: Shop) -> None:
    pytest.importorskip("matplotlib")
    watched.lookalike("evaluate", shop.table, "--gallery", shop.gallery, "--report", watched.folder / "report")
    assert (watched.met(), watched.left()) == ([], [])


@pytest.mark.slow
def test_training_and_exporting_report_to_no_one(watched: Watched) -> None:
    write_drawn(watched.folder / "sample", products=12, photos=2)
    (watched.folder / "tiny.toml").write_text(TRAINING, encoding="utf-8")
    best = "runs/tiny/best.safetensors"
    watched.lookalike("train", "tiny.toml")
    watched.lookalike("export", best, "--onnx", "tiny.onnx", "--calibrate", "sample/catalogue.csv")
    watched.lookalike("index", "sample/catalogue.csv", "--gallery", "g", "--model", best, "--runtime", "torch")
    clip = write_folder(watched.folder / "clip", make_clip())
    watched.lookalike("export", clip, "--onnx", "clip.onnx")
    assert (watched.met(), watched.left()) == ([], [])


def test_importing_any_module_throws_every_switch_first(watched: Watched) -> None:
    watched.run(
        "-c",
        "import os, sys\n"
        "import lookalike.types\n"
        f"assert {dict(telemetry.SWITCHES)!r}.items() <= os.environ.items()\n"
        f"assert all(name in sys.modules and sys.modules[name] is None for name in {telemetry.LEFT_OUT!r})\n"
        "import openvino\n",
    )
    assert (watched.met(), watched.left()) == ([], [])
