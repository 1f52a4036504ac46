"""Shuffles without end that can be entered anywhere."""

from __future__ import annotations

import numpy as np

from lookalike.types import Int64


class Shuffles:
    """Endless rows of shuffles of 0 to n - 1, one row for each key; any place of a row can be asked for.

    Args:
        seed: Of all rows.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.latest: dict[tuple[int, ...], tuple[int, Int64]] = {}

    def at(self, number: int, *, size: int, key: tuple[int, ...]) -> int:
        """Place `number` of the row of shuffles of `size` numbers that a key has."""
        if size == 1:
            return 0
        lap, position = divmod(number, size)
        kept_lap, shuffle = self.latest.get(key, (-1, None))
        if shuffle is None or kept_lap != lap:
            shuffle = np.random.default_rng((self.seed, *key, lap)).permutation(size)
            self.latest[key] = (lap, shuffle)
        return int(shuffle[position])
