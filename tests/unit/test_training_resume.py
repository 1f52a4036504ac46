"""Resuming with the data of the run, wherever they lie, and with no others; runs that train nothing."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.errors import ConfigError
from lookalike.training.data.data_record import FILE, DataRow, changes_since, write_record
from lookalike.training.finder.settings import FinderSettings
from lookalike.training.run import loop
from lookalike.training.settings.limits import HARMLESS, marked_settings
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.training.text.settings import TextSettings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

SETTINGS = """
name = "steps"
products = 4
photos = 2
workers = 0
[network]
backbone = "test_convnext"
embedding = 8
[input]
height = 32
width = 32
[augmentation]
backgrounds = "backgrounds"
paste = 0.5
[[data]]
source = "sample/catalogue.csv"
hold_out = 0.3
heads = { type = 1.0 }
grades = ["type"]
[[loss]]
name = "SupConLoss"
[[stage]]
epochs = 1
learning_rate = 1e-3
"""

Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a run that was stopped after its first step."""
    folder = tmp_path_factory.mktemp("stopped")
    write_drawn(folder / "sample", products=12, photos=2)
    (folder / "backgrounds").mkdir()
    for shade in (60, 120):
        Image.new("RGB", (40, 40), (shade, shade, 90)).save(folder / "backgrounds" / f"{shade}.png")
    (folder / "steps.toml").write_text(SETTINGS, encoding="utf-8")

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        loop.train(folder / "steps.toml", out=folder / "run", progress=stop)
    return folder


def table_changed(folder: Path, change: Callable[[Rows], Rows]) -> None:
    path = folder / "sample" / "catalogue.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(rows[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(change(rows))


def other_photo(folder: Path, name: str = "sample/photos/d003-1.jpg") -> None:
    """Change a photo; its size stays the same."""
    path = folder / name
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def first_with(rows: Rows, **values: str) -> Rows:
    return [{**rows[0], **values}, *rows[1:]]


