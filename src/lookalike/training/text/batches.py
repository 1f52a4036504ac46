"""Batches of texts, each with the photos that it fits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.errors import CatalogueError
from lookalike.text.lexicon import COLOUR, GARMENT, GENDER, Lexicon
from lookalike.training.text.labelled_texts import OTHER, Fact, TitledPhotos
from lookalike.training.text.phrases import Wording
from lookalike.training.text.settings import TextSettings
from lookalike.types import Bool, Float32, Int64

NAMED: Final = {GARMENT: 0.9, COLOUR: 0.6, GENDER: 0.5, OTHER: 0.3}
"""Probability that a text made from labels names something of a role."""

OWN: Final = 0.5
"""Part of a title's weight that its own photo has; photos with the same labels share the rest."""

DROPPED: Final = 0.2
"""Probability that a word of a title is left out."""


@dataclass(frozen=True, slots=True)
class TextBatch:
    """Texts of a step.

    Attributes:
        texts: B texts.
        photos: (S,) int64, places of the photos that they are compared with.
        fits: (B, S) float32, how much of a text's weight each photo has; rows sum to 1.
    """

    texts: Sequence[str]
    photos: Int64
    fits: Float32


class TextBatches:
    """Makes the batches of a run; a step's batch depends on the seed and the step only.

    Args:
        photos: Training photos.
        facts: What texts can say.
        true_of: (F, N) bool, photos that each fact is true of.
        lexicon: Phrases of values.
        learnt: Words that are learnt; others are left out of titles.
        settings: Settings of the run.

    Raises:
        CatalogueError: Nothing can be said of any photo.
    """

    def __init__(
        self,
        photos: TitledPhotos,
        facts: Sequence[Fact],
        true_of: Bool,
        *,
        lexicon: Lexicon,
        learnt: frozenset[str],
        settings: TextSettings,
    ) -> None:
        self.facts, self.true_of, self.lexicon, self.settings = facts, true_of, lexicon, settings
        self.titles = [[word for word in title if word in learnt] for title in photos.titles]
        self.of_photo: list[dict[str, list[int]]] = [defaultdict(list) for _ in photos.items]
        for fact in np.argsort(true_of.sum(axis=1), kind="stable").tolist():  # the most exact ones first
            for place in np.flatnonzero(true_of[fact]).tolist():
                self.of_photo[place][facts[fact].role].append(fact)
        self.described = np.flatnonzero(true_of.any(axis=0))
        if not len(self.described):
            raise CatalogueError("no training photo has a label, or a word of the lexicon in its title")

    def make(self, step: int) -> TextBatch:
        """Make the batch of a step."""
        random = np.random.default_rng((self.settings.seed, step))
        wording = Wording(self.lexicon, random=random, other_languages=self.settings.other_languages)
        count = len(self.titles)
        own = self.described[random.integers(len(self.described), size=self.settings.batch)]
        photos = np.concatenate([own, random.integers(count, size=self.settings.photos)])
        photos = np.unique(photos)
        texts: list[str] = []
        fits = np.zeros((len(own), len(photos)), dtype=np.float32)
        for row, place in enumerate(own.tolist()):
            by_title = bool(self.titles[place]) and random.random() < self.settings.titles
            if by_title:
                words, named = self._title(place, random)
            else:
                words, named = self._phrase(place, wording, random)
            texts.append(" ".join(words))
            all_true = self.true_of[np.array(named)[:, None], photos].all(axis=0).astype(np.float32)
            fits[row] = all_true / all_true.sum()
            if by_title:
                fits[row] *= 1 - OWN
                fits[row, np.searchsorted(photos, place)] += OWN
        return TextBatch(texts, photos, fits)

    def _title(self, place: int, random: np.random.Generator) -> tuple[list[str], list[int]]:
        """Words of a photo's title, and the most exact facts of its roles."""
        title = self.titles[place]
        kept = [word for word in title if random.random() >= DROPPED] or title
        return kept, [of_role[0] for of_role in self.of_photo[place].values()]

    def _phrase(self, place: int, wording: Wording, random: np.random.Generator) -> tuple[list[str], list[int]]:
        """Words that name some facts of a photo, and these facts."""
        chosen: dict[str, list[int]] = {}
        for role, of_role in self.of_photo[place].items():
            if random.random() < NAMED[role]:
                most = min(len(of_role), 1 + int(role == OTHER and random.random() < 0.3))
                chosen[role] = random.choice(of_role, size=most, replace=False).tolist()
        if not chosen:
            role, of_role = next(iter(self.of_photo[place].items()))
            chosen[role] = of_role[:1]
        said: Mapping[str, Sequence[tuple[str, str]]] = {
            role: [(self.facts[fact].attribute, self.facts[fact].value) for fact in named]
            for role, named in chosen.items()
        }
        return wording.text(said), [fact for named in chosen.values() for fact in named]
