"""A process with one engine: it builds, opens and searches as the benchmark asks over a socket.

It imports NumPy and the engine only, so that memory is the engine's own.
"""

from __future__ import annotations

import os
import resource
import sys
import time
import traceback
from importlib import import_module, metadata
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy as np

from engines import Adapter, Passing


class Worker:
    """Answers the requests of the benchmark.

    Args:
        adapter: Module and class of the adapter.
        data: Folder with `rows.npy`, `queries.npy` and `lots.npy`.
        folder: Folder of the engine.
    """

    def __init__(self, adapter: str, data: Path, folder: Path) -> None:
        module, name = adapter.split(":")
        self._engine: Adapter = getattr(import_module(module), name)()
        self._data, self._folder = data, folder
        self._drawn = np.load(data / "queries.npy")
        self._queries: list[Any] = []

    def version(self, library: str) -> str:
        """Version of a distribution."""
        return metadata.version(library)

    def build(self) -> dict[str, float]:
        """Build, and return the seconds and bytes that it took."""
        rows, lots = np.load(self._data / "rows.npy"), np.load(self._data / "lots.npy")
        self._folder.mkdir(parents=True)
        wall, processor = time.perf_counter(), time.process_time()
        self._engine.build(self._folder, rows, lots)
        took = {"wall_s": time.perf_counter() - wall, "processor_s": time.process_time() - processor}
        size = sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())
        return {**took, "bytes": size, "peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}

    def open(self, effort: int) -> dict[str, float]:
        """Open, and search once: milliseconds until each is done, of which the engine is loaded already."""
        began = time.perf_counter()
        self._engine.open(self._folder)
        opened = time.perf_counter()
        self._engine.search(self._engine.prepared(self._drawn[0]), effort, None)
        answered = time.perf_counter()
        self._queries = [self._engine.prepared(query) for query in self._drawn]
        return {"open_ms": 1000 * (opened - began), "answer_ms": 1000 * (answered - began)}

    def search(self, numbers: list[int], effort: int, passing: Passing, warm: list[int]) -> list[Any]:
        """Search one query after the other.

        Returns:
            The answer to each query, and milliseconds of wall and of processor time.
        """
        for number in warm:
            self._engine.search(self._queries[number], effort, passing)
        found = []
        for number in numbers:
            query = self._queries[number]
            wall, processor = time.perf_counter(), time.process_time()
            answer = self._engine.search(query, effort, passing)
            used = time.process_time() - processor
            found.append((answer, 1000 * (time.perf_counter() - wall), 1000 * used))
        return found

    def memory(self) -> dict[str, int]:
        """Anonymous memory of this process, and resident pages of mapped files, in bytes."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        found = {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines if line.startswith("Rss")}
        return {"anonymous": found["RssAnon"], "mapped": found["RssFile"]}


def answer(connection: Connection, worker: Worker) -> None:
    """Answer requests until there are no more."""
    while True:
        try:
            method, given = connection.recv()
        except EOFError:
            return
        try:
            result, error = getattr(worker, method)(*given), None
        except Exception as failure:  # noqa: BLE001 - an engine may raise anything, and the page tells it
            traceback.print_exc()
            result, error = None, f"{type(failure).__name__}: {failure}"
        connection.send((result, error))


def main(address: str, adapter: str, data: str, folder: str) -> None:
    """Connect to the benchmark, and tell it whether the engine can be imported."""
    with Client(address) as connection:
        try:
            worker = Worker(adapter, Path(data), Path(folder))
        except Exception as failure:  # noqa: BLE001 - a library that is missing or does not load here
            traceback.print_exc()
            connection.send((None, f"{type(failure).__name__}: {failure}"))
            return
        connection.send((os.getpid(), None))
        answer(connection, worker)


if __name__ == "__main__":
    main(*sys.argv[1:])
