"""Pydantic models of explanations, for the OpenAPI document."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field


class Regions(BaseModel):
    """Regions of a photo that agree with another photo."""

    agreement: list[list[Annotated[float, Field(ge=0, le=1)]]] = Field(
        description="Rows of cells from the top left: how much each agrees with the most similar cell of the other "
        "photo, weighted by its share in what describes its own photo."
    )
    area: Annotated[list[float], Field(min_length=4, max_length=4)] = Field(
        description="Left, top, right and bottom of the cells, as fractions of the part of the photo that was looked "
        "at (garment, box, or all of it); beyond 0 and 1 for models that fill photos up."
    )


class Explanation(BaseModel):
    """Regions in which a query and a match agree."""

    query: Regions
    match: Regions
