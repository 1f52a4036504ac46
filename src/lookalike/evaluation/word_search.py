"""Searches by words among the items of an evaluation, as users search."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.model_loading import find_model
from lookalike.errors import UnknownWordsError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.request import LONGEST_TEXT, VISUAL
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.models.text_encoder_file import SUFFIX, text_encoder_of
from lookalike.retrieval.retriever import Retriever
from lookalike.retrieval.text_query import check_photo_model, load_text_encoder
from lookalike.text.encoder import TextEncoder
from lookalike.types import Int64, Item

if TYPE_CHECKING:
    from lookalike.evaluation.evaluator import EmbeddedItems

K: Final = 10
"""Answers of a query that are measured."""

AT_ONCE: Final = 4096
"""Items written into the gallery at once."""


@dataclass(slots=True)
class WordSearch:
    """Items that take part, searched as users search them: with a retriever, exactly.

    Attributes:
        items: The n items.
        retriever: Retriever of a gallery of those that have vectors.
        embedded: Vectors of the items.
        weights: Weights of the spaces by name; None takes the stored or default ones, as a search does.
        text_weight: Weight of the words beside an item; None is the usual one.
        progress: Called with the number of searches done and in all.
        unread: Number of texts without a word that the text encoder has learnt.
        used: Weights of the spaces that the searches used, the largest of each.
    """

    items: Sequence[Item]
    retriever: Retriever
    embedded: EmbeddedItems
    weights: Mapping[str, float] | None = None
    text_weight: float | None = None
    progress: Callable[[int, int], None] | None = None
    unread: int = 0
    used: dict[str, float] = field(default_factory=dict)
    _places: dict[str, int] = field(init=False)
    _done: int = 0

    def __post_init__(self) -> None:
        self._places = {item.id: place for place, item in enumerate(self.items)}

    def answers(
        self, text: str, *, total: int, item: int | None = None, k: int = K, text_search: str = VISUAL
    ) -> Int64:
        """Search with words, alone or beside an item.

        Args:
            text: Words.
            total: Number of searches in all.
            item: Place of the item.
            k: Number of answers.
            text_search: `visual` or `hybrid`.

        Returns:
            (K,) int64 places of the items found, best first; none if no word is known, or the item has no vectors.
        """
        self._done += 1
        if self.progress is not None:
            self.progress(self._done, total)
        if item is not None and self.embedded.absent[item]:
            return np.empty(0, dtype=np.int64)
        try:
            answer = self.retriever.search(
                item=None if item is None else self.items[item].id,
                text=text[:LONGEST_TEXT],
                text_weight=None if item is None else self.text_weight,
                text_search=text_search,
                weights=self.weights,
                index="exact",
                k=k,
            )
        except UnknownWordsError:
            self.unread += 1
            return np.empty(0, dtype=np.int64)
        for name, weight in answer.query.weights.items():
            self.used[name] = max(weight, self.used.get(name, 0.0))
        return np.array([self._places[match.item.id] for match in answer.matches], dtype=np.int64)

    def notes(self) -> list[str]:
        """Notes for the user about texts without a known word."""
        unread = f"{self.unread:,} texts have no word that the text encoder has learnt; they count as 0"
        return [unread] if self.unread else []


@contextmanager
def word_search(
    items: Sequence[Item],
    embedded: EmbeddedItems,
    encoder: TextEncoder,
    *,
    weights: Mapping[str, float] | None = None,
    text_weight: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[WordSearch]:
    """Yield the search among items, in a temporary gallery of those that have vectors.

    Raises:
        MismatchError: The text encoder belongs to another photo model than that of the vectors.
    """
    check_photo_model(encoder, embedded.spaces)
    present = np.flatnonzero(~embedded.absent)
    with TemporaryDirectory() as folder, LocalGallery(Path(folder) / "items", create=True) as gallery:
        for start in range(0, len(present), AT_ONCE):
            part = present[start : start + AT_ONCE]
            vectors = {name: rows[part] for name, rows in embedded.rows.items()}
            gallery.add([items[place] for place in part.tolist()], vectors, spaces=embedded.spaces)
        gallery.store_weights(StoredWeights(embedded.stored_weights))
        retriever = Retriever(gallery, ModelFile(None), text_encoder=encoder)
        yield WordSearch(items, retriever, embedded, weights, text_weight, progress)


def open_text_encoder(
    gallery: HasGallery | str | os.PathLike[str] | None, models: Sequence[str], *, protocol: str
) -> TextEncoder:
    """Open the text encoder of a gallery's model, or of a model.

    Args:
        gallery: Address of a gallery, or its retriever; None for a model.
        models: Models, if there is no gallery.
        protocol: Name of the protocol.

    Raises:
        UsageError: There is none.
        ModelError: It is damaged.
        MismatchError: It belongs to another photo model than that of the gallery's vectors.
    """
    encoder = None
    if isinstance(gallery, Retriever):
        encoder = gallery.text_encoder
    elif gallery is not None:
        with gallery_of(gallery) as opened:
            encoder = load_text_encoder(opened, ModelFile(None))
    elif len(models) == 1 and text_encoder_of(find_model(models[0])).is_file():
        encoder = TextEncoder(text_encoder_of(find_model(models[0])))
    if encoder is None:
        whose = "the model of this gallery" if gallery is not None else " + ".join(models)
        raise UsageError(
            f"the protocol {protocol!r} needs a text encoder, MODEL{SUFFIX} beside one model, and {whose} has none; "
            '`lookalike train` with `task = "text"` makes one'
        )
    return encoder
