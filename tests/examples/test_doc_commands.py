"""README.md and docs/: every command and every piece of Python in their blocks runs, from top to bottom of each page.

The examples of docs/http-api.md against a running server are those of `test_http_docs.py`.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from documented_commands import PAGES, ROOT, Step, commands_of, inline_commands, steps, steps_of
from documented_files import PREPARED

import lookalike
from lookalike.cli import main
from lookalike.cli.commands import command as command_tree
from store_servers import environment, forget_stores, s3_server

# Commands that are not run here, by page and pattern, and why.
NOT_RUN: dict[tuple[str, str], str] = {
    ("*", "pip install *"): "needs a package index; `.ci/run` installs what it tests",
    ("README.md", "make demo"): "`.ci/run` runs it",
    ("README.md", "make test"): "`.ci/run` runs it",
    ("docs/quickstart.md", "python3 -m venv *"): "makes an environment; `make` and `.ci/run` do",
    ("docs/http-api.md", "curl * > lookalike.json"): "begins the making of a client; the document is tested by its own",
    ("docs/http-api.md", "curl *cdn.shop.example*"): "needs a host of photos; `test_http_jobs.py` has one",
    ("docs/http-api.md", "curl *v1/jobs/*"): "needs the job of the command before",
    ("docs/http-api.md", "openapi-python-client *"): "needs a package that is not installed here",
    ("docs/component.md", "python -m http.server *"): "serves until it is stopped; the tests of the component serve it",
    ("docs/cluster.md", "python3 -m venv *"): "downloads a Milvus server; `make test-milvus` does",
    ("docs/cluster.md", "milvus/bin/milvus-server *"): "needs that server; `make test-milvus` starts one",
    ("docs/cluster.md", "*milvus://*"): "needs that server; `make test-milvus` runs all commands on one",
    ("docs/cluster.md", "curl *"): "asks that server",
    ("docs/garments.md", "lookalike train *"): "trains for an hour; the tests of finders train on drawn garments",
    ("docs/garments.md", "lookalike export *"): "needs what that has trained",
    (
        "docs/relevance.md",
        "lookalike calibrate shop.onnx *",
    ): "needs photos of three sorts; the tests of calibration draw some",
    ("docs/relevance.md", "lookalike tag *"): "needs a model with labels; the tests of tags have one",
    ("docs/research.md", "lookalike train cub*"): "needs the data set and a GPU; the tests of presets train on noise",
    ("docs/research.md", "lookalike evaluate CUB*"): "needs what that has trained",
    ("docs/losses.md", "*--to hard *"): "draws for minutes; the command before it draws less",
    ("docs/losses.md", "python bench/*"): "trains for an hour",
    ("docs/performance.md", "make bench*"): "measures for half an hour",
    (
        "docs/evaluation.md",
        "lookalike evaluate --table ours=*",
    ): "needs reports of several models; its tests write some",
    (
        "docs/papers.md",
        "lookalike evaluate FOLDER*",
    ): "needs a benchmark; the tests of the benchmarks run it on drawn ones",
    ("docs/papers.md", "lookalike evaluate DeepFashion2*"): "needs the data set; the tests of found boxes draw some",
    ("docs/ray.md", "*--ray *"): "needs a cluster; the tests of ray start one and index with it",
    ("docs/ray.md", "export *"): "is for a cluster of several machines",
    ("docs/ray.md", "ray *"): "starts and asks a cluster",
    ("docs/ray.md", "*many.gallery*"): "reads what the cluster has indexed",
    ("docs/object-storage.md", "python -m moto.server *"): "the test has started it, on another port",
    ("docs/object-storage.md", "export *"): "the test has set them, with that port",
    ("docs/operations.md", "python bench/*"): "takes minutes, and photos of another catalogue",
    ("docs/scale.md", "python bench/*"): "takes 11 minutes, 30 GB of disk and 16 GB of memory",
    ("docs/training.md", "accelerate launch *"): "needs two GPUs; tests train with two processes",
}

# Pages and commands that `make test-slow` runs: they train, or describe all photos by two models or from a store.
SLOW = (
    ("docs/fusion.md", "*"),
    ("docs/models.md", "*"),
    ("docs/object-storage.md", "*"),
    ("docs/training.md", "*"),
    ("docs/python.md", "*"),
    ("README.md", "*my-shop*"),
)

# Commands that end with another code than 0, as their page says.
ENDS_WITH = {
    ("docs/object-storage.md", "lookalike index s3://shop/broken.csv -g s3.gallery"): 3,
    ("docs/feeds.md", "lookalike index demo/catalogue/half.csv -g shop.gallery --source shop --prune"): 1,
}

# What stands for a reader's own files.
WORDS = {
    "FOLDER": "demo/catalogue/photos",
    "PHOTO": "demo/query.jpg",
    "SOURCE": "demo/catalogue/catalogue.csv",
    "G": "demo/drawn.gallery",
    "M": "default",
}

# Lines of shown output that tell of the day or the machine, and commands whose output is that of other data.
OF_THE_DAY = re.compile(r"\d (s|ms)[,;: ]|\d ms$|/home/me|\.\.\.|default@")
OTHER_DATA = (
    ("docs/evaluation.md", "lookalike evaluate --compare *"),
    ("docs/fusion.md", "*"),
    ("docs/training.md", "*"),
)

# Commands with figures of models and rankings that the page has trained; `is_near` compares them.
TRAINED = (
    ("docs/research.md", "lookalike sweep *"),
    ("docs/research.md", "lookalike evaluate *ours*"),
    ("docs/shop.md", "lookalike learn *"),
    ("docs/usage.md", "lookalike learn *"),
    ("docs/usage.md", "lookalike search *"),
)
# Commands with figures over thousands of matches, some of them so near each other that processors, which round sums
# differently, put them in another order; `is_nearly` compares them.
CLOSE = (("docs/evaluation.md", "lookalike evaluate *changed-words=*"),)
# What differs by far from machine to machine: a fingerprint, or an interval and the probability behind it.
NOT_NEAR = re.compile(r"@[0-9a-f]{8}|[-+]?\d+\.\d+ to [-+]?\d+\.\d+( +\d\.\d{4}$)?")
VALUE = re.compile(r"[-+]?\d+\.\d+")
SIZE = re.compile(r"(\d+\.\d) MB")


def is_near(printed: str, shown: str) -> bool:
    """Whether a line begins with the words of the one that a page shows, with its values to .1, percentages to 10."""
    printed, shown = (NOT_NEAR.sub("", line).rstrip() for line in (printed, shown))
    if not VALUE.sub("", printed).startswith(VALUE.sub("", shown)):
        return False
    pairs = zip(map(float, VALUE.findall(printed)), map(float, VALUE.findall(shown)), strict=False)
    return all(abs(one - other) <= (10 if max(one, other) > 1 else 0.1) for one, other in pairs)


def is_nearly(printed: str, shown: str) -> bool:
    """Whether a line begins with the words of the one that a page shows, with its values to .002."""
    if not VALUE.sub("", printed).startswith(VALUE.sub("", shown)):
        return False
    pairs = zip(map(float, VALUE.findall(printed)), map(float, VALUE.findall(shown)), strict=False)
    return all(abs(one - other) < 0.002 for one, other in pairs)


def begins(printed: str, shown: str) -> bool:
    """Whether a line begins with the one that a page shows, sizes in MB to .1: the paths of a folder are in them."""
    if not SIZE.sub("MB", printed).startswith(SIZE.sub("MB", shown)):
        return False
    pairs = zip(map(float, SIZE.findall(printed)), map(float, SIZE.findall(shown)), strict=False)
    return all(abs(one - other) < 0.15 for one, other in pairs)


FITS = ((TRAINED, is_near), (CLOSE, is_nearly))


def stands_in(table: Iterable[tuple[str, str]], page: str, text: str) -> bool:
    """Whether a command of a page is meant by a table of pages and patterns."""
    return any(at in ("*", page) and fnmatchcase(text, pattern) for at, pattern in table)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `lookalike demo` was run."""
    folder = tmp_path_factory.mktemp("documented")
    assert main(["demo", "--out", str(folder / "demo")]) == 0
    return folder


