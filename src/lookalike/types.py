"""Value types shared by all modules: items, boxes, neighbours, matches, answers.

The letters used for shapes everywhere: B photos of a batch, Q queries, N items, K neighbours, D dimensions,
H height, W width, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import UsageError

Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
UInt8: TypeAlias = npt.NDArray[np.uint8]
Bool: TypeAlias = npt.NDArray[np.bool_]

Labels: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]
"""Names of classes with their probabilities, highest first, by head of a model."""

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None


def several(texts: str | Iterable[str]) -> list[str]:
    """Return a list of texts; a single text is a list of one, and not of its characters."""
    return [texts] if isinstance(texts, str) else list(texts)


@dataclass(frozen=True, slots=True)
class Box:
    """Rectangle in a photo, in pixels of the upright photo at full size; x2 and y2 are exclusive."""

    x1: float
    y1: float
    x2: float
    y2: float

    def __post_init__(self) -> None:
        corners = (self.x1, self.y1, self.x2, self.y2)
        if not all(math.isfinite(c) and c >= 0 for c in corners) or self.x2 <= self.x1 or self.y2 <= self.y1:
            raise UsageError(f"a box is x1,y1,x2,y2 in pixels with 0 <= x1 < x2 and 0 <= y1 < y2, got {self}")

    @classmethod
    def parse(cls, text: str) -> Box:
        """Parse `x1,y1,x2,y2`, separated by commas or spaces.

        >>> Box.parse("8,10,40,50")
        Box(x1=8.0, y1=10.0, x2=40.0, y2=50.0)

        Raises:
            UsageError: The text is not four numbers, or the box is empty.
        """
        try:
            x1, y1, x2, y2 = (float(part) for part in text.replace(",", " ").split())
        except ValueError:
            raise UsageError(f"a box is x1,y1,x2,y2 in pixels, got {text[:100]!r}") from None
        return cls(x1, y1, x2, y2)

    def __str__(self) -> str:
        return ",".join(f"{c:g}" for c in (self.x1, self.y1, self.x2, self.y2))

    def to_list(self) -> list[float]:
        """Corners as JSON: [x1, y1, x2, y2]."""
        return [self.x1, self.y1, self.x2, self.y2]


@dataclass(frozen=True, slots=True)
class Garment:
    """Garment found in a photo.

    Attributes:
        box: Bounding box, in pixels of the upright photo at full size.
        kind: One of `lookalike.kinds.KINDS`, such as `dress`.
        score: Confidence of the finder, in [0, 1].
    """

    box: Box
    kind: str
    score: float

    def to_json(self) -> dict[str, Any]:
        """JSON form, the same for the command line, HTTP and Python."""
        return {"box": self.box.to_list(), "kind": self.kind, "score": self.score}


@dataclass(frozen=True, slots=True)
class GarmentChoice:
    """Garment of a photo that a search looks at.

    Attributes:
        asked: What was asked for: `auto`, a kind, or a number.
        found: Garments of the photo, highest score first.
        number: Number in `found`, from 1, of the garment looked at; None is the whole photo: `auto` found none or one.
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
class Item:
    """One row of a catalogue: a photo, its id and its attributes.

    Attributes:
        id: Id, unique in its gallery.
        photo: Path of the photo from the catalogue, usually relative to `root`; or a URL.
        root: Folder or URL that `photo` is relative to; empty for an absolute path or URL.
        product: Id of the product that the photo shows; None if unknown.
        box: Part of the photo to embed; None is the whole photo.
        attributes: Further values by name.
        garments: Garments of the photo that are embedded one by one instead, the most prominent first.
        finder: Model id of the finder that looked for garments, even if it found none; None if none did.
    """

    id: str
    photo: str
    root: str = ""
    product: str | None = None
    box: Box | None = None
    attributes: Mapping[str, JSON] = field(default_factory=dict)
    garments: tuple[Garment, ...] = ()
    finder: str | None = None

    @property
    def parts(self) -> Sequence[Box | None]:
        """Parts of the photo that are embedded, each to a row of its own: garments, or the box, or the whole photo."""
        return [garment.box for garment in self.garments] or [self.box]

    @property
    def location(self) -> str:
        """Path or URL of the photo: `photo` beneath `root`, or `photo` itself if it is absolute or a URL.

        >>> Item("a", "red/1.jpg", root="/shop").location
        '/shop/red/1.jpg'
        >>> Item("a", "https://cdn.example/1.jpg", root="/shop").location
        'https://cdn.example/1.jpg'

        If `root` is a URL, the location is beneath it even if `photo` begins with `/`.
        """
        if not self.root or "://" in self.photo or (self.photo.startswith("/") and "://" not in self.root):
            return self.photo
        return f"{self.root.rstrip('/')}/{self.photo}"


