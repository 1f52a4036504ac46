"""Weights and a ranking learned from use: fitted to older clicks, judged by newer ones, kept only if better."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import UsageError
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.learned_order import misfit
from lookalike.retrieval.opening import open as open_retriever
from lookalike.retrieval.retriever import Retriever
from lookalike.spaces import resolve_weights
from lookalike.tuning.weight_learning import search_weights
from lookalike.usage.clicks import ClickLog, click_log
from lookalike.usage.counterfactual import worth
from lookalike.usage.events_file import Done, EventsFile, events_path
from lookalike.usage.interleaving import Contest, contests
from lookalike.usage.position_bias import examination
from lookalike.usage.ranking_learning import FEWEST_WANTED, LEARNING_SHARE, RankingFound, ranking_from

if TYPE_CHECKING:
    from lookalike.types import JSON

LEAST_WEIGHT: Final = 0.01
"""Least weight of a space, as a share of the largest: of a space without a weight answers have no cosines, and nothing
could be learned any more."""


@dataclass(frozen=True, slots=True)
class Learned:
    """Weights learned from use, and their worth on the newer answers, which they were not fitted to.

    Attributes:
        learned_on: Answers that the weights were fitted to.
        judged_by: Newer answers that judged them.
        wanted: Matches that were wanted, in all of these.
        examination: Probability that a match is looked at, by position from the first, relative to that one.
        before: Weights of the gallery until now.
        after: Weights that were found; those of before if nothing better was.
        value_before: Mean discount of a wanted match with the weights of before, in [0, 1].
        value_after: The same with the weights that were found.
        gain: Difference of the two.
        gain_interval: 95 % interval of the gain.
        contest: Interleaved searches of the weights of before and others; None if there are none.
        by: What speaks for the weights: `clicks` or `interleaving`; None if nothing does.
        reason: Why nothing was learned; None if weights were judged.
        kept: Whether the weights were stored in the gallery.
        ranking: Ranking that was learned in addition.
        ranking_contest: Interleaved searches of the present order and another ranking; None if there are none.
        ranking_kept: What the ranking is stored for: `default` (searches that do not say use it) or `request` (those
            with `ranking=learned`); None if it is not stored.
        ranking_by: What speaks for the ranking: `clicks` or `interleaving`; None if nothing does.
        ranking_deleted: Name of the learned ranking that other weights deleted, or would without `dry_run`; None if
            none is.
    """

    learned_on: int
    judged_by: int
    wanted: int
    before: Mapping[str, float]
    after: Mapping[str, float]
    examination: Sequence[float] = ()
    value_before: float = 0.0
    value_after: float = 0.0
    gain: float = 0.0
    gain_interval: tuple[float, float] = (0.0, 0.0)
    contest: Contest | None = None
    by: str | None = None
    reason: str | None = None
    kept: bool = False
    ranking: RankingFound | None = None
    ranking_contest: Contest | None = None
    ranking_kept: str | None = None
    ranking_by: str | None = None
    ranking_deleted: str | None = None

    @property
    def ranking_lost(self) -> bool:
        """Whether visitors surely preferred the order of the similarity to the learned ranking of the gallery."""
        contest = self.ranking_contest
        return contest is not None and (contest.rival_wins if contest.rival_ranking is None else contest.rival_loses)

    @property
    def ranking_won(self) -> bool:
        """Whether visitors surely preferred the learned ranking of the gallery to the order of the similarity."""
        contest = self.ranking_contest
        return contest is not None and (contest.rival_loses if contest.rival_ranking is None else contest.rival_wins)

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike learn --json` shows it."""
        return {
            "learned_on": self.learned_on,
            "judged_by": self.judged_by,
            "wanted": self.wanted,
            "examination": [round(value, 4) for value in self.examination],
            "before": dict(self.before),
            "after": dict(self.after),
            "value_before": self.value_before,
            "value_after": self.value_after,
            "gain": {"value": self.gain, "interval": list(self.gain_interval)},
            "contest": None if self.contest is None else self.contest.to_json(),
            "by": self.by,
            "reason": self.reason,
            "kept": self.kept,
            "ranking": None if self.ranking is None else self.ranking.to_json(),
            "ranking_contest": None if self.ranking_contest is None else self.ranking_contest.to_json(),
            "ranking_kept": self.ranking_kept,
            "ranking_by": self.ranking_by,
            "ranking_deleted": self.ranking_deleted,
        }