@dataclass
class Reader:
    """Follows a page in a folder of its own, from top to bottom.

    Attributes:
        page: Its path in the project.
        folder: Where its commands are run.
        capsys: Gives what they print.
        addresses: Addresses of the page, and where they are now.
        names: What Python code of the page finds.
    """

    page: str
    folder: Path
    capsys: pytest.CaptureFixture[str]
    addresses: dict[str, str]
    names: dict[str, Any]
    server: subprocess.Popen[str] | None = None
    reading: threading.Thread | None = None

    def follow(self, step: Step) -> None:
        """Run one step, and compare what it prints with what the page shows."""
        text = step.text
        for said, here in self.addresses.items():
            text = text.replace(said, here)
        if step.language == "python":
            exec(compile(text, self.page, "exec"), self.names)
            return
        words = [WORDS.get(word, word) for word in shlex.split(text)]
        if words[:2] == ["lookalike", "serve"]:
            self.serve(words)
        elif words[0] == "lookalike":
            words, file = (words[:-2], self.folder / words[-1]) if words[-2] == ">" else (words, None)
            self.capsys.readouterr()
            code = main(words[1:])
            printed = self.capsys.readouterr()
            if file is not None:
                file.write_text(printed.out)
            assert code == ENDS_WITH.get((self.page, step.text), 0), f"{step.text}\n{printed.err}"
            self.compare(step, printed.out + printed.err)
        else:
            text = text.replace("curl -s", "curl -s --fail-with-body")
            done = subprocess.run(["bash", "-euc", text], cwd=self.folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{step.text}\n{done.stderr}"
            self.compare(step, done.stdout)

    def compare(self, step: Step, printed: str) -> None:
        """Every line that the page shows was printed, but those of the day."""
        lines = [" ".join(line.split()) for line in printed.splitlines()]
        for shown in step.shown:
            wanted = " ".join(shown.partition("…")[0].split())
            if not (OF_THE_DAY.search(shown) or stands_in(OTHER_DATA, self.page, step.text)):
                fits = next((fit for table, fit in FITS if stands_in(table, self.page, step.text)), begins)
                assert any(fits(line, wanted) for line in lines), f"{step.text}\n{wanted}\n{printed}"

    def serve(self, words: list[str]) -> None:
        """Start a server that goes on until the page ends."""
        self.stop()
        self.server = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *words[1:], "--port", "0"],
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.server.stderr is not None
        for line in self.server.stderr:
            if found := re.search(r" at (http://127\.0\.0\.1:\d+)/", line):
                self.addresses["http://127.0.0.1:8000"] = found[1]
                # its log is a line for each request: a full pipe would stop it
                self.reading = threading.Thread(target=self.server.stderr.read, daemon=True)
                self.reading.start()
                return
        raise AssertionError("the server did not start")

    def stop(self) -> None:
        """Stop the server, if there is one."""
        if self.server is not None and self.reading is not None and self.server.stderr is not None:
            self.server.send_signal(signal.SIGTERM)
            self.server.wait(timeout=60)
            self.reading.join()
            self.server.stderr.close()


