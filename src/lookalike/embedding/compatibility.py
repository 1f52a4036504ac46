"""Compatibility of an embedder with the vectors of a gallery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lookalike.embedding.protocol import Embedder
from lookalike.errors import MismatchError
from lookalike.spaces import Space

PROJECTED = "/"
"""Separator of model and projection in a model id."""

IMPORTED = "imported:"
"""Beginning of the model id of imported features, whose files do not name a model."""


def sizes_of(spaces: Iterable[Space]) -> dict[str, int]:
    """Dimensions of spaces, by name."""
    return {space.name: space.dimension for space in spaces}


def model_ids_of(spaces: Iterable[Space]) -> list[str]:
    """Distinct model ids of the deep spaces, without projections; of the first space where there is no deep one."""
    spaces = list(spaces)
    deep = [space.model_id for space in spaces if space.name.partition("-")[0] == "deep"]
    model_ids = deep or [space.model_id for space in spaces[:1]]
    return list(dict.fromkeys(model_id.partition(PROJECTED)[0] for model_id in model_ids))


def check_compatibility(
    address: str,
    spaces: Sequence[Space],
    embedder: Embedder,
    *,
    remembered: str | None,
    named: bool = False,
) -> None:
    """Check that an embedder makes the spaces of a gallery.

    Args:
        address: Address of the gallery.
        spaces: Spaces of the gallery.
        embedder: Embedder of the query.
        remembered: Models that were loaded since the gallery stores them; None if they were given.
        named: Whether the user has named the model of a query. Only the user can know what made imported features, so a
            named model is accepted if its spaces have their names and dimensions.

    Raises:
        MismatchError: The gallery was filled by other models, or has spaces that this version does not make.
    """
    if set(spaces) <= set(embedder.spaces) and (not spaces or model_ids_of(embedder.spaces) == model_ids_of(spaces)):
        return
    held, given = model_ids_of(spaces), model_ids_of(embedder.spaces)
    if held[0].startswith(IMPORTED):
        if named and sizes_of(spaces).items() <= sizes_of(embedder.spaces).items():
            return
        makes = ", ".join(f"{name} {dimension}" for name, dimension in sizes_of(embedder.spaces).items())
        raise MismatchError(
            f"{address} holds imported features, and this model does not make them (it makes {makes}); "
            "give the model that made them with --model, such as the original's .pth.tar, "
            "or search by an item of the gallery, or index the photos into another gallery"
        )
    if set(held) != set(given):
        these = (
            f"{remembered} is {format_model_ids(given)} now" if remembered else f"this one is {format_model_ids(given)}"
        )
        if len(given) > 1:
            these = f"these are {format_model_ids(given)}"
        way = "the model that filled it" if len(held) == 1 else "all the models that filled it, and only these,"
        noun = "model" if len(held) == 1 else "models"
        raise MismatchError(
            f"{address} was filled by the {noun} {format_model_ids(held)}, and {these}; "
            f"give {way} with --model, or index the catalogue into another gallery"
        )
    other = [f"{space.name} ({space.model_id})" for space in spaces if space not in embedder.spaces]
    raise MismatchError(
        f"{address} has spaces that this version does not make: {', '.join(other)}; "
        "index the catalogue into another gallery"
    )


def format_model_ids(model_ids: Sequence[str]) -> str:
    """Text of model ids for messages."""
    return " and ".join(model_ids)
