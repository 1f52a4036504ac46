"""Pydantic models of requests and answers, for validation and the OpenAPI document.

Answers are the JSON of the command line's `--json`, made by the same functions; these models only describe them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.gallery.request import OPTIONS
from lookalike.server.errors import ERROR_CODES
from lookalike.server.explanation_schema import Explanation

LONGEST_FILTER = 4000
LONGEST_ID = 1000
LONGEST_NAME = 200
THUMBNAIL_SIDES = (16, 2048)


def whole(number: object) -> object:
    """Turn a float with an integral value, such as 3.0, into an int, since JSON schema counts it as an integer."""
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


class Garment(BaseModel):
    """A garment in a photo."""

    box: Corners
    kind: str = Field(examples=["dress"])
    score: float = Field(ge=0, le=1, description="Confidence of the finder.")


class Item(BaseModel):
    """An item: a photo of the catalogue, its product and its attributes."""

    id: str
    product: str | None = Field(description="Name of the product; all photos of one product share it.")
    photo: str = Field(description="Path of the photo below its root; `/v1/items/{id}/photo` has the picture.")
    box: Corners | None = Field(description="The part of the photo that is described; null for the whole photo.")
    attributes: dict[str, Any]
    garments: list[Garment] | None = Field(
        default=None,
        description="Only if the photo was searched for garments to describe one by one: these, most prominent first.",
    )

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
    """An item in an answer, with its rank and scores."""

    rank: int = Field(ge=1, description="Rank from 1, counted over all pages.")
    refined: float | None = Field(
        default=None, description="Value that the order goes by; only with `expand` or `rerank`."
    )
    relevance: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Probability that it is of the same kind as what was asked; only with a calibrated model.",
    )
    score: float = Field(
        description="Weighted mean of the cosines, in [-1, 1]; with `metrics`, minus the weighted sum of distances."
    )
    scores: dict[str, float] = Field(description="Cosine in each space; with `metrics`, minus the distance.")
    garment: Garment | None = Field(
        default=None, description="Only of an item that is described by its garments: the one that was found."
    )
    explanation: Explanation | None = Field(
        default=None, description="Only with `explain`, of the first 20 matches whose photos can be read in folders."
    )

    model_config = ConfigDict(json_schema_extra={})


class Examples(BaseModel):
    """The photos and items of a query that has several."""

    photos: list[str]
    items: list[str]
    unlike_photos: list[str]
    unlike_items: list[str]


class NumberedGarment(Garment):
    """A garment in the photo of a search."""

    number: int = Field(ge=1, description="Place in the list of all garments of the photo, highest score first.")


class ChosenGarment(NumberedGarment):
    """The garment that a search was made with."""

    asked: str = Field(description="What was asked for: `auto`, a kind, or a number.")


class GarmentsInPhoto(BaseModel):
    """The garments of one photo."""

    photo: str = Field(description="File name as sent.")
    garments: list[Garment] = Field(description="Highest score first.")


class GarmentsFound(BaseModel):
    """The garments of each photo."""

    photos: list[GarmentsInPhoto]


class TextRead(BaseModel):
    """Words of a query, as they were read."""

    known: list[str] = Field(description="Words whose meaning was searched, spelling corrected.")
    unknown: list[str] = Field(description="Words that the model has not learnt; only their letters can be looked up.")
    not_found: list[str] = Field(description="Words whose meaning was not searched, and that no item has in its texts.")
    corrected: dict[str, str] = Field(description="Word that was searched, by misspelt word.")
    searched: list[str] = Field(description="`visual`, `full_text` or both: how the words were searched.")


class QueryEcho(BaseModel):
    """The query as it was understood."""

    photo: str | None = Field(description="File name of the photo, as sent.")
    box: Corners | None
    model: str | None = Field(description="Model that filled the gallery, with its fingerprint.")
    weights: dict[str, float] = Field(description="Weight of each space, as used.")
    where: str | None
    index: str = Field(description="Index that answered.")
    item: str | None = Field(default=None, description="Id of the query item; only with a single one.")
    metrics: dict[str, str] | None = Field(default=None, description="Metric by space; only if given.")
    offset: int | None = Field(default=None, description="Offset; only if given.")
    expand: int | None = Field(default=None, description="Number of items for query expansion; only if given.")
    rerank: int | None = Field(default=None, description="Number of re-ranked matches; only if given.")
    min_relevance: float | None = Field(default=None, description="Least relevance; only if given.")
    text: str | None = Field(default=None, description="Words of the query; only if given.")
    text_read: TextRead | None = Field(default=None, description="How the words were read; only with `text`.")
    text_weight: float | None = Field(default=None, description="Weight of the words; only if given.")
    same_kind: bool | None = Field(default=None, description="True if only items of one kind were searched.")
    kind: str | None = Field(
        default=None, description="With `same_kind`: the kind; null if it is unknown, and all kinds were searched."
    )
    garment: ChosenGarment | None = Field(
        default=None, description="Only if a garment was asked for; null is the whole photo, as none or one was found."
    )
    garments: list[NumberedGarment] | None = Field(
        default=None, description="Only if a garment was asked for: the other garments of the photo."
    )
    examples: Examples | None = Field(default=None, description="Photos and items of the query; only with several.")
    labels: dict[str, list[Annotated[list[Any], Field(min_length=2, max_length=2)]]] | None = Field(
        default=None,
        description="What the photo probably shows: by head of the model, such as `kind`, the most probable "
        "classes with their probabilities, highest first. Empty lists if it probably shows no garment. Only with a "
        "single photo, and a model that can tell.",
        examples=[{"kind": [["dress", 0.92], ["skirt", 0.05], ["top", 0.01]], "colour": [["red", 0.8]]}],
    )
    no_garment: float | None = Field(
        default=None, ge=0, le=1, description="Probability that the photo shows no garment; only with `labels`."
    )

    model_config = ConfigDict(extra="allow")


class Answer(BaseModel):
    """Matches, best first."""

    query: QueryEcho
    took_ms: dict[str, float] = Field(
        description="Milliseconds of each step: `decode`, `embed`, `search`, and `find` if garments were sought."
    )
    matches: list[Match]
    no_good_match: bool | None = Field(
        default=None, description="Whether no item at all reaches `min_relevance`; only if that was given."
    )

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
    """A value of an attribute, and its number of items."""

    value: str | float | bool
    count: int


class Facet(BaseModel):
    """Values of an attribute among the items that pass the filter."""

    name: str
    kinds: list[str] = Field(description="Kinds of the values: `text`, `number`, `boolean`.")
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="Least and largest value; null unless all values are numbers."
    )
    values: list[FacetValue] = Field(description="Values, most frequent first.")


class Facets(BaseModel):
    """Facets of all attributes."""

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
    """A space: one way to compare photos."""

    name: str
    dimension: int
    weight: float = Field(description="Weight in a search without `weights`.")


class LimitsInfo(BaseModel):
    """Largest values that the server accepts."""

    upload_bytes: int
    pixels: int
    k: int
    offset: int


class Info(BaseModel):
    """The gallery and the limits of the server."""

    version: str
    model: str | None
    items: int
    spaces: list[SpaceInfo]
    attributes: dict[str, list[str]] = Field(description="Kinds of values of each attribute.")
    garments: bool = Field(description="Whether garments can be found in photos.")
    photos: bool = Field(
        description="Whether searches by photo are possible; for imported vectors, only if their model is named."
    )
    writable: bool = Field(description="Whether items can be written with the token.")
    limits: LimitsInfo


class Health(BaseModel):
    """Status of the server."""

    status: Literal["ok", "ready"]


class ErrorFacts(BaseModel):
    """Code and message of an error. Some codes have more details."""

    code: str = Field(examples=[*ERROR_CODES])
    message: str

    model_config = ConfigDict(extra="allow")


class ErrorBody(BaseModel):
    """Body of every error response."""

    error: ErrorFacts
