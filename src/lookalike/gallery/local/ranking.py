"""Search of one snapshot: the segment through an index, the unindexed rows exactly, and the best of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from lookalike import index as indexes
from lookalike.gallery.exact_scan import cosines, scan_by_metric
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.segment import SelfRepairingIndex
from lookalike.gallery.local.snapshot import Snapshot
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.weighting import Weighting, checked_queries, weights_key
from lookalike.index import Allowed, Index, Rows
from lookalike.spaces import resolve_weights
from lookalike.types import Bool, Float32, Int64, Neighbours

WEIGHTINGS_REMEMBERED: Final = 64
"""Weightings that a snapshot keeps."""


def allow(snapshot: Snapshot, rows: Int64 | None) -> AllowedRows:
    """Allowed rows of a snapshot.

    Args:
        snapshot: Snapshot to search.
        rows: Row numbers, (n,) int64, some of which may have been removed; None allows all.
    """
    if rows is None:
        kept = None if snapshot.deletion_bitmap is None else Allowed(~snapshot.deletion_bitmap)
        return AllowedRows(kept, snapshot.split - snapshot.deleted_count, None, len(snapshot.unindexed))
    segment = None
    if snapshot.segment is not None:
        passing = np.zeros(snapshot.split, dtype=np.bool_)
        passing[snapshot.segment.positions(rows)] = True
        if snapshot.deletion_bitmap is not None:
            passing &= ~snapshot.deletion_bitmap
        segment = Allowed(passing)
    unindexed = snapshot.unindexed.among(rows)
    return AllowedRows(segment, 0 if segment is None else segment.count, unindexed, int(unindexed.sum()))


def weighting_of(snapshot: Snapshot, weights: Mapping[str, float] | None) -> Weighting:
    """Weights of a request, resolved for a snapshot; computed once for each.

    Args:
        snapshot: Snapshot to search.
        weights: Weights by space, or unique prefixes of their names; None takes those of the gallery.

    Raises:
        UnknownNameError: A weight names an unknown space.
        UsageError: A weight is invalid; see `resolve_weights`.
    """
    key = weights_key(weights)
    found = None if key is None else snapshot.weightings.get(key)
    if found is None:
        resolved = resolve_weights(weights, snapshot.spaces, stored=snapshot.weights)
        found = Weighting(resolved, snapshot.spaces)
        if key is not None:
            if len(snapshot.weightings) >= WEIGHTINGS_REMEMBERED:
                snapshot.weightings.clear()
            snapshot.weightings[key] = found
    return found


def nearest(
    snapshot: Snapshot,
    queries: Mapping[str, Float32],
    request: SearchRequest,
    *,
    k: int,
    allowed: AllowedRows,
    keep: bool,
) -> Neighbours:
    """Find the rows with the highest scores; see `Gallery.search`.

    Args:
        snapshot: Snapshot to search.
        queries: (Q, D) for each space with a weight above 0.
        request: Weights, index and probes.
        k: Number of rows.
        allowed: Rows that may be returned.
        keep: Save an index that has to be built.
    """
    weighting = weighting_of(snapshot, request.weights)
    units = weighting.units(queries)
    query = weighting.scaled(units)
    k, index = min(k, allowed.count), request.index
    if index == "auto":
        index = chosen_index(snapshot, weighting.weights, k=k, allowed=allowed, probes=request.probes)
    parts, searched = [], None
    if k and snapshot.segment is not None and allowed.segment_count:
        searched = snapshot.segment.index(index, keep=keep)
        parts.append(searched.search(query, k, allowed=allowed.segment, probes=request.probes))
    if k and allowed.unindexed_count:
        places, scores = nearest_unindexed(snapshot, searched, query, k=k, allowed=allowed.unindexed)
        parts.append((np.where(places >= 0, places + snapshot.split, -1), scores))
    positions, scores = merged(parts, queries=len(query), k=k)
    by_space = cosines(snapshot.unit, units, positions, places=weighting.places)
    return Neighbours(snapshot.numbers(positions), scores, by_space, index, version=snapshot.version.id)


def load_index(snapshot: Snapshot, request: SearchRequest, *, keep: bool) -> None:
    """Load the index that `nearest` will search, if it is saved; not if a filter has yet to tell which one that is.

    Args:
        snapshot: Snapshot to search.
        request: Weights, index, probes and number of rows.
        keep: Save the index again if it is damaged.
    """
    segment = snapshot.segment
    name = request.index
    if segment is None or request.metrics or (name == "auto" and request.where is not None):
        return
    allowed, weights = allow(snapshot, None), weighting_of(snapshot, request.weights).weights
    if name == "auto":
        k = min(request.k, allowed.count)
        name = chosen_index(snapshot, weights, k=k, allowed=allowed, probes=request.probes)
    if name in segment.kept_indexes():
        segment.index(name, keep=keep)


def nearest_unindexed(
    snapshot: Snapshot, index: Index | None, query: Float32, *, k: int, allowed: Bool | None
) -> tuple[Int64, Float32]:
    """Find the k best unindexed rows of weighted queries; see `Index.search`.

    Args:
        snapshot: Snapshot to search.
        index: Index that the segment was searched with; None if it was not.
        query: (Q, sum of D) float32.
        k: Number of rows.
        allowed: (M,) bool unindexed rows that may be returned; None allows all.
    """
    rows = snapshot.unindexed
    if allowed is None and len(query) == 1 and isinstance(index, SelfRepairingIndex):
        return index.search_later(query, k, numbers=rows.numbers, rows=rows.unit)
    return indexes.build("exact", rows.unit, spaces=snapshot.spaces).search(query, k, allowed=allowed)


def chosen_index(
    snapshot: Snapshot, weights: Mapping[str, float], *, k: int, allowed: AllowedRows, probes: int | None
) -> str:
    """Name of the index that `auto` chooses; see `lookalike.index.choose`."""
    count = snapshot.split
    passing = None if allowed.segment_count == count else allowed.segment_count
    repeated = allowed.segment is not None and allowed.segment.is_repeated and probes is None
    return indexes.choose(count=count, allowed=passing, weights=weights, spaces=snapshot.spaces, k=k, repeated=repeated)


def nearest_by_metric(
    snapshot: Snapshot, queries: Mapping[str, Float32], request: SearchRequest, *, k: int, allowed: AllowedRows
) -> Neighbours:
    """Scan all raw vectors by the metrics of a request; see `Gallery.search` and `nearest`."""
    resolved = request.resolved(snapshot.spaces, stored=snapshot.weights)
    parts: list[Float32 | Rows] = []
    if snapshot.segment is not None:
        snapshot.segment.raw.check()
        parts.append(snapshot.segment.raw)
    positions, scores, by_space = scan_by_metric(
        [*parts, snapshot.unindexed.raw],
        checked_queries(queries, resolved.weights, snapshot.spaces),
        replace(resolved, k=k),
        allowed=allowed.together(snapshot.split, len(snapshot.unindexed)),
    )
    return Neighbours(snapshot.numbers(positions), scores, by_space, "exact", version=snapshot.version.id)


def merged(parts: list[tuple[Int64, Float32]], *, queries: int, k: int) -> tuple[Int64, Float32]:
    """Merge the results of several searches, (Q, k) each, into the k best; equal scores by position."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty((queries, 0), dtype=np.int64), np.empty((queries, 0), dtype=np.float32)
    positions = np.concatenate([places for places, _ in parts], axis=1)
    scores = np.concatenate([values for _, values in parts], axis=1)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(positions, order, axis=1), np.take_along_axis(scores, order, axis=1)
