"""Settings from TOML: values, overrides and errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from lookalike.config import load
from lookalike.errors import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Part:
    rate: float = 1.0
    kind: Literal["a", "b"] = "a"


@dataclass(frozen=True)
class Whole:
    name: str
    part: Part = field(default_factory=Part)
    parts: tuple[Part, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    flag: bool = False
    chosen: str | Mapping[str, float] = ""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_setting_may_be_a_text_or_a_table(tmp_path: Path) -> None:
    assert load(Whole, write(tmp_path, 'name = "x"\nchosen = "map"')).chosen == "map"
    assert load(Whole, write(tmp_path, 'name = "x"\nchosen = {map = 1}')).chosen == {"map": 1.0}
    path = write(tmp_path, 'name = "x"')
    assert load(Whole, path, overrides=["chosen.map=2"]).chosen == {"map": 2.0}
    with pytest.raises(ConfigError, match=r"chosen: expected a text.*, got 3"):
        load(Whole, path, overrides=["chosen=3"])


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    text = 'name = "x"\nflag = true\nweights = {a = 1, b = 0.5}\n[part]\nrate = 2\n[[parts]]\nkind = "b"\n[[parts]]\n'
    expected = Whole("x", Part(2.0), (Part(1.0, "b"), Part()), {"a": 1.0, "b": 0.5}, flag=True)
    assert load(Whole, write(tmp_path, text)) == expected


def test_overrides_win_and_a_bare_word_is_text(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "x"\n[part]\nrate = 2\n')
    assert load(Whole, path, overrides=["part.rate=3.5", "name=plain", "flag=true"]) == Whole(
        "plain", Part(3.5), flag=True
    )


def test_an_override_reaches_into_a_list_by_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "x"\n[[parts]]\nrate = 2\n[[parts]]\nrate = 3\n')
    read = load(Whole, path, overrides=["parts.1.rate=4.5", "parts.0.kind=b"])
    assert read.parts == (Part(2.0, "b"), Part(4.5))
    with pytest.raises(ConfigError, match="'2' is none of the 2 members of a list, from 0"):
        load(Whole, path, overrides=["parts.2.rate=1"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nome = 'x'", "did you mean 'name'"),
        ("name = 'x'\n[part]\nrat = 1", "did you mean 'rate'"),
        ("name = 'x'\n[part]\nkind = 'c'", "known: a, b"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UnknownNameError, match=words):
        load(Whole, write(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "'name' is missing"),
        ("name = 3", "name: expected a text, got 3"),
        ("name = 'x'\nflag = 1", "flag: expected true or false, got 1"),
        ("name = 'x'\n[part]\nrate = true", "rate: expected a number, got True"),
        ("name = 'x'\nparts = 3", "parts: expected a list, got 3"),
        ("name = 'x'\npart = 3", "part: expected a table, got 3"),
        ("name =", "not a TOML file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(Whole, write(tmp_path, text))


def test_a_missing_file_and_a_broken_override_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(Whole, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="key=value"):
        load(Whole, write(tmp_path, "name = 'x'"), overrides=["name"])
