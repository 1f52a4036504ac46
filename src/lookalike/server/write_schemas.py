"""Pydantic models of writing requests and their reports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.server.schemas import LONGEST_ID, LONGEST_NAME, Corners, ErrorFacts, ItemId


class ItemText(BaseModel):
    """What is known of an item, beside its photo."""

    product: Annotated[str, Field(max_length=LONGEST_ID)] | None = None
    attributes: dict[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)], Any] = Field(default_factory=dict)

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"product": "d013", "attributes": {"colour": "Green", "price": 79.9}}]},
    )


class ItemPatch(BaseModel):
    """What changes of an item; what is not named stays."""

    attributes: dict[Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)], Any] = Field(
        description="Only those named change; null takes one away."
    )

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"attributes": {"price": 59.9}}]}
    )


class BulkItem(ItemText):
    """One line of a bulk request."""

    id: ItemId
    box: Corners | None = None
    photo: Annotated[str, Field(min_length=1, max_length=LONGEST_ID)] | None = Field(
        default=None, description="In a form: the file name of the part that has the photo."
    )
    photo_base64: str | None = Field(default=None, description="The photo itself, in base64.")

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"id": "d013-9", "photo": "d013-9.jpg", "product": "d013"}]}
    )


class BulkLine(BaseModel):
    """What became of one line."""

    line: int = Field(ge=1)
    id: str | None
    status: Literal["added", "updated", "failed"]
    error: ErrorFacts | None = None


class BulkReport(BaseModel):
    """What became of each line; those that failed do not hold up the others."""

    added: int
    updated: int
    failed: int
    lines: list[BulkLine]
