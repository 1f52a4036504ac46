"""Processes of engines: each is started in the environment of its engine, and asked over a socket."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from types import TracebackType
from typing import Any

from engines import Engine

WORKER = Path(__file__).with_name("worker.py")
OFFLINE = ("unshare", "--map-current-user", "--net")
"""Command that starts a program without a network; not every system allows it."""

QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
"""Environment of all engines; telemetry is switched off."""


class EngineError(Exception):
    """An engine raised an error, ended or took too long."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """Starts processes of engines.

    Attributes:
        python: Interpreter with the engines of others.
        folder: Folder with `data/`, and a folder for each engine.
        seconds: Longest duration of one request.
        offline: Words before the command.
    """

    python: Path
    folder: Path
    seconds: float
    offline: tuple[str, ...]

    def start(self, engine: Engine, *, single: bool) -> EngineProcess:
        """Start a process, bound to one processor if `single`.

        Raises:
            EngineError: The engine cannot be imported.
        """
        address = self.folder / "socket"
        address.unlink(missing_ok=True)
        cores = sorted(os.sched_getaffinity(0))
        if single:
            cores = cores[-1:]
        interpreter = str(self.python if engine.peer else sys.executable)
        if not Path(interpreter).exists():
            raise EngineError(f"it is not installed, for there is no {interpreter}")
        place = self.folder / engine.name.lower().replace(" ", "-")
        command = [
            *self.offline,
            interpreter,
            str(WORKER),
            str(address),
            engine.adapter,
            str(self.folder / "data"),
            str(place),
        ]
        environment = {**os.environ, **QUIET, "OMP_NUM_THREADS": str(len(cores)), "RAYON_NUM_THREADS": str(len(cores))}
        if engine.peer:
            environment.pop("PYTHONPATH", None)
        with Listener(str(address)) as listener:
            process = subprocess.Popen(
                command,
                env=environment,
                stdout=sys.stderr,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )
            started = EngineProcess(process, self.seconds)
            try:
                started.connect(listener)
            except EngineError:
                started.close()
                raise
        return started


class EngineProcess:
    """A process of one engine.

    Args:
        process: The process.
        seconds: Longest duration of one request.
    """

    def __init__(self, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._process, self._seconds = process, seconds
        self._connection: Connection | None = None

    def connect(self, listener: Listener) -> None:
        """Wait until the process has imported its engine."""
        waiting = listener._listener._socket  # type: ignore[attr-defined]
        waiting.settimeout(0.2)
        while self._connection is None:
            try:
                self._connection = listener.accept()
            except TimeoutError:
                if (status := self._process.poll()) is not None:
                    raise EngineError(f"its process ended with status {status}") from None
        self._received()

    def ask(self, method: str, *given: object) -> Any:  # noqa: ANN401 - what the method returns
        """Call a method of the worker.

        Raises:
            EngineError: It raised an error, ended or took too long.
        """
        assert self._connection is not None
        try:
            self._connection.send((method, given))
        except OSError:
            raise EngineError(self._ended()) from None
        return self._received()

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _received(self) -> Any:  # noqa: ANN401
        assert self._connection is not None
        if not self._connection.poll(self._seconds):
            self._process.kill()
            raise EngineError(f"it took longer than {self._seconds:g} s")
        try:
            result, error = self._connection.recv()
        except (EOFError, OSError):
            raise EngineError(self._ended()) from None
        if error is not None:
            raise EngineError(error)
        return result

    def _ended(self) -> str:
        try:
            return f"its process ended with status {self._process.wait(timeout=20)}"
        except subprocess.TimeoutExpired:
            return "its process closed the connection"


def offline_command() -> tuple[str, ...]:
    """Return the words that start a program without a network; none where the system does not allow it."""
    try:
        done = subprocess.run([*OFFLINE, "true"], capture_output=True, check=False)
    except FileNotFoundError:
        return ()
    return OFFLINE if done.returncode == 0 else ()
