"""Comparisons of engines at equal recall, from the figures of bench/peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Told = Mapping[str, Any]
"""JSON of a program."""

OURS = "Lookalike"
LEAST = 0.99
"""Recall@10 that engines are compared at; the fastest measured effort with it counts."""


def by_default(peers: Told) -> Told:
    """Return our searches with the default number of probes."""
    return next(one for one in peers["engines"][OURS]["searched"] if not one["effort"])


def at_recall(peers: Told, name: str) -> Told | None:
    """Fastest searches of an engine with enough recall; None if it has none.

    The time is that of the processor, which other programs disturb least.
    """
    found = [one for one in peers["engines"].get(name, {}).get("searched", []) if one["recall"] >= LEAST]
    return min(found, key=lambda one: one["processor_ms"], default=None)


def filtered_at_recall(peers: Told, name: str, share: float) -> Told | None:
    """Fastest filtered searches with enough recall, by the time of repeated filters; None if there are none."""
    found = [
        one
        for one in peers["engines"].get(name, {}).get("filtered", [])
        if one["share"] == share and one["again"]["recall"] >= LEAST
    ]
    return min(found, key=lambda one: one["again"]["processor_ms"], default=None)


def best_filtered(peers: Told, name: str, share: float) -> Told | None:
    """Filtered searches of an engine with the highest recall; None if it has no filters."""
    found = [one for one in peers["engines"].get(name, {}).get("filtered", []) if one["share"] == share]
    return max(found, key=lambda one: one["again"]["recall"], default=None)
