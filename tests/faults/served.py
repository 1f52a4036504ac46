"""A server in its own process as the target of attacks, and its memory and latency meanwhile."""

from __future__ import annotations

import contextlib
import io
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import httpx2 as httpx
import numpy as np
from PIL import Image

TOKEN = "a-token-that-nobody-guesses"
SETTINGS = """
upload_bytes = 1_000_000
pixels = 2_000_000
upload_seconds = 2.0
answer_seconds = 5.0
workers = 2
waiting = 2
"""


def picture(seed: int, *, side: int = 40, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, size=(4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(file, kind)
    return file.getvalue()


class Server:
    """`lookalike serve` in a process of its own."""

    def __init__(self, folder: Path, model: Path, settings: str = SETTINGS) -> None:
        self.gallery = folder / "shop.gallery"
        (folder / "token").write_text(TOKEN)
        (folder / "serve.toml").write_text(settings)
        options = ["--gallery", self.gallery, "--model", model, "--port", "0"]
        options += ["--token-file", folder / "token", "--config", folder / "serve.toml"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", "serve", *map(str, options)], stderr=subprocess.PIPE, text=True
        )
        self.log: list[str] = []
        assert self.process.stderr is not None
        first = self.process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", first)
        assert found, first + self.process.stderr.read()
        self.port = int(found[1])
        self._reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr or ()), daemon=True)
        self._reader.start()
        self.client = httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}", timeout=30, headers={"Authorization": f"Bearer {TOKEN}"}
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        for _ in range(100):
            with contextlib.suppress(httpx.TransportError):
                if self.client.get("/readyz").status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError("the server did not get ready")

    def search(self, photo: bytes, **fields: str) -> Any:
        return self.client.post("/v1/search", files={"photo": ("q", photo)}, data=fields)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def figure(self, name: str) -> int:
        """A figure that Linux keeps of the process: `VmHWM` and `VmRSS` in KiB, `Threads`."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]

    def files(self) -> int:
        """How many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def forget_peak(self) -> None:
        """Reset `VmHWM`."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(timeout=40)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code


def refused(answer: Any, status: int, code: str) -> str:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return str(answer.json()["error"]["message"])


LEAST = 8
"""Answers that an honest client waits for, however short the attack."""


class Honest:
    """A client that asks again and again, on new connections and on one that it keeps, while the server is attacked.

    Attributes:
        seconds: Of each answer.
        failures: What went wrong.
    """

    def __init__(self, server: Server) -> None:
        self.seconds: list[float] = []
        self.failures: list[str] = []
        self._port, self._stop = server.port, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Honest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        deadline = time.monotonic() + 30
        while len(self.seconds) < LEAST and time.monotonic() < deadline:
            time.sleep(0.01)
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        turn, kept = 0, HTTPConnection("127.0.0.1", self._port, timeout=30)
        while not self._stop.wait(0.02):
            turn += 1
            path = ("/v1/items/3.png", "/readyz")[turn % 2]
            asked = kept if turn % 3 else HTTPConnection("127.0.0.1", self._port, timeout=30)
            began = time.monotonic()
            try:
                asked.request("GET", path)
                answer = asked.getresponse()
                text = answer.read()
                if answer.status != 200:
                    self.failures.append(f"{path}: {answer.status} {text.decode()}")
            except (OSError, HTTPException) as error:
                self.failures.append(repr(error))
            self.seconds.append(time.monotonic() - began)
            if asked is not kept:
                asked.close()
        kept.close()

    @property
    def longest(self) -> float:
        """Seconds that the slowest answer took."""
        return max(self.seconds)
