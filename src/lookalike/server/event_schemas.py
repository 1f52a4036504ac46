"""Pydantic models of events."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel

from lookalike.server.schemas import ItemId

MOST_EVENTS: Final = 100
"""Largest number of events in a request."""


class UsageEvent(BaseModel):
    """What a visitor did with an item of an answer."""

    query_id: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="`query.id` of the answer.")
    type: Literal["view", "click", "cart", "buy", "like", "less"] = Field(
        description="`view` (it was seen), `click`, `cart`, `buy`, `like`, or `less` (it is not what was looked for)."
    )
    id: ItemId
    rank: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Rank at which it was shown, if it is not that of the answer."
    )

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"query_id": "kW3v0Qm8S1a7r2xN4bYc5A", "type": "click", "id": "d013-1"}]},
    )


class UsageEvents(RootModel[list[UsageEvent]]):
    """Events of one or more answers."""

    root: Annotated[list[UsageEvent], Field(min_length=1, max_length=MOST_EVENTS)]


class UsageEventBody(RootModel[UsageEvent | UsageEvents]):
    """One event, or a list of events."""


class EventReport(BaseModel):
    """Number of events that were written, and of those that were known."""

    added: int
    known: int
