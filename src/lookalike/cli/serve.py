"""`lookalike serve`: the HTTP API and the page over a gallery."""

from __future__ import annotations

import codecs
import dataclasses
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say
from lookalike.cli.options import Device, FinderFile, Runtime
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.server.keys import KeyFile
    from lookalike.server.settings import Settings

BACKLOG = 1024


def serve(
    galleries: Annotated[
        list[str] | None,
        typer.Option(
            "--gallery",
            "-g",
            metavar="[NAME=]G",
            help="Gallery: a folder, or milvus://HOST:PORT/COLLECTION; several by name, the default one first.",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", metavar="NAME", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="F", help="File with the token for writes.")
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE.toml", help="Keys; `lookalike keys` writes the file.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE.toml", help="Settings; see docs/settings.md.")
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option("--currency", metavar="CODE", help="Currency of prices that name none, such as EUR."),
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", metavar="M", help="Model for photos; by default the model of the gallery.")
    ] = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    finder: FinderFile = None,
) -> None:
    """Serve galleries over HTTP: the API and a page."""
    from lookalike.config import load
    from lookalike.server.gallery_names import named_galleries
    from lookalike.server.keys import KeyFile
    from lookalike.server.settings import Settings

    settings = Settings() if config is None else load(Settings, config)
    if currency is not None:
        settings = dataclasses.replace(settings, page=dataclasses.replace(settings.page, currency=currency))
    for warning in settings.page.warnings:
        say(warning)
    if not settings.open and keys is None:
        raise UsageError("searching needs a key (open = false in the settings): give the keys with --keys FILE.toml")
    token = None if token_file is None else read_token(token_file)
    run(
        named_galleries(galleries or (), settings.galleries),
        settings=settings,
        host=host,
        port=port,
        token=token,
        keys=None if keys is None else KeyFile.read(keys),
        model=model,
        runtime=runtime,
        device=device,
        finder=finder,
    )


def run(
    galleries: Mapping[str, str],
    *,
    settings: Settings,
    host: str,
    port: int,
    token: bytes | None = None,
    keys: KeyFile | None = None,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | None = None,
) -> None:
    """Serve galleries until SIGINT or SIGTERM.

    Args:
        galleries: Addresses by name, the default gallery first.
        settings: Limits of the server.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        token: Bearer token for writes; None if there is none.
        keys: Keys; None if there are none.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        finder: See `lookalike.open`.

    Raises:
        LookalikeError: A gallery or a model cannot be opened, or the address is in use.
    """
    from lookalike.server.gallery_names import UNNAMED
    from lookalike.server.run import serve_app
    from lookalike.server.startup import open_context

    context = open_context(
        galleries,
        settings=settings,
        token=token,
        keys=keys,
        model=model,
        runtime=runtime,
        device=device,
        finder=finder,
        say=say,
    )
    with listen(host, port) as listening:
        shown = f"[{host}]" if ":" in host else host
        named = ", ".join(address if name == UNNAMED else f"{name} ({address})" for name, address in galleries.items())
        say(f"Lookalike serves {named} at http://{shown}:{listening.getsockname()[1]}/ (Ctrl-C stops it)")
        serve_app(context, listening)


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        UsageError: The address is in use, or does not belong to this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; choose another --port"
        ) from None


def read_token(path: Path) -> bytes:
    """Read the token for writes.

    Raises:
        UsageError: The file is missing, or the token is too short or not a single word.
    """
    from lookalike.server.auth import SHORTEST

    try:
        token = without_mark(path.read_bytes()).strip()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    if len(token) < SHORTEST or not token.isascii() or len(token.split()) != 1:
        raise UsageError(
            f"{path}: expected a token of at least {SHORTEST} letters and digits on one line; make one with: "
            f"openssl rand -hex 32 > {path}"
        )
    return token


def without_mark(text: bytes) -> bytes:
    """Text in UTF-8, without the byte order mark that Windows editors and PowerShell's `>` add."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if text.startswith(mark):
            return text.decode(encoding, "replace").removeprefix("\ufeff").encode()
    return text
