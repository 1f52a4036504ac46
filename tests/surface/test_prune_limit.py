"""A feed that lacks half of its rows, or all, removes nothing unless that is said; its other rows are written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import CatalogueError, PruneLimitError, UsageError

COUNT = 40
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    """A folder with photos, a feed of them, and a gallery with it."""
    (tmp_path / "photos").mkdir()
    for number in range(COUNT + 1):
        Image.new("RGB", (24, 32), (6 * number, 255 - 6 * number, 90)).save(tmp_path / "photos" / f"{number}.png")
    feed(tmp_path, range(COUNT))
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as shop:
        shop.index(tmp_path / "feed.csv", source_name="shop")
    return tmp_path


def feed(folder: Path, numbers: Sequence[int], *, price: int = 10) -> Path:
    rows = [f"n{number},photos/{number}.png,{price},{number // 2}" for number in numbers]
    path = folder / "feed.csv"
    path.write_text("\n".join(["id,image,price,product", *rows]) + "\n")
    return path


def run(capsys: Capture, folder: Path, what: str, *more: str, source: str = "shop") -> tuple[int, dict[str, Any], str]:
    place = ["-g", str(folder / "shop.gallery"), "--source", source, "--json"]
    code = main(["index", str(folder / what), *place, *more])
    told = capsys.readouterr()
    return code, json.loads(told.out) if told.out else {}, told.err


def stored(folder: Path, source: str = "shop") -> int:
    with lookalike.open(folder / "shop.gallery") as shop:
        return shop.gallery.sources()[source]


@pytest.mark.parametrize(
    ("left", "limit", "removed"),
    [
        (range(32), None, 8),  # 0.2 of 40
        (range(31), None, None),
        (range(31), "0.25", 9),
        (range(20), "0.49", None),
        (range(20), "0.5", 20),
        (range(39), "0", 1),  # few are removed whatever their share
        (range(34), "0", None),
        (range(40, 41), "1", 40),
    ],
)
def test_no_more_than_a_share_is_removed(
    folder: Path, capsys: Capture, left: Sequence[int], limit: str | None, removed: int | None
) -> None:
    """New and changed rows are written in any case."""
    feed(folder, left, price=12)
    code, told, said = run(capsys, folder, "feed.csv", "--prune", *(["--prune-limit", limit] if limit else []))
    new = sum(number >= COUNT for number in left)
    assert (told["updated"], told["added"]) == (len(left) - new, new)
    if removed is None:
        missing = COUNT - len(left)
        assert (code, told["removed"], told["vanished"], stored(folder)) == (1, 0, missing, COUNT + new)
        assert f"{missing} of the 40 items of the source shop have vanished from it" in said
        assert said.split()[-1] == f"{ceil(missing * 100 / COUNT) / 100:g}"
        code, told, _ = run(capsys, folder, "feed.csv", "--prune", *said.split()[-2:])
        assert (code, told["removed"]) == (0, missing)
    else:
        assert (code, told["removed"], told["vanished"], stored(folder)) == (0, removed, 0, len(left))


def test_python_says_what_was_written(folder: Path) -> None:
    feed(folder, [*range(5), COUNT], price=11)
    with lookalike.open(folder / "shop.gallery") as shop:
        with pytest.raises(PruneLimitError, match="35 of the 40 items of the source shop") as caught:
            shop.index(folder / "feed.csv", source_name="shop", prune=True)
        report = caught.value.report
        assert (report.added, report.updated, report.removed, report.vanished) == (1, 5, 0, 35)
        assert shop.gallery.get("n0").attributes["price"] == 11
        assert shop.index(folder / "feed.csv", source_name="shop").unchanged == 6


@pytest.mark.parametrize(("prune", "limit"), [(True, -0.1), (True, 1.5), (True, float("nan")), (False, 0.5)])
def test_what_is_no_limit_is_refused(folder: Path, prune: bool, limit: float) -> None:
    with lookalike.open(folder / "shop.gallery") as shop, pytest.raises(UsageError, match="prune_limit"):
        shop.index(folder / "feed.csv", source_name="shop", prune=prune, prune_limit=limit)


def test_a_few_are_not_removed_if_they_are_all(folder: Path, capsys: Capture) -> None:
    run(capsys, folder, "feed.csv")
    feed(folder, range(3))
    assert run(capsys, folder, "feed.csv", source="small")[0] == 0
    feed(folder, range(3, 4))
    code, told, _ = run(capsys, folder, "feed.csv", "--prune", source="small")
    assert (code, told["vanished"], told["removed"]) == (1, 3, 0)


@pytest.mark.parametrize("how", ["no rows", "nothing", "cut within a row", "cut after a row", "cut XML", "no photos"])
def test_a_broken_feed_removes_nothing(folder: Path, capsys: Capture, how: str) -> None:
    name = "feed.csv"
    if how == "no rows":
        feed(folder, [])
    elif how == "nothing":
        (folder / name).write_text("")
    elif how == "cut within a row":
        text = (folder / name).read_text()
        (folder / name).write_text(text[: len(text) // 2 + 3])
    elif how == "cut after a row":
        feed(folder, range(COUNT // 2))
    elif how == "cut XML":
        name = "feed.xml"
        offers = "".join(f"<item><g:id>n{n}</g:id><g:image_link>photos/{n}.png</g:image_link></item>" for n in range(9))
        (folder / name).write_text(f'<rss xmlns:g="http://base.google.com/ns/1.0"><channel>{offers}')
    else:
        shutil.rmtree(folder / "photos")
    code, told, said = run(capsys, folder, name, "--prune")
    assert (code != 0, told.get("removed", 0), stored(folder)) == (True, 0, COUNT), said
    assert len(said.strip().splitlines()[-1]) > 20


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_folder_that_is_not_mounted_removes_nothing(folder: Path, capsys: Capture, how: str) -> None:
    assert run(capsys, folder, "photos", source="folder")[0] == 0
    shutil.rmtree(folder / "photos")
    if how == "empty":
        (folder / "photos").mkdir()
    code, _, said = run(capsys, folder, "photos", "--prune", source="folder")
    assert (code != 0, stored(folder, "folder")) == (True, COUNT + 1), said


def test_a_feed_with_other_columns_is_an_error(folder: Path) -> None:
    (folder / "feed.csv").write_text("<html>Please log in</html>\n")
    with lookalike.open(folder / "shop.gallery") as shop, pytest.raises(CatalogueError):
        shop.index(folder / "feed.csv", source_name="shop", prune=True)
