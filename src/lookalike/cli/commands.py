"""Tree of commands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from lookalike.cli.once import use_everywhere
from lookalike.cli.ray_option import RayCommand

COMMANDS: Final[Mapping[str, str]] = {
    "demo": "demo:demo",
    "index": "index:index",
    "search": "search:search",
    "find": "find:find",
    "gallery": "gallery_commands:app",
    "catalogue": "catalogue:app",
    "serve": "serve:serve",
    "jobs": "jobs:jobs",
    "keys": "keys:app",
    "train": "train:train",
    "sweep": "sweep:sweep",
    "evaluate": "evaluate:evaluate",
    "fuse": "fuse:fuse",
    "learn": "learn:learn",
    "report": "report:app",
    "reduce": "reduce:reduce",
    "augment": "augment:augment",
    "export": "export:export",
    "tag": "tag:tag",
    "calibrate": "calibrate:calibrate",
    "bench": "bench:bench",
    "doctor": "doctor:doctor",
}
"""Module, and function or group, of each command, in the order of the help."""

WITH_RAY: Final = ("index", "evaluate")


def show_version(wanted: bool) -> None:
    """Print the version, and end the command.

    Raises:
        typer.Exit: It was wanted.
    """
    if wanted:
        import lookalike

        typer.echo(f"lookalike {lookalike.__version__}")
        raise typer.Exit


def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """A photo of a garment in, the same and similar garments out."""


@cache
def make_app(*names: str) -> typer.Typer:
    """Make the tree of commands.

    Args:
        names: Commands or groups of the tree; none are all, which take a tenth of a second.
    """
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(options)
    for name in names or COMMANDS:
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"lookalike.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name, cls=RayCommand if name in WITH_RAY else None)(found)
    use_everywhere(app)
    return app


def command(arguments: Sequence[str] = ()) -> Any:  # noqa: ANN401 - its type is private to Typer
    """Click command of the tree, of which others than that of the arguments are left out; without one, of all.

    The version is printed before a command is looked for, so that any one will do.
    """
    names = ("learn",) if arguments[:1] == ["--version"] else [name for name in arguments[:1] if name in COMMANDS]
    return get_command(make_app(*names))