@dataclass(frozen=True, slots=True)
class FileStamp:
    """State of a photo's file, by which later changes are detected.

    Attributes:
        size: Size in bytes.
        modified_ns: Modification time, nanoseconds since 1970; 0 if the store has none.
        sha256: SHA-256 of the content, hexadecimal.
    """

    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Rows found by a search, best first.

    Attributes:
        rows: (Q, K) int64, row numbers in the gallery; -1 where fewer than K were found.
        scores: (Q, K) float32, higher is better; -inf where the row is -1.
        by_space: (Q, K) float32 by space with a weight above 0: cosines, or minus the distances of a metric; nan where
            the row is -1.
        index: Name of the index that answered.
        refined: (Q, K) float32, values that a refined answer is ordered by, while its scores may not be in order; None
            for an answer that is not refined.
        version: Version of the gallery that `rows` belong to, for `Gallery.items` and `Gallery.unit_vectors`; None if
            the gallery has no versions.
    """

    rows: Int64
    scores: Float32
    by_space: Mapping[str, Float32]
    index: str
    refined: Float32 | None = None
    version: object = None


@dataclass(frozen=True, slots=True)
class Match:
    """Item of an answer with its rank and scores.

    Attributes:
        rank: Rank, from 1.
        item: Item found.
        score: Weighted mean of the cosines, in [-1, 1]; or minus the weighted sum of distances.
        scores: Cosine, or minus the distance, by name of the space.
        refined: Value that decides the rank of a refined answer; None if the score does.
        relevance: Calibrated probability, in [0, 1], that it is of the same kind as what was asked; None if unknown.
        garment: Garment of the photo that was found; None if the item is not embedded by its garments.
    """

    rank: int
    item: Item
    score: float
    scores: Mapping[str, float]
    refined: float | None = None
    relevance: float | None = None
    garment: Garment | None = None

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
        for name, value in (("refined", self.refined), ("relevance", self.relevance)):
            if value is not None:
                match[name] = value
        if self.garment is not None:
            match["garment"] = self.garment.to_json()
        return match


@dataclass(frozen=True, slots=True)
class Query:
    """Resolved query of an answer.

    `weights` are those that were used, `labels` the most probable classes of the photo by head of the model, with their
    probabilities, and `no_garment` the probability that it shows none; None without a single photo or such heads.
    With `same_kind`, the matches are of `kind`, or of any if that is None, since it is unknown.
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
    rerank: int = 0
    min_relevance: float | None = None
    same_kind: bool = False
    kind: str | None = None
    offset: int | None = None
    examples: Mapping[str, Sequence[str]] | None = None
    garment: GarmentChoice | None = None
    labels: Labels | None = None
    no_garment: float | None = None

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
        if self.garment is not None:
            query |= self.garment.to_json()
        if self.metrics:
            query["metrics"] = dict(self.metrics)
        for name, count in (("expand", self.expand), ("rerank", self.rerank)):
            if count:
                query[name] = count
        if self.examples is not None:
            query["examples"] = {name: list(given) for name, given in self.examples.items()}
        if self.labels is not None:
            query["labels"] = {head: [list(each) for each in shown] for head, shown in self.labels.items()}
        if self.same_kind:
            query |= {"same_kind": True, "kind": self.kind}
        for name in ("item", "offset", "min_relevance", "no_garment"):
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
    """

    query: Query
    took_ms: Mapping[str, float]
    matches: Sequence[Match]
    read_photo: Callable[[Item], Any] | None = field(default=None, repr=False, compare=False)
    no_good_match: bool = False

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
        }

    def _repr_html_(self) -> str:
        """HTML for notebooks: embedded thumbnails with ranks and scores."""
        # imported by name, since rendering is a layer above, and only notebooks need it
        page: str = import_module("lookalike.render.notebook").notebook_html(self)
        return page


def item_json(item: Item) -> dict[str, Any]:
    """JSON form of an item, the same for the command line, HTTP and Python."""
    told: dict[str, Any] = {
        "id": item.id,
        "product": item.product,
        "photo": item.photo,
        "box": item.box.to_list() if item.box else None,
        "attributes": dict(item.attributes),
    }
    if item.finder is not None:
        told["garments"] = [garment.to_json() for garment in item.garments]
    return told
