"""Misspelt words, read as those that were meant."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

SHORTEST: Final = 4
"""Letters of the shortest word that is corrected: most pairs of shorter words differ by little."""

TWO_ERRORS: Final = 7
"""Letters of the shortest word that may have two errors."""


def most_errors(word: str) -> int:
    """Largest number of errors that a word may have; 0 for short ones and those with digits."""
    if len(word) < SHORTEST or any(map(str.isdigit, word)):
        return 0
    return 2 if len(word) >= TWO_ERRORS else 1


def nearest(word: str, candidates: Iterable[str], count: Callable[[str], int] | None = None) -> str | None:
    """The word with the fewest errors between; of those the most frequent one, then the first in the alphabet.

    Args:
        word: Word of the query.
        candidates: Words that it may be meant to be.
        count: Returns the number of items with a word; a word that none has is not taken. None counts each as 1.

    Returns:
        The word; None if no candidate is near enough.
    """
    most = most_errors(word)
    near = [each for each in candidates if abs(len(each) - len(word)) <= most and distance(word, each) <= most]
    counts = {each: 1 if count is None else count(each) for each in near}
    found = sorted((distance(word, each), -counts[each], each) for each in near if counts[each])
    return found[0][2] if found else None


def distance(first: str, second: str) -> int:
    """Letters to insert, delete, replace or swap with their neighbour to make one word of another.

    Source: Damerau 1964, A technique for computer detection and correction of spelling errors; here no letter is
        changed twice (optimal string alignment).
    """
    before: list[int] = []
    above = list(range(len(second) + 1))
    for at, letter in enumerate(first, start=1):
        line = [at]
        for place, other in enumerate(second, start=1):
            least = min(line[-1] + 1, above[place] + 1, above[place - 1] + (letter != other))
            if at > 1 and place > 1 and letter == second[place - 2] and first[at - 2] == other:
                least = min(least, before[place - 2] + 1)
            line.append(least)
        before, above = above, line
    return above[-1]
