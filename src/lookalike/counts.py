"""Counts with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun.

    >>> counted(1, "photo"), counted(1200, "photo"), counted(0, "match", "matches")
    ('1 photo', '1,200 photos', '0 matches')

    Args:
        count: Number of things.
        noun: Their name, of one.
        plural: Their name, of several; empty is the noun with an `s`.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
