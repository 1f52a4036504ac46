"""Pydantic models of writing requests and their reports."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from lookalike.gallery.record_batch import PRODUCT
from lookalike.server.photo_fetching import LONGEST_URL
from lookalike.server.schemas import LONGEST_ID, LONGEST_NAME, Corners, ErrorFacts, ItemId

MOST_UNSET: Final = 1_000
GARMENTS_TEXT: Final = "Embed each garment of the photo by itself, if there is no box."


AttributeName = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
KnownAttribute = Annotated[AttributeName, Field(json_schema_extra={"format": "attribute"})]
Product = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]


def without_product(attributes: dict[str, Any]) -> dict[str, Any]:
    """Refuse an attribute with the name of the product, which is a field of its own."""
    if PRODUCT in attributes:
        raise ValueError("the product is a field beside the attributes")
    return attributes


Attributes = Annotated[
    dict[AttributeName, Any],
    AfterValidator(without_product),
    Field(json_schema_extra={"propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME, "not": {"const": PRODUCT}}}),
]
PRODUCT_TEXT: Final = "Without it the product stays; null removes it."
ATTRIBUTES_TEXT: Final = "New values by name; null removes an attribute, and the others stay."
UNSET_TEXT: Final = "Attributes set by hand, or `product`, that get the value of the catalogue again."


PhotoUrl = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, json_schema_extra={"format": "photo-url"})]
URL_TEXT: Final = (
    "Address to fetch the photo from in the background, of a host that the setting `photo_hosts` names; the whole "
    "change waits for the photo."
)


class ItemText(BaseModel):
    """Product and attributes of an item, instead of those that it has."""

    product: Product | None = None
    attributes: Attributes = Field(default_factory=dict)

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"product": "d013", "attributes": {"colour": "Green", "price": 79.9}}]},
    )


class ItemBody(ItemText):
    """An item as JSON: with the address of a photo the whole item, without one its product and attributes."""

    photo_url: PhotoUrl | None = Field(default=None, description=URL_TEXT)
    box: Corners | None = Field(default=None, description="Part of the photo at `photo_url`.")
    garments: bool = Field(default=False, description=GARMENTS_TEXT)


class ItemPatch(BaseModel):
    """Changes of an item; what is not named stays."""

    product: Product | None = Field(default=None, description=PRODUCT_TEXT)
    attributes: Attributes = Field(default_factory=dict, description=ATTRIBUTES_TEXT)
    unset: list[KnownAttribute] = Field(default_factory=list, max_length=MOST_UNSET, description=UNSET_TEXT)

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"attributes": {"price": 59.9}, "unset": ["colour"]}]},
    )


class BulkItem(ItemPatch):
    """One line of a bulk request; what is not named stays."""

    id: ItemId
    box: Corners | None = None
    photo: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)] | None = Field(
        default=None, description="In a form: file name of the part with the photo."
    )
    photo_base64: str | None = Field(default=None, description="Content of the photo file in base64.")
    photo_url: PhotoUrl | None = Field(default=None, description=URL_TEXT)
    garments: bool | None = Field(default=None, description=GARMENTS_TEXT)
    replace: bool = Field(
        default=False, description="Replace product and attributes, as PUT does: what is not named is removed."
    )
    delete: bool = Field(default=False, description="Delete the item; no other field but the id may be given.")

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"id": "d013-9", "photo": "d013-9.jpg", "product": "d013"}]}
    )


class BulkLine(BaseModel):
    """Status of one line."""

    line: int = Field(ge=1)
    id: str | None
    status: Literal["added", "updated", "unchanged", "deleted", "queued", "failed"]
    error: ErrorFacts | None = None


class BulkReport(BaseModel):
    """Report on a bulk request: number of lines by status, and the status of each line."""

    added: int
    updated: int
    unchanged: int
    deleted: int
    queued: int = Field(description="Lines whose photos are fetched in the background.")
    failed: int
    job: str | None = Field(description="Id of the job that fetches the photos of this request.")
    lines: list[BulkLine]