def learn(gallery: Retriever | str | os.PathLike[str], *, apply: bool = False, dry_run: bool = False) -> Learned:
    """Learn the weights of a gallery's spaces, and a ranking of its matches, from its events.

    Both are stored only if they are better: if the whole interval of the gain, estimated from the newer answers, is
    above 0; or if visitors preferred them in interleaved searches. Later searches without weights use the weights. The
    ranking is used by searches with `ranking=learned`, and with `apply` by all that do not say.

    Args:
        gallery: Address of the gallery, or a retriever.
        apply: Whether searches that do not say shall use the ranking, if it is better.
        dry_run: Store nothing.

    Raises:
        UsageError: No events were collected, or the gallery has no items.
        GalleryLockedError: Another process is writing to the gallery.
        LookalikeError: The file of events cannot be read.
    """
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            return learn(shop, apply=apply, dry_run=dry_run)
    spaces = gallery.gallery.spaces
    if not spaces:
        raise UsageError("the gallery has no items; nothing can be learned")
    file = EventsFile(events_path(gallery.gallery), is_writable=False)
    try:
        searches = [*file.searches()]
    finally:
        file.close()
    stored = gallery.gallery.stored_weights
    before = resolve_weights(None, spaces, stored=stored.weights)
    model = "+".join(model_ids_of(spaces))
    present = stored.ranking if stored.ranking and misfit(stored.ranking, gallery.gallery) is None else None
    attributes = gallery.gallery.attributes()
    found = learned_from(searches, before=before, model=model, attributes=attributes, ranking=present)
    new = decided(found, stored, present, apply=apply)
    found = replace(found, ranking_deleted=stored.ranking_lost_by(new))
    if not dry_run and new != stored:
        gallery.gallery.store_weights(new)
    kept = None if new.ranking == stored.ranking or new.ranking is None else new.ranking
    if dry_run or kept is None:
        return replace(found, kept=found.by is not None and not dry_run)
    return replace(found, kept=found.by is not None, ranking_kept="default" if kept.is_default else "request")


def decided(found: Learned, stored: StoredWeights, present: LearnedRanking | None, *, apply: bool) -> StoredWeights:
    """What a gallery is to store after learning.

    A ranking that searches use is replaced with `apply` only, and given up with it where the order of the similarity
    won; one that lost when it was interleaved is not taken for all searches by clicks.

    Args:
        found: What was learned.
        stored: What the gallery has.
        present: Its ranking, if it fits.
        apply: Whether a ranking shall be used by searches that do not say.
    """
    today = date.today().isoformat()
    new = stored
    if found.by is not None:
        source: dict[str, JSON] = {
            "from": "events",
            "by": found.by,
            "before": round(found.value_before, 4),
            "after": round(found.value_after, 4),
            "gain_interval": [round(end, 4) for end in found.gain_interval],
            "judged_by": found.judged_by,
            "date": today,
        }
        new = stored.with_weights(found.after, source)
    if found.ranking_by == "interleaving" and present is not None:
        return replace(new, ranking=replace(present, is_default=not present.is_default)) if apply else new
    if found.ranking_by != "clicks" or found.ranking is None or found.ranking.ranking is None:
        return new
    if present is not None and present.is_default and not apply:
        return new
    told: dict[str, JSON] = {
        "from": "events",
        "before": round(found.ranking.value_before, 4),
        "after": round(found.ranking.value_after, 4),
        "gain_interval": [round(end, 4) for end in found.ranking.gain_interval],
        "judged_by": found.ranking.judged_by,
        "date": today,
    }
    return replace(
        new, ranking=replace(found.ranking.ranking, is_default=apply and not found.ranking_lost, source=told)
    )


