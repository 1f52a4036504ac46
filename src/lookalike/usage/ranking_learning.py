"""A ranking learned from use: a linear function of the features of a match, fitted to pairs of matches.

In a pair, one match was wanted and the other one of the same answer was not. The pair counts with the inverse of the
probability that the first was looked at: what was wanted far down, where few look, stands for those who did not get
there. The loss is the logistic one, and the penalty is on the distance from the present order, to which a large one
leads back.

Source: Joachims, Swaminathan and Schnabel 2017, Unbiased Learning-to-Rank with Biased Feedback, for the weights of
pairs; Burges et al. 2005, Learning to Rank using Gradient Descent, for the logistic loss of pairs.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.gallery.learned_ranking import ATTRIBUTE, LABEL, SCORE, LearnedRanking
from lookalike.types import Bool
from lookalike.usage.clicks import ClickLog
from lookalike.usage.counterfactual import Worth, worth_of_order
from lookalike.usage.events_file import Done
from lookalike.usage.popularity import Popularity
from lookalike.usage.position_bias import TINY, examination, sigmoid
from lookalike.usage.ranking_log import RankingLog, ranking_log

if TYPE_CHECKING:
    from lookalike.types import JSON

LEARNING_SHARE: Final = 0.6
"""Share of the answers, the older ones, that are learned from; the others judge."""

FITTING_SHARE: Final = 0.75
"""Share of the answers that are learned from, the older ones, that the ranking is fitted to while the penalty is
chosen by the others."""

FEWEST_WANTED: Final = 150
"""Least number of wanted matches in each part. With fewer, intervals are wider than any gain."""

MOST_ANSWERS: Final = 20_000
"""Largest number of answers, the newest, that are learned from or judge; more take memory and change little."""

PENALTIES: Final = (3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Penalties to choose from; of equally good ones the largest is taken."""


