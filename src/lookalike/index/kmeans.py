"""The original's clustered search: 50 clusters of the deep features, and only the query's own is looked into."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.index.lists import Grouping, ListIndex
from lookalike.spaces import Space, slices

CLUSTERS = 50
"""As the original had."""

ROWS_PER_CLUSTER = 39
"""Small galleries get fewer clusters, so that each has about this many rows."""


class KMeans(ListIndex):
    """Looks into the cluster that the query's deep feature falls into, and with more probes into the nearest others.

    Without a `deep` space the first one makes the clusters. A query that gives the clustered space no weight falls
    into no cluster and is answered exactly.
    """

    name = "kmeans"

    @staticmethod
    def grouping(count: int, spaces: Sequence[Space]) -> Grouping:
        """50 clusters, or fewer for small galleries; one is looked into."""
        places = slices(spaces)
        columns = places.get("deep", next(iter(places.values())))
        clusters = max(1, min(CLUSTERS, count // ROWS_PER_CLUSTER))
        return Grouping(lists=clusters, sample=2000, rounds=40, columns=columns, probes=1, widens=False)
