"""Options shared by several commands, and parsing of `name=value`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from lookalike.errors import UsageError

Gallery = Annotated[
    str, typer.Option("--gallery", "-g", metavar="G", help="Gallery: a folder, or milvus://HOST:PORT/COLLECTION.")
]
Strong = Annotated[
    bool,
    typer.Option(
        "--strong", help="See all committed writes; reads of a gallery on Milvus may lag by seconds without it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="M",
        help="`default`, an .onnx file or a .safetensors checkpoint; by default the model of the gallery.",
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="M",
        help="`default`, an .onnx file or a .safetensors checkpoint; may be repeated; by default those of the gallery.",
    ),
]
Runtime = Annotated[str, typer.Option("--runtime", metavar="NAME", help="auto, onnx, openvino or torch.")]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")]
FinderFile = Annotated[str | None, typer.Option("--finder", metavar="FILE", help="ONNX file of a finder of garments.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="Column of a table that holds id, image, product or box; may be repeated.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", metavar="NAME", help="Encoding of a CSV table that is not UTF-8, such as cp1252."),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option("--exclude", metavar="GLOB", help="Files and folders to leave out, such as '*.psd'; may be repeated."),
]
Boxes = Annotated[
    str | None,
    typer.Option(
        "--boxes",
        metavar="true|false|MARGIN",
        help="Crop photos to their boxes, use whole photos, or crop with a margin such as 0.1 of the box on each side; "
        "true if it is not given, except where the papers of a benchmark use whole photos.",
    ),
]
Photos = Annotated[
    str | None,
    typer.Option("--photos", metavar="img|img_highres", help="Folder of DeepFashion's photos; img if it is there."),
]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weight", metavar="SPACE=W", help="Weight of a space, such as color=1; may be repeated."),
]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="SPACE=NAME", help="Metric of SciPy's cdist for a space; may be repeated."),
]
Alpha = Annotated[
    float | None,
    typer.Option("--alpha", metavar="A", help="Exponent of the scores in --expand; 0 is the plain mean. [default: 3]"),
]
K1 = Annotated[int | None, typer.Option("--k1", metavar="N", help="Size of a neighbourhood in --rerank. [default: 10]")]
K2 = Annotated[
    int | None,
    typer.Option("--k2", metavar="N", help="Number of photos whose neighbourhoods --rerank averages. [default: 3]"),
]
Trust = Annotated[
    float | None,
    typer.Option(
        "--trust",
        metavar="T",
        help="Share of the similarity itself in --rerank, from 0 to 1 (lambda in its paper). [default: 0.9]",
    ),
]
Apart = Annotated[
    list[str] | None,
    typer.Option(
        "--apart",
        metavar="NAME",
        help="Attribute of which photos with the same value never answer each other; may be repeated.",
    ),
]
Unknown = Annotated[
    list[str] | None,
    typer.Option("--unknown", metavar="VALUE", help="Value that counts as unknown, beside NA; may be repeated."),
]
Where = Annotated[str | None, typer.Option("--where", metavar="EXPR", help="Filter, such as: price < 80")]


FORMS: Final = {
    "--weight": "SPACE=W, such as color=1",
    "--metric": "SPACE=NAME, the distance of a space, such as deep=euclidean",
    "--dimension": "SPACE=N, such as deep=128",
    "--column": "NAME=COLUMN, such as image=file",
    "--head": "HEAD or HEAD=ATTRIBUTE, such as kind=type",
    "settings": "NAME=VALUE, such as nlist=1024",
}
"""What the pairs of an option are, where that is more than a name and a value."""


def pairs(texts: Sequence[str] | None, *, option: str, at_last: bool = False) -> dict[str, str]:
    """Parse `name=value` options, each name once.

    Args:
        texts: Values of the option.
        option: Name of the option.
        at_last: Split at the last equals sign, for names that may have some.

    Raises:
        UsageError: A value has another form, or a name is repeated.
    """
    read: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.rpartition("=") if at_last else text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"{option} expects {FORMS.get(option, 'NAME=VALUE')}, got {text!r}")
        if name in read:
            raise UsageError(f"{option} gives {name!r} twice")
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
        UsageError: A value is not a number, or a name is repeated.
    """
    read: dict[str, float] = {}
    for name, value in pairs(texts, option=option, at_last=True).items():
        try:
            read[name] = float(value)
        except ValueError:
            raise UsageError(f"{option} {name} expects a number, got {value!r}") from None
    return read
