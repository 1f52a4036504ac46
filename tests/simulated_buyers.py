"""Shoppers who go by price and stock as well: what a learned ranking finds can be compared with the truth.

They look at the matches from the top, at the position p with probability p ** -eta, as those of `simulated_shoppers`,
and click what is looked at and wanted. What is wanted depends on the cosine, the price and the stock.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from lookalike.answers import Match
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.retrieval.learned_order import FIRST, LearnedOrder
from lookalike.types import Item
from lookalike.usage.events_file import Done, EventsFile
from lookalike.usage.interleaving import team_draft
from lookalike.usage.records import Event, Interleaved, MatchFeatures, SearchRecord
from simulated_shoppers import DEFAULT, MODEL, SPACES, K, score, unit

ATTRIBUTES = ("price", "in_stock", "sale_price:*", "brand:Acme")

Floats = npt.NDArray[np.float64]


@dataclass
class Buyers:
    """A catalogue with prices, and shoppers who search it.

    Attributes:
        cheap: How much a price that is lower by a factor of e is wanted more.
        stocked: How much an item in stock is wanted more.
        sharpness: How much a better match is wanted more; with 0 for all three, everything is wanted alike.
        famous: How much the first tenth of the items, which are in fashion, is wanted more.
        eta: How quickly they stop looking.
        wanted: Share of the matches that a shopper wants, about.
    """

    cheap: float = 1.5
    stocked: float = 2.0
    sharpness: float = 3.0
    famous: float = 0.0
    eta: float = 1.0
    wanted: float = 0.2
    seed: int = 0
    items: int = 300
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = random = np.random.default_rng(self.seed)
        self._vectors = {name: unit(random.normal(size=(self.items, 12))) for name in SPACES}
        self._prices = np.exp(random.normal(3.5, 0.6, size=self.items))
        self._stock = random.random(self.items) < 0.7
        self.catalogue = [
            Item(
                id=str(number),
                photo=f"{number}.jpg",
                product=f"p{number}",
                attributes={
                    "price": round(float(self._prices[number]), 2),
                    "in_stock": bool(self._stock[number]),
                    "brand": "Acme" if number % 3 else "Other",
                    **({"sale_price": 5.0} if number % 7 == 0 else {}),
                },
            )
            for number in range(self.items)
        ]
        self._coins = Random(self.seed)
        self._count = 0

    def cosines(self) -> Floats:
        """Cosines of a new query with all items, (items, 2)."""
        parts = []
        for name in SPACES:
            near = self._vectors[name][self._random.integers(self.items)]
            query = unit((near + self._random.normal(size=12) * 0.25)[np.newaxis])[0]
            parts.append(self._vectors[name] @ query)
        return np.stack(parts, axis=1)

    def relevance(self, cosines: Floats) -> Floats:
        """Probability that a shopper wants each item."""
        utility = self.sharpness * score(cosines, DEFAULT) - self.cheap * np.log(self._prices)
        utility = utility + self.stocked * self._stock + self.famous * (np.arange(self.items) < self.items // 10)
        shown = np.argsort(-score(cosines, DEFAULT))[:FIRST]
        middle = np.quantile(utility[shown], 1 - self.wanted)
        values: Floats = 1 / (1 + np.exp(-(utility - middle) - np.log(self.wanted / (1 - self.wanted))))
        return values

    def order(self, cosines: Floats, learned: LearnedRanking | None) -> list[str]:
        """Ids of the first matches, as a search gives them."""
        first = np.argsort(-score(cosines, DEFAULT), kind="stable")[:FIRST].tolist()
        if learned is None:
            return [str(number) for number in first]
        given = {name: cosines[first, column] for column, name in enumerate(SPACES)}
        places, _ = LearnedOrder(learned, {}).ordered([self.catalogue[number] for number in first], given)
        return [str(first[place]) for place in places]

    def visit(self, learned: LearnedRanking | None = None, *, rival: LearnedRanking | None = None) -> Done:
        """One search in the order of the similarity or a ranking, or interleaved with a rival, and its clicks."""
        cosines = self.cosines()
        ids, interleaved = self.order(cosines, learned)[:K], None
        if rival is not None:
            ids, teams = team_draft(self.order(cosines, learned), self.order(cosines, rival), k=K, random=self._coins)
            interleaved = Interleaved(DEFAULT, teams, rival.name)
        numbers = [int(item) for item in ids]
        chance = self.relevance(cosines)[numbers]
        looked = self._random.random(K) < np.arange(1, K + 1) ** -self.eta
        clicked = looked & (self._random.random(K) < chance)
        self._count += 1
        matches = [
            Match(rank=rank, item=self.catalogue[number], score=1.0, scores={})
            for rank, number in enumerate(numbers, start=1)
        ]
        record = SearchRecord(
            query_id=f"q{self._count}",
            at=float(self._count),
            kind="photo",
            is_plain=True,
            item=None,
            words=None,
            model=MODEL,
            weights=DEFAULT,
            garment=None,
            offset=0,
            ids=ids,
            scores=cosines[numbers].astype(np.float32),
            spaces=SPACES,
            best=0.0,
            relevance=None,
            is_good=None,
            interleaved=interleaved,
            ranking=None if learned is None else learned.name,
            features=MatchFeatures.of(matches, ATTRIBUTES, {}),
        )
        return Done(record, [("click", ids[place], place + 1) for place in np.flatnonzero(clicked).tolist()])

    def visits(
        self, count: int, learned: LearnedRanking | None = None, *, rival: LearnedRanking | None = None
    ) -> list[Done]:
        return [self.visit(learned, rival=rival) for _ in range(count)]

    def gains(self, learned: LearnedRanking, *, queries: int = 300) -> tuple[Floats, Floats]:
        """NDCG@12 against what new shoppers want, (queries,) in the order of the similarity and of a ranking."""
        self._random = np.random.default_rng(self.seed + 99_991)
        discount = 1 / np.log2(np.arange(2, K + 2))
        found = []
        for _ in range(queries):
            cosines = self.cosines()
            wanted = self.relevance(cosines)
            best = np.sort(wanted[[int(item) for item in self.order(cosines, None)]])[::-1][:K] @ discount
            orders = (self.order(cosines, given)[:K] for given in (None, learned))
            found.append([wanted[[int(item) for item in ids]] @ discount / best for ids in orders])
        before, after = np.array(found).T
        return before, after


def fill_with_visits(path: Path, visits: Sequence[Done], *, model: str) -> None:
    """Write visits, with their clicks, into a file of events, in the name of a model."""
    with closing(EventsFile(path, is_writable=True)) as file, file.transaction():
        file.add_searches([replace(done.search, model=model) for done in visits])
        for done in visits:
            events = [Event(done.search.query_id, type, item, rank) for type, item, rank in done.events]
            file.add_events(events, at=done.search.at)
