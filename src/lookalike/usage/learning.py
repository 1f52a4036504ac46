"""Weights learned from use: fitted to the older clicks, judged by the newer ones, and kept only if they are better."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Final

from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import UsageError
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.opening import open as open_retriever
from lookalike.retrieval.retriever import Retriever
from lookalike.spaces import resolve_weights
from lookalike.tuning.weight_learning import search_weights
from lookalike.usage.clicks import ClickLog, click_log
from lookalike.usage.counterfactual import worth
from lookalike.usage.events_file import Done, EventsFile, events_path
from lookalike.usage.interleaving import Contest, contests
from lookalike.usage.position_bias import examination

if TYPE_CHECKING:
    from lookalike.types import JSON

LEARNING_SHARE: Final = 0.6
"""Share of the answers, the older ones, that weights are fitted to; the others judge them."""

FEWEST_WANTED: Final = 150
"""Least number of wanted matches in each part. With fewer, intervals are wider than any gain of weights."""

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
        }


def learn(gallery: Retriever | str | os.PathLike[str], *, dry_run: bool = False) -> Learned:
    """Learn the weights of a gallery's spaces from its events; later searches without weights use them.

    They are stored only if they are better: if the whole interval of the gain, estimated from the newer answers, is
    above 0; or if visitors preferred them in interleaved searches.

    Args:
        gallery: Address of the gallery, or a retriever.
        dry_run: Store nothing.

    Raises:
        UsageError: No events were collected, or the gallery has one space only.
        GalleryLockedError: Another process is writing to the gallery.
        LookalikeError: The file of events cannot be read.
    """
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            return learn(shop, dry_run=dry_run)
    spaces = gallery.gallery.spaces
    if len(spaces) < 2:
        what = f"only the space {spaces[0].name!r}" if spaces else "no items"
        raise UsageError(f"the gallery has {what}; weights are learned for two spaces or more")
    file = EventsFile(events_path(gallery.gallery), is_writable=False)
    try:
        searches = [*file.searches()]
    finally:
        file.close()
    before = resolve_weights(None, spaces, stored=gallery.gallery.stored_weights.weights)
    model = "+".join(model_ids_of(spaces))
    found = learned_from(searches, before=before, model=model)
    if found.by is None or dry_run:
        return found
    learned_from_use: dict[str, JSON] = {
        "from": "events",
        "by": found.by,
        "before": round(found.value_before, 4),
        "after": round(found.value_after, 4),
        "gain_interval": [round(end, 4) for end in found.gain_interval],
        "judged_by": found.judged_by,
        "date": date.today().isoformat(),
    }
    gallery.gallery.store_weights(StoredWeights(found.after, learned_from_use))
    return replace(found, kept=True)


def learned_from(searches: Sequence[Done], *, before: Mapping[str, float], model: str) -> Learned:
    """Learn weights from searches in the order of time.

    Args:
        searches: Searches with their events.
        before: Present weight of each space.
        model: Model of the gallery.
    """
    log = click_log(searches, spaces=[*before], model=model)
    border = math.ceil(len(log) * LEARNING_SHARE)
    learning, judging = log.part(slice(border)), log.part(slice(border, None))
    held = [one for one in contests(searches) if one.weights == before]
    found = Learned(
        learned_on=len(learning),
        judged_by=len(judging),
        wanted=int(log.wanted.sum()),
        before=before,
        after=before,
        contest=held[0] if held else None,
    )
    fewest = min(int(learning.wanted.sum()), int(judging.wanted.sum()))
    if fewest < FEWEST_WANTED:
        reason = (
            f"{found.wanted:,} wanted matches of {len(log):,} answers are too few: at least {FEWEST_WANTED} are needed "
            f"among the older {LEARNING_SHARE:.0%} of the answers, and as many among the newer ones"
        )
        found = replace(found, reason=reason)
    else:
        found = judged(found, learning, judging)
    if found.contest is not None and found.contest.rival_wins and found.by is None:
        return replace(found, after=found.contest.rival, by="interleaving", reason=None)
    return found


def judged(found: Learned, learning: ClickLog, judging: ClickLog) -> Learned:
    """Fit weights to the older answers, and judge them by the newer ones.

    Each part has its own estimate of the position bias: weights that profit from an error of the first one would
    profit again if it judged them, too.
    """
    looked, judging_looked = examination(learning), examination(judging)

    def value_of(weights: Mapping[str, float]) -> float:
        if min(weights.values()) < LEAST_WEIGHT:
            return -1.0
        return worth(learning, weights, looked).value

    after = search_weights(value_of, found.before).weights
    old, new = worth(judging, found.before, judging_looked), worth(judging, after, judging_looked)
    gain, interval = new.gain_over(old)
    return replace(
        found,
        examination=looked.tolist(),
        after=after,
        value_before=old.value,
        value_after=new.value,
        gain=gain,
        gain_interval=interval,
        by="clicks" if interval[0] > 0 else None,
    )
