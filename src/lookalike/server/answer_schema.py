"""Pydantic models of the answers of a search, for validation and the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lookalike.server.explanation_schema import Explanation
from lookalike.server.schemas import Corners, Facet, Garment, Item


class Variant(BaseModel):
    """A further photo of the product of a match."""

    id: str
    photo: str = Field(description="As in an item.")
    box: Corners | None
    attributes: dict[str, Any]
    score: float = Field(description="As in a match.")
    garment: Garment | None = Field(default=None, description="As in a match.")


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
    variants: list[Variant] | None = Field(
        default=None,
        description="Only with `group`: other photos of the product that pass the filter, best first, at most 20.",
    )
    similarity_rank: int | None = Field(
        default=None,
        ge=1,
        description="Rank by similarity alone; only with `sort`, `boost`, `diversity` or a learned ranking.",
    )
    boost: dict[str, float] | None = Field(
        default=None, description="Only with `boost`, of relevant matches: what each boost added."
    )
    contributions: dict[str, float] | None = Field(
        default=None,
        description="Only with a learned ranking: what each feature added; the match with the largest sum comes first.",
    )
    variant_count: int | None = Field(default=None, ge=0, description="Only with `group`: number of all variants.")

    model_config = ConfigDict(json_schema_extra={})


class Examples(BaseModel):
    """The photos and items of a query that has several."""

    photos: list[str]
    items: list[str]
    unlike_photos: list[str]
    unlike_items: list[str]


class NumberedGarment(Garment):
    """A garment in the photo of a search."""

    number: int = Field(
        ge=1,
        description="Place among the garments of the photo, highest score first; one with a score below 0.22 is asked "
        "for by its kind.",
    )


class ChosenGarment(NumberedGarment):
    """The garment that a search was made with."""

    asked: str = Field(description="What was asked for: `auto`, a kind, or a number.")


class TextRead(BaseModel):
    """Words of a query, as they were read."""

    known: list[str] = Field(description="Words whose meaning was searched, spelling corrected.")
    unknown: list[str] = Field(description="Words that the model has not learnt; only their letters can be looked up.")
    not_found: list[str] = Field(description="Words whose meaning was not searched, and that no item has in its texts.")
    corrected: dict[str, str] = Field(description="Word that was searched, by misspelt word.")
    searched: list[str] = Field(description="`visual`, `full_text` or both: how the words were searched.")


class QueryEcho(BaseModel):
    """The query as it was understood."""

    id: str = Field(description="Random id of this answer, for `POST /v1/events`.")
    photo: str | None = Field(description="File name of the photo, as sent.")
    box: Corners | None
    model: str | None = Field(description="Model that filled the gallery, with its fingerprint.")
    weights: dict[str, float] = Field(description="Weight of each space, as used.")
    where: str | None
    index: str = Field(description="Index that answered.")
    item: str | None = Field(default=None, description="Id of the query item; only with a single one.")
    metrics: dict[str, str] | None = Field(default=None, description="Metric by space; only if given.")
    offset: int | None = Field(default=None, description="Offset; only if given.")
    group: str | None = Field(default=None, description="`product` for an answer of products; only if given.")
    diversity: float | None = Field(default=None, description="Diversity; only if given.")
    sort: str | None = Field(default=None, description="Attributes that were sorted by; only if given.")
    boost: dict[str, float] | None = Field(default=None, description="Weights of boosts; only if given.")
    relevant: int | None = Field(
        default=None,
        ge=0,
        description="Only with `sort`, `boost`, `diversity`, `facets` or a learned ranking: number of relevant "
        "matches, which they are applied to. Other matches follow.",
    )
    ranking: str | None = Field(
        default=None, description="Learned ranking that ordered the matches, with its fingerprint; only with one."
    )
    expand: int | None = Field(default=None, description="Number of items for query expansion; only if given.")
    alpha: float | None = Field(default=None, description="Exponent of the scores in query expansion; only if given.")
    rerank: int | None = Field(default=None, description="Number of re-ranked matches; only if given.")
    k1: int | None = Field(default=None, description="Size of a neighbourhood in re-ranking; only if given.")
    k2: int | None = Field(default=None, description="Number of averaged neighbourhoods; only if given.")
    trust: float | None = Field(default=None, description="Share of the similarity in re-ranking; only if given.")
    min_relevance: float | None = Field(default=None, description="Least relevance; only if given.")
    interleaved: bool | None = Field(
        default=None, description="True if the answer was interleaved from two rankings: its scores are not in order."
    )
    text: str | None = Field(default=None, description="Words of the query; only if given.")
    text_read: TextRead | None = Field(default=None, description="How the words were read; only with `text`.")
    text_weight: float | None = Field(default=None, description="Weight of the words; only if given.")
    same_kind: bool | None = Field(default=None, description="True if only items of one kind were searched.")
    kind: str | None = Field(
        default=None, description="With `same_kind`: the kind; null if it is unknown, and all kinds were searched."
    )
    garment: ChosenGarment | None = Field(
        default=None,
        description="Only if a garment was asked for; null is the whole photo: fewer than two separate garments have a "
        "score of 0.3 or more.",
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
    facets: list[Facet] | None = Field(
        default=None, description="Only with `facets`: values of the attributes of the relevant matches."
    )

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "query": {
                        "id": "kW3v0Qm8S1a7r2xN4bYc5A",
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
