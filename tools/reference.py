"""Write docs/commands.md and docs/settings.md from the code: every command, option and setting, with its default.

`make reference` runs it; a test fails when a page is not as this program writes it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lookalike.cli.commands import command
from lookalike.server.settings import Settings
from lookalike.training.finder.settings import FinderSettings
from lookalike.training.settings.run_settings import TrainingSettings

DOCS = Path(__file__).parents[1] / "docs"

COMMANDS_HEAD = """# Commands

Every command, with its arguments and options; `lookalike COMMAND --help` shows the same. This page is written by
`make reference` from the code.

Exit codes: 0 done; 1 failed; 2 a mistake of the caller, such as an unknown option, a missing file or a misspelt filter;
3 done, but some photos were skipped, which are listed; 130 stopped by Ctrl-C. Results go to standard output, everything
else to standard error.

| environment variable | |
|---|---|
| `LOOKALIKE_ALLOWED_HOSTS` | hosts, networks and buckets beside the public ones, see [security](security.md) |
| `LOOKALIKE_CACHE` | folder for downloads that are kept; empty keeps none, see [object storage](object-storage.md) |
| `LOOKALIKE_MILVUS_TOKEN`, `LOOKALIKE_MILVUS_TOKEN_FILE` | the secret of a Milvus server, or its file |
| `LOOKALIKE_TRACEBACK` | set to 1, shows the traceback of an error that is a bug |
"""

SETTINGS_HEAD = """# Settings

Every setting of the TOML files for [serving](#serving) (`lookalike serve --config FILE.toml`) and for
[training](#training) (`lookalike train CONFIG.toml`), with its default. A misspelt name is refused,
with the nearest one. This page is written by `make reference` from the code.
"""


def leaves(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - Typer's type is private
    """The commands of a tree under their full names, in its order."""
    for name, branch in getattr(tree, "commands", {}).items():
        yield from leaves(branch, (*path, name))
    if not hasattr(tree, "commands"):
        yield " ".join(path), tree


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return " ".join(text.split()).replace("|", r"\|")


def option_row(option: Any) -> str:  # noqa: ANN401
    """The row of an option or an argument."""
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
    """The text of docs/commands.md."""
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
    """What the docstring of a dataclass says of its attributes."""
    text = (kind.__doc__ or "").partition("Attributes:\n")[2].split("\n\n")[0]
    entries = re.findall(r"^ {8}(\w+): (.*(?:\n {12,}.*)*)", text, flags=re.MULTILINE)
    return {name: " ".join(said.split()) for name, said in entries}


def shown_default(field: dataclasses.Field[Any]) -> str:
    """A default as TOML has it."""
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
        return "required"
    value = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def section(kind: type, title: str, level: int) -> Iterator[str]:
    """A table of the settings of one dataclass, and the sections of the tables in it."""
    types = typing.get_type_hints(kind)
    said = meanings(kind)
    inner: list[tuple[str, type]] = []
    rows = []
    for field in dataclasses.fields(kind):
        arguments = [one for one in typing.get_args(types[field.name]) if dataclasses.is_dataclass(one)]
        if dataclasses.is_dataclass(types[field.name]):
            inner.append((f"[{field.name}]", typing.cast(type, types[field.name])))
        elif arguments:
            inner.append((f"[[{field.name}]]", typing.cast(type, arguments[0])))
        elif field.name in said:
            rows.append(f"| `{field.name}` | {cell(said[field.name])} | {shown_default(field)} |")
        else:
            raise ValueError(f"{kind.__name__} does not say what {field.name} means")
    yield "\n".join([f"{'#' * level} {title}", "", "| setting | | default |", "|---|---|---|", *rows, ""])
    for name, table in inner:
        yield from section(table, f"`{name}`", level + 1)


def settings_page() -> str:
    """The text of docs/settings.md."""
    served = section(Settings, "Serving", 2)
    trained = section(TrainingSettings, "Training", 2)
    finder = section(FinderSettings, "Training a finder", 2)
    return "\n".join([SETTINGS_HEAD, *served, *trained, *finder])


def pages() -> dict[str, str]:
    """The pages that are written from the code, by file name."""
    return {"commands.md": commands_page(), "settings.md": settings_page()}


def main() -> int:
    """Write them."""
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
