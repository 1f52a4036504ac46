"""Commands that reject repeated options; Typer would silently take the last."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand, TyperOption

from lookalike.errors import UsageError


class OnceCommand(TyperCommand):
    """Command that rejects the repetition of an option with a single value; flags may be repeated."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - private to Typer
        """Parse the arguments.

        Raises:
            UsageError: An option is repeated.
        """
        if args:
            _, _, given = self.make_parser(ctx).parse_args(args=list(args))
            for option, count in Counter(given).items():
                if count > 1 and isinstance(option, TyperOption) and not (option.multiple or option.is_flag):
                    raise UsageError(f"{option.opts[0]} is given {count} times and takes one value")
        return super().parse_args(ctx, args)


def use_everywhere(app: typer.Typer) -> None:
    """Make all commands of a tree `OnceCommand`s; commands of other classes must derive from it."""
    for command in app.registered_commands:
        if command.cls in (None, TyperCommand):
            command.cls = OnceCommand
    for group in app.registered_groups:
        assert group.typer_instance is not None
        use_everywhere(group.typer_instance)
