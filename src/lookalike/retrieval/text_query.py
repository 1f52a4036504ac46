"""Words of a query: what they ask of the vectors of a gallery, and of the texts of its items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from lookalike.answers import QueryText
from lookalike.embedding.compatibility import IMPORTED, PROJECTED
from lookalike.errors import MismatchError, UnknownWordsError, UsageError
from lookalike.gallery.request import FULL_TEXT, VISUAL
from lookalike.types import Float32, FullText

if TYPE_CHECKING:
    from pathlib import Path

    from lookalike.embedding.labels import PhotoLabels
    from lookalike.embedding.model_choice import ModelFile
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.spaces import Space
    from lookalike.text.encoder import TextEncoder
    from lookalike.text.words import ReadText

SPACE: Final = "deep"
"""Space of the vectors of words."""

WEIGHT: Final = 0.5
"""Weight of words beside a photo, if none is given."""


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Words of a query.

    Attributes:
        said: The words, as they were read.
        vectors: (1, D) float32 unit vectors by space, of the photo and the words together; empty if no vector is asked.
        parts: (1, D) float32 unit vectors in `SPACE`, of the `photo` alone and of the `text` alone; empty where the
            vectors are those of one of them.
        letters: Words to look up in the texts of the items.
        is_meant: Whether what the words mean is a part of the vectors.
    """

    said: ReadText
    vectors: Mapping[str, Float32]
    parts: Mapping[str, Float32] = field(default_factory=dict)
    letters: tuple[str, ...] = ()
    is_meant: bool = False


def text_query(
    request: ResolvedRequest,
    photo: Mapping[str, Float32],
    *,
    labels: PhotoLabels | None,
    encoder: TextEncoder | None,
    weighted: bool,
) -> TextQuery:
    """Words of a request, beside a photo or alone.

    Words alone ask the other spaces, such as `color`, only with weights that were given: with the default model the
    first dev photo has the type, colour and gender of a phrase for .80 of the phrases by `deep` alone, and for .75 with
    `color` at its default weight (`lookalike evaluate --protocol words=type,colour,gender`). Beside a photo it helps.

    Args:
        request: Request with a text.
        photo: (1, D) float32 by space, of the photos and items of the query; empty without any.
        labels: What the photo shows, if the model can tell.
        encoder: Text encoder of the gallery's model; None if it has none.
        weighted: Whether weights of the spaces were given.

    Raises:
        UnknownWordsError: There is no word, or none that the model has learnt and only their meaning is asked for.
        UsageError: Only their meaning is asked for, and the model has no text encoder.
    """
    from lookalike.text.composition import asked, compose
    from lookalike.text.words import read

    assert request.text is not None
    if encoder is None or request.text_search == FULL_TEXT:
        if request.text_search == VISUAL:
            raise UsageError(
                "text_search visual needs a model with a text encoder, and the model of this gallery has none; "
                "search by full_text, which looks the words up in the texts of the items"
            )
        said = with_words(read(request.text, None))
        return TextQuery(said, photo, letters=letters_of(said))
    said = with_words(encoder.read(request.text))
    weight = WEIGHT if request.text_weight is None else request.text_weight
    spaces = {space.name for space in request.spaces}
    words = {space: rows for space, rows in asked(said, encoder).items() if space in spaces}
    vectors = words if weighted else {name: row for name, row in words.items() if name == SPACE}
    if photo:
        shown = None if labels is None else labels.shown
        vectors = compose(photo, said, encoder, labels=shown, weight=weight)
    letters = said.unknown if photo else letters_of(said)
    if request.text_search == VISUAL:
        letters = ()
        if not words:
            raise UnknownWordsError(f"the model has learnt no word of {said.text!r}; search by full_text")
    parts = {"photo": photo[SPACE], "text": words[SPACE]} if SPACE in photo and SPACE in words else {}
    return TextQuery(said, vectors, parts, letters, is_meant=bool(words))


def letters_of(said: ReadText) -> tuple[str, ...]:
    """Words of a text to look up, as they were written, without those that name nothing if others are left.

    A gallery corrects them by its own words: what the text encoder takes for a mistake may be a name.
    """
    from lookalike.text.lexicon import ENGLISH, lexicon
    from lookalike.text.words import words_of

    words = words_of(said.text)
    plain = lexicon().plain[ENGLISH]
    return tuple([word for word in words if word not in plain] or words)


def with_words(said: ReadText) -> ReadText:
    """The same text, which has a word.

    Raises:
        UnknownWordsError: It has none.
    """
    if not said.known and not said.unknown:
        raise UnknownWordsError(f"text must have a word of letters or digits, got {said.text!r}")
    return said


def echo_of(query: TextQuery, found: FullText | None) -> QueryText:
    """What the answer tells about the words.

    Args:
        query: Words.
        found: Result of the full text; None if it was not searched.
    """
    said, none = query.said, () if found is None else found.unknown
    return QueryText(
        text=said.text,
        known=said.known if query.is_meant else (),
        unknown=said.unknown,
        corrected={**said.corrected, **({} if found is None else found.corrected)},
        not_found=tuple(word for word in none if word in said.unknown or not query.is_meant),
        searched=(*((VISUAL,) if query.is_meant else ()), *((FULL_TEXT,) if found is not None else ())),
    )


def weighted_for(request: ResolvedRequest, vectors: Mapping[str, Float32]) -> ResolvedRequest:
    """The request with weight 0 for the spaces that words alone have no vector of.

    Raises:
        UsageError: No space with a weight is left.
    """
    if not vectors:
        return request
    weights = {name: weight if name in vectors else 0.0 for name, weight in request.weights.items()}
    if not any(weights.values()):
        raise UsageError(f"these words ask {', '.join(vectors)}, and the weights leave only other spaces")
    return replace(request, weights=weights)


def load_text_encoder(
    gallery: Gallery, models: ModelFile, *, load: Callable[[Path, int], TextEncoder] | None = None
) -> TextEncoder | None:
    """Text encoder beside the model of a gallery; None if there is none, and for vectors of an unknown model.

    Args:
        gallery: Gallery.
        models: Models of the gallery.
        load: Loads the encoder in a file, with a number of threads; several galleries may share what it returns.

    Raises:
        ModelError: The file is damaged, or no text encoder.
        MismatchError: It belongs to another photo model than that of the gallery's vectors.
    """
    from lookalike.embedding.model_loading import CHECKPOINTS, find_model
    from lookalike.models.text_encoder_file import text_encoder_of
    from lookalike.text.encoder import TextEncoder

    named = models.named(gallery.model)
    if any(space.model_id.startswith(IMPORTED) for space in gallery.spaces):
        return None
    if len(named) > 1 or named[0].endswith(CHECKPOINTS) or not text_encoder_of(find_model(named[0])).is_file():
        return None
    path, threads = text_encoder_of(find_model(named[0])), models.threads or 1
    encoder = TextEncoder(path, threads=threads) if load is None else load(path, threads)
    check_photo_model(encoder, gallery.spaces)
    return encoder.projected(gallery.projections.get(SPACE))


def check_photo_model(encoder: TextEncoder, spaces: tuple[Space, ...]) -> None:
    """Check that a text encoder belongs to the photo model of a gallery.

    Raises:
        MismatchError: It belongs to another one.
    """
    made_by = next((space.model_id for space in spaces if space.name == SPACE), "")
    if made_by and made_by.partition(PROJECTED)[0] != encoder.photo_model:
        raise MismatchError(
            f"{encoder.file} is the text encoder of the model {encoder.photo_model}, and the gallery was filled by "
            f"{made_by}; bring the text encoder of that model, or index the catalogue again"
        )