@pytest.fixture
def reader(
    request: pytest.FixtureRequest,
    drawn: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reader]:
    """A reader of one page, in a folder with what the page takes for granted."""
    page = request.param
    if shutil.which("curl") is None and any(step.text.startswith("curl") for step in runs_here(page)):
        pytest.skip("there is no curl here")
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    PREPARED.get(page, lambda folder: None)(tmp_path)
    items = [
        lookalike.Item(f"i{at}", photo=f"{at}.jpg", attributes={"category": "a", "colour": "b"}) for at in range(3)
    ]
    names = {"items": items, "rows": np.eye(3, dtype=np.float32), "lookalike": lookalike}
    following = Reader(page, tmp_path, capsys, {}, names)
    yield following
    following.stop()


def runs_here(page: str) -> list[Step]:
    """The steps of a page that are run here."""
    return [step for step in steps(page) if not stands_in(NOT_RUN, page, step.text)]


def is_slow(page: str) -> bool:
    """Whether a page has slow steps."""
    return any(stands_in(SLOW, page, step.text) for step in runs_here(page))


def is_quick(page: str) -> bool:
    """Whether a page has other steps."""
    return any(not stands_in(SLOW, page, step.text) for step in runs_here(page))


STORE = "docs/object-storage.md"


@pytest.mark.parametrize("reader", [*filter(is_quick, PAGES)], indirect=True, ids=str)
def test_every_quick_command_of_a_page_runs(reader: Reader) -> None:
    for step in runs_here(reader.page):
        if not stands_in(SLOW, reader.page, step.text):
            reader.follow(step)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("reader", [page for page in PAGES if is_slow(page) and page != STORE], indirect=True, ids=str)
def test_every_command_of_a_page_runs(reader: Reader) -> None:
    for step in runs_here(reader.page):
        reader.follow(step)


