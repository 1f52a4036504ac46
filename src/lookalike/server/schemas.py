"""Pydantic models of requests and answers, for validation and the OpenAPI document.

Answers are the JSON of the command line's `--json`, made by the same functions; these models only describe them.
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
    overrides: dict[str, Any] | None = Field(
        default=None,
        description="Only with the token, and if there are any: attributes, and `product`, set by hand, which indexing "
        "the catalogue again keeps; null removes one.",
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


class GarmentsInPhoto(BaseModel):
    """The garments of one photo."""

    photo: str = Field(description="File name as sent.")
    garments: list[Garment] = Field(description="Highest score first.")


class GarmentsFound(BaseModel):
    """The garments of each photo."""

    photos: list[GarmentsInPhoto]


class Page(BaseModel):
    """Items in the order they were added."""

    total: int = Field(description="How many items, or with `group` products, the filter passes.")
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

    total: int = Field(description="How many items, or with `group` products, the filter passes.")
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
