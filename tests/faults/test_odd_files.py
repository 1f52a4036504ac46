"""Files that are pipes, devices, huge, nested deeply or forged: one line says what is wrong, at once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike.cli import main
from lookalike.embedding.network import Identity
from lookalike.errors import ConfigError, ModelError
from lookalike.finding.finder import SHIPPED_FINDER, Finder
from lookalike.models.content_hash import DIGITS, PREFIX, append_checksum
from lookalike.models.onnx_file import read_metadata
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.run.run_folder import RunFolder

DEEP = "[" * 100_000


@dataclass(frozen=True)
class Scale:
    """Settings of any run."""

    scale: float


def fifo(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


COMMANDS = {
    "settings": "serve --gallery {folder} --config {odd}",
    "keys": "keys list --file {odd}",
    "new key": "keys add shop --file {odd}",
    "token": "serve --gallery {folder} --token-file {odd}",
    "sweep": "sweep {odd}",
    "training": "train {odd}",
    "finder": "find {odd} --finder {odd}",
    "decisions": "gallery merge -g {folder} --decisions {odd}",
}


@pytest.mark.parametrize("make", [fifo, endless, huge])
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.timeout(30)
def test_what_is_no_file_of_a_usual_size_is_refused_at_once(
    name: str, make: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "odd.toml"
    make(odd)
    assert main(COMMANDS[name].format(odd=odd, folder=tmp_path).split()) in (1, 2)
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "odd.toml" in told and "bug" not in told


@pytest.mark.parametrize("file", ["", ".", "/dev/null"])
def test_a_file_of_keys_has_a_name(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "add", "shop", "--file", file]) == 2
    assert "no file of keys" in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"x": ', DEEP, "\udcff"])
def test_the_settings_of_a_run_that_cannot_be_read_say_so(text: str, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=r"settings\.json cannot be read: .*start a new run"):
        RunFolder(tmp_path).resume(Scale(1.0))


def test_settings_that_are_nested_deeply_are_no_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "deep.toml").write_text(f"a = {DEEP}", encoding="utf-8")
    assert main(["train", str(tmp_path / "deep.toml")]) == 2
    assert "not a TOML file" in capsys.readouterr().err


def forged(source: Path, file: Path, key: bytes, value: bytes) -> Path:
    """A copy of a model with one more entry of metadata, which comes last, and a right checksum."""
    content = source.read_bytes()
    if content[-len(PREFIX) - DIGITS : -DIGITS] == PREFIX:
        content = content[: -len(PREFIX) - DIGITS]

    def field(number: int, data: bytes) -> bytes:
        length, size = b"", len(data)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([number << 3 | 2]) + length + bytes([size]) + data

    file.write_bytes(content + field(14, field(1, key) + field(2, value)))
    append_checksum(file)
    return file


@pytest.mark.parametrize(
    ("key", "value"),
    [(b"x", b"\xff\xfe"), (b"lookalike.pixels", b"9" * 5000)],
)
def test_a_finder_with_forged_metadata_is_refused(key: bytes, value: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Finder(forged(SHIPPED_FINDER, tmp_path / "f.onnx", key, value))


VALID = json.loads(Preprocessing(64, 48).to_json())


@pytest.mark.parametrize(
    "change",
    [
        {"height": None},
        {"height": "64"},
        {"width": 1e9},
        {"short_side": [1]},
        {"short_side": float("nan")},
        {"short_side": -1},
        {"mean": "x"},
        {"mean": []},
        {"mean": [0.5, 0.5]},
        {"std": [1.0]},
        {"std": [1e-60, 1, 1]},
        {"mean": [float("inf"), 0, 0]},
    ],
)
def test_preprocessing_of_other_types_and_ranges_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ModelError):
        Preprocessing.from_json(json.dumps({**VALID, **change}))


def test_deep_metadata_of_a_model_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    shutil.copy(tiny_model, file)
    metadata = read_metadata(file)
    for key in ("preprocessing", "labels", "calibration"):
        with pytest.raises(ModelError):
            Identity.from_metadata({**metadata, f"lookalike.{key}": DEEP}, file=str(file))
