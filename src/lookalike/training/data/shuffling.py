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

    def at(self, number: int, *, size: int, key: tuple[int, ...], together: int = 1) -> int:
        """Return element `number` of a key's sequence of shuffles of `size` numbers.

        Args:
            number: Place in the sequence, from 0.
            size: Numbers that are shuffled.
            key: Name of the sequence.
            together: Elements that are drawn together, from each multiple of `together` on: none of them is twice among
                them, also where they end one shuffle and begin the next. At most `size`.
        """
        if size == 1:
            return 0
        lap, position = divmod(number, size)
        kept_lap, shuffle = self.latest.get(key, (-1, None))
        if shuffle is None or kept_lap != lap:
            shuffle = self._lap(lap, size, key, together)
            self.latest[key] = (lap, shuffle)
        return int(shuffle[position])

    def _lap(self, lap: int, size: int, key: tuple[int, ...], together: int) -> Int64:
        """Return a shuffle that begins with other numbers than the one before ends with."""
        if lap == 0 or lap * size % together == 0:
            return self._shuffled(lap, size, key)
        if size >= 3 * together:  # the ends of shuffles stay as they are
            return _apart(self._shuffled(lap - 1, size, key), self._shuffled(lap, size, key), lap, together)
        first, arranged = self.latest.get(key, (-1, self._shuffled(0, size, key)))
        if not 0 <= first < lap:
            first, arranged = 0, self._shuffled(0, size, key)
        for each in range(first + 1, lap + 1):
            arranged = _apart(arranged, self._shuffled(each, size, key), each, together)
        return arranged

    def _shuffled(self, lap: int, size: int, key: tuple[int, ...]) -> Int64:
        return np.random.default_rng((self.seed, *key, lap)).permutation(size)


def _apart(before: Int64, shuffle: Int64, lap: int, together: int) -> Int64:
    """Exchange the numbers at the beginning of a shuffle that are drawn together with the end of the one before.

    Args:
        before: The shuffle before.
        shuffle: The shuffle.
        lap: Its number, from 0.
        together: Elements that are drawn together.
    """
    size = len(shuffle)
    ending = lap * size % together
    if not ending:
        return shuffle
    beginning = together - ending
    last = size - together if size >= 3 * together else size
    taken = np.isin(shuffle, before[-ending:])
    repeated = np.flatnonzero(taken[:beginning])
    others = beginning + np.flatnonzero(~taken[beginning:last])[: len(repeated)]
    shuffle[repeated], shuffle[others] = shuffle[others], shuffle[repeated]
    return shuffle
