"""Restriction of a search to items of the kind that is asked for."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from lookalike.embedding.labels import KIND
from lookalike.errors import UsageError
from lookalike.finding.decoding import LISTED
from lookalike.gallery.request import AUTO_KIND
from lookalike.kinds import KIND_OF, kind_of

if TYPE_CHECKING:
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.retrieval.examples import Examples
    from lookalike.retrieval.garment_choice import Part


PROBABLE: Final = 0.5
"""Least probability of a photo's kind for `auto`."""

NAMES_KINDS: Final = re.compile(rf"\b({KIND}|garment)\b")
"""Filters that may name kinds themselves, which `auto` leaves as they are."""


def restrict_kind(
    request: ResolvedRequest,
    examples: Examples,
    gallery: Gallery,
    *,
    labels: PhotoLabels | None,
    part: Part,
) -> tuple[ResolvedRequest, str | None]:
    """Restrict a request to the kind that its `same_kind` asks for.

    Returns:
        The request, with a filter beside its own; the kind, None if all kinds are searched.

    Raises:
        UsageError: There are words alone; or the kind of the query, or of all items, cannot be told, and `same_kind`
            is not `auto`.
    """
    if not request.same_kind:
        return request, None
    if examples.none:
        raise UsageError("same_kind belongs to a photo or item; leave it out with words alone")
    is_auto = request.same_kind == AUTO_KIND
    if not is_auto:
        kind = asked_kind(examples, gallery, labels=labels, part=part)
    elif examples.several or not examples.photos or request.text or NAMES_KINDS.search(request.where or ""):
        return request, None
    else:
        kind = kind_of_photo(labels, part, least=PROBABLE)
    has_kinds, has_garments = "text" in gallery.attributes().get(KIND, ()), bool(gallery.garment_count)
    if not (is_auto or has_kinds or has_garments):
        raise UsageError(
            f"same_kind goes by the attribute {KIND!r} of the items, and none has it; "
            "`lookalike tag --gallery G` fills it"
        )
    if kind is None or not (has_kinds or has_garments):
        return request, None
    own = filter_of(kind, has_kinds=has_kinds, has_garments=has_garments, untold=is_auto)
    where = own if request.where is None else f"({request.where}) and {own}"
    return (request, None) if is_auto and not fits(where) else (replace(request, where=where), kind)


def fits(where: str) -> bool:
    """Whether a filter with a kind beside another one is within the limits of a filter."""
    from lookalike.gallery.filters.expression import DEEPEST, LONGEST  # which brings the parser of filters

    depth = accumulate((each == "(") - (each == ")") for each in where)
    return len(where) <= LONGEST and max(depth, default=0) <= DEEPEST


def kind_of_photo(labels: PhotoLabels | None, part: Part, *, least: float) -> str | None:
    """Kind of a photo: that of the garment in its part, if it is listed or was asked for, else the most probable label.

    None is unknown, or improbable. Labels have taken what the finder sees as evidence, whether it is sure or not.
    """
    garment = part.garment
    is_named = part.choice is not None and part.choice.asked == getattr(garment, "kind", None)
    if garment is not None and (garment.score >= LISTED or is_named or labels is None or KIND not in labels.shown):
        return garment.kind
    if labels is None:
        return None
    return next((kind for kind, probability in labels.shown.get(KIND, ())[:1] if probability >= least), None)


def asked_kind(examples: Examples, gallery: Gallery, *, labels: PhotoLabels | None, part: Part) -> str | None:
    """Kind that a query asks for; None if the photo shows no garment, or the item has no kind.

    That of an item is its most prominent garment's, or its attribute `kind`; that of a photo see `kind_of_photo`.

    Raises:
        UsageError: There are several examples, or neither labels nor a finder.
    """
    if examples.several:
        raise UsageError("same_kind belongs to one photo or item; leave it out with several")
    if not examples.photos:
        item = gallery.get(examples.items[0])
        value = item.garments[0].kind if item.garments else item.attributes.get(KIND)
        return kind_of(value) or value if isinstance(value, str) and value else None
    if not part.took and (labels is None or KIND not in labels.shown):
        raise UsageError(
            "same_kind needs a model with labels (`lookalike export --labels`), or a finder of garments and not "
            "garment=whole"
        )
    return kind_of_photo(labels, part, least=0.0)


def filter_of(kind: str, *, has_kinds: bool, has_garments: bool, untold: bool) -> str:
    """Filter for garments of a kind, or the attribute `kind` in any word for it.

    Args:
        kind: Kind.
        has_kinds: Whether items have the attribute.
        has_garments: Whether items have garments, by which those go that have some.
        untold: Whether items without garments and without the attribute pass, too.
    """
    own = f"{KIND} in ({quoted(*words_for(kind))})"
    own = f"({own} or {KIND} is null)" if untold else own
    if not has_garments:
        return own
    others = f"(garment is null and {own})" if has_kinds else "garment is null" if untold else ""
    return f"(garment = {quoted(kind)} or {others})" if others else f"garment = {quoted(kind)}"


def quoted(*words: str) -> str:
    """Texts of a filter."""
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)


def words_for(kind: str) -> list[str]:
    """Words for a kind, as catalogues spell them: in small letters, capitalised, and in capitals."""
    words = [kind, *(word for word, named in KIND_OF.items() if named == kind)]
    spelled = (change(word) for word in words for change in (str, str.lower, str.capitalize, str.title, str.upper))
    return list(dict.fromkeys(spelled))