REFUSED: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "photo": (other_photo, "1 item with another photo, the first 'd003-1'"),
    "background": (lambda folder: other_photo(folder, "backgrounds/60.png"), "2 items with another photo, the first"),
    "missing photo": (
        lambda folder: (folder / "sample/photos/d003-1.jpg").unlink(),
        "1 item with another photo, the first 'd003-1'",
    ),
    "label": (
        lambda folder: table_changed(folder, lambda rows: first_with(rows, type="Dress")),
        "1 item with other labels, the first 'd001-1'",
    ),
    "product": (
        lambda folder: table_changed(folder, lambda rows: first_with(rows, product="d001x")),
        "1 item with other labels, the first 'd001-1'",
    ),
    "removed": (
        lambda folder: table_changed(folder, lambda rows: rows[:-1]),
        "1 item removed, the first 'd012-2'",
    ),
    "added": (
        lambda folder: table_changed(folder, lambda rows: [*rows, {**rows[0], "id": "new"}]),
        "1 item added, the first 'new'",
    ),
    "order": (lambda folder: table_changed(folder, lambda rows: rows[::-1]), "in another order"),
    "record": (lambda folder: (folder / "run" / FILE).unlink(), "the record of the run's data is missing or damaged"),
    "damaged record": (
        lambda folder: (folder / "run" / FILE).write_text("id,part\n1,2\n", encoding="utf-8"),
        "the record of the run's data is missing or damaged",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_is_not_resumed_with_other_data(
    name: str, stopped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, words = REFUSED[name]
    folder = shutil.copytree(stopped, tmp_path / "copy", copy_function=shutil.copyfile)
    change(folder)
    assert main(["train", str(folder / "steps.toml"), "--resume", str(folder / "run")]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"error: {folder / 'run'}") and words in line


def test_a_run_is_resumed_with_the_same_data_elsewhere_and_other_harmless_settings(
    stopped: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        shutil.copytree(stopped, tmp_path / name, copy_function=shutil.copyfile)  # with new times
    moved = tmp_path / "two"
    (moved / "elsewhere").mkdir()
    (moved / "sample").rename(moved / "elsewhere" / "sample")  # the name of its folder is that of a catalogue
    table = moved / "elsewhere" / "sample" / "catalogue.csv"
    text = table.read_text(encoding="utf-8")
    header, *rows = text.splitlines()
    table.write_text("\n".join([f"{header},note", *(f"{row},unused" for row in rows)]), encoding="utf-8")
    one = loop.train(tmp_path / "one" / "steps.toml", resume=tmp_path / "one" / "run")
    harmless = ["data.0.source=elsewhere/sample/catalogue.csv", "save_every=1", "unreadable=3", "workers=1"]
    two = loop.train(moved / "steps.toml", resume=moved / "run", overrides=harmless)
    assert one.checkpoint.read_bytes() == two.checkpoint.read_bytes()
    with pytest.raises(ConfigError, match=r"other settings.*: seed was 0 and is 1$"):
        loop.train(moved / "steps.toml", resume=moved / "run", overrides=[*harmless, "seed=1"])


def test_which_settings_a_resumed_run_may_change() -> None:
    assert {*marked_settings(TrainingSettings, HARMLESS)} == {
        *("data.*.source", "augmentation.backgrounds", "about", "compile", "device", "save_every"),
        *("trackers", "unreadable", "workers"),
    }
    assert {*marked_settings(TextSettings, HARMLESS)} == {"data.*.gallery", "about", "save_every"}
    assert {*marked_settings(FinderSettings, HARMLESS)} == {
        *("data.*.photos", "data.*.boxes", "data.*.classes", "about", "save_every"),
    }


def test_a_photo_is_read_again_only_if_its_size_or_time_differs(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"first")
    row = DataRow("0", "train", "a", {"type": "Dress"}, photo=str(photo))
    write_record(tmp_path, [row])
    before = photo.stat()
    photo.write_bytes(b"other")
    assert changes_since(tmp_path / FILE, [row]) == "1 item with another photo, the first 'a'"
    os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert changes_since(tmp_path / FILE, [row]) is None  # as if it had not been written
    photo.write_bytes(b"first")
    os.utime(photo, ns=(0, 0))
    assert changes_since(tmp_path / FILE, [row]) is None
    photo.write_bytes(b"longer than before")
    assert changes_since(tmp_path / FILE, [row]) == "1 item with another photo, the first 'a'"


def test_all_that_a_run_reads_is_compared(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"vectors").hexdigest()
    rows = [
        DataRow("0", "train", "a,\n", {"type": "Drëss", "tags": ["x"]}, photo="https://shop.example/a.jpg"),
        DataRow("0", "dev", "b", {}, sha256=digest),
        DataRow("1", "dev", "b", {}, box="1,2,3,4", photo=str(tmp_path / "none.jpg")),
    ]
    write_record(tmp_path, rows)
    assert changes_since(tmp_path / FILE, rows) is None
    others = [
        (replace(rows[0], labels={"type": "Dress", "tags": ["x"]}), "1 item with other labels"),
        (replace(rows[0], photo="https://shop.example/b.jpg"), "1 item with another photo"),
        (replace(rows[0], part="dev"), "1 item in another split"),
        (replace(rows[0], box="1,2,3,4"), "1 item with another box"),
    ]
    for other, words in others:
        changes = changes_since(tmp_path / FILE, [other, *rows[1:]])
        assert changes is not None and changes == f"{words}, the first 'a,\\n'"
    assert changes_since(tmp_path / FILE, [rows[0], replace(rows[1], sha256="0"), rows[2]]) == (
        "1 item with another photo, the first 'b'"
    )
    assert changes_since(tmp_path / FILE, [replace(rows[1], id="c"), rows[2], replace(rows[0], box="1,2,3,9")]) == (
        "1 item added, the first 'c'; 1 item removed, the first 'b'; 1 item with another box, the first 'a,\\n'"
    )


def test_a_run_that_trains_nothing_measures_and_saves_what_it_began_with(stopped: Path, tmp_path: Path) -> None:
    said: list[str] = []
    frozen = ["network.embedding=0", "data.0.heads={}"]
    trained = loop.train(stopped / "steps.toml", out=tmp_path / "run", overrides=frozen, report=said.append)
    assert any("stage 0 trains nothing" in line for line in said) and any("dev after step 0: " in line for line in said)
    assert trained.checkpoint.is_file()
    assert main(["export", str(trained.checkpoint), "--onnx", str(tmp_path / "baseline.onnx")]) == 0
    again = loop.train(stopped / "steps.toml", resume=tmp_path / "run", overrides=frozen)
    assert again.checkpoint == trained.checkpoint
    two = [*frozen, "stage=[{epochs=1,learning_rate=1e-3},{epochs=1,learning_rate=1e-3,backbone_rate=1e-3}]"]
    loop.train(stopped / "steps.toml", out=tmp_path / "two", overrides=two, report=said.append)
    assert said[-1].startswith("dev after step 2: ")
