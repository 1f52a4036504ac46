"""Answers of a search: the query as it was understood, and its matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from lookalike.types import Box, Facet, Float32, Garment, Item, Labels, item_json


@dataclass(frozen=True, slots=True)
class GarmentChoice:
    """Garment of a photo that a search looks at.

    Attributes:
        asked: What was asked for: `auto`, a kind, or a number.
        found: Garments of the photo, highest score first.
        number: Number in `found`, from 1, of the garment looked at; None is the whole photo, as `auto` found no two
            separate ones that are sure.
    """

    asked: str
    found: Sequence[Garment]
    number: int | None

    @property
    def garment(self) -> Garment | None:
        """Garment looked at; None is the whole photo."""
        return None if self.number is None else self.found[self.number - 1]

    def to_json(self) -> dict[str, Any]:
        """JSON form: the garment looked at, and the others, each with its number."""
        numbered = [{"number": number, **garment.to_json()} for number, garment in enumerate(self.found, start=1)]
        chosen = None if self.number is None else {**numbered[self.number - 1], "asked": self.asked}
        return {"garment": chosen, "garments": [each for each in numbered if each["number"] != self.number]}


@dataclass(frozen=True, slots=True)
class QueryText:
    """Words of a query, as they were read.

    Attributes:
        text: The words as they were given.
        known: Words whose meaning was searched, lower case.
        unknown: Words that the model has not learnt: their letters alone can be looked up.
        corrected: Word that was searched, by misspelt word.
        not_found: Words whose meaning was not searched, and that no item has in its texts.
        searched: How the words were searched: `visual`, `full_text`, or both.
    """

    text: str
    known: Sequence[str]
    unknown: Sequence[str]
    corrected: Mapping[str, str]
    not_found: Sequence[str]
    searched: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """JSON form: the text, and how it was read."""
        lists = {name: [*getattr(self, name)] for name in ("known", "unknown", "not_found", "searched")}
        return {"text": self.text, "text_read": {**lists, "corrected": dict(self.corrected)}}


@dataclass(frozen=True, slots=True)
class Regions:
    """Regions of a photo that agree with another photo.

    Attributes:
        agreement: (h, w) float32 in [0, 1], from the top left; see `lookalike.retrieval.explanation`.
        area: Left, top, right and bottom of these cells, as fractions of the part of the photo that was looked at;
            beyond [0, 1] if the model fills photos up to its input.
    """

    agreement: Float32
    area: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        rows = self.agreement.tolist()
        return {"agreement": [[round(cell, 3) for cell in row] for row in rows], "area": [*self.area]}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Regions in which a query and a match agree.

    Attributes:
        query: Regions of the query photo, or of the photo of the query item.
        match: Regions of the photo of the match.
    """

    query: Regions
    match: Regions

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        return {"query": self.query.to_json(), "match": self.match.to_json()}


@dataclass(frozen=True, slots=True)
class Variant:
    """Further photo of the product of a match.

    Attributes:
        item: Item of the photo.
        score: As in `Match`.
        garment: As in `Match`.
    """

    item: Item
    score: float
    garment: Garment | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        told = item_json(self.item)
        variant = {name: told[name] for name in ("id", "photo", "box", "attributes")} | {"score": self.score}
        return variant if self.garment is None else {**variant, "garment": self.garment.to_json()}


@dataclass(frozen=True, slots=True)
class Match:
    """Item of an answer with its rank and scores.

    Attributes:
        rank: Rank, from 1.
        item: Item found.
        score: Weighted mean of the cosines, in [-1, 1]; or minus the weighted sum of distances; or, of words that are
            searched as letters only, the full-text score.
        scores: Cosine, or minus the distance, by name of the space. With words beside a photo also the cosine of the
            `photo` and of the `text` alone, and with letters the `full_text` score where the item has one.
        refined: Value that decides the rank of a refined or fused answer; None if the score does.
        relevance: Calibrated probability, in [0, 1], that it is of the same kind as what was asked; None if unknown.
        garment: Garment of the photo that was found; None if the item is not embedded by its garments.
        explanation: Regions that agree with the query; None unless it was asked for, beyond the first matches, and if
            the photo cannot be read.
        variants: In an answer of products, other photos of the product that were found, best first, at most
            `lookalike.retrieval.variants.LISTED`.
        variant_count: Number of all of these; None in an answer of photos.
        similarity_rank: Rank before the relevant matches were sorted, boosted or made diverse; None if they were not.
        boost: What each boost added, by its name; empty without, and for a match that is not relevant.
        contributions: What each feature added in a learned ranking, by its name: the largest sum comes first; empty
            without, and for a match beyond those that were ranked.
    """

    rank: int
    item: Item
    score: float
    scores: Mapping[str, float]
    refined: float | None = None
    relevance: float | None = None
    garment: Garment | None = None
    explanation: Explanation | None = field(default=None, compare=False)
    variants: Sequence[Variant] = ()
    variant_count: int | None = None
    similarity_rank: int | None = None
    boost: Mapping[str, float] = field(default_factory=dict)
    contributions: Mapping[str, float] = field(default_factory=dict)

    @property
    def part(self) -> Box | None:
        """Part of the photo that was found; None is all of it."""
        return self.item.box if self.garment is None else self.garment.box

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        match: dict[str, Any] = {
            "rank": self.rank,
            **item_json(self.item),
            "score": self.score,
            "scores": dict(self.scores),
        }
        for name in ("refined", "relevance", "similarity_rank"):
            if (value := getattr(self, name)) is not None:
                match[name] = value
        for name in ("boost", "contributions"):
            match |= {name: dict(added)} if (added := getattr(self, name)) else {}
        if self.garment is not None:
            match["garment"] = self.garment.to_json()
        if self.explanation is not None:
            match["explanation"] = self.explanation.to_json()
        if self.variant_count is not None:
            match |= {"variant_count": self.variant_count, "variants": [each.to_json() for each in self.variants]}
        return match


