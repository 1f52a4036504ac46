"""Order of the first relevant matches by a learned ranking, and what each feature adds to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import MismatchError, UsageError
from lookalike.gallery.ranking_choice import LEARNED, SIMILARITY, own_order
from lookalike.retrieval.match_features import QueryLabels, all_features, has_attribute, query_labels, standardised
from lookalike.spaces import resolve_weights
from lookalike.types import Item, Labels

if TYPE_CHECKING:
    from lookalike.gallery.learned_ranking import LearnedRanking
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import SearchRequest
    from lookalike.retrieval.examples import Examples

FIRST: Final = 100
"""Number of the most similar matches among which the relevant ones are ordered."""


@dataclass(frozen=True, slots=True)
class LearnedOrder:
    """A learned ranking for one query.

    Attributes:
        ranking: The ranking.
        shown: What the query shows.
    """

    ranking: LearnedRanking
    shown: QueryLabels

    def ordered(
        self, items: Sequence[Item], cosines: Mapping[str, npt.NDArray[np.floating]]
    ) -> tuple[list[int], dict[str, list[float]]]:
        """Order matches: their places, the best first, and what each feature adds, by place.

        Of equal ones, the more similar stays in front.

        Args:
            items: N items, the most similar first.
            cosines: (N,) by space.
        """
        names = [*self.ranking.coefficients]
        values = all_features(names, items, cosines, self.shown, self.ranking.popularity)
        units = standardised(values, names, [*self.ranking.spreads.values()])
        added = units * np.array([*self.ranking.coefficients.values()])
        order = np.argsort(-added.sum(axis=1), kind="stable")
        return order.tolist(), {name: added[:, column].tolist() for column, name in enumerate(names)}


def learned_order(
    ranking: LearnedRanking | None, asked: SearchRequest, gallery: Gallery, examples: Examples, *, labels: Labels | None
) -> LearnedOrder | None:
    """Learned order of a search; None for the order of the similarity.

    Args:
        ranking: Learned ranking of the gallery; None if it has none.
        asked: Request as it came.
        gallery: Gallery that is searched.
        examples: Examples of the query.
        labels: What a query photo shows, if the model can tell.

    Raises:
        MismatchError: The learned ranking was asked for, and there is none, or it does not fit the gallery.
        UsageError: It was asked for with several examples.
    """
    if asked.ranking == LEARNED:
        if examples.several:
            raise UsageError(f"ranking {LEARNED!r} is for a search by one photo or item; leave it out with several")
        if ranking is None:
            raise MismatchError("the gallery has no learned ranking; `lookalike learn` makes one from events")
        if (problem := misfit(ranking, gallery)) is not None:
            raise MismatchError(problem)
    elif ranking is None or not (
        ranking.is_default and is_for_default(asked, examples) and not misfit(ranking, gallery)
    ):
        return None  # of a misfit, after a change of the model, `lookalike doctor` tells
    item = None if examples.photos else examples.items[0]
    return LearnedOrder(ranking, query_labels(item, labels, gallery))


def is_for_default(asked: SearchRequest, examples: Examples) -> bool:
    """Whether a search leaves its order to the gallery."""
    return asked.ranking != SIMILARITY and own_order(asked) is None and not examples.several


def misfit(ranking: LearnedRanking, gallery: Gallery) -> str | None:
    """Why a ranking cannot be used in a gallery; None if it can."""
    spaces = gallery.spaces
    if ranking.model != (model := "+".join(model_ids_of(spaces))):
        return f"the ranking was learned with the model {ranking.model}, and the gallery has {model}; learn it again"
    weights = resolve_weights(None, spaces, stored=gallery.stored_weights.weights)
    known = {name for name, weight in weights.items() if weight > 0}
    if missing := [name for name in ranking.spaces if name not in known]:
        return f"the ranking was learned with the space {missing[0]!r}, which has no weight any more; learn it again"
    if ranking.attributes:
        attributes = gallery.attributes()
        for term in ranking.attributes:
            if not has_attribute(term, attributes):
                return f"the ranking was learned with the attribute {term!r}, which no item has now; learn it again"
    return None
