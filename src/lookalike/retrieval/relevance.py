"""Relevance of matches: the calibrated probability that they are of the same kind as what was asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.embedding.calibration import Calibration, Float64, RelevanceCurve
from lookalike.errors import UsageError
from lookalike.gallery.request import ResolvedRequest
from lookalike.types import Neighbours

if TYPE_CHECKING:
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.retrieval.examples import Examples

SPACE: Final = "deep"
"""Space whose cosines are calibrated."""

DIGITS: Final = 4


@dataclass(frozen=True, slots=True)
class QueryRelevance:
    """Relevance of the matches of one query.

    Attributes:
        curve: Calibrated curve of the query.
        about: Features of the query photo; empty for an item.
    """

    curve: RelevanceCurve
    about: Mapping[str, float]

    def of(self, neighbours: Neighbours) -> Float64:
        """Relevance of each neighbour of the first query, (K,) in [0, 1]."""
        cosines = np.nan_to_num(neighbours.by_space[SPACE][0], nan=-1.0)
        return np.round(self.curve.relevance(cosines, self.about), DIGITS)


def relevance_of(
    examples: Examples,
    request: ResolvedRequest,
    labels: PhotoLabels | None,
    calibration: Callable[[], Calibration | None],
) -> QueryRelevance | None:
    """Relevance of the matches of a query, if there is one.

    There is none of several photos or items, with metrics, without a weight of `SPACE`, and without a calibration.

    Args:
        examples: Query examples.
        request: Request, resolved for the gallery's spaces.
        labels: What the query photo shows, if the model can tell.
        calibration: Reads the calibration of the model.
    """
    if examples.several or not goes_by_cosine(request) or (calibrated := calibration()) is None:
        return None
    if not examples.photos:
        return QueryRelevance(calibrated.item, {})
    return QueryRelevance(calibrated.photo, {} if labels is None else labels.about)


def goes_by_cosine(request: ResolvedRequest) -> bool:
    """Whether the answer to a request has the cosines of `SPACE`."""
    return not request.metrics and request.weights.get(SPACE, 0.0) > 0


def check_calibrated(relevance: QueryRelevance | None, request: ResolvedRequest) -> None:
    """Check that matches have a relevance, if one is asked for.

    Raises:
        UsageError: There is no calibration, or no cosine of `SPACE` in the scores.
    """
    if request.min_relevance is None:
        return
    if not goes_by_cosine(request):
        raise UsageError(f"min_relevance goes by the cosine of {SPACE}; leave metrics out, and give {SPACE} a weight")
    if relevance is None:
        raise UsageError(
            "min_relevance needs a calibrated model, and a query of one photo or item; "
            "`lookalike calibrate` calibrates a model, and docs/relevance.md says when there is a relevance"
        )
