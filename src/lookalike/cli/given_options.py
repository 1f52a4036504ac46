"""Options that go with one use of a command, where it has several."""

from __future__ import annotations

from collections.abc import Collection

import typer

from lookalike.errors import UsageError


def check_given(context: typer.Context, what: str, *, takes: Collection[str]) -> None:
    """Check that only some of the parameters of a command are given.

    Args:
        context: Context of the command.
        what: What they are given for, for the message, such as `--table`.
        takes: Names of the parameters that go with it, its own too.

    Raises:
        UsageError: Others are given.
    """
    if others := [name for name in given(context) if name not in takes]:
        known = [flag(context, name) for name in names_of(context) if name in takes]
        beside = listed([name for name in known if name != what])
        raise UsageError(f"{what} goes with {beside} alone; leave {_flags(context, others)} out")


def check_without(context: typer.Context, what: str, *, needed_by: Collection[str]) -> None:
    """Check that no parameter is given that needs one that is not.

    Args:
        context: Context of the command.
        what: Option that is not given.
        needed_by: Names of the parameters that need it.

    Raises:
        UsageError: One is given.
    """
    if others := [name for name in given(context) if name in needed_by]:
        raise UsageError(f"leave {_flags(context, others)} out, or give {what} as well")


def names_of(context: typer.Context) -> list[str]:
    """Names of the parameters of the command."""
    return [each.name for each in context.command.params if each.name]


def given(context: typer.Context) -> list[str]:
    """Names of the parameters that are given."""
    sources = {name: context.get_parameter_source(name) for name in names_of(context)}
    return [name for name, source in sources.items() if source is not None and source.name != "DEFAULT"]


def flag(context: typer.Context, name: str) -> str:
    """A parameter as it is written: `--k1`, `SOURCE`."""
    (parameter,) = [each for each in context.command.params if each.name == name]
    return parameter.opts[0] if parameter.param_type_name == "option" else parameter.human_readable_name


def _flags(context: typer.Context, names: Collection[str]) -> str:
    return listed([flag(context, name) for name in names])


def listed(names: Collection[str]) -> str:
    """Names as words: `a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
