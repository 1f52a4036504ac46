"""Value types shared by all modules: boxes, garments, items, neighbours.

The letters used for shapes everywhere: B photos of a batch, Q queries, N items, K neighbours, D dimensions,
H height, W width, C channels.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import UsageError

Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
UInt8: TypeAlias = npt.NDArray[np.uint8]
Bool: TypeAlias = npt.NDArray[np.bool_]

Labels: TypeAlias = Mapping[str, Sequence[tuple[str, float]]]
"""Names of classes with their probabilities, highest first, by head of a model."""

NAMING_ATTRIBUTES: Final = ("title", "name", "productDisplayName")
"""Attributes that hold an item's title, in any case; the first that an item has is shown."""

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
    def kinds(self) -> Sequence[str | None]:
        """Kind of each part if it is one of several garments; None for a photo of one, as for a whole photo."""
        return [garment.kind for garment in self.garments] if len(self.garments) > 1 else [None]

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
class PhotoChoice:
    """Which part of which photos of a catalogue is seen.

    Attributes:
        boxes: True for the boxes, False for whole photos, a number for boxes with that part of their sides around them.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; empty for other catalogues.
        data: Name of the catalogue, such as `cub`; empty if it is unknown.
        earlier: Whether the start of a trained model, or its teacher, saw them, and not its own training.
    """

    boxes: bool | float
    photos: str = ""
    data: str = ""
    earlier: bool = False

    @classmethod
    def of(cls, items: Iterable[Item], *, boxes: bool | float, photos: str, data: str) -> PhotoChoice:
        """Choice that items were made with; items without boxes are whole photos."""
        return cls(boxes if any(item.box is not None for item in items) else False, photos, data)

    def __str__(self) -> str:
        margin = "" if isinstance(self.boxes, bool) else f" with a margin of {self.boxes:g}"
        shown = f"photos cropped to boxes{margin}" if self.boxes else "whole photos"
        return f"{shown} of {self.photos}" if self.photos else shown


@dataclass(frozen=True, slots=True)
class FileStamp:
    """State of a photo's file, by which later changes are detected.

    Attributes:
        size: Size in bytes.
        modified_ns: Modification time, nanoseconds since 1970; on the web a number that stands for the validators of
            the answer (`http_client.validators`). 0 if there is none.
        sha256: SHA-256 of the content, hexadecimal.
    """

    size: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Content:
    """What the vectors of an item are computed from, beside the model; items of equal contents have equal vectors.

    Attributes:
        sha256: SHA-256 of the photo's content, hexadecimal.
        box: Part of the photo; None is the whole photo.
        finder: Model id of the finder of the garments that are embedded; None embeds the photo, or its box.
    """

    sha256: str
    box: Box | None = None
    finder: str | None = None

    @classmethod
    def of(cls, item: Item, file_stamp: FileStamp) -> Content:
        """Content of an item whose photo has a file stamp."""
        return cls(file_stamp.sha256, item.box, item.finder)

    @property
    def key(self) -> bytes:
        """16 bytes that no other content has: a third of the memory."""
        corners = None if self.box is None else self.box.to_list()
        return hashlib.sha256(f"{self.sha256} {corners} {self.finder!r}".encode()).digest()[:16]


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
class FullText:
    """Items found by their words, best first: those with all words before those with some, each by BM25.

    Attributes:
        rows: (K,) int64, row numbers in the gallery, one for each item.
        scores: (K,) float32, BM25, above 0 and higher is better.
        corrected: Words that no item has, and the word of the gallery that each was taken for.
        unknown: Words that no item has, and none has a similar one.
        version: As in `Neighbours`.
    """

    rows: Int64
    scores: Float32
    corrected: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    version: object = None


@dataclass(frozen=True, slots=True)
class Facet:
    """Values of an attribute and their counts.

    Attributes:
        name: Name of the attribute.
        counts: Number of items by value, as text, most frequent first.
        range: Smallest and largest numeric value, including values that `counts` leaves out; None without numbers.
        kinds: Kinds of the values, as in `Gallery.attributes`; empty if they are told beside it.
    """

    name: str
    counts: Mapping[str, int]
    range: tuple[float, float] | None = None
    kinds: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON form: values are typed if all of them are numbers or all booleans, and text otherwise."""
        kinds = [*self.kinds]
        typed = kinds in (["number"], ["boolean"])
        ends = list(self.range) if self.range is not None and kinds == ["number"] else None
        values = [
            {"value": json.loads(value) if typed else value, "count": count} for value, count in self.counts.items()
        ]
        return {"name": self.name, "kinds": kinds, "range": ends, "values": values}


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
