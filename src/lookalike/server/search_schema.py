"""Bodies of `POST /v1/search`: the JSON model and the parts of the form, from the fields of a `SearchRequest`.

`gallery/request.py` describes each field once; a new option that is a number or a choice needs no line here.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any, Final, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from lookalike.gallery.garment_option import AUTO, NUMBER, WHOLE
from lookalike.gallery.refinement_option import LARGEST_ALPHA
from lookalike.gallery.request import LONGEST_TEXT, OPTIONS, SearchRequest
from lookalike.gallery.request_option import Option
from lookalike.gallery.sort_keys import LARGEST_BOOST, LONGEST, MOST_BOOSTS
from lookalike.kinds import KINDS
from lookalike.server.schemas import LONGEST_ID, LONGEST_NAME, ItemId, MetricName, SpaceName, Weight, Where, whole
from lookalike.server.search_rules import rules
from lookalike.types import Box

MOST: Final = 16
"""Largest number of values of each of `photo`, `id`, `unlike` and `unlike_id`."""

FILES: Final = ("photo", "unlike")
"""Form parts that are files."""

SEVERAL: Final = ("id", "unlike_id")
"""Form parts that are item ids."""

AttributeName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, json_schema_extra={"format": "boost"})]
BoostWeight = Annotated[float, Field(ge=-LARGEST_BOOST, le=LARGEST_BOOST, allow_inf_nan=False)]
SHAPES: Final[dict[str, Any]] = {
    "weights": Annotated[dict[SpaceName, Weight], Field(min_length=1)],
    "where": Where,
    "metrics": dict[SpaceName, MetricName],
    "same_kind": bool | Literal["auto"],
    "explain": bool,
    "min_relevance": Annotated[float, Field(ge=0, le=1)],
    "facets": bool,
    "diversity": Annotated[float, Field(ge=0, le=1)],
    "sort": Annotated[str, Field(min_length=1, max_length=LONGEST, json_schema_extra={"format": "sort"})],
    "boost": Annotated[dict[AttributeName, BoostWeight], Field(min_length=1, max_length=MOST_BOOSTS)],
    "text": Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, json_schema_extra={"format": "words"})],
    "text_weight": Annotated[float, Field(ge=0, le=1)],
    "alpha": Annotated[float, Field(ge=0, le=LARGEST_ALPHA)],
    "trust": Annotated[float, Field(ge=0, le=1)],
}
"""Types of the options that are neither numbers nor choices."""

OF_PHOTO: Final = tuple(name for name, option in OPTIONS.items() if option.of_photo)
"""Options that go with one photo, and so come in the form only, as text."""


def field_of(option: Option, default: object, *, name: str) -> tuple[Any, Any]:
    """Type and default of a field of the JSON model."""
    kind: Any = SHAPES.get(name)
    if option.choices:
        kind = Literal[tuple(option.choices)]
    elif option.least is not None:
        most = option.most if option.most_served is None else option.most_served
        kind = Annotated[int, Field(ge=option.least, le=most), BeforeValidator(whole)]
    described = Field(description=option.description or None, examples=list(option.examples) or None)
    return Annotated[kind if default is not None else kind | None, described], default


DEFAULTS: Final = {each.name: each.default for each in fields(SearchRequest)}

Options = create_model(
    "Options",
    __config__=ConfigDict(extra="forbid"),
    __doc__="Options of a search, for queries by photo and by item.",
    **cast(
        Any,
        {name: field_of(option, DEFAULTS[name], name=name) for name, option in OPTIONS.items() if name not in OF_PHOTO},
    ),
)


class Remembering(BaseModel):
    """Whether a search is one of a visitor."""

    remember: bool = Field(
        default=True,
        description="Whether a server that remembers searches remembers this one, and counts how good it is. False is "
        "for an answer that no visitor searched for, such as items beside a product, or that is replaced at once.",
    )


class ItemExamples(Remembering):
    """Items to look like, and less like."""

    id: ItemId | Annotated[list[ItemId], Field(min_length=1, max_length=MOST)] | None = Field(
        default=None, description="One or more items to look like; may be left out with `text`. They are not matches."
    )
    unlike_id: ItemId | Annotated[list[ItemId], Field(max_length=MOST)] | None = Field(
        default=None, description="Items to look less like. They are left out of the answer."
    )

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"id": "d013-1", "k": 5, "weights": {"deep": 1}}, {"text": "red floral dress", "k": 5}],
            **rules(
                unused={
                    **{name: {"const": DEFAULTS.get(name)} for name in (*DEFAULTS, "unlike_id")},
                    "metrics": {"enum": [None, {}]},
                },
                example={"required": ["id"], "properties": {"id": {"type": ["string", "array"]}}},
                text={"required": ["text"], "properties": {"text": {"type": "string"}}},
            ),
        },
    )


Question = cast(
    type[ItemExamples],
    create_model(
        "Question",
        __base__=(ItemExamples, Options),
        __doc__="A search by items, words, or both. Searches by photo are sent as a form, with the same names.",
    ),
)


def request_of(options: BaseModel, *, box: Box | None = None, garment: str | None = None) -> SearchRequest:
    """Search request of validated options.

    Raises:
        UsageError: Two options exclude each other.
    """
    return SearchRequest(box=box, garment=garment, **{name: getattr(options, name) for name in Options.model_fields})


def form_part(schema: dict[str, Any]) -> dict[str, Any]:
    """Schema of a form part: that of the JSON model, without null, which a form cannot send; an empty part is none."""
    shown = {name: value for name, value in schema.items() if name not in ("title", "anyOf", "examples")}
    if shown.get("default", 0) is None:
        del shown["default"]
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    if len(choices) == 1:
        shown = {**{name: value for name, value in choices[0].items() if name != "examples"}, **shown}
    elif choices:
        shown["anyOf"] = choices
    if shown.get("type") == "object":
        shown["description"] += " As JSON."
    shown.pop("minLength", None)
    if "enum" in shown:
        shown["enum"] = [*shown["enum"], ""]
    return shown


_FILE: Final = {"type": "string", "format": "binary", "contentMediaType": "image/*"}
_ID: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
OPTION_PARTS: Final = {name: form_part(schema) for name, schema in Options.model_json_schema()["properties"].items()}
AS_JSON: Final = tuple(name for name, schema in OPTION_PARTS.items() if schema.get("type") == "object")
"""Form parts whose text is JSON."""

FORM_PARTS: Final[dict[str, Any]] = {
    "photo": {
        "type": "array",
        "items": _FILE,
        "minItems": 1,
        "maxItems": MOST,
        "description": "One or more photos of similar garments.",
    },
    "id": {
        "type": "array",
        "items": _ID,
        "minItems": 1,
        "maxItems": MOST,
        "description": "Ids of one or more indexed items.",
    },
    "unlike": {"type": "array", "items": _FILE, "maxItems": MOST, "description": "Photos to look less like."},
    "unlike_id": {"type": "array", "items": _ID, "maxItems": MOST, "description": "Items to look less like."},
    "box": {"type": "string", "format": "box", "description": OPTIONS["box"].description},
    "garment": {
        "type": "string",
        "anyOf": [{"enum": [AUTO, WHOLE, *KINDS]}, {"pattern": f"^{NUMBER.pattern}$"}],
        "description": OPTIONS["garment"].description,
    },
    **OPTION_PARTS,
    "remember": form_part(Remembering.model_json_schema()["properties"]["remember"]),
}
"""Schema of each form part, by name."""

ENCODING: Final = {
    **{name: {"contentType": "image/*"} for name in FILES},
    **{name: {"contentType": "application/json"} for name in AS_JSON},
}
"""Media types of the form parts that are not plain text."""
