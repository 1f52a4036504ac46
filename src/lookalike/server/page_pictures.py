"""Pictures of a shop on the page: its logo and icon, read and checked once at start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.parsers import expat

from lookalike.errors import ConfigError, PhotoError
from lookalike.images import Limits, content_type, open_image

MOST_BYTES: Final = 262_144
MOST_PIXELS: Final = 4_000_000
SHOWN: Final = ("image/png", "image/jpeg", "image/webp", "image/avif", "image/gif")
SVG: Final = "image/svg+xml"
HTML: Final = "http://www.w3.org/1999/xhtml"
DRAWING: Final = frozenset(
    {"svg", "g", "defs", "symbol", "use", "title", "desc", "metadata", "style", "path", "rect", "circle", "ellipse"}
    | {"line", "polyline", "polygon", "text", "tspan", "textPath", "clipPath", "mask", "pattern", "linearGradient"}
    | {"radialGradient", "stop", "filter", "switch", "view", "marker"}
)
"""Elements of SVG that only draw; effects of filters begin with `fe`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture in memory.

    Attributes:
        data: The bytes of its file.
        media_type: Such as `image/png`.
    """

    data: bytes
    media_type: str


def read_picture(path: Path, *, setting: str) -> Picture:
    """Read a picture for the page.

    Args:
        path: File, of a format that every browser shows, or SVG.
        setting: Name of the setting in errors.

    Raises:
        ConfigError: The file cannot be read, is too large, not a picture that browsers show, or an SVG that does more
            than draw.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{setting}: {path}: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{setting}: {path} has more than {MOST_BYTES // 1024} KiB; make it smaller")
    if is_svg(data):
        check_svg(data, name=f"{setting}: {path}")
        return Picture(data, SVG)
    try:
        media_type = content_type(data, name=str(path))
        open_image(data, limits=Limits(bytes=MOST_BYTES, pixels=MOST_PIXELS), name=str(path))
    except PhotoError as error:
        raise ConfigError(f"{setting}: expected a PNG, JPEG, WebP, AVIF, GIF or SVG file: {error}") from None
    if media_type not in SHOWN:
        raise ConfigError(f"{setting}: {path} is {media_type}, which not every browser shows; make a PNG or SVG of it")
    return Picture(data, media_type)


def is_svg(data: bytes) -> bool:
    """Whether a file looks like SVG: text that begins with a tag."""
    return data.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def check_svg(data: bytes, *, name: str) -> None:
    """Check that an SVG only draws: no scripts, handlers, entities, foreign elements, or references to elsewhere.

    As an image of the page an SVG runs nothing; this is for those who open it by itself.

    Args:
        data: The file.
        name: Its name in errors.

    Raises:
        ConfigError: It is not well-formed, or does more than draw.
    """

    def refuse(what: str) -> None:
        raise ConfigError(f"{name}: an SVG of the page may only draw, and this one has {what}; take it out")

    def check_element(tag: str, attributes: dict[str, str]) -> None:
        space, _, element = tag.rpartition(" ")
        is_drawing = element in DRAWING or element.startswith("fe")
        if space == HTML or (space in ("", "http://www.w3.org/2000/svg") and not is_drawing):
            refuse(f"the element <{element:.40}>")  # those of drawing programs' own namespaces do nothing
        for attribute, value in attributes.items():
            short = attribute.rpartition(" ")[2].lower()
            if short.startswith("on"):
                refuse(f"the handler {short:.40}")
            if short in ("href", "src") and not value.strip().startswith("#"):
                refuse(f"a reference to {value:.60}")
            check_style(value)

    def check_style(text: str) -> None:
        lower = text.lower().replace(" ", "")
        if "@import" in lower or any(not rest.lstrip("'\"").startswith("#") for rest in lower.split("url(")[1:]):
            refuse("a style that loads something")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = lambda *_: refuse("a DOCTYPE, which may define entities")
    parser.ProcessingInstructionHandler = lambda target, _: refuse(f"the instruction <?{target:.40}>")
    parser.StartElementHandler = check_element
    parser.CharacterDataHandler = check_style
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ConfigError(f"{name}: not a well-formed SVG: {error}") from None
