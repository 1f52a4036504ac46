"""The part of a query photo that a search looks at: all of it, a box, or a garment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from time import perf_counter
from typing import TYPE_CHECKING

from lookalike.answers import GarmentChoice
from lookalike.errors import NoFinderError, NoGarmentError
from lookalike.finding.prominence import most_prominent, most_prominent_of_several
from lookalike.gallery.garment_option import AUTO, DEFAULT_GARMENT, WHOLE
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples, name_of
from lookalike.types import Box

if TYPE_CHECKING:
    from lookalike.finding.finder import Finder
    from lookalike.images import Limits, Source


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a query photo to embed.

    Attributes:
        examples: Query examples, whose photo can be read again.
        box: Part to embed; None is the whole photo.
        choice: Garments, and the one that was chosen; None if no garment was asked for.
        took: Milliseconds of the search for garments, if there was one.
    """

    examples: Examples
    box: Box | None
    choice: GarmentChoice | None = None
    took: Mapping[str, float] = field(default_factory=dict)


def asked_garment(examples: Examples, request: SearchRequest) -> str:
    """Garment that a search asks for; `whole` where there is no single photo, or a box."""
    if request.garment is not None:
        return str(request.garment)
    is_one_photo = len(examples.photos) == 1 and not examples.several
    return DEFAULT_GARMENT if is_one_photo and request.box is None else WHOLE


def part_of_photo(
    examples: Examples, request: SearchRequest, finder: Callable[[], Finder], *, limits: Limits | None
) -> Part:
    """Find the garments of the photo, if the search asks for one, and choose it.

    Args:
        examples: Query examples.
        request: Request with a box, a garment, or neither.
        finder: Loads the finder; called only if a garment is asked for.
        limits: Limits of photos; None takes those of `lookalike.images`.

    Raises:
        NoFinderError: There is no finder, and the request names a garment.
        NoGarmentError: There is no garment of this kind or number.
        PhotoError: The photo cannot be read.
    """
    asked = asked_garment(examples, request)
    if asked == WHOLE:
        return Part(examples, request.box)
    from lookalike.images import DEFAULT_LIMITS

    limits = limits or DEFAULT_LIMITS
    try:
        loaded = finder()
    except NoFinderError:
        if request.garment is not None:
            raise
        return Part(examples, None)
    started = perf_counter()
    examples = rereadable(examples, limits=limits)
    choice = choose_garment(loaded, examples.photos[0], asked, limits=limits)
    took = {"find": (perf_counter() - started) * 1000}
    return Part(examples, None if choice.garment is None else choice.garment.box, choice, took)


def rereadable(examples: Examples, *, limits: Limits) -> Examples:
    """The same examples with a first photo that can be read twice: finding garments reads it, and embedding again.

    Raises:
        PhotoError: It cannot be read.
    """
    from lookalike.images import read_bytes
    from lookalike.remote.addresses import is_address

    photo: Source = examples.photos[0]
    if not callable(getattr(photo, "read", None)) and not (isinstance(photo, str) and is_address(photo)):
        return examples
    content = BytesIO(read_bytes(photo, limits=limits))
    content.name = name_of(photo)
    return replace(examples, photos=[content, *examples.photos[1:]])


def choose_garment(finder: Finder, photo: Source, asked: str, *, limits: Limits) -> GarmentChoice:
    """Find the garments of a photo, and choose one.

    Args:
        finder: Finder of garments.
        photo: Photo; an open file is set back to its beginning.
        asked: `auto`, a kind, or a number from 1.
        limits: Limits checked before decoding.

    Raises:
        NoGarmentError: There is no garment of this kind or number.
        PhotoError: The photo cannot be read.
    """
    from lookalike.images import one_photo

    with one_photo():
        found = finder.find(photo, limits=limits)
    if isinstance(photo, BytesIO):
        photo.seek(0)
    if asked.isdecimal():
        number = int(asked) if int(asked) <= len(found) else None
    elif asked == AUTO:
        number = most_prominent_of_several(found)
    else:
        number = most_prominent(found, kind=asked)
    if number is None and asked != AUTO:
        raise NoGarmentError(name_of(photo), asked, [garment.kind for garment in found])
    return GarmentChoice(asked, found, number)
