"""Exact scan of a gallery's rows, by cosine or by a metric of SciPy; shared by all back ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from lookalike import index as indexes
from lookalike.errors import UsageError
from lookalike.gallery.request import ResolvedRequest
from lookalike.gallery.weighting import Weighting
from lookalike.index import Rows
from lookalike.spaces import slices
from lookalike.types import Bool, Float32, Int64

GATHER_BYTES: Final = 32 << 20
"""Bytes of rows that are gathered at once for the cosines of an answer."""

Found = tuple[Int64, Float32, dict[str, Float32]]
"""Positions (Q, K) int64, scores (Q, K) float32, and each space's part (Q, K) float32; -1, -inf and nan where fewer
than K rows were found."""


def scan(
    rows: Float32, queries: Mapping[str, Float32], request: ResolvedRequest, *, allowed: Bool | None = None
) -> Found:
    """Find the rows with the highest scores.

    Args:
        rows: (N, sum of D) float32 unit vectors.
        queries: (Q, D) float32 for each space with a weight above 0.
        request: Resolved request; its index and filter are the caller's part.
        allowed: (N,) bool; None allows all rows.
    """
    spaces, weighting = request.spaces, Weighting(request.weights, request.spaces)
    exact = indexes.build("exact", rows, spaces=spaces)
    k = min(request.k, len(rows) if allowed is None else int(np.count_nonzero(allowed)))
    units = weighting.units(queries)
    if not k:
        nothing = np.empty((len(units), 0), dtype=np.float32)
        return nothing.astype(np.int64), nothing, dict.fromkeys(weighting.places, nothing)
    positions, scores = exact.search(weighting.scaled(units), k, allowed=allowed)
    return positions, scores, cosines(lambda found: rows[found], units, positions, places=weighting.places)


def cosines(
    gather: Callable[[Int64], Float32], units: Float32, positions: Int64, *, places: Mapping[str, slice]
) -> dict[str, Float32]:
    """Cosines of found rows in each space: (Q, K) float32, nan where the position is -1.

    Args:
        gather: Maps positions, (Q, K), to unit vectors, (Q, K, sum of D) float32; nan where the position is -1.
        units: (Q, sum of D) float32 unit queries.
        positions: (Q, K) int64.
        places: Columns of each space.
    """
    found = {name: np.empty(positions.shape, dtype=np.float32) for name in places}
    most = max(1, GATHER_BYTES // (4 * max(1, units.shape[1])))
    across = min(most, max(1, positions.shape[1]))
    down = max(1, most // across)
    for top in range(0, len(positions), down):
        asked = units[top : top + down, np.newaxis]
        for left in range(0, positions.shape[1], across):
            part = slice(top, top + down), slice(left, left + across)
            rows = gather(positions[part])
            for name, place in places.items():
                np.vecdot(rows[..., place], asked[..., place], out=found[name][part])
    return found


def scan_by_metric(
    parts: Sequence[Float32 | Rows],
    queries: Mapping[str, Float32],
    request: ResolvedRequest,
    *,
    allowed: Bool | None = None,
) -> Found:
    """Find the rows with the smallest weighted sum of distances.

    Args:
        parts: Raw vectors of the N rows, in parts of (B, sum of D) float32.
        queries: (Q, D) float32 for each space with a weight above 0.
        request: Resolved request with metrics; its filter is the caller's part.
        allowed: (N,) bool; None allows all rows.

    Raises:
        UsageError: A query, a distance or a score is not finite, or a metric cannot be estimated from the rows.
    """
    for name, rows in queries.items():
        if not np.isfinite(rows).all():
            raise UsageError(f"the vectors of {name!r} hold numbers that are not finite")
    k = min(request.k, sum(map(len, parts)) if allowed is None else int(np.count_nonzero(allowed)))
    if k == 0:
        nothing = np.empty((len(next(iter(queries.values()))), 0), dtype=np.float32)
        return nothing.astype(np.int64), nothing, dict.fromkeys(queries, nothing)
    places = slices(request.spaces)
    with np.errstate(over="ignore"):
        positions, scores, by_space = indexes.metric_scan(
            queries,
            [{name: Rows.of(rows).columns(places[name]) for name in queries} for rows in parts],
            metrics=request.metrics,
            weights=request.weights,
            k=k,
            allowed=allowed,
        )
    for name, part in by_space.items():
        if not np.isfinite(part[positions >= 0]).all():
            raise UsageError(
                f"the metric {request.metrics.get(name, 'euclidean')!r} gives distances that are not finite between "
                f"vectors of {name!r}; choose another metric"
            )
    if not np.isfinite(scores[positions >= 0]).all():
        raise UsageError("the weighted sum of the distances overflows float32; take smaller weights")
    return positions, scores, by_space
