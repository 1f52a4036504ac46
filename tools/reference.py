"""Write docs/commands.md and docs/settings.md from the code: all commands, options and settings, with their defaults.

Run by `make reference`; a test fails when a page differs from the code.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lookalike.cli.commands import command
from lookalike.config import bare_type, limits_of
from lookalike.server.settings import Settings
from lookalike.training.finder.settings import FinderSettings
from lookalike.training.settings.run_settings import TrainingSettings
from lookalike.training.sweep import SweepSettings
from lookalike.training.text.settings import TextSettings

DOCS = Path(__file__).parents[1] / "docs"

COMMANDS_HEAD = """# Commands

All commands with their arguments and options, as shown by `lookalike COMMAND --help`. This page is generated from the
code by `make reference`.

Exit codes: 0 done; 1 failed; 2 wrong usage, such as an unknown option, a missing file or a malformed filter; 3 done,
but some photos were skipped and listed; 130 stopped by Ctrl-C. Results go to standard output, everything else to
standard error.

| environment variable | |
|---|---|
| `LOOKALIKE_ALLOWED_HOSTS` | Hosts, networks and buckets allowed besides public ones; see [security](security.md). |
| `LOOKALIKE_CACHE` | Folder of the download cache; empty disables it; see [object storage](object-storage.md). |
| `LOOKALIKE_MILVUS_TOKEN`, `LOOKALIKE_MILVUS_TOKEN_FILE` | Token of a Milvus server, or the file with it. |
| `LOOKALIKE_TRACEBACK` | 1 shows the traceback of unexpected errors. |
"""

SETTINGS_HEAD = """# Settings

All settings of the TOML files for [serving](#serving) (`lookalike serve --config FILE.toml`) and for
[training](#training) (`lookalike train CONFIG.toml`), with the values allowed and their defaults. A misspelt name is an
error that suggests the nearest one; a value that is not allowed is one that says what is. This page is
generated from the code by `make reference`.
"""


def leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's type is private
    """Yield the commands of a tree with their full names, in order."""
    for name, branch in getattr(tree, "commands", {}).items():
        yield from leaves(branch, (*path, name))
    if not hasattr(tree, "commands"):
        yield " ".join(path), tree


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def option_row(option: Any) -> str:  # noqa: ANN401
    """Return the row of an option or an argument."""
    if not option.help:
        raise ValueError(f"{option.name} has no description")
    is_argument = option.param_type_name == "argument"
    first, *others = [option.metavar or option.name.upper()] if is_argument else sorted(option.opts, key=len)[::-1]
    value = "" if is_argument or option.is_flag or not option.metavar else f" {option.metavar}"
    shown = ", ".join([f"`{first}{value}`", *(f"`{other}`" for other in [*others, *option.secondary_opts])])
    default = option.default
    plain = default is not None and default is not False and not option.required and not callable(default)
    said = f"`{default}`" if plain and str(default) else "required" if option.required else ""
    return f"| {shown} | {cell(option.help)} | {said} |"


def commands_page() -> str:
    """Return the text of docs/commands.md."""
    parts = [COMMANDS_HEAD]
    for name, one in leaves(command(), ("lookalike",)):
        if not one.help:
            raise ValueError(f"{name} has no description")
        rows = [option_row(option) for option in one.params if option.name != "help"]
        about = "\n\n".join(" ".join(text.split()) for text in one.help.split("\f")[0].split("\n\n"))
        table = ["", "| argument or option | | default |", "|---|---|---|", *rows] if rows else []
        parts.append("\n".join([f"## {name}", "", about, *table, ""]))
    return "\n".join(parts)


def meanings(kind: type) -> dict[str, str]:
    """Return the descriptions of a dataclass's attributes from its docstring."""
    text = (kind.__doc__ or "").partition("Attributes:\n")[2].split("\n\n")[0]
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12,}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in entries}


def shown_default(field: dataclasses.Field[Any]) -> str:
    """Return a default value in TOML."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "required"
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def shown_limits(hint: object) -> str:
    """Return what a setting takes: words, or the range of its numbers; empty if it is said by the description."""
    bare = bare_type(hint)
    if typing.get_origin(bare) is typing.Literal:
        return ", ".join(f"`{word}`" for word in typing.get_args(bare))
    if bare in (int, float):
        return " and ".join(map(str, limits_of(hint)))
    inner = typing.get_args(bare)[-1] if typing.get_origin(bare) is Mapping else (typing.get_args(bare) or [None])[0]
    if inner in (None, object) or bare is inner:
        return ""
    within = shown_limits(inner)
    return f"each {within}" if within else ""


def section(kind: type, title: str, level: int, path: str = "") -> Iterator[str]:
    """Yield a table of the settings of a dataclass, and the sections of its sub-tables; `path` is where it lies."""
    types = typing.get_type_hints(kind, include_extras=True)
    said = meanings(kind)
    inner: list[tuple[str, str, type]] = []
    rows = []
    for field in dataclasses.fields(kind):
        hint = types[field.name]
        bare = bare_type(hint)
        arguments = [one for one in typing.get_args(bare) if dataclasses.is_dataclass(one)]
        if dataclasses.is_dataclass(bare):
            inner.append((f"[{path}{field.name}]", field.name, typing.cast(type, bare)))
        elif arguments:
            inner.append((f"[[{path}{field.name}]]", field.name, typing.cast(type, arguments[0])))
        elif field.name in said:
            told = (f"`{field.name}`", cell(said[field.name]), shown_limits(hint), shown_default(field))
            rows.append(f"| {' | '.join(told)} |")
        else:
            raise ValueError(f"the docstring of {kind.__name__} does not describe {field.name}")
    yield "\n".join([f"{'#' * level} {title}", "", "| setting | | allowed | default |", "|---|---|---|---|", *rows, ""])
    for name, inside, table in inner:
        yield from section(table, f"`{name}`", level + 1, f"{path}{inside}.")


def settings_page() -> str:
    """Return the text of docs/settings.md."""
    served = section(Settings, "Serving", 2)
    trained = section(TrainingSettings, "Training", 2)
    finder = section(FinderSettings, "Training a finder", 2)
    text = section(TextSettings, "Training a text encoder", 2)
    swept = section(SweepSettings, "A sweep", 2)
    return "\n".join([SETTINGS_HEAD, *served, *trained, *finder, *text, *swept])


def pages() -> dict[str, str]:
    """Return the generated pages by file name."""
    return {"commands.md": commands_page(), "settings.md": settings_page()}


def main() -> int:
    """Write the pages."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
