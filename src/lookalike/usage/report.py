"""Report on use: how often answers were chosen from, at which ranks, by which weights, and where nothing was."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import UsageError
from lookalike.moments import moment
from lookalike.retrieval.opening import open as open_retriever
from lookalike.retrieval.retriever import Retriever
from lookalike.usage.events_file import Done, EventsFile, events_path, now
from lookalike.usage.interleaving import Contest, Side, contests
from lookalike.usage.proportions import difference, wilson
from lookalike.usage.recorder import drift_at
from lookalike.usage.records import EVENT_TYPES, WANTED

if TYPE_CHECKING:
    from lookalike.types import JSON

AGE: Final = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
SECONDS: Final = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
RANKS: Final = 20
"""Number of ranks whose click-through is told."""

LISTED: Final = 24
"""Largest number of searches without a click that are listed."""

FIRST: Final = 6
"""Number of first matches that are shown of each."""


@dataclass(frozen=True, slots=True)
class Share:
    """Share of counts.

    Attributes:
        count: Number of those that have the property.
        total: Number of all.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        """The share, in [0, 1]; 0 of nothing."""
        return self.count / self.total if self.total else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval."""
        return wilson(self.count, self.total)

    def to_json(self) -> dict[str, JSON]:
        """JSON form."""
        return {"count": self.count, "total": self.total, "share": self.value, "interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class Arm:
    """Searches by one model with one weighting, in one order.

    Attributes:
        model: Model, with its fingerprint.
        weights: Weight of each space.
        chosen: Searches of which something was wanted.
        gap: Difference of the share from that of the most frequent arm, with its 95 % interval; None for that arm.
        ranking: Learned ranking; None is the order of the similarity.
    """

    model: str
    weights: Mapping[str, float]
    chosen: Share
    gap: tuple[float, tuple[float, float]] | None = None
    ranking: str | None = None

    def to_json(self) -> dict[str, JSON]:
        """JSON form."""
        gap: JSON = None if self.gap is None else {"value": self.gap[0], "interval": list(self.gap[1])}
        weights = dict(self.weights)
        chosen = self.chosen.to_json()
        return {"model": self.model, "weights": weights, "ranking": self.ranking, "chosen": chosen, "gap": gap}


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What visitors did with the answers of a time.

    Attributes:
        since: Start of the time, in seconds since 1970.
        until: Its end.
        kinds: Number of searches by kind.
        chosen: Searches of which something was clicked, put into the cart, bought or liked.
        without_good_match: Searches whose first match is not a good one, among those where that is known.
        events: Number of events by type.
        ranks: Matches that were wanted by rank, from 1, among those that were shown.
        arms: Searches by model, weights and ranking, the most frequent first.
        contests: Interleaved searches.
        drift: Drift of the query vectors, see `lookalike.usage.sketches`; nan if it is unknown.
        unchosen: Searches of which nothing was wanted, those with the worst first match first.
    """

    since: float
    until: float
    kinds: Mapping[str, int]
    chosen: Share
    without_good_match: Share
    events: Mapping[str, int]
    ranks: Sequence[Share]
    arms: Sequence[Arm]
    contests: Sequence[Contest]
    drift: float
    unchosen: Sequence[Done] = field(repr=False, default=())

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike report usage --json` shows it."""
        return {
            "since": moment(self.since),
            "until": moment(self.until),
            "searches": self.chosen.total,
            "kinds": dict(self.kinds),
            "chosen": self.chosen.to_json(),
            "without_good_match": self.without_good_match.to_json(),
            "events": dict(self.events),
            "ranks": [{"rank": rank, **share.to_json()} for rank, share in enumerate(self.ranks, start=1)],
            "arms": [arm.to_json() for arm in self.arms],
            "contests": [contest.to_json() for contest in self.contests],
            "drift": None if self.drift != self.drift else self.drift,
            "unchosen": [unchosen_json(done) for done in self.unchosen],
        }


def usage_report(gallery: Retriever | str | os.PathLike[str], *, since: str = "7d") -> UsageReport:
    """Report on the use of a gallery.

    Args:
        gallery: Address of the gallery, or a retriever.
        since: Age of the oldest search, such as `12h`, `7d` or `4w`; or its day, such as `2026-11-22`, in UTC.

    Raises:
        UsageError: No events were collected, or `since` has another form.
        LookalikeError: The file of events cannot be read.
    """
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            return usage_report(shop, since=since)
    until = now()
    start = start_of(since, until)
    with closing(EventsFile(events_path(gallery.gallery), is_writable=False)) as file:
        model = "+".join(model_ids_of(gallery.gallery.spaces))
        return report_of(file.searches(since=start), since=start, until=until, drift=drift_at(file, model, until))


def report_of(searches: Iterable[Done], *, since: float, until: float, drift: float = float("nan")) -> UsageReport:
    """Count searches, which are in the order of time.

    Args:
        searches: Searches with their events.
        since: Start of the time, in seconds since 1970.
        until: Its end.
        drift: Drift of the query vectors.
    """
    kinds: Counter[str] = Counter()
    events: Counter[str] = Counter()
    good: Counter[bool | None] = Counter()
    shown, wanted = [0] * RANKS, [0] * RANKS
    arms: dict[tuple[str, Side], Counter[bool]] = {}
    unchosen: list[Done] = []
    mixed: list[Done] = []
    for done in searches:
        search = done.search
        kinds[search.kind] += 1
        events.update(type for type, _, _ in done.events)
        good[search.is_good] += 1
        for rank in range(search.offset + 1, min(search.offset + len(search.ids), RANKS) + 1):
            shown[rank - 1] += 1
        for rank in {rank for type, _, rank in done.events if type in WANTED and rank <= RANKS}:
            wanted[rank - 1] += 1
        is_chosen = bool(done.items(WANTED))
        if search.interleaved is None:
            side = (*search.weights.items(),), search.ranking
            arms.setdefault((search.model, side), Counter())[is_chosen] += 1
        else:
            mixed.append(done)
        if not is_chosen and not search.offset:
            unchosen.append(done)
            if len(unchosen) > 50 * LISTED:
                unchosen = worst_of(unchosen)
    total = sum(kinds.values())
    return UsageReport(
        since=since,
        until=until,
        kinds=dict(kinds.most_common()),
        chosen=Share(sum(arm[True] for arm in arms.values()) + sum(bool(done.items(WANTED)) for done in mixed), total),
        without_good_match=Share(good[False], good[False] + good[True]),
        events={name: events[name] for name in EVENT_TYPES if events[name]},
        ranks=[Share(min(count, all_), all_) for count, all_ in zip(wanted, shown, strict=True) if all_],
        arms=arms_of(arms),
        contests=contests(mixed),
        drift=drift,
        unchosen=worst_of(unchosen),
    )


def arms_of(counts: Mapping[tuple[str, Side], Counter[bool]]) -> list[Arm]:
    """Arms, the most frequent first, each compared with that one."""
    ordered = sorted(counts.items(), key=lambda one: one[1].total(), reverse=True)
    found: list[Arm] = []
    for (model, (weights, ranking)), count in ordered:
        share = Share(count[True], count.total())
        first = found[0].chosen if found else None
        gap = None if first is None else difference(share.count, share.total, first.count, first.total)
        found.append(Arm(model, dict(weights), share, gap, ranking))
    return found


def worst_of(searches: Sequence[Done]) -> list[Done]:
    """The searches with the worst first matches: by relevance where it is known, then by score; at most `LISTED`.

    Of equal queries with equal answers, the first one stands for all.
    """

    def quality(done: Done) -> tuple[float, float]:
        search = done.search
        if not search.ids:
            return -1.0, 0.0
        score = 0.0 if search.best is None else search.best
        return (1.0 if search.relevance is None else search.relevance), score

    distinct: dict[object, Done] = {}
    for done in sorted(searches, key=quality):
        search = done.search
        distinct.setdefault((search.kind, search.item, search.words, *search.ids), done)
    return [*distinct.values()][:LISTED]


def unchosen_json(done: Done) -> dict[str, JSON]:
    """JSON of a search of which nothing was wanted."""
    search = done.search
    return {
        "query_id": search.query_id,
        "at": moment(search.at),
        "kind": search.kind,
        "item": search.item,
        "words": search.words,
        "garment": search.garment,
        "score": search.best,
        "relevance": search.relevance,
        "first": list(search.ids[:FIRST]),
    }


def start_of(since: str, until: float) -> float:
    """Start of a time that ends now, in seconds since 1970.

    Raises:
        UsageError: The text is neither an age nor a day.
    """
    if found := AGE.fullmatch(since):
        return max(0.0, until - int(found[1]) * SECONDS[found[2]])
    try:
        return datetime.strptime(since, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise UsageError(f"expected an age such as 12h, 7d or 4w, or a day such as 2026-11-22, got {since!r}") from None
