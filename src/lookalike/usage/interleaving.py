"""Team-draft interleaving: one answer from two rankings, and which of them visitors preferred.

Source: Radlinski, Kurup and Joachims 2008, How Does Clickthrough Data Reflect Retrieval Quality?, algorithm 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from lookalike.types import JSON
from lookalike.usage.events_file import Done
from lookalike.usage.proportions import sign_test, wilson
from lookalike.usage.records import WANTED

Side: TypeAlias = tuple[tuple[tuple[str, float], ...], str | None]
"""Weights and learned ranking of one side of a contest."""


def team_draft(first: Sequence[str], second: Sequence[str], *, k: int, random: Random) -> tuple[list[str], str]:
    """Interleave two rankings: in each round, in random order, each adds its best item that is not there yet.

    Args:
        first: Ids of ranking A, best first.
        second: Ids of ranking B, best first.
        k: Number of ids to take.
        random: Decides the order of each round.

    Returns:
        The ids, at most k, and for each `A` or `B`, the ranking that added it.
    """
    taken: dict[str, str] = {}
    left = {"A": [*reversed(first)], "B": [*reversed(second)]}
    while len(taken) < k and any(left.values()):
        for team in random.sample(("A", "B"), 2):
            ranking = left[team]
            while ranking and ranking[-1] in taken:
                ranking.pop()
            if ranking and len(taken) < k:
                taken[ranking.pop()] = team
    return [*taken], "".join(taken.values())


@dataclass(frozen=True, slots=True)
class Contest:
    """Interleaved searches of two weightings, or of two rankings.

    Attributes:
        weights: Weights of A.
        rival: Weights of B.
        wins: Searches of which more matches of A were wanted.
        losses: Searches of which more matches of B were wanted.
        ties: Other searches.
        ranking: Learned ranking of A; None is the order of the similarity.
        rival_ranking: Learned ranking of B; None is the order of the similarity.
    """

    weights: Mapping[str, float]
    rival: Mapping[str, float]
    wins: int
    losses: int
    ties: int
    ranking: str | None = None
    rival_ranking: str | None = None

    @property
    def share(self) -> tuple[float, tuple[float, float]]:
        """Share of B among the decided searches, with its 95 % interval; 0.5 from 0 to 1 without any."""
        decided = self.wins + self.losses
        return (self.losses / decided if decided else 0.5), wilson(self.losses, decided)

    @property
    def p_value(self) -> float:
        """Probability of a result as uneven as this if visitors preferred neither."""
        return sign_test(self.wins, self.losses)

    @property
    def rival_wins(self) -> bool:
        """Whether B is better: its whole interval is above one half."""
        return self.share[1][0] > 0.5

    @property
    def rival_loses(self) -> bool:
        """Whether B is worse: its whole interval is below one half."""
        return self.share[1][1] < 0.5

    def to_json(self) -> dict[str, JSON]:
        """JSON form."""
        share, interval = self.share
        return {
            "weights": dict(self.weights),
            "rival": dict(self.rival),
            "ranking": self.ranking,
            "rival_ranking": self.rival_ranking,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "rival_share": share,
            "rival_interval": list(interval),
            "p_value": self.p_value,
        }


def contests(searches: Iterable[Done]) -> list[Contest]:
    """Contests among interleaved searches, that with the most searches first."""
    counts: dict[tuple[Side, Side], Counter[int]] = {}
    for done in searches:
        mixed = done.search.interleaved
        if mixed is None:
            continue
        wanted = done.items(WANTED) - done.items(("less",))
        picked = Counter(team for item, team in zip(done.search.ids, mixed.teams, strict=False) if item in wanted)
        lead = picked["A"] - picked["B"]
        first = (*done.search.weights.items(),), done.search.ranking
        second = (*mixed.rival.items(),), mixed.rival_ranking
        counts.setdefault((first, second), Counter())[(lead > 0) - (lead < 0)] += 1
    found = [
        Contest(dict(first), dict(second), result[1], result[-1], result[0], ranking, other)
        for ((first, ranking), (second, other)), result in counts.items()
    ]
    return sorted(found, key=lambda one: one.wins + one.losses + one.ties, reverse=True)
