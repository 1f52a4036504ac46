"""Answers and what was wanted of them, as arrays to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.types import Bool, Int64
from lookalike.usage.events_file import Done
from lookalike.usage.records import WANTED

DEEPEST: Final = 50
"""Largest number of matches of an answer that are learned from."""


@dataclass(frozen=True, slots=True)
class ClickLog:
    """Answers in the order of time: Q of them, padded to K matches, with the cosines of S spaces.

    Attributes:
        spaces: Names of the S spaces.
        scores: (Q, K, S) float64 cosines; 0 beyond the matches of an answer.
        shown: (Q, K) bool, whether there is a match at a position.
        wanted: (Q, K) bool, whether it was clicked, put into the cart, bought or liked, and not told to be wrong.
    """

    spaces: Sequence[str]
    scores: Float64
    shown: Bool
    wanted: Bool

    def __len__(self) -> int:
        return len(self.shown)

    def part(self, which: Int64 | Bool | slice) -> ClickLog:
        """Some of the answers."""
        return ClickLog(self.spaces, self.scores[which], self.shown[which], self.wanted[which])


@dataclass(frozen=True, slots=True)
class Usable:
    """One answer that can be learned from.

    Attributes:
        done: The search with its events.
        cosines: (K, S) float64 cosines of its first matches.
        wanted: (K,) bool, which of them were wanted.
    """

    done: Done
    cosines: Float64
    wanted: Bool


def usable(searches: Iterable[Done], *, spaces: Sequence[str], model: str) -> Iterator[Usable]:
    """Answers that can be learned from.

    They are first pages whose order is that of the cosines, or of a learned ranking, with a cosine of each space, by
    the present model; and the shop showed them in this order, as far as its events tell ranks.

    Args:
        searches: Searches with their events, in the order of time.
        spaces: Names of the gallery's spaces.
        model: Model of the gallery.
    """
    for done in searches:
        search = done.search
        if not search.is_plain or search.model != model or not set(spaces) <= set(search.spaces):
            continue
        if any(rank != search.offset + 1 + search.ids.index(item) for _, item, rank in done.events):
            continue
        columns = [search.spaces.index(name) for name in spaces]
        cosines = search.scores[:DEEPEST, columns].astype(np.float64)
        if not len(cosines) or np.isnan(cosines).any():
            continue
        chosen = done.items(WANTED) - done.items(("less",))
        yield Usable(done, cosines, np.array([item in chosen for item in search.ids[:DEEPEST]]))


def click_log(searches: Iterable[Done], *, spaces: Sequence[str], model: str) -> ClickLog:
    """Answers that can be learned from, as arrays; see `usable`.

    Args:
        searches: Searches with their events, in the order of time.
        spaces: Names of the gallery's spaces.
        model: Model of the gallery.
    """
    found = [*usable(searches, spaces=spaces, model=model)]
    deepest = max((len(one.wanted) for one in found), default=0)
    log = ClickLog(
        spaces,
        np.zeros((len(found), deepest, len(spaces))),
        np.zeros((len(found), deepest), dtype=np.bool_),
        np.zeros((len(found), deepest), dtype=np.bool_),
    )
    for row, one in enumerate(found):
        count = len(one.wanted)
        log.scores[row, :count] = one.cosines
        log.shown[row, :count] = True
        log.wanted[row, :count] = one.wanted
    return log
