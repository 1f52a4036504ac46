"""Terminals of any encoding, closed streams and broken pipes: no traceback, and the right exit code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_shop import Shop, paint
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.types import Item

NAMES = ("ascii", "café", "日本語", "👗", "line\nbreak", "esc\x1b[31m", 'quote"d', "back\\slash", "‮rtl", "\u2028")


@pytest.fixture
def odd(shop: Shop) -> Path:
    """The shop with items of odd ids and attributes."""
    with lookalike.open(shop.gallery) as opened:
        gallery = opened.gallery
        rows = gallery.vectors("red-0")
        for name in NAMES:
            gallery.add([Item(name, f"{name}.jpg", attributes={"title": f"of {name}"})], rows, spaces=gallery.spaces)
    return shop.gallery


def run(
    command: str, *arguments: object, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a line of shell in which "$@" is the command line."""
    given = [sys.executable, "-m", "lookalike", *map(str, arguments)]
    inherited = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(filter(None, sys.path)), **(environment or {})}
    return subprocess.run(
        ["bash", "-c", command, "bash", *given], capture_output=True, env=inherited, check=False, timeout=120
    )


ENCODINGS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp1252"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("environment", ENCODINGS)
def test_every_encoding_shows_every_id(odd: Path, environment: dict[str, str]) -> None:
    listed = run('"$@"', "gallery", "list", "-g", odd, environment=environment)
    assert (listed.returncode, b"Traceback" in listed.stderr, b"bug" in listed.stderr) == (0, False, False)
    assert b"ascii" in listed.stdout
    assert b"\x1b[31m" not in listed.stdout
    told = run('"$@"', "gallery", "list", "-g", odd, "--json", environment=environment)
    assert told.returncode == 0
    encoding = environment.get("PYTHONIOENCODING", "ascii")
    items = json.loads(told.stdout.decode(encoding))["items"]
    assert [item["id"] for item in items][-len(NAMES) :] == list(NAMES)
    for name in NAMES:
        shown = run('"$@"', "gallery", "get", name, "-g", odd, environment=environment)
        if environment.get("PYTHONIOENCODING"):  # in the C locale the argument itself cannot be said
            assert shown.returncode == 0, shown.stderr


def test_an_error_about_any_name_can_be_said_in_ascii(odd: Path) -> None:
    refused = run('"$@"', "gallery", "get", "ü👗", "-g", odd, environment={"PYTHONIOENCODING": "ascii"})
    assert refused.returncode == 2
    assert b"unknown item '\\xfc\\U0001f457'" in refused.stderr


@pytest.mark.parametrize(
    ("redirected", "code"),
    [
        ('"$@" >&-', 0),
        ('"$@" 2>&-', 0),
        ('"$@" >&- 2>&- <&-', 0),
        ('"$@" >/dev/full', 1),
        ('"$@" 2>/dev/full', 0),
        ('"$@" | head -c 1 >/dev/null; exit ${PIPESTATUS[0]}', 141),
        ('"$@" 2> >(true); exit $?', 0),
    ],
)
def test_streams_that_are_closed_or_full(shop: Shop, tmp_path: Path, redirected: str, code: int) -> None:
    with lookalike.open(shop.gallery) as opened:
        gallery = opened.gallery
        rows = gallery.vectors("red-0")
        for number in range(30):  # more than a pipe holds
            attributes = {"text": "word " * 1000}
            gallery.add([Item(f"n{number}", "x.jpg", attributes=attributes)], rows, spaces=gallery.spaces)
    done = run(redirected, "gallery", "list", "-g", shop.gallery, "--json")
    assert (done.returncode, b"Traceback" in done.stderr + done.stdout) == (code, False)
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("redirected", ['"$@" >&- 2>&-', '"$@" 2>/dev/full', '"$@" >&- 2>&- <&-'])
def test_an_index_run_that_cannot_speak_does_its_work(shop: Shop, tmp_path: Path, redirected: str) -> None:
    """Nor does a word of it end in a file of the gallery that has taken the number of a stream."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paint((9, 90, 9), 0).save(folder / "good.png")
    (folder / "empty.jpg").touch()
    gallery = tmp_path / "g.gallery"
    done = run(redirected, "index", folder, "-g", gallery, "--model", shop.model)
    assert done.returncode == 3
    assert run('"$@"', "gallery", "verify", "-g", gallery).returncode == 0
    assert (gallery / "skipped.csv").read_text().splitlines()[1:] == [",empty.jpg,the file is empty"] or (
        "empty.jpg,empty.jpg,the file is empty" in (gallery / "skipped.csv").read_text()
    )


# Integers that are too long for most programs.

LONG = ["9223372036854775808", "-9223372036854775809", "1" * 25, "1" * 5000, f"[1, [{'1' * 25}]]"]


@pytest.mark.parametrize("value", LONG)
def test_an_integer_that_would_be_rounded_is_refused_by_every_door(
    shop: Shop, writer: TestClient, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    assert main(["gallery", "set", "red-0", f"n={value}", "-g", str(shop.gallery)]) == 2
    assert "64 bits" in capsys.readouterr().err
    body = f'{{"attributes": {{"n": {value}}}}}'
    refused = writer.patch("/v1/items/red-0", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code in (400, 413, 422), refused.text  # 413: more digits than JSON may have at all
    assert "n" not in writer.get("/v1/items/red-0").json()["attributes"]


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_an_integer_of_64_bits_is_kept_and_found_exactly(
    shop: Shop, writer: TestClient, capsys: pytest.CaptureFixture[str], value: int
) -> None:
    assert main(["gallery", "set", "red-0", f"n={value}", "-g", str(shop.gallery)]) == 0
    assert writer.get("/v1/items/red-0").json()["attributes"]["n"] == value
    for asked, count in ((value, 1), (value + (1 if value < 0 else -1), 0)):
        capsys.readouterr()
        assert main(["gallery", "list", "-g", str(shop.gallery), "--where", f"n = {asked}", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["total"] == count


def test_text_of_many_digits_is_kept_as_text(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "set", "red-0", f'n="{"1" * 5000}"', "-g", str(shop.gallery), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["attributes"]["n"] == "1" * 5000