def forget_ranking(gallery: Retriever | str | os.PathLike[str]) -> None:
    """Delete a gallery's learned ranking; its searches are in the order of the similarity again.

    Args:
        gallery: Address of the gallery, or a retriever.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            return forget_ranking(shop)
    gallery.gallery.store_weights(replace(gallery.gallery.stored_weights, ranking=None))


def learned_from(
    searches: Sequence[Done],
    *,
    before: Mapping[str, float],
    model: str,
    attributes: Collection[str] = (),
    ranking: LearnedRanking | None = None,
) -> Learned:
    """Learn weights, and a ranking, from searches in the order of time.

    While searches use a learned ranking, the weights stay: they would be learned from an order that is not theirs. So
    they do if visitors preferred the gallery's ranking in interleaved searches: other weights would delete it. What
    won when it was interleaved is taken before what clicks say.

    Args:
        searches: Searches with their events.
        before: Present weight of each space.
        model: Model of the gallery.
        attributes: Attributes of its items.
        ranking: Learned ranking of the gallery; None without one.
    """
    in_use = ranking if ranking is not None and ranking.is_default else None
    log = click_log(searches, spaces=[*before], model=model)
    border = math.ceil(len(log) * LEARNING_SHARE)
    learning, judging = log.part(slice(border)), log.part(slice(border, None))
    held = contests(searches)
    of_weights = [one for one in held if one.weights == before and one.ranking == one.rival_ranking]
    name = None if ranking is None else ranking.name
    usual = name if in_use is not None else None
    of_rankings = [one for one in held if name is not None and {one.ranking, one.rival_ranking} == {name, None}]
    of_rankings.sort(key=lambda one: one.ranking != usual)  # what won earlier as the rival says less
    found = Learned(
        learned_on=len(learning),
        judged_by=len(judging),
        wanted=int(log.wanted.sum()),
        before=before,
        after=before,
        contest=of_weights[0] if of_weights else None,
        ranking_contest=of_rankings[0] if of_rankings else None,
    )
    fewest = min(int(learning.wanted.sum()), int(judging.wanted.sum()))
    if in_use is not None:
        found = replace(found, reason=f"searches use the ranking {in_use.name}, and the weights stay with it")
    elif found.ranking_won:
        found = replace(found, reason=f"the ranking {name} won when it was interleaved, and the weights stay with it")
    elif fewest < FEWEST_WANTED:
        reason = (
            f"{found.wanted:,} wanted matches of {len(log):,} answers are too few: at least {FEWEST_WANTED} are needed "
            f"among the older {LEARNING_SHARE:.0%} of the answers, and as many among the newer ones"
        )
        found = replace(found, reason=reason)
    elif len(before) > 1:
        found = judged(found, learning, judging)
    else:
        found = replace(found, reason="the gallery has one space, and nothing to weigh it against")
    contest = found.contest
    if contest is not None and contest.rival_wins and in_use is None and not found.ranking_won:
        found = weighed(found, contest.rival, judging) if found.examination else found
        found = replace(found, after=contest.rival, by="interleaving", reason=None)
    ranked = ranking_from(searches, weights=found.after, model=model, attributes=attributes, present=in_use)
    by = "clicks" if ranked.is_better else None
    if found.ranking_won if in_use is None else found.ranking_lost and by is None:
        by = "interleaving"
    return replace(found, ranking=ranked, ranking_by=by)


def judged(found: Learned, learning: ClickLog, judging: ClickLog) -> Learned:
    """Fit weights to the older answers, and judge them by the newer ones.

    Each part has its own estimate of the position bias: weights that profit from an error of the first one would
    profit again if it judged them, too.
    """
    looked = examination(learning)

    def value_of(weights: Mapping[str, float]) -> float:
        if min(weights.values()) < LEAST_WEIGHT:
            return -1.0
        return worth(learning, weights, looked).value

    after = search_weights(value_of, found.before).weights
    return replace(weighed(found, after, judging), examination=looked.tolist())


def weighed(found: Learned, after: Mapping[str, float], judging: ClickLog) -> Learned:
    """Compare weights with the present ones, by the newer answers."""
    looked = examination(judging)
    old, new = worth(judging, found.before, looked), worth(judging, after, looked)
    gain, interval = new.gain_over(old)
    return replace(
        found,
        after=after,
        value_before=old.value,
        value_after=new.value,
        gain=gain,
        gain_interval=interval,
        by="clicks" if interval[0] > 0 else None,
    )
