"""Restriction of a search to items of the kind that is asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lookalike.embedding.labels import KIND
from lookalike.errors import UsageError
from lookalike.kinds import KIND_OF, kind_of

if TYPE_CHECKING:
    from lookalike.answers import GarmentChoice
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.retrieval.examples import Examples


def asked_kind(
    examples: Examples, gallery: Gallery, *, labels: PhotoLabels | None, choice: GarmentChoice | None
) -> str | None:
    """Kind that a query asks for; None if the photo shows no garment, or the item has no kind.

    That of an item is its most prominent garment's, or its attribute `kind`. That of a photo is the garment's, if its
    kind was asked for; else what the model says of it, and without labels what the finder says.

    Raises:
        UsageError: There is not one example, or neither labels nor a finder.
    """
    if examples.several or examples.none:
        raise UsageError("same_kind belongs to one photo or item; leave it out with several, and with words alone")
    if not examples.photos:
        item = gallery.get(examples.items[0])
        value = item.garments[0].kind if item.garments else item.attributes.get(KIND)
        return kind_of(value) or value if isinstance(value, str) and value else None
    found = None if choice is None else choice.garment
    if found is not None and choice is not None and choice.asked == found.kind:
        return found.kind
    if labels is not None and KIND in labels.shown:
        return labels.shown[KIND][0][0] if labels.shown[KIND] else None
    if choice is None:
        raise UsageError("same_kind needs a model with labels (`lookalike export --labels`), or a finder of garments")
    return None if found is None else found.kind


def restricted(request: ResolvedRequest, kind: str | None, gallery: Gallery) -> ResolvedRequest:
    """The request with a filter beside its own: for garments of a kind, or the attribute `kind` in any word for it.

    Args:
        request: Request.
        kind: Kind; None leaves the request as it is.
        gallery: Gallery that is searched.

    Raises:
        UsageError: No item has garments or the attribute.
    """
    has_kinds, has_garments = "text" in gallery.attributes().get(KIND, ()), bool(gallery.garment_count)
    if not has_kinds and not has_garments:
        raise UsageError(
            f"same_kind goes by the attribute {KIND!r} of the items, and none has it; "
            "`lookalike tag --gallery G` fills it"
        )
    if kind is None:
        return request
    own = f"{KIND} in ({quoted(*words_for(kind))})"
    if has_garments:
        of_garment = f"garment = {quoted(kind)}"
        own = f"({of_garment} or (garment is null and {own}))" if has_kinds else of_garment
    return replace(request, where=own if request.where is None else f"({request.where}) and {own}")


def quoted(*words: str) -> str:
    """Texts of a filter."""
    return ", ".join("'" + word.replace("'", "''") + "'" for word in words)


def words_for(kind: str) -> list[str]:
    """Words for a kind, as catalogues spell them: in small letters, capitalised, and in capitals."""
    words = [kind, *(word for word, named in KIND_OF.items() if named == kind)]
    spelled = (change(word) for word in words for change in (str, str.lower, str.capitalize, str.title, str.upper))
    return list(dict.fromkeys(spelled))
