"""Shoppers whose wishes and whose looking are known: what `learn` finds can be compared with the truth.

Each shopper searches with a photo, looks at the matches from the top, at the position p with probability p ** -eta, and
clicks what is looked at and wanted. What is wanted depends on the cosines by the weights that they have in mind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

import numpy as np
import numpy.typing as npt

from lookalike.usage.events_file import Done
from lookalike.usage.interleaving import team_draft
from lookalike.usage.records import Interleaved, SearchRecord

SPACES = ("deep", "color")
DEFAULT = {"deep": 1.0, "color": 0.1}
MODEL = "model@1+color@1"
K = 12

Floats = npt.NDArray[np.float64]


@dataclass
class Shoppers:
    """A catalogue, and shoppers who search it.

    Attributes:
        wishes: Weights that the shoppers have in mind.
        eta: How quickly they stop looking; 0 looks at everything.
        sharpness: How much a better match is wanted more; 0 wants everything alike.
        wanted: Share of the matches that a shopper wants, about.
    """

    wishes: Mapping[str, float]
    eta: float = 1.0
    sharpness: float = 6.0
    wanted: float = 0.2
    seed: int = 0
    items: int = 200
    _random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)
        self._vectors = {name: unit(self._random.normal(size=(self.items, 12))) for name in SPACES}
        self._coins = Random(self.seed)
        self._count = 0

    def cosines(self) -> Floats:
        """Cosines of a new query with all items, (items, 2): near one of them in each space."""
        parts = []
        for name in SPACES:
            near = self._vectors[name][self._random.integers(self.items)]
            query = unit((near + self._random.normal(size=12) * 0.25)[np.newaxis])[0]
            parts.append(self._vectors[name] @ query)
        return np.stack(parts, axis=1)

    def relevance(self, cosines: Floats) -> Floats:
        """Probability that a shopper wants each item."""
        if not self.sharpness:
            return np.full(len(cosines), self.wanted)
        utility = score(cosines, self.wishes)
        best = np.sort(utility)[-K]
        values: Floats = 1 / (1 + np.exp(-self.sharpness * (utility - best) - np.log(self.wanted / (1 - self.wanted))))
        return values

    def visit(self, weights: Mapping[str, float], *, rival: Mapping[str, float] | None = None) -> Done:
        """One search, answered by weights or interleaved with those of a rival, and its clicks."""
        cosines = self.cosines()
        order = ranking(cosines, weights)
        interleaved = None
        if rival is None:
            ids = order[:K]
        else:
            ids, teams = team_draft(order, ranking(cosines, rival), k=K, random=self._coins)
            interleaved = Interleaved(rival, teams)
        shown = cosines[[int(item) for item in ids]]
        chance = self.relevance(cosines)[[int(item) for item in ids]]
        looked = self._random.random(K) < np.arange(1, K + 1) ** -self.eta
        clicked = looked & (self._random.random(K) < chance)
        self._count += 1
        record = SearchRecord(
            query_id=f"q{self._count}",
            at=float(self._count),
            kind="photo",
            is_plain=True,
            item=None,
            words=None,
            model=MODEL,
            weights=weights,
            garment=None,
            offset=0,
            ids=ids,
            scores=shown.astype(np.float32),
            spaces=SPACES,
            best=float(score(shown, weights)[0]),
            relevance=None,
            is_good=None,
            interleaved=interleaved,
        )
        return Done(record, [("click", ids[place], place + 1) for place in np.flatnonzero(clicked).tolist()])

    def visits(
        self, count: int, weights: Mapping[str, float] = DEFAULT, *, rival: Mapping[str, float] | None = None
    ) -> list[Done]:
        return [self.visit(weights, rival=rival) for _ in range(count)]

    def truth(self, weights: Mapping[str, float], *, queries: int = 400) -> float:
        """Mean NDCG@12 against what shoppers want, over searches of others in the whole catalogue."""
        others = Shoppers(self.wishes, self.eta, self.sharpness, self.wanted, seed=self.seed, items=self.items)
        others._random = np.random.default_rng(self.seed + 99_991)
        discount = 1 / np.log2(np.arange(2, K + 2))
        found = []
        for _ in range(queries):
            cosines = others.cosines()
            wanted = others.relevance(cosines)
            got = wanted[[int(item) for item in ranking(cosines, weights)[:K]]] @ discount
            found.append(got / (np.sort(wanted)[::-1][:K] @ discount))
        return float(np.mean(found))


def unit(rows: Floats) -> Floats:
    scaled: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return scaled


def score(cosines: Floats, weights: Mapping[str, float]) -> Floats:
    values: Floats = cosines @ np.array([weights[name] for name in SPACES]) / sum(weights.values())
    return values


def ranking(cosines: Floats, weights: Mapping[str, float]) -> list[str]:
    """Ids, best first."""
    return [str(item) for item in np.argsort(-score(cosines, weights), kind="stable").tolist()]
