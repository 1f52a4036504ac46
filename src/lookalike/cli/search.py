"""`lookalike search`: find the same and similar garments."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.answer_table import present
from lookalike.cli.console import say, write_json
from lookalike.cli.options import (
    K1,
    K2,
    Alpha,
    Device,
    FinderFile,
    Gallery,
    Json,
    Metrics,
    Models,
    Runtime,
    Strong,
    Trust,
    Weights,
    Where,
    numbers,
    pairs,
    seen,
)
from lookalike.cli.query_photos import opened
from lookalike.errors import UsageError
from lookalike.gallery.request import FULL_TEXT, HYBRID, INDEX_NAMES, VISUAL, SearchRequest

if TYPE_CHECKING:
    from lookalike.answers import Answer
    from lookalike.images import Source
    from lookalike.types import Item


def search(
    gallery: Gallery,
    photo: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHOTO", help="One or more photos: a file, a URL, or - for standard input."),
    ] = None,
    item: Annotated[
        list[str] | None, typer.Option("--item", metavar="ID", help="Indexed item to search with; may be repeated.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option("--unlike", metavar="PHOTO", help="Photo to look less like; may be repeated.")
    ] = None,
    unlike_item: Annotated[
        list[str] | None, typer.Option("--unlike-item", metavar="ID", help="Item to look less like; may be repeated.")
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text", metavar="WORDS", help="Words to search by; beside a photo or an item, what is to be different."
        ),
    ] = None,
    text_weight: Annotated[
        float | None,
        typer.Option(
            "--text-weight", metavar="W", help="Weight of the words beside a photo, from 0 to 1. [default: 0.5]"
        ),
    ] = None,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Look the words up in the items' texts only, not in photos.")
    ] = False,
    visual_only: Annotated[
        bool, typer.Option("--visual-only", help="Compare the words with photos only, not with the items' texts.")
    ] = False,
    k: Annotated[int, typer.Option("-k", "--k", metavar="K", help="Number of matches.")] = 10,
    offset: Annotated[
        int | None,
        typer.Option(
            "--offset", metavar="N", help="Number of best matches to leave out; give 0 for the first of several pages."
        ),
    ] = None,
    weight: Weights = None,
    where: Where = None,
    box: Annotated[
        str | None, typer.Option("--box", metavar="X1,Y1,X2,Y2", help="Part of the photo to search with, in pixels.")
    ] = None,
    garment: Annotated[
        str | None,
        typer.Option(
            "--garment",
            metavar="auto|whole|KIND|N",
            help="Garment to search with: the most prominent, the whole photo, one of a kind, or the Nth found.",
        ),
    ] = None,
    metric: Metrics = None,
    index: Annotated[
        str, typer.Option("--index", metavar="NAME", help=f"Index: {', '.join(INDEX_NAMES[:-1])} or {INDEX_NAMES[-1]}.")
    ] = "auto",
    probes: Annotated[
        int | None, typer.Option("--probes", metavar="N", help="Number of lists that kmeans or ivf search.")
    ] = None,
    expand: Annotated[
        int,
        typer.Option(
            "--expand",
            metavar="N",
            help="Query expansion: number of nearest items to add to the query for a second search.",
        ),
    ] = 0,
    alpha: Alpha = None,
    rerank: Annotated[
        int,
        typer.Option("--rerank", metavar="N", help="Re-ranking: number of best matches to sort by shared neighbours."),
    ] = 0,
    k1: K1 = None,
    k2: K2 = None,
    trust: Trust = None,
    min_relevance: Annotated[
        float | None,
        typer.Option(
            "--min-relevance", metavar="P", help="Least probability, from 0 to 1, that a match is of the same kind."
        ),
    ] = None,
    same_kind: Annotated[
        bool,
        typer.Option(
            "--same-kind", help="Search only among items of the kind that the photo shows, by their attribute kind."
        ),
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            "--group",
            metavar="product",
            help="Find products, each with its best photo and its other photos as variants.",
        ),
    ] = None,
    diversity: Annotated[
        float,
        typer.Option(
            "--diversity",
            metavar="D",
            help="How different from each other relevant matches are to be, from 0 to 1.",
        ),
    ] = 0.0,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="[-]NAME,...",
            help="Attributes to sort the relevant matches by, such as price or -in_stock,price; - is descending.",
        ),
    ] = None,
    boost: Annotated[
        list[str] | None,
        typer.Option(
            "--boost",
            metavar="NAME[:VALUE]=W",
            help="Weight by which relevant matches gain from an attribute, such as in_stock=0.2 or brand:Acme=0.1; may "
            "be repeated.",
        ),
    ] = None,
    ranking: Annotated[
        str,
        typer.Option("--ranking", metavar="NAME", help="Order of the matches: similarity, learned (from use) or auto."),
    ] = "auto",
    facets: Annotated[
        bool, typer.Option("--facets", help="Count the values of attributes among the relevant matches.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Mark regions that agree in query and matches, in --montage, --html and --json; at most 20 matches.",
        ),
    ] = False,
    finder: FinderFile = None,
    model: Models = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    strong: Strong = False,
    json: Json = False,
    montage: Annotated[
        Path | None, typer.Option("--montage", metavar="FILE.png", help="Write a picture of the query and its matches.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE.html", help="Write a self-contained HTML page of the query and its matches."
        ),
    ] = None,
) -> None:
    """Find the same and similar garments, by photos, indexed items or words, or these together."""
    import lookalike
    from lookalike.retrieval.examples import Examples
    from lookalike.retrieval.explanation import MOST as MOST_EXPLAINED

    check_can_be_written(montage=montage, html=html)
    if explain and not (montage or html or json):
        raise UsageError("--explain marks regions in pictures; add --montage FILE.png, --html FILE.html or --json")
    shop = lookalike.open(seen(gallery, strong=strong), model=model, runtime=runtime, device=device, finder=finder)
    photos = [opened(name) for name in photo or ()]
    examples = Examples.of(photos, item, [opened(name) for name in unlike or ()], unlike_item or (), text=text)
    request = SearchRequest(
        k=k,
        offset=offset,
        weights=numbers(weight, option="--weight") or None,
        where=where,
        index=index,
        probes=probes,
        expand=expand,
        alpha=alpha,
        rerank=rerank,
        k1=k1,
        k2=k2,
        trust=trust,
        min_relevance=min_relevance,
        same_kind=same_kind,
        group=group,
        diversity=diversity,
        sort=sort,
        boost=numbers(boost, option="--boost") or None,
        ranking=ranking,
        facets=facets,
        explain=explain,
        metrics=pairs(metric, option="--metric") or None,
        box=lookalike.Box.parse(box) if box is not None else None,
        garment=garment,
        text=text,
        text_weight=text_weight,
        text_search=text_search(text_only=text_only, visual_only=visual_only),
    )
    answer = shop.answer(examples, request)
    if explain and (unread := sum(match.explanation is None for match in answer.matches[:MOST_EXPLAINED])):
        say(f"not explained, since their photos cannot be read: {unread} of the matches")
    if montage or html:
        asked = photos[0] if photos else shop.gallery.get(item[0]) if item else None
        if isinstance(asked, BytesIO):
            asked.seek(0)
        show(answer, asked, montage=montage, html=html)
    if json:
        write_json(answer.to_json())
    else:
        present(answer)


def text_search(*, text_only: bool, visual_only: bool) -> str:
    """How words are searched.

    Raises:
        UsageError: Both options are given.
    """
    if text_only and visual_only:
        raise UsageError("--text-only and --visual-only exclude each other; leave both out to search in both ways")
    return FULL_TEXT if text_only else VISUAL if visual_only else HYBRID


def check_can_be_written(*, montage: Path | None, html: Path | None) -> None:
    """Check that output files can be written, before any work.

    Raises:
        UsageError: The folder of a file does not exist, the file is a folder, or the ending of a picture is unknown.
    """
    for file in (montage, html):
        try:
            if file is not None and file.is_dir():
                raise UsageError(f"{file} is a folder; name a file")
            if file is not None and not file.absolute().parent.is_dir():
                raise UsageError(f"{file.parent}: no such folder")
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror}") from None
    if montage is not None:
        from lookalike.render.montage import image_format

        image_format(montage)


def show(answer: Answer, photo: Source | Item | None, *, montage: Path | None, html: Path | None) -> None:
    """Write an answer as a picture and as an HTML page.

    Args:
        answer: Answer to draw.
        photo: Query photo, or query item, whose photo may be missing; None for words alone.
        montage: File of the picture; None for none.
        html: File of the page; None for none.

    Raises:
        PhotoError: The query photo cannot be read any more.
        UsageError: A file cannot be written.
    """
    from lookalike.images import open_image
    from lookalike.types import Item

    asked = photo if photo is None or isinstance(photo, Item) else open_image(photo)
    if montage is not None:
        from lookalike.render.montage import write_montage

        write_montage(montage, asked, answer=answer)
        say(f"wrote {montage}")
    if html is not None:
        from lookalike.render.html import write_html

        write_html(html, asked, answer=answer)
        say(f"wrote {html}")
