"""The shapes of requests and answers, as the OpenAPI document shows them.

Answers are the same JSON as the command line's `--json`, made by the same functions; these models describe them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.gallery.request import OPTIONS
from lookalike.server.errors import ERROR_CODES

LONGEST_FILTER = 4000
LONGEST_ID = 1000
LONGEST_NAME = 200
THUMBNAIL_SIDES = (16, 2048)


def whole(number: object) -> object:
    """JSON knows no integers: 3.0 is one for its schemas."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


ItemId = Annotated[str, Field(min_length=1, max_length=LONGEST_ID, examples=["d013-1"])]
Where = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_FILTER,
        description=OPTIONS["where"].description,
        examples=["price < 80 and colour in ('Green', 'Navy')"],
        json_schema_extra={"format": "filter"},
    ),
]
SpaceName = Annotated[str, Field(json_schema_extra={"format": "space"})]
MetricName = Annotated[str, Field(json_schema_extra={"format": "metric"})]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Corners = Annotated[
    list[float],
    Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in pixels of the upright photo at its full size."),
]


class Item(BaseModel):
    """One photo of the catalogue and what is known about it."""

    id: str
    product: str | None = Field(description="What the photo shows; photos of one product share it.")
    photo: str = Field(description="The photo as its catalogue names it; `/v1/items/{id}/photo` has the picture.")
    box: Corners | None = Field(description="The part of the photo that was looked at; null is all of it.")
    attributes: dict[str, Any]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "d013-1",
                    "product": "d013",
                    "photo": "photos/d013-1.jpg",
                    "box": None,
                    "attributes": {"title": "Green tartan jacket", "colour": "Green", "price": 79.9},
                }
            ]
        }
    )


class Match(Item):
    """One item of an answer."""

    rank: int = Field(ge=1, description="From 1, over all pages.")
    refined: float | None = Field(
        default=None, description="What the rank goes by, where expand or rerank was asked for."
    )
    score: float = Field(
        description="Weighted mean of the cosines, in [-1, 1]; or minus the weighted sum of distances."
    )
    scores: dict[str, float] = Field(description="The part of each space.")

    model_config = ConfigDict(json_schema_extra={})


class Examples(BaseModel):
    """What was asked with, where that was more than one photo or item."""

    photos: list[str]
    items: list[str]
    unlike_photos: list[str]
    unlike_items: list[str]


class QueryEcho(BaseModel):
    """What was asked, as it was understood."""

    photo: str | None = Field(description="The name of the photo's file, as it was sent.")
    box: Corners | None
    model: str | None = Field(description="The model that filled the gallery.")
    weights: dict[str, float] = Field(description="Those that were used, for every space.")
    where: str | None
    index: str = Field(description="The index that answered.")
    item: str | None = Field(default=None, description="The item that was asked with, if one was.")
    metrics: dict[str, str] | None = Field(default=None, description="Those that were asked for, if any.")
    offset: int | None = Field(default=None, description="As it was given.")
    expand: int | None = Field(default=None, description="If it was asked for.")
    rerank: int | None = Field(default=None, description="If it was asked for.")
    examples: Examples | None = Field(default=None, description="Only where several were asked with.")

    model_config = ConfigDict(extra="allow")


class Answer(BaseModel):
    """Matches, best first."""

    query: QueryEcho
    took_ms: dict[str, float] = Field(description="How long each step took, in milliseconds.")
    matches: list[Match]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": {
                        "photo": "q.jpg",
                        "box": None,
                        "model": "default@9f3c21ab",
                        "weights": {"deep": 1.0, "color": 0.1},
                        "where": None,
                        "index": "exact",
                    },
                    "took_ms": {"decode": 1.9, "embed": 9.8, "search": 0.2},
                    "matches": [
                        {
                            "rank": 1,
                            "id": "d013-1",
                            "product": "d013",
                            "photo": "photos/d013-1.jpg",
                            "box": None,
                            "attributes": {"title": "Green tartan jacket", "colour": "Green", "price": 79.9},
                            "score": 0.913,
                            "scores": {"deep": 0.941, "color": 0.819},
                        }
                    ],
                }
            ]
        }
    )


class Page(BaseModel):
    """Items in the order they were added."""

    total: int = Field(description="How many items the filter passes.")
    items: list[Item]


class FacetValue(BaseModel):
    """A value and how often it occurs."""

    value: str | float | bool
    count: int


class Facet(BaseModel):
    """An attribute among the items that the filter passes."""

    name: str
    kinds: list[str] = Field(description="Kinds of its values: text, number, boolean.")
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="Least and largest, where all values are numbers."
    )
    values: list[FacetValue] = Field(description="Most frequent first.")


class Facets(BaseModel):
    """Values and counts of each attribute."""

    total: int = Field(description="How many items the filter passes.")
    facets: list[Facet]

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "total": 240,
                    "facets": [
                        {
                            "name": "colour",
                            "kinds": ["text"],
                            "range": None,
                            "values": [{"value": "Green", "count": 32}, {"value": "Navy", "count": 12}],
                        },
                        {
                            "name": "price",
                            "kinds": ["number"],
                            "range": [9.9, 149.0],
                            "values": [{"value": 79.9, "count": 4}],
                        },
                    ],
                }
            ]
        }
    )


class SpaceInfo(BaseModel):
    """One way in which photos are compared."""

    name: str
    dimension: int
    weight: float = Field(description="What it weighs in a search that names no weights.")


class LimitsInfo(BaseModel):
    """What the server takes."""

    upload_bytes: int
    pixels: int
    k: int
    offset: int


class Info(BaseModel):
    """What is served."""

    version: str
    model: str | None
    items: int
    spaces: list[SpaceInfo]
    attributes: dict[str, list[str]] = Field(description="Kinds of the values that each has.")
    photos: bool = Field(
        description="Whether photos can be asked with; imported features serve items only, until their model is named."
    )
    writable: bool = Field(description="Whether items can be written, with the token.")
    limits: LimitsInfo


class Health(BaseModel):
    """The server is there."""

    status: Literal["ok", "ready"]


class ErrorFacts(BaseModel):
    """What went wrong, for people and for programs; some codes have more details."""

    code: str = Field(examples=[*ERROR_CODES])
    message: str

    model_config = ConfigDict(extra="allow")


class ErrorBody(BaseModel):
    """What every error looks like."""

    error: ErrorFacts
