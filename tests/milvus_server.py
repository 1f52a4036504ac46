"""A real Milvus server for tests: started once in a run, on a free port, with its data in a temporary folder.

Loading a collection takes the server some seconds, nearly all of them waiting, and every one that is loaded makes the
others slower. So galleries are made ahead of the tests that want them, and dropped behind them.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import uuid
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Final

import pytest

from lookalike.gallery.milvus import schema
from lookalike.gallery.milvus.address import parse
from lookalike.gallery.milvus.state import State

ROOT: Final = Path(__file__).parents[1]
SERVE: Final = Path(__file__).with_name("milvus_serve.py")
STARTING_S: Final = 300.0

QUICK: Final = (
    "proxy.timeTickInterval=100",  # milliseconds that a reader who must see all waits at most
    "queryCoord.checkInterval=100",
    "queryCoord.distPullInterval=100",
)
"""Settings that make a server of one user answer sooner, and change nothing else."""


class MilvusServer:
    """A server in a process of its own; see `milvus_serve.py`.

    Attributes:
        address: Of the server, such as `milvus://127.0.0.1:19530`.
        pid: Of the server itself.
    """

    def __init__(self, data: Path, *settings: str) -> None:
        self._data, self._settings = data, settings
        self._process: subprocess.Popen[str] | None = None
        self.address, self.pid = "", 0

    def start(self) -> None:
        """Start, or start again with what was there.

        Raises:
            pytest.fail.Exception: There is no server to start, or it does not come up.
        """
        python = interpreter()
        command = [str(python), str(SERVE), str(self._data), *QUICK, *self._settings]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        first: list[str] = []
        assert self._process.stdout is not None
        reading = Thread(target=lambda out: first.append(out.readline()), args=(self._process.stdout,), daemon=True)
        reading.start()
        reading.join(STARTING_S)
        if not first or not first[0]:
            self.stop()
            pytest.fail(f"the Milvus server did not start within {STARTING_S:g} s; its logs: {self._data / 'logs'}")
        said = json.loads(first[0])
        self.address, self.pid = f"milvus://127.0.0.1:{said['port']}", said["pid"]
        self._settings = (*[one for one in self._settings if "proxy_port" not in one], f"proxy_port={said['port']}")

    def kill(self) -> None:
        """End it at once, as when the power fails."""
        os.kill(self.pid, signal.SIGKILL)
        self.stop()

    def stop(self) -> None:
        """End it, by the end of its standard input."""
        if self._process is not None:
            self._process.communicate(timeout=60)
            self._process = None


def interpreter() -> Path:
    """The interpreter that has the `milvus` package.

    Raises:
        pytest.fail.Exception: There is none.
    """
    python = ROOT / os.environ.get("VENVS", ".venv") / "milvus" / "bin" / "python"
    if not python.exists():
        pytest.fail(f"these tests talk to a real Milvus server, and there is none at {python}; run: make milvus-server")
    return python


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilvusServer]:
    """A server that all tests share, each with collections of its own."""
    data = tmp_path_factory.mktemp("milvus")
    server = MilvusServer(data)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(data, ignore_errors=True)


class Stock:
    """Galleries on a server that nothing was added to, with their collections loaded.

    Args:
        server: Where they are.
        columns: Length of the rows that they are made for.
        ahead: How many are made before they are wanted.
    """

    def __init__(self, server: MilvusServer, *, columns: int, ahead: int = 6) -> None:
        self._server, self._columns = server, columns
        self._workers = ThreadPoolExecutor(ahead)
        self._made: deque[Future[str]] = deque(self._workers.submit(self._make) for _ in range(ahead))
        self._dropped: list[Future[None]] = []

    def take(self) -> str:
        """The address of one, which is then the caller's."""
        self._made.append(self._workers.submit(self._make))
        return self._made.popleft().result()

    def give_back(self, address: str) -> None:
        """Have it dropped."""
        self._dropped.append(self._workers.submit(self._drop, address))

    def close(self) -> None:
        """Make no more, and drop all that were made; raises what went wrong in dropping one."""
        for made in self._made:
            if not made.cancel():
                self.give_back(made.result())
        self._workers.shutdown()
        for dropped in self._dropped:
            dropped.result()

    def _make(self) -> str:
        address = f"{self._server.address}/stock_{uuid.uuid4().hex}"
        state = State(parse(address), create=True)
        schema.create(state.connection, columns=self._columns)
        state.connection.close()
        return address

    def _drop(self, address: str) -> None:
        state = State(parse(address), create=True)
        with state.connection.client(doing="dropping") as client:
            client.drop_collection(state.connection.collection)
        state.metadata_store.drop()
        state.connection.close()
