"""Options shared by several commands, and parsing of `name=value`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from lookalike.errors import UsageError

Gallery = Annotated[
    str, typer.Option("--gallery", "-g", metavar="G", help="The gallery: a folder, or milvus://HOST:PORT/COLLECTION.")
]
Strong = Annotated[
    bool,
    typer.Option(
        "--strong", help="See all committed writes; reads of a gallery on Milvus may lag by seconds without it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="M",
        help="`default`, an .onnx file or a .safetensors checkpoint; else the one that filled the gallery.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="M",
        help="`default`, an .onnx file or a .safetensors checkpoint; else what filled the gallery; may be repeated.",
    ),
]
Runtime = Annotated[str, typer.Option("--runtime", metavar="NAME", help="auto, onnx, openvino or torch.")]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")]
FinderFile = Annotated[
    str | None, typer.Option("--finder", metavar="FILE", help="The .onnx file of a finder of garments.")
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column", metavar="NAME=COLUMN", help="A table's own name for id, image, product or box; may be repeated."
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Of a CSV table that is not UTF-8, such as cp1252."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="GLOB", help="Leave out files and folders of a folder, such as '*.psd'; may be repeated."
    ),
]
WholePhotos = Annotated[
    bool, typer.Option("--whole-photos", help="Take no notice of boxes: describe the whole of each photo.")
]
Where = Annotated[str | None, typer.Option("--where", metavar="EXPR", help="Only items such as: price < 80")]


def pairs(texts: Sequence[str] | None, *, option: str) -> dict[str, str]:
    """Parse `name=value` options, each name once.

    Raises:
        UsageError: It was given otherwise.
    """
    read: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} wants NAME=VALUE, got {text!r}")
        if name in read:
            raise UsageError(f"{option} names {name!r} twice")
        read[name] = value
    return read


def seen(gallery: str, *, strong: bool) -> str:
    """Address of a gallery with the consistency of `--strong`; a gallery in a folder is always consistent."""
    if not strong or not gallery.startswith("milvus"):
        return gallery
    from lookalike.gallery.milvus.address import with_setting

    return with_setting(gallery, "consistency", "strong")


def numbers(texts: Sequence[str] | None, *, option: str) -> dict[str, float]:
    """Parse `name=number` options.

    Raises:
        UsageError: It was given otherwise.
    """
    read: dict[str, float] = {}
    for name, value in pairs(texts, option=option).items():
        try:
            read[name] = float(value)
        except ValueError:
            raise UsageError(f"{option} {name} wants a number, got {value!r}") from None
    return read
