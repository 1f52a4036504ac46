"""Rules of JSON Schema for what goes together in a search: words, examples and options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lookalike.gallery.ranking_choice import LEARNED, NOT_WITH_LEARNED

NOT_WITH_TEXT: Final = ("expand", "rerank", "metrics", "min_relevance")
"""Options of searches by photos and items alone."""

OF_TEXT: Final = ("text_weight", "text_search")
"""Options of words."""

OF_EXAMPLE: Final = ("unlike", "unlike_id", "same_kind", "box", "garment", "text_weight")
"""Parts and options that need a photo or an item."""


def rules(*, unused: Mapping[str, Any], example: Mapping[str, Any], text: Mapping[str, Any]) -> dict[str, Any]:
    """Keywords of a schema that demand an example or words, and what goes with them.

    Args:
        unused: Schema of each option where it is not used; others are left out.
        example: Schema of a search with a photo or an item.
        text: Schema of a search with words.
    """

    def without(names: tuple[str, ...]) -> dict[str, Any]:
        return {name: unused[name] for name in names if name in unused}

    alone = {"id": {"maxItems": 1}, "photo": {"maxItems": 1}}
    learned = {
        "if": {"required": ["ranking"], "properties": {"ranking": {"const": LEARNED}}},
        "then": {
            "properties": {**without((*NOT_WITH_LEARNED, "unlike", "unlike_id")), **alone},
            "not": {"required": ["photo", "id"]},
        },
    }
    return {
        "if": text,
        "then": {
            "properties": {**without(NOT_WITH_TEXT), "ranking": {"not": {"const": LEARNED}}},
            "if": example,
            "else": {"properties": without(OF_EXAMPLE)},
        },
        "else": {**example, **learned, "properties": {**example.get("properties", {}), **without(OF_TEXT)}},
    }
