"""The part of a query photo that a search looks at: all of it, a box, or a garment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from time import perf_counter
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.answers import GarmentChoice
from lookalike.errors import NoFinderError, NoGarmentError
from lookalike.finding.decoding import LISTED
from lookalike.finding.prominence import most_prominent, most_prominent_of_several
from lookalike.gallery.garment_option import AUTO, DEFAULT_GARMENT, WHOLE
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples, name_of
from lookalike.types import Box

if TYPE_CHECKING:
    from lookalike.finding.finder import Finder
    from lookalike.images import Limits, Source
    from lookalike.types import Garment


SAME, ALIKE = 0.4, 0.6
"""Least intersection over union of a box and the garment that it shows, and of one that counts before weaker ones."""

FARTHEST: Final = 1e6
"""Corners of a box beyond this, in pixels, count as there: no photo is as large."""

NAMED: Final = 0.05
"""Least score of the garment that a box shows, or of a kind that is asked for. Whoever draws a box or names a kind says
that there is something: on dev photos of people, nine in ten of the true boxes have such a garment, and its kind is as
often right as with a least score of 0.3.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """Part of a query photo to embed.

    Attributes:
        examples: Query examples, whose photo can be read again.
        box: Part to embed; None is the whole photo.
        choice: Garments, and the one that was chosen; None if no garment was asked for.
        garment: Garment in the box, as the finder sees it; None if it sees none, and for the whole photo.
        took: Milliseconds of the search for garments, if there was one.
    """

    examples: Examples
    box: Box | None
    choice: GarmentChoice | None = None
    garment: Garment | None = None
    took: Mapping[str, float] = field(default_factory=dict)


def asked_garment(examples: Examples, request: SearchRequest) -> str:
    """Garment that a search asks for; `whole` where there is no single photo, or a box."""
    if request.garment is not None:
        return str(request.garment)
    is_one_photo = len(examples.photos) == 1 and not examples.several
    return DEFAULT_GARMENT if is_one_photo and request.box is None else WHOLE


def needs_finder(examples: Examples, request: SearchRequest) -> bool:
    """Whether a search looks for garments: to choose one, or to know the kind of the one in its box."""
    return request.box is not None or asked_garment(examples, request) != WHOLE


def part_of_photo(
    examples: Examples, request: SearchRequest, finder: Callable[[], Finder], *, limits: Limits | None
) -> Part:
    """Find the garments of the photo, and choose the one that the search asks for, or that its box shows.

    Args:
        examples: Query examples.
        request: Request with a box, a garment, or neither.
        finder: Loads the finder; called only if a garment or a box is asked for.
        limits: Limits of photos; None takes those of `lookalike.images`.

    Raises:
        NoFinderError: There is no finder, and the request names a garment.
        NoGarmentError: There is no garment of this kind or number.
        PhotoError: The photo cannot be read.
    """
    asked = asked_garment(examples, request)
    if not needs_finder(examples, request):
        return Part(examples, None)
    from lookalike.images import DEFAULT_LIMITS

    limits = limits or DEFAULT_LIMITS
    try:
        loaded = finder()
    except NoFinderError:
        if request.garment is not None:
            raise
        return Part(examples, request.box)
    started = perf_counter()
    examples = rereadable(examples, limits=limits)
    found = found_garments(loaded, examples.photos[0], least=NAMED, limits=limits)
    took = {"find": (perf_counter() - started) * 1000}
    if request.box is not None:
        return Part(examples, request.box, garment=shown_in(request.box, found), took=took)
    choice = choose_garment(found, asked, photo=name_of(examples.photos[0]))
    garment = choice.garment
    return Part(examples, None if garment is None else garment.box, choice, garment, took)


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


def found_garments(finder: Finder, photo: Source, *, least: float, limits: Limits) -> Sequence[Garment]:
    """Find the garments of a photo; an open file is set back to its beginning.

    Args:
        finder: Finder of garments.
        photo: Photo that can be read again, see `rereadable`.
        least: Lowest score.
        limits: Limits checked before decoding.

    Raises:
        PhotoError: The photo cannot be read.
    """
    from lookalike.images import one_photo

    with one_photo():
        found = finder.find(photo, least=least, limits=limits)
    if isinstance(photo, BytesIO):
        photo.seek(0)
    return found


def choose_garment(found: Sequence[Garment], asked: str, *, photo: str) -> GarmentChoice:
    """Choose one of the garments of a photo.

    Args:
        found: Garments, highest score first. One with a score below `LISTED` is chosen only by its kind, if there is no
            surer one of it.
        asked: `auto`, a kind, or a number from 1.
        photo: Name of the photo for messages.

    Raises:
        NoGarmentError: There is no garment of this kind or number.
    """
    listed = [garment for garment in found if garment.score >= LISTED]
    if asked.isdecimal():
        number = int(asked) if int(asked) <= len(listed) else None
    elif asked == AUTO:
        number = most_prominent_of_several(listed)
    else:
        if asked not in (garment.kind for garment in listed):
            listed += [garment for garment in found if garment.kind == asked][:1]
        number = most_prominent(listed, kind=asked)
    if number is None and asked != AUTO:
        raise NoGarmentError(photo, asked, [garment.kind for garment in listed])
    return GarmentChoice(asked, listed, number)


def shown_in(box: Box, found: Sequence[Garment]) -> Garment | None:
    """The garment whose box is most like another one; one that is not `LISTED` counts if no listed one is `ALIKE`.

    Args:
        box: Box.
        found: Garments.

    Returns:
        The garment; None if none has `SAME` of their union in common.
    """
    from lookalike.finding.boxes import intersection_over_union

    for garments, least in (([each for each in found if each.score >= LISTED], ALIKE), (found, SAME)):
        boxes = np.array([each.box.to_list() for each in garments], dtype=np.float32).reshape(-1, 4)
        corners = np.minimum(box.to_list(), FARTHEST).astype(np.float32)
        overlaps = intersection_over_union(corners[None], boxes)[0]
        if (overlaps >= least).any():
            return garments[int(overlaps.argmax())]
    return None
