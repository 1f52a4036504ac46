"""`lookalike demo`: index and search a drawn catalogue in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.answer_table import present
from lookalike.cli.console import say, write
from lookalike.cli.progress import progress_of
from lookalike.cli.search import show
from lookalike.counts import counted
from lookalike.errors import UsageError

ASKED = 12
"""Number, from 0, of the product whose changed photo is the query."""


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write to.")] = Path("demo"),
    serve: Annotated[bool, typer.Option("--serve", help="Serve the gallery afterwards: page and API.")] = False,
    port: Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="Port for --serve.")] = 8000,
) -> None:
    """Draw a small catalogue, index it, and search it with a new photo."""
    import lookalike
    from lookalike.catalogue.sample.drawn import changed_photo, make_products, write_drawn
    from lookalike.render.saving import save_image

    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; choose a folder")
    say("drawing a catalogue of 60 garments, 4 photos each (all pictures are drawn)")
    table = write_drawn(out / "catalogue")
    product = make_products(60)[ASKED]
    photo = out / "query.jpg"
    save_image(changed_photo(product), photo)

    shop = lookalike.open(out / "drawn.gallery")
    say("indexing it")
    with progress_of("photos") as tell:
        report = shop.index(table, prune=True, progress=lambda so_far, total: tell(so_far.done, total))
    say(f"{counted(report.added + report.updated + report.unchanged, 'photo')} in {report.seconds['total']:.1f} s")

    say(f"searching with {photo}, a new photo of {product.id}: {product.attributes()['title']}")
    answer = shop.search(photo, k=5)
    write("")
    present(answer)
    show(answer, str(photo), montage=out / "answer.png", html=out / "answer.html")
    write("")
    write(f"Open {out / 'answer.html'} to see it. With photos of your own:")
    write("")
    write("  lookalike index FOLDER --gallery my.gallery")
    write("  lookalike search PHOTO --gallery my.gallery --html answer.html")
    write("  lookalike serve --gallery my.gallery")
    if serve:
        from lookalike.cli.serve import Options, run

        run(Options((str(out / "drawn.gallery"),)).read, host="127.0.0.1", port=port)