@dataclass(frozen=True, slots=True)
class Query:
    """Resolved query of an answer.

    `weights` are those that were used, `labels` the most probable classes of the photo by head of the model, with their
    probabilities, and `no_garment` the probability that it shows none; None without a single photo or such heads.
    With `same_kind`, the matches are of `kind`, or of any if that is None, since it is unknown; `auto` counts as
    `same_kind` if it restricted the search. `group` is `product` in an answer of products. `relevant` is the number of
    matches that `sort`, `boost`, `diversity` and facets apply to. `ranking` names the learned ranking that ordered the
    matches, with its fingerprint; None without one.
    """

    photo: str | None
    item: str | None
    box: Box | None
    model: str | None
    weights: Mapping[str, float]
    where: str | None
    index: str
    metrics: Mapping[str, str] = field(default_factory=dict)
    expand: int = 0
    alpha: float | None = None
    rerank: int = 0
    k1: int | None = None
    k2: int | None = None
    trust: float | None = None
    min_relevance: float | None = None
    same_kind: bool = False
    kind: str | None = None
    offset: int | None = None
    examples: Mapping[str, Sequence[str]] | None = None
    garment: GarmentChoice | None = None
    labels: Labels | None = None
    no_garment: float | None = None
    text: QueryText | None = None
    text_weight: float | None = None
    group: str | None = None
    diversity: float = 0.0
    sort: str | None = None
    boost: Mapping[str, float] | None = None
    relevant: int | None = None
    ranking: str | None = None

    @property
    def part(self) -> Box | None:
        """Part of the photo that was looked at: the box that was given, or that of the garment; None is all of it."""
        garment = None if self.garment is None else self.garment.garment
        return self.box if garment is None else garment.box

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        query: dict[str, Any] = {
            "photo": self.photo,
            "box": self.box.to_list() if self.box else None,
            "model": self.model,
            "weights": dict(self.weights),
            "where": self.where,
            "index": self.index,
        }
        for part in (self.garment, self.text):
            query |= {} if part is None else part.to_json()
        for name in ("metrics", "boost"):
            query |= {name: dict(given)} if (given := getattr(self, name)) else {}
        for name in ("expand", "rerank", "diversity"):
            query |= {name: number} if (number := getattr(self, name)) else {}
        if self.examples is not None:
            query["examples"] = {name: list(given) for name, given in self.examples.items()}
        if self.labels is not None:
            query["labels"] = {head: [list(each) for each in shown] for head, shown in self.labels.items()}
        if self.same_kind:
            query |= {"same_kind": True, "kind": self.kind}
        plain = ("item", "offset", "group", "sort", "ranking", "relevant", "min_relevance", "no_garment", "text_weight")
        for name in (*plain, "alpha", "k1", "k2", "trust"):
            if (value := getattr(self, name)) is not None:
                query[name] = value
        return query


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of one query.

    Attributes:
        query: Query as it was understood.
        took_ms: Milliseconds of each step: `decode`, `embed`, `search`.
        matches: Matches, best first.
        read_photo: Reads the photo of an item from where the gallery allows it, as a source for `open_image`; None
            reads any location. Raises PhotoError if the photo may not or cannot be read.
        no_good_match: Whether there are items, but none that reaches the least relevance that was asked for.
        facets: Values of the attributes of the relevant matches with their counts; None unless they were asked for.
        vectors: Query vectors by space that were searched with, (1, D) float32 each.
    """

    query: Query
    took_ms: Mapping[str, float]
    matches: Sequence[Match]
    read_photo: Callable[[Item], Any] | None = field(default=None, repr=False, compare=False)
    no_good_match: bool = False
    facets: Sequence[Facet] | None = None
    vectors: Mapping[str, Float32] = field(default_factory=dict, repr=False, compare=False)

    @property
    def labels(self) -> Labels | None:
        """What the query photo shows, as in `Query.labels`."""
        return self.query.labels

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        return {
            "query": self.query.to_json(),
            "took_ms": {step: round(ms, 3) for step, ms in self.took_ms.items()},
            "matches": [match.to_json() for match in self.matches],
            **({} if self.query.min_relevance is None else {"no_good_match": self.no_good_match}),
            **({} if self.facets is None else {"facets": [facet.to_json() for facet in self.facets]}),
        }

    def _repr_html_(self) -> str:
        """HTML for notebooks: embedded thumbnails with ranks and scores."""
        # imported by name, since rendering is a layer above, and only notebooks need it
        page: str = import_module("lookalike.render.notebook").notebook_html(self)
        return page
