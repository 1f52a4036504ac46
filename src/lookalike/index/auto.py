"""Rules by which `auto` chooses an index; docs/indexes.md has the measurements behind the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lookalike.index.scaling import alignment
from lookalike.spaces import Space

SMALL: Final = 10_000
"""Number of rows below which the exact scan takes less than a millisecond."""

FEW_ALLOWED: Final = 0.025
"""Fraction of the rows below which scoring only the rows that a filter passes is faster than searching lists."""

FEW_REPEATED: Final = 500
"""Number of rows below which scoring all of them is faster than selecting among their codes, which an index keeps for
filters that are asked repeatedly; see `compact_codes`."""

SERVED_ALIGNMENT: Final = 0.8
"""Smallest alignment of a query's weights with those that lists are built for; see `scaling.alignment`. With lists
built for deep 1 : color 0.3, deep alone has .88 and 1 : 1 has .84, and both use the lists; 0.3 : 1 has .62 and color
alone .48, where the lists near the query miss the best rows."""

LARGE_ANSWER: Final = 0.005
"""Fraction of the rows; more matches than this are spread over more lists than an index looks into."""


def choose(
    *,
    count: int,
    allowed: int | None,
    weights: Mapping[str, float],
    spaces: Sequence[Space],
    k: int,
    repeated: bool = False,
) -> str:
    """Choose an index: `exact` where it is fast, or where lists would miss too much, else `ivf`.

    Args:
        count: N, number of rows.
        allowed: Number of rows that a filter passes; None is all.
        weights: Weight of each space, from `spaces.resolve_weights`.
        spaces: Spaces of the gallery.
        k: Number of matches.
        repeated: Whether the filter has been asked for often enough that lists keep the codes of its rows.

    Returns:
        Name from `INDEXES`.
    """
    filtered = allowed is not None and allowed < (FEW_REPEATED if repeated else FEW_ALLOWED * count)
    if count < SMALL or filtered or k > LARGE_ANSWER * count or alignment(weights, spaces) < SERVED_ALIGNMENT:
        return "exact"
    return "ivf"
