"""Endless sequences of shuffles with random access."""

from __future__ import annotations

import numpy as np

from lookalike.types import Int64


class Shuffles:
    """Endless sequences of shuffles of 0 to n - 1, one for each key, with random access.

    Args:
        seed: Seed of all sequences.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.latest: dict[tuple[int, ...], tuple[int, Int64]] = {}

    def at(self, number: int, *, size: int, key: tuple[int, ...]) -> int:
        """Return element `number` of a key's sequence of shuffles of `size` numbers."""
        if size == 1:
            return 0
        lap, position = divmod(number, size)
        kept_lap, shuffle = self.latest.get(key, (-1, None))
        if shuffle is None or kept_lap != lap:
            shuffle = np.random.default_rng((self.seed, *key, lap)).permutation(size)
            self.latest[key] = (lap, shuffle)
        return int(shuffle[position])
