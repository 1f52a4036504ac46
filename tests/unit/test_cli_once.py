"""Options that take one value are refused when they come twice, in every command there is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lookalike.cli import main
from lookalike.cli.commands import command
from lookalike.cli.serve import read_token
from lookalike.errors import UsageError


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, each in sorted(group.commands.items()):
        if hasattr(each, "commands"):
            yield from commands(each, (*path, name))
        else:
            yield (*path, name), each


SINGLE = [
    (path, option.opts[0], option.nargs)
    for path, each in commands(command())
    for option in each.params
    if option.param_type_name == "option" and not option.multiple and not option.is_flag and "--help" not in option.opts
]


@pytest.mark.parametrize(
    ("path", "option", "values"), SINGLE, ids=[" ".join((*path, name)) for path, name, _ in SINGLE]
)
def test_an_option_that_comes_twice_is_refused(
    path: tuple[str, ...],
    option: str,
    values: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [option, *["1"] * values]
    assert main([*path, *given, *given]) == 2
    assert f"{option} is given 2 times and takes one value" in capsys.readouterr().err


def test_short_and_long_names_are_one_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "info", "-g", "a.gallery", "--gallery", "b.gallery"]) == 2
    assert "--gallery is given 2 times" in capsys.readouterr().err


def test_options_for_several_values_and_flags_may_come_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = str(tmp_path / "none.gallery")
    assert main(["gallery", "info", "-g", gallery, "--json", "--json"]) == 2
    assert "there is no gallery" in capsys.readouterr().err
    assert main(["search", "-g", gallery, "--weight", "deep=1", "--weight", "color=1", "x.jpg"]) == 2
    assert "times" not in capsys.readouterr().err


TOKEN = "0123456789abcdef0123"


@pytest.mark.parametrize(
    "text",
    [
        TOKEN.encode(),
        f"{TOKEN}\r\n".encode(),
        codecs.BOM_UTF8 + f"{TOKEN}\n".encode(),
        f"{TOKEN}\r\n".encode("utf-16"),
        codecs.BOM_UTF16_BE + TOKEN.encode("utf-16-be"),
    ],
)
def test_a_token_is_read_as_editors_write_it(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "token").write_bytes(text)
    assert read_token(tmp_path / "token") == TOKEN.encode()


@pytest.mark.parametrize(
    "text", [b"", b"short", codecs.BOM_UTF8, f"{TOKEN} {TOKEN}".encode(), codecs.BOM_UTF16_LE + b"x" * 41]
)
def test_what_is_no_token_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "token").write_bytes(text)
    with pytest.raises(UsageError):
        read_token(tmp_path / "token")
