"""The option `--ray` of commands that embed photos."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final

import typer

from lookalike.cli.once import OnceCommand

RAY: Final = "--ray"
ANY_CLUSTER: Final = "auto"

Ray = Annotated[
    str | None,
    typer.Option(
        RAY, metavar="[ADDRESS]", help="Embed photos on a Ray cluster; without ADDRESS, on one of this machine."
    ),
]


class RayCommand(OnceCommand):
    """Command that reads `--ray` without an address as `--ray auto`; Typer has no options with an optional value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - private to Typer
        """Parse the arguments."""
        said: list[str] = []
        for argument, following in pairwise([*args, ""]):
            said.append(argument)
            if argument == RAY and (not following or following.startswith("-")):
                said.append(ANY_CLUSTER)
        return super().parse_args(ctx, said)
