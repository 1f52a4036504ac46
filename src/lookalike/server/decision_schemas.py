"""Pydantic models of decisions of duplicates."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lookalike.server.schemas import ItemId
from lookalike.server.write_schemas import Product

MOST: Final = 100
"""Largest number of decisions of a request, and of items of a decision."""

DIGEST: Final = 64


class DecidedItem(BaseModel):
    """An item that something is decided of, as it was when it was looked at."""

    id: ItemId
    product: Product | None = Field(default=None, description="Its product then; without the field it is not compared.")
    content: Annotated[str, Field(max_length=DIGEST)] | None = Field(
        default=None,
        description="`content` of the JSON of `gallery duplicates`; without the field the photo is not compared.",
    )

    model_config = ConfigDict(extra="forbid", strict=True)


DecidedItems = Annotated[list[DecidedItem], Field(min_length=1, max_length=MOST)]


class MergeBody(BaseModel):
    """The products of some items become one."""

    decision: Literal["merge"]
    items: DecidedItems
    product: Product | None = Field(default=None, description="Without it that of the first item that has one.")

    model_config = ConfigDict(extra="forbid", strict=True)


class RemoveBody(BaseModel):
    """Some items are removed, but for one."""

    decision: Literal["remove"]
    items: DecidedItems
    keep: ItemId = Field(description="Id of the item that stays.")

    model_config = ConfigDict(extra="forbid", strict=True)


class ApartBody(BaseModel):
    """Some items are not the same; nothing is changed."""

    decision: Literal["apart"]
    items: DecidedItems

    model_config = ConfigDict(extra="forbid", strict=True)


DecisionBody = Annotated[MergeBody | RemoveBody | ApartBody, Field(discriminator="decision")]


class DecisionsBody(BaseModel):
    """What is decided of duplicates."""

    decisions: list[DecisionBody] = Field(min_length=1, max_length=MOST)
    dry_run: bool = Field(default=False, description="Tell what would be changed, and change nothing.")

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "decisions": [
                        {
                            "decision": "merge",
                            "product": "d013",
                            "items": [{"id": "d013-1"}, {"id": "x7", "product": "x"}],
                        }
                    ],
                    "dry_run": True,
                }
            ]
        },
    )


class MovedItem(BaseModel):
    """An item of another product now."""

    id: str
    before: str | None = Field(description="Its product before.")
    product: str


class ItemLeftOut(BaseModel):
    """An item that is left out, since it is gone or has changed."""

    decision: int = Field(ge=1, description="Number of the decision.")
    id: str
    reason: str


class DecisionsReport(BaseModel):
    """What the decisions have changed, or would change."""

    dry_run: bool
    moved: list[MovedItem]
    removed: list[str]
    returning: list[str] = Field(
        description="Removed items that a catalogue brought, and that its next run brings again if it still lists them."
    )
    reviewed: int = Field(description="Decisions whose items are not shown as duplicates of each other again.")
    left_out: list[ItemLeftOut]
