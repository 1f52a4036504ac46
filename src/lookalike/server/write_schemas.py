"""Pydantic models of writing requests and their reports."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.server.schemas import LONGEST_ID, LONGEST_NAME, Corners, ErrorFacts, ItemId

GARMENTS_TEXT: Final = "Embed each garment of the photo by itself, if there is no box."


class ItemText(BaseModel):
    """Product and attributes of an item."""

    product: Annotated[str, Field(max_length=LONGEST_ID)] | None = None
    attributes: dict[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)], Any] = Field(default_factory=dict)

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"product": "d013", "attributes": {"colour": "Green", "price": 79.9}}]},
    )


class ItemPatch(BaseModel):
    """Changes of attributes; attributes that are not named stay."""

    attributes: dict[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)], Any] = Field(
        description="New values by name; null removes an attribute."
    )

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"attributes": {"price": 59.9}}]}
    )


class BulkItem(ItemText):
    """One line of a bulk request."""

    id: ItemId
    box: Corners | None = None
    photo: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)] | None = Field(
        default=None, description="In a form: file name of the part with the photo."
    )
    photo_base64: str | None = Field(default=None, description="Content of the photo file in base64.")
    garments: bool = Field(default=False, description=GARMENTS_TEXT)

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"id": "d013-9", "photo": "d013-9.jpg", "product": "d013"}]}
    )


class BulkLine(BaseModel):
    """Status of one line."""

    line: int = Field(ge=1)
    id: str | None
    status: Literal["added", "updated", "failed"]
    error: ErrorFacts | None = None


class BulkReport(BaseModel):
    """Report on a bulk request: number of lines by status, and the status of each line."""

    added: int
    updated: int
    failed: int
    lines: list[BulkLine]
