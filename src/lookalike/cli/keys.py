"""`lookalike keys`: keys of those who may search or write through a server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_json, write_table
from lookalike.cli.options import Json

app = typer.Typer(help="Keys of those who may search, or write, through a server.", no_args_is_help=True)

File = Annotated[
    Path,
    typer.Option("--file", metavar="FILE.toml", help="File that `serve --keys` reads; no key itself is in it."),
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the key.")]

RELOAD = "a running server knows of it after a reload"


@app.command("add")
def add(
    name: Name,
    file: File,
    write_too: Annotated[bool, typer.Option("--write", help="Allow writing too.")] = False,
    galleries: Annotated[
        list[str] | None,
        typer.Option("--gallery", metavar="NAME", help="Gallery that it allows; all without any; may be repeated."),
    ] = None,
    origins: Annotated[
        list[str] | None,
        typer.Option(
            "--origin",
            metavar="ORIGIN",
            help="Origin of the only web pages that may use it, such as https://shop.example; may be repeated.",
        ),
    ] = None,
    rate: Annotated[
        str, typer.Option("--rate", metavar="N/UNIT", help="Requests that it allows: 10/s, 600/min or 5000/h.")
    ] = "",
) -> None:
    """Make a key and print it, which happens only now: the file keeps its SHA-256."""
    from lookalike.server.keys import add_key

    write(add_key(file, name, write=write_too, galleries=galleries or (), origins=origins or (), rate=rate))
    say(f"{file} has the key {name!r}; {RELOAD}")


@app.command("list")
def list_keys(file: File, json: Json = False) -> None:
    """List keys, and what each allows."""
    from lookalike.server.keys import KeyFile

    keys = KeyFile.read(file).keys
    if json:
        write_json(
            {
                "keys": [
                    {
                        "name": name,
                        "write": key.write,
                        "galleries": list(key.galleries),
                        "origins": list(key.origins),
                        "rate": key.rate or None,
                        "created": key.created or None,
                    }
                    for name, key in keys.items()
                ]
            }
        )
        return
    write_table(
        {
            "name": [*keys],
            "may": ["search, write" if key.write else "search" for key in keys.values()],
            "galleries": [", ".join(key.galleries) or "all" for key in keys.values()],
            "origins": [", ".join(key.origins) for key in keys.values()],
            "rate": [key.rate for key in keys.values()],
            "created": [key.created for key in keys.values()],
        }
    )


@app.command("revoke")
def revoke(name: Name, file: File) -> None:
    """Remove a key."""
    from lookalike.server.keys import revoke_key

    revoke_key(file, name)
    say(f"{file} has the key {name!r} no more; {RELOAD}")
