"""Runs commands and HTTP requests in processes that are killed, or whose disk fails, at a chosen operation on files."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import shutil
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
TOKEN = "a-token-that-nobody-guesses"
KILL, NOTHING = 0, -1
KILLED = -9
ALL = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of a run.

    Attributes:
        code: Of its end; KILLED when it was killed.
        operations: How many operations on files it did, when it came to its end.
        answers: Of HTTP requests, as far as they were given: status and body.
        said: On standard error.
    """

    code: int
    operations: int = 0
    answers: list[tuple[int, Any]] = field(default_factory=list)
    said: str = ""


class Broken:
    """Runs jobs below a folder, each in a process of its own that is forked from one in which all is imported.

    Args:
        library: Watches what is done to files.
        folder: Where.
        modules: To be imported besides those that search and serve.
    """

    def __init__(self, library: Path, folder: Path, *modules: str) -> None:
        self.folder = folder
        environment = os.environ | {"LD_PRELOAD": str(library), "DISK_ROOT": str(folder), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, *modules],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def command(
        self, *arguments: object, number: int = NOTHING, after: int = 0, times: int = ALL, log: Path | None = None
    ) -> Outcome:
        """Run `lookalike` with arguments.

        Args:
            arguments: Of the command line.
            number: KILL, or the number of the error that operations fail with.
            after: So many operations pass before.
            times: So many fail.
            log: Where all operations are noted.
        """
        return self._run({"arguments": [str(each) for each in arguments], "times": times}, number, after, log)

    def requests(
        self,
        gallery: Path,
        model: Path,
        asked: Sequence[dict[str, Any]],
        *,
        number: int = NOTHING,
        after: int = 0,
        healed: int = 0,
        log: Path | None = None,
    ) -> Outcome:
        """Serve a gallery and ask, one request after another.

        Args:
            gallery: What is served.
            model: Its model.
            asked: Method, path and what else httpx knows of each request; bodies as texts of latin-1.
            number: See `command`; from the first request on.
            after: See `command`.
            healed: So many of the last requests find the disk well again.
            log: See `command`.
        """
        job = {"gallery": str(gallery), "model": str(model), "asked": list(asked), "healed": healed}
        return self._run(job, number, after, log)

    def _run(self, job: dict[str, Any], number: int, after: int, log: Path | None) -> Outcome:
        assert self._process.stdin is not None and self._process.stdout is not None
        job |= {"number": number, "after": after, "log": None if log is None else str(log)}
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        return Outcome(told["code"], told["operations"], [(s, b) for s, b in told["answers"]], told["said"])

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def disk_watch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that watches what is done to files."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler to break off what is done to files")
    library = tmp_path_factory.mktemp("disk") / "disk_watch.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "disk_watch.c", "-ldl"], check=True)
    return library


@pytest.fixture
def broken(disk_watch: Path, tmp_path: Path) -> Iterator[Broken]:
    """Runs commands and requests on galleries in the folder `disk`."""
    (tmp_path / "disk").mkdir()
    runner = Broken(disk_watch, tmp_path / "disk")
    yield runner
    runner.close()


# What follows runs in the process that others are forked from.


def serve_jobs() -> None:
    """Fork a process for each job that comes in as a line of JSON, and say what became of it."""
    from lookalike.cli import commands  # noqa: F401

    for module in sys.argv[1:]:
        importlib.import_module(module)
    for line in sys.stdin:
        job = json.loads(line)
        reading, writing = os.pipe()
        said_reading, said_writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(said_writing, 2)
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
                code = do(job, writing)
            except BaseException:  # noqa: BLE001 - told to the test
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(writing)
        os.close(said_writing)
        with open(said_reading, errors="replace") as file, open(reading) as answers:  # noqa: PTH123 - these are numbers
            said = file.read()
            told = [json.loads(each) for each in answers if each.endswith("\n")]
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        count = next((each["operations"] for each in told if isinstance(each, dict)), 0)
        outcome = {"code": code, "said": said, "operations": count, "answers": [e for e in told if isinstance(e, list)]}
        print(json.dumps(outcome), flush=True)  # noqa: T201 - to the test


def do(job: dict[str, Any], told: int) -> int:
    """Do one job; what is told goes into a pipe, a line of JSON each."""
    disk = ctypes.CDLL(None)
    disk.disk_order.argtypes = [ctypes.c_int, ctypes.c_long, ctypes.c_long]
    if job["log"]:
        disk.disk_log(job["log"].encode())

    def tell(what: Any) -> None:
        os.write(told, json.dumps(what).encode() + b"\n")

    if "arguments" in job:
        from lookalike.cli import main

        disk.disk_order(job["number"], job["after"], job["times"])
        code = main(job["arguments"])
    else:
        code = ask(job, disk, tell)
    tell({"operations": disk.disk_count()})
    return code


def ask(job: dict[str, Any], disk: Any, tell: Any) -> int:
    """Serve, and ask."""
    from starlette.testclient import TestClient

    from lookalike.server.app import create_app
    from lookalike.server.settings import Settings
    from lookalike.server.startup import open_context

    context = open_context(job["gallery"], settings=Settings(), token=TOKEN.encode(), model=job["model"])
    with ExitStack() as closing:
        client = closing.enter_context(
            TestClient(create_app(context), raise_server_exceptions=False, base_url="http://127.0.0.1")
        )
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        disk.disk_order(job["number"], job["after"], ALL)
        for place, asked in enumerate(job["asked"]):
            if job["healed"] and place == len(job["asked"]) - job["healed"]:
                disk.disk_order(NOTHING, 0, 0)
            options = dict(asked)
            if "content" in options:
                options["content"] = options["content"].encode("latin-1")
            if "photo" in options:
                options["files"] = {"photo": ("q.png", options.pop("photo").encode("latin-1"))}
            answer = client.request(options.pop("method"), options.pop("path"), **options)
            kind = answer.headers.get("content-type", "")
            tell([answer.status_code, answer.json() if kind == "application/json" else None])
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    serve_jobs()
