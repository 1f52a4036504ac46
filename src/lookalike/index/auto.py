"""Which index `auto` takes: all the rules, in one place. docs/indexes.md shows the measurements behind the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from lookalike.index.scaling import alignment
from lookalike.spaces import Space

SMALL: Final = 10_000
"""Below this many rows the exact scan takes less than a millisecond, and nothing has to be built or kept."""

FEW_ALLOWED: Final = 0.025
"""When a filter passes less than this part of the rows, scoring just those is quicker than looking into all lists."""

SERVED_ALIGNMENT: Final = 0.8
"""How far the weights may be from those that lists are made for; see `scaling.alignment`. With lists
made for deep 1 : color 0.3, deep alone has .88 and 1 : 1 has .84, and both are served; 0.3 : 1 has .62 and color alone
.48, where the lists near the query no longer hold what it looks for."""

LARGE_ANSWER: Final = 0.005
"""When more than this part of all rows is asked for, they are spread over more lists than are looked into."""


def choose(*, count: int, allowed: int | None, weights: Mapping[str, float], spaces: Sequence[Space], k: int) -> str:
    """Choose the index that answers best: exactly where that is quick, or where lists would miss too much.

    Args:
        count: N, rows in the gallery.
        allowed: How many of them a filter passes; None for all.
        weights: One for every space, as `spaces.resolve_weights` gives them.
        spaces: Those of the gallery.
        k: How many results are asked for.

    Returns:
        A name of `INDEXES`.
    """
    filtered = allowed is not None and allowed < FEW_ALLOWED * count
    if count < SMALL or filtered or k > LARGE_ANSWER * count or alignment(weights, spaces) < SERVED_ALIGNMENT:
        return "exact"
    return "ivf"
