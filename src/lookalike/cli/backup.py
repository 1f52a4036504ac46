"""`lookalike gallery backup` and `lookalike gallery restore`."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Gallery, Json
from lookalike.cli.progress import progress_of
from lookalike.counts import counted


def backup(
    gallery: Gallery,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            help="File to create; or a folder, or s3://BUCKET/PATH/, for one named by the gallery and the time.",
        ),
    ],
    json: Json = False,
) -> int:
    """Write a backup: the database, uploaded photos and models in one archive, verified by reading it back.

    The gallery may be searched and written to meanwhile.
    """
    from lookalike.gallery.transfer.backup import backup as back_up

    with progress_of("MB") as tell:
        made = back_up(gallery, to, progress=tell)
    if json:
        write_json(made.to_json())
    else:
        write(
            f"{made.place}: {counted(made.items, 'item')}, {counted(made.photos, 'uploaded photo')}, "
            f"{counted(made.models, 'model file')}, "
            f"{made.bytes / 1e6:,.1f} MB, read back and verified"
        )
    for line in made.left_out:
        say(line)
    return SOME_SKIPPED if made.left_out else 0


def restore(
    source: Annotated[str, typer.Argument(metavar="FILE", help="Archive of `gallery backup`, or s3://BUCKET/PATH.")],
    gallery: Annotated[str, typer.Option("--gallery", "-g", metavar="G", help="Folder of the new gallery.")],
    json: Json = False,
) -> None:
    """Restore a gallery from a backup into a new folder; nothing appears there unless all of it is verified."""
    from lookalike.gallery.transfer.restoring import restore as restore_to

    with progress_of("MB") as tell:
        made = restore_to(source, gallery, progress=tell)
    if json:
        write_json(made.to_json())
    else:
        write(
            f"{made.gallery}: {counted(made.items, 'item')}, {counted(made.photos, 'uploaded photo')}, "
            f"model {made.model or 'unknown'}, as of {made.made}; verified"
            + (f"; a server shows photos in {', '.join(made.roots)}" if made.roots else "")
        )
