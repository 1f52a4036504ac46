"""examples/: every script runs on a drawn catalogue; the notebooks have a test of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import changed_photo, make_products, write_drawn
from lookalike.usage.learning import learn

EXAMPLES = Path(__file__).parents[2] / "examples"
PRODUCTS, PHOTOS = 30, 2


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo`, as `lookalike demo` leaves it, of fewer products."""
    folder = tmp_path_factory.mktemp("examples")
    table = write_drawn(folder / "demo" / "catalogue", products=PRODUCTS, photos=PHOTOS)
    with lookalike.open(folder / "demo" / "drawn.gallery") as shop:
        shop.index(table)
    changed_photo(make_products(PRODUCTS)[12]).save(folder / "demo" / "query.jpg", quality=90)
    return folder


@contextmanager
def serving(sample: Path, *options: str) -> Iterator[str]:
    """The address of a server over the sample."""
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", "demo/drawn.gallery", "--port", "0"]
    with subprocess.Popen([*command, *options], cwd=sample, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        found = next(filter(None, (re.search(r" at (http://\S+)/", line) for line in server.stderr)))
        yield found[1]
        server.terminate()
        server.communicate(timeout=60)


@pytest.fixture
def address(sample: Path) -> Iterator[str]:
    with serving(sample) as address:
        yield address


def run(name: str, *arguments: str, folder: Path) -> str:
    """What an example prints."""
    command = [sys.executable, str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_search_folder(sample: Path) -> None:
    printed = run("search_folder.py", "demo/catalogue/photos", "demo/query.jpg", folder=sample)
    assert printed.startswith(f"{PRODUCTS * PHOTOS} photos added, 0 unchanged, 0 skipped\n1. d013-")


def test_search_array(sample: Path) -> None:
    lines = run("search_array.py", "demo/drawn.gallery", "demo/query.jpg", folder=sample).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["whole", "middle", "mirrored"]
    assert lines[0].startswith("whole: d013-") and lines[2].startswith("mirrored: d013-")


def test_http_client(sample: Path, address: str) -> None:
    printed = run("http_client.py", address, folder=sample).splitlines()
    assert printed[:2] == ["like d001-1:", printed[1]] and printed[1].startswith("1. d001-2  score 0.")
    assert printed[-1] == "status 400: bad_filter"


def test_simulated_shoppers(sample: Path) -> None:
    """Shoppers come and click, and there is something to learn from."""
    (sample / "usage.toml").write_text("events = true\n")
    with serving(sample, "--config", "usage.toml") as address:
        printed = run("simulated_shoppers.py", address, "60", "1", folder=sample)
    assert re.fullmatch(r"60 shoppers, [3-9][0-9] events\n", printed), printed
    found = learn(sample / "demo" / "drawn.gallery", dry_run=True)
    assert found.learned_on + found.judged_by == 60 and found.wanted > 30


def test_hit_rate(sample: Path) -> None:
    figures = re.findall(r"hit_rate@\d (\d\.\d+)", run("hit_rate.py", "demo/catalogue/catalogue.csv", folder=sample))
    first, within = ([float(value) for value in part] for part in (figures[::2], figures[1::2]))
    assert len(first) == 3 and all(one <= five for one, five in zip(first, within, strict=True))
    assert first[0] > first[1], "shape tells these products apart better than colour"


def test_shop(sample: Path) -> None:
    """Its feeds; the walk of docs/shop.md uses them, and the tests of the component its page."""
    printed = run("shop/feed.py", "demo/catalogue", folder=sample)
    assert len(re.findall(r"feed-2026-11-2[89]\.csv: \d+ photos of \d+ products\n", printed)) == 2
    feeds = [path.read_text().splitlines() for path in sorted((sample / "demo" / "catalogue").glob("feed-*.csv"))]
    assert [len(lines) - 1 for lines in feeds] == [(PRODUCTS - 6) * PHOTOS, (PRODUCTS - 3) * PHOTOS]
    assert EXAMPLES.joinpath("shop", "index.html").is_file()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_train_small(sample: Path) -> None:
    printed = run("train_small.py", "demo/catalogue/catalogue.csv", "demo/query.jpg", "1", folder=sample)
    assert re.search(r"^1\. d\d{3}-\d  score 0\.\d{3}$", printed, flags=re.MULTILINE)


def test_every_example_is_in_the_readme_and_is_run_here() -> None:
    names = {path.name for path in EXAMPLES.iterdir() if path.name not in ("README.md", "__pycache__")}
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    here = Path(__file__).read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([\w.]+)` \|", text, flags=re.MULTILINE)) == names
    scripts = [name for name in sorted(names) if not name.endswith(".ipynb")]  # test_example_notebooks.py runs these
    assert [name for name in scripts if f'"{name}"' not in here] == []