@dataclass(frozen=True, slots=True)
class RankingFound:
    """A learned ranking, and its worth on newer answers, which it was not fitted to.

    Attributes:
        learned_on: Answers that it was fitted to.
        judged_by: Newer answers that judged it.
        wanted: Matches that were wanted, in all of these.
        penalty: Penalty that was chosen by the newest of the answers that it was fitted to.
        examination: Probability that a match is looked at, by position from the first, relative to that one.
        value_before: Mean discount of a wanted match in the present order, in [0, 1].
        value_after: The same in the order of the ranking.
        gain: Difference of the two.
        gain_interval: 95 % interval of the gain.
        ranking: The ranking; None if none was fitted.
        left_out: Features without values, with equal ones in each answer, or of attributes that no item has now.
        reason: Why nothing was fitted; None if something was.
    """

    learned_on: int
    judged_by: int
    wanted: int
    penalty: float | None = None
    examination: Sequence[float] = ()
    value_before: float = 0.0
    value_after: float = 0.0
    gain: float = 0.0
    gain_interval: tuple[float, float] = (0.0, 0.0)
    ranking: LearnedRanking | None = field(default=None)
    left_out: Sequence[str] = ()
    reason: str | None = None

    @property
    def is_better(self) -> bool:
        """Whether it is surely better than the present order: the whole interval of the gain is above 0."""
        return self.gain_interval[0] > 0

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike learn --json` shows it."""
        ranking = self.ranking
        return {
            "learned_on": self.learned_on,
            "judged_by": self.judged_by,
            "wanted": self.wanted,
            "penalty": self.penalty,
            "examination": [round(value, 4) for value in self.examination],
            "value_before": self.value_before,
            "value_after": self.value_after,
            "gain": {"value": self.gain, "interval": list(self.gain_interval)},
            "name": None if ranking is None else ranking.name,
            "coefficients": {} if ranking is None else dict(ranking.coefficients),
            "left_out": list(self.left_out),
            "reason": self.reason,
        }


def ranking_from(
    searches: Sequence[Done],
    *,
    weights: Mapping[str, float],
    model: str,
    attributes: Collection[str],
    present: LearnedRanking | None = None,
) -> RankingFound:
    """Learn a ranking from searches in the order of time.

    Args:
        searches: Searches with their events.
        weights: Weight of each space, by which matches are found.
        model: Model of the gallery.
        attributes: Attributes of its items; others are left out.
        present: Learned ranking that searches use now, which the new one has to beat; None is the order of the
            weights.
    """
    spaces = [name for name, weight in weights.items() if weight > 0]
    log = ranking_log(searches, spaces=spaces, model=model)
    log = log.part(slice(max(0, len(log) - MOST_ANSWERS), None))
    border = math.ceil(len(log) * LEARNING_SHARE)
    learning, judging = log.part(slice(border)), log.part(slice(border, None))
    known = judging  # the same answers with the features of the present ranking
    if present is not None:
        of_items = [name for name in present.coefficients if name.startswith((LABEL, ATTRIBUTE))]
        logged = ranking_log(searches, spaces=spaces, model=model, names=of_items)
        known = logged.part(slice(len(logged) - len(judging), None))
    found = RankingFound(learned_on=len(learning), judged_by=len(judging), wanted=log.wanted)
    if min(learning.wanted, judging.wanted) < FEWEST_WANTED:
        reason = (
            f"{log.wanted:,} wanted matches of {len(log):,} answers with features are too few for a ranking: at least "
            f"{FEWEST_WANTED} are needed among the older {LEARNING_SHARE:.0%} of the answers, and as many among the "
            "newer ones"
        )
        return replace(found, reason=reason)
    if present is not None and not all(answer.is_complete for answer in known.answers):
        are_complete = [answer.is_complete for answer in known.answers]
        judging, known = judging.where(are_complete), known.where(are_complete)
        if judging.wanted < FEWEST_WANTED:
            names = ", ".join(present.attributes)
            back = f"put its attributes ({names}) back into events_attributes, or " if names else ""
            reason = (
                f"the ranking {present.name} goes by features that are not remembered of "
                f"{len(are_complete) - len(judging):,} of the {len(are_complete):,} newer answers, and without them "
                f"nothing tells whether another one is better: {back}delete it by `lookalike learn --reset`"
            )
            return replace(found, judged_by=len(judging), reason=reason)
        found = replace(found, judged_by=len(judging))
    learning, spreads = learning.told(attributes)
    left_out = [name for name in log.names if name not in learning.names]
    if missing := [name for name in left_out if name.startswith(SCORE)]:
        return replace(found, left_out=left_out, reason=f"all matches have the same {missing[0]}")
    judging = judging.chosen(learning.names)
    looked = examination(learning.clicks(spreads))
    start = present_order(weights, learning.names, spreads)
    inner = math.ceil(len(learning) * FITTING_SHARE)
    fitting, choosing = learning.part(slice(inner)), learning.part(slice(inner, None))
    counted = counted_popularity(learning, looked)
    of_fitting = fitting.popularity(counted, looked)
    of_choosing = choosing.popularity(counted)  # as it was known when the fitting ended
    fitted, chosen_by = fitting.clicks(spreads, of_fitting), choosing.clicks(spreads, of_choosing)

    def value_of(penalty: float) -> float:
        coefficients = fit(fitted, fitting.relevant(), start, looked, penalty=penalty)
        return worth_of_ranking(chosen_by, choosing.relevant(), coefficients, start, looked).value

    penalty = max(PENALTIES, key=value_of)
    of_rest = choosing.popularity(counted, looked)
    together = learning.clicks(spreads, [*of_fitting, *of_rest])
    coefficients = fit(together, learning.relevant(), start, looked, penalty=penalty)
    judged_by = judging.clicks(spreads, judging.popularity(counted))
    judging_looked = examination(judging.clicks(spreads))
    new = worth_of_ranking(judged_by, judging.relevant(), coefficients, start, judging_looked)
    old = present_worth(known, judged_by, start, judging_looked, present)
    gain, interval = new.gain_over(old)
    judging.popularity(counted, judging_looked)
    ranking = LearnedRanking(
        model=model,
        coefficients={
            name: round(value, 6) for name, value in zip(judged_by.spaces, coefficients.tolist(), strict=True)
        },
        spreads=dict(zip(judged_by.spaces, [*spreads.tolist(), 1.0], strict=True)),
        popularity=counted.table(),
    )
    return replace(
        found,
        penalty=penalty,
        examination=looked.tolist(),
        value_before=old.value,
        value_after=new.value,
        gain=gain,
        gain_interval=interval,
        ranking=ranking.within_bytes(),
        left_out=left_out,
    )


def counted_popularity(log: RankingLog, looked: Float64) -> Popularity:
    """Popularity to count in, with the rate of all answers."""
    looks = sum(float(looked[: len(answer.wanted)].sum()) for answer in log.answers)
    return Popularity(rate=log.wanted / looks)


def present_order(weights: Mapping[str, float], names: Sequence[str], spreads: Float64) -> Float64:
    """Coefficients of the order by weights, for features in spreads and the popularity: (F + 1,) with the norm 1."""
    given = [weights[name.removeprefix(SCORE)] if name.startswith(SCORE) else 0.0 for name in names]
    found = np.array([*(np.array(given) * spreads), 0.0])
    scaled: Float64 = found / np.linalg.norm(found)
    return scaled


def worth_of_ranking(log: ClickLog, relevant: Bool, coefficients: Float64, start: Float64, looked: Float64) -> Worth:
    """Worth of answers whose relevant matches are ordered by a ranking, with the others in their order behind them.

    Args:
        log: Answers and clicks, with features in spreads.
        relevant: (Q, K) bool.
        coefficients: (F,) coefficients of the ranking.
        start: (F,) coefficients of the order by weights.
        looked: (K,) probability that a match is looked at, by the position at which it was shown.
    """
    ranked, others = log.scores @ coefficients, log.scores @ start
    behind = min(float(ranked.min(initial=0.0)), 0.0) - max(float(others.max(initial=0.0)), 0.0) - 1.0
    return worth_of_order(log, np.where(relevant, ranked, others + behind), looked)


def present_worth(
    known: RankingLog, log: ClickLog, start: Float64, looked: Float64, present: LearnedRanking | None
) -> Worth:
    """Worth of answers in the order that searches have now.

    Args:
        known: Answers with the features of the present ranking.
        log: The same answers as arrays, with the features of another one.
        start: Coefficients of the order by weights.
        looked: (K,) probability that a match is looked at, by position.
        present: Learned ranking that searches use; None is the order of the weights.
    """
    if present is None:
        return worth_of_order(log, log.scores @ start, looked)
    names = [name for name in known.names if name in present.coefficients]
    spreads = np.array([present.spreads[name] for name in names])
    popularity = [[present.popularity.get(key, 0.0) for key in answer.keys] for answer in known.answers]
    shown = known.chosen(names).clicks(spreads, popularity)
    coefficients = np.array([present.coefficients.get(name, 0.0) for name in shown.spaces])
    values = shown.scores @ coefficients
    behind = np.where(known.relevant(), values, values.min(initial=0.0) - 1.0)
    return worth_of_order(shown, behind, looked)


def fit(log: ClickLog, relevant: Bool, start: Float64, looked: Float64, *, penalty: float) -> Float64:
    """Fit coefficients, (F,) float64, to pairs of a wanted relevant match and another one of the same answer.

    The coefficients are `scale * start + change`; the penalty is on the change alone.

    Args:
        log: Answers and clicks, with features in spreads.
        relevant: (Q, K) bool, the matches that are ordered.
        start: (F,) coefficients of the present order.
        looked: (K,) probability that a match is looked at, by position.
        penalty: Weight of the squared change.
    """
    from scipy.optimize import minimize

    good, rest = log.wanted & relevant, log.shown & relevant & ~log.wanted
    answers, better, worse = np.nonzero(good[:, :, np.newaxis] & rest[:, np.newaxis, :])
    counts = 1.0 / (looked[better] * rest.sum(axis=1)[answers])
    counts /= max(float(counts.sum()), TINY)

    def loss(parameters: Float64) -> tuple[float, Float64]:
        """Mean logistic loss with its penalty, and its gradient."""
        scale, change = parameters[0], parameters[1:]
        scores = log.scores @ (scale * start + change)
        margins = scores[answers, better] - scores[answers, worse]
        value = float(counts @ np.logaddexp(0.0, -margins)) + 0.5 * penalty * float(change @ change)
        slopes = -counts * sigmoid(-margins)
        by_match = np.zeros_like(scores)
        np.add.at(by_match, (answers, better), slopes)
        np.add.at(by_match, (answers, worse), -slopes)
        slope = np.einsum("qk,qkf->f", by_match, log.scores)
        return value, np.concatenate([[slope @ start], slope + penalty * change])

    found = minimize(
        loss,
        np.concatenate([[1.0], np.zeros(len(start))]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None)] + [(None, None)] * len(start),
        options={"maxiter": 200},
    )
    coefficients: Float64 = found.x[0] * start + found.x[1:]
    return coefficients
