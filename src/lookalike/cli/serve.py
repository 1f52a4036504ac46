"""`lookalike serve`: the HTTP API and the page over a gallery."""

from __future__ import annotations

import codecs
import dataclasses
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say
from lookalike.cli.options import Device, FinderFile, Runtime
from lookalike.cli.own_process import own
from lookalike.errors import UsageError
from lookalike.storage.files import read_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from lookalike.server.configuration import Configuration
    from lookalike.server.context import AppContext
    from lookalike.server.process import OpenServer
    from lookalike.server.rates import Bucket, Rate

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
        Path | None, typer.Option("--keys", metavar="FILE.toml", help="Keys; `lookalike keys add` writes the file.")
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
    processes: Annotated[
        int,
        typer.Option("--processes", metavar="N", min=1, max=256, help="Processes that serve, which share the cores."),
    ] = 1,
) -> None:
    """Serve galleries over HTTP: the API and a page."""
    options = Options(tuple(galleries or ()), config, keys, token_file, currency)
    run(
        options.read,
        host=host,
        port=port,
        model=model,
        runtime=runtime,
        device=device,
        finder=finder,
        processes=processes,
    )


@dataclass(frozen=True, slots=True)
class Options:
    """Options that name what a server reads, at start and at every reload.

    Attributes:
        galleries: Galleries, each `NAME=ADDRESS`, or the address of a single one.
        config: File of settings.
        keys: File of keys.
        token_file: File of the token.
        currency: Currency that replaces that of the settings.
    """

    galleries: tuple[str, ...] = ()
    config: Path | None = None
    keys: Path | None = None
    token_file: Path | None = None
    currency: str | None = None

    def read(self) -> Configuration:
        """Read the files.

        Raises:
            UsageError: A file is missing or has a fault, or there is no gallery.
        """
        from lookalike.config import load
        from lookalike.server.configuration import Configuration
        from lookalike.server.gallery_names import named_galleries
        from lookalike.server.keys import KeyFile
        from lookalike.server.settings import Settings

        settings = Settings() if self.config is None else load(Settings, self.config)
        if self.currency is not None:
            page = dataclasses.replace(settings.page, currency=self.currency)
            settings = dataclasses.replace(settings, page=page)
        for warning in settings.page.warnings:
            say(warning)
        return Configuration(
            settings,
            named_galleries(self.galleries, settings.galleries),
            token=None if self.token_file is None else read_token(self.token_file),
            keys=None if self.keys is None else KeyFile.read(self.keys),
            files=tuple(str(file) for file in (self.config, self.keys, self.token_file) if file is not None),
        )


def run(
    read: Callable[[], Configuration],
    *,
    host: str,
    port: int,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | None = None,
    processes: int = 1,
) -> None:
    """Serve galleries until SIGINT or SIGTERM.

    Args:
        read: Reads settings, galleries, keys and token, at start and at every reload.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        finder: See `lookalike.open`.
        processes: Number of processes that serve; with several, `read` must be picklable.

    Raises:
        LookalikeError: A gallery or a model cannot be opened, or the address is in use.
    """
    from lookalike.server.run import hold_hang_ups, serve_app
    from lookalike.server.startup import open_server

    open_it = partial(open_server, read, model=model, runtime=runtime, device=device, finder=finder)
    shown = f"[{host}]" if ":" in host else host

    def say_where(galleries: str, listening: socket.socket) -> None:
        at = f"http://{shown}:{listening.getsockname()[1]}/"
        say(f"Lookalike serves {galleries} at {at}{many} (Ctrl-C stops it)")

    many = f" with {processes} processes" if processes > 1 else ""
    if processes == 1:
        hold_hang_ups()
        context = open_it(say=say)
        with listen(host, port) as listening:
            say_where(context.described, listening)
            serve_app(context, listening)
        return
    from lookalike.server.supervisor import Supervisor

    with listen(host, port) as listening:
        supervisor = Supervisor(partial(open_as_command, open_it), listening, processes, say=say)
        supervisor.run(lambda galleries: say_where(galleries, listening))


def open_as_command(
    open_server: OpenServer, *, say: Callable[[str], None], bucket: Callable[[str, Rate], Bucket]
) -> AppContext:
    """Open a server in a process that runs nothing else."""
    own()
    return open_server(say=say, bucket=bucket)


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
        token = without_mark(read_file(path, most=1 << 20)).strip()
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