@pytest.fixture
def store(drawn: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """A store and a web server over the drawn catalogue; the page's addresses of the two, and theirs."""
    pytest.importorskip("s3fs")
    with s3_server() as address:
        for name, value in environment(address).items():
            monkeypatch.setenv(name, value)
        forget_stores()
        handler = partial(QuietHandler, directory=drawn / "demo" / "catalogue")
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as web:
            thread = threading.Thread(target=web.serve_forever)
            thread.start()
            yield {"http://127.0.0.1:5601": f"http://127.0.0.1:{web.server_port}"}
            web.shutdown()
            thread.join()
    forget_stores()


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def log_message(self, format: str, *args: object) -> None: ...


def put_broken_table(photos: Path) -> None:
    """The four photos that cannot be read, and their lines below the whole table."""
    import fsspec

    s3 = fsspec.filesystem("s3")
    table = s3.cat("shop/catalogue.csv").decode()
    lost = "".join(f"{name},photos/{name}.jpg{',' * 8}\n" for name in ("cut", "empty", "note", "none"))
    s3.pipe("shop/broken.csv", (table + lost).encode())
    s3.pipe("shop/photos/cut.jpg", next(photos.glob("*.jpg")).read_bytes()[:2000])
    s3.pipe("shop/photos/empty.jpg", b"")
    s3.pipe("shop/photos/note.jpg", b"a note")


@pytest.mark.slow
@pytest.mark.parametrize("reader", [STORE], indirect=True, ids=str)
def test_every_command_with_a_store_runs(store: dict[str, str], reader: Reader) -> None:
    reader.addresses.update(store)
    for step in runs_here(STORE):
        if "broken.csv" in step.text:
            put_broken_table(reader.folder / "demo" / "catalogue" / "photos")
        reader.follow(step)


def test_every_option_that_the_readme_recommends_runs(
    drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    table = (ROOT / "README.md").read_text(encoding="utf-8").partition("| to | add |")[2].partition("\n\n")[0]
    options = re.findall(r"`(--[^`]*)`", table)
    assert len(options) >= 10
    for option in options:
        photo = [] if option.startswith("--item") else ["demo/query.jpg"]
        index = ["--index", "kmeans"] if option.startswith("--probes") else []
        words = [*index, *shlex.split(option.replace("--probes n", "--probes 3"))]
        assert main(["search", *photo, "--gallery", "demo/drawn.gallery", *words]) == 0, option


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_have_commands_and_options_that_exist(page: str) -> None:
    for words in inline_commands(page):
        found = command_tree()
        while words and words[0] in getattr(found, "commands", {}):
            found = found.commands[words[0]]
            words = words[1:]
        known = {option for parameter in found.params for option in parameter.opts}
        assert not hasattr(found, "commands"), f"{page}: lookalike {' '.join(words)}"
        assert [word for word in words if word.startswith("-") and word not in known] == [], f"{page}: {found.name}"


def test_what_the_tables_name_is_still_in_the_pages() -> None:
    everything = [(page, step.text) for page in PAGES for step in steps(page)]
    named = [*NOT_RUN, *SLOW, *OTHER_DATA, *TRAINED, *CLOSE]
    assert [entry for entry in named if not any(stands_in([entry], *one) for one in everything)] == []
    assert [entry for entry in ENDS_WITH if entry not in everything] == []


def test_values_of_trained_models_are_near() -> None:
    shown = "map@r 0.7681 0.9051 +0.1370 +0.0750 to +0.2047 0.0002"
    assert is_near("map@r 0.7681 0.8451 +0.0770 -0.0750 to +0.1047 0.2002", shown)
    assert not is_near(shown.replace("0.9051", "0.8000"), shown)
    assert not is_near(shown.replace("map@r", "map"), shown)
    row = "ours & 2 & 95.0 $\\pm$ 1.2 (84.4 to 100.0) & 87.9 $\\pm$ 3.7 (54.3 to 100.0)"
    assert is_near(row.replace("95.0", "90.1").replace("54.3", "1.0"), row)
    assert not is_near(row.replace("87.9", "76.8"), row)
    assert is_near("1 +9.649 d020-3 Brown floral shirt, Shirt", "1 +9.648 d020-3 Brown floral shirt,")
    assert is_near("model ours@397c63c7; weights: deep 1", "model ours@00000000; weights: deep 1")


def test_values_that_one_match_can_change_are_near() -> None:
    shown = "precision@10[new value] 0.5675 0.5412 to 0.5944"
    assert is_nearly("precision@10[new value] 0.5673 0.5408 to 0.5942", shown)
    assert not is_nearly(shown.replace("0.5675", "0.5655"), shown)
    assert not is_nearly(shown.replace("0.5944", "0.5924"), shown)
    assert not is_nearly(shown.replace("new", "old"), shown)


PAGE = """
```
$ lookalike index a.csv \\
    --gallery g   # a remark
1 added
$ cat g/skipped.csv
```
```
pip install .     # first
lookalike serve --gallery g
id,image
```
```json
lookalike no command
```
```python
print(1)
```
"""


def test_commands_are_found_in_blocks() -> None:
    assert [*steps_of(PAGE)] == [
        Step("lookalike index a.csv --gallery g", shown=["1 added"]),
        Step("cat g/skipped.csv"),
        Step("pip install ."),
        Step("lookalike serve --gallery g", shown=["id,image"]),
        Step("print(1)\n", "python"),
    ]
    assert [step.text for step in commands_of("printf 'a' |\n  curl -s x\n")] == ["printf 'a' | curl -s x"]
