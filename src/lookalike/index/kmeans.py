"""The original's clustered search: 50 clusters of the deep features, and only those near the query are looked into."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.index.inverted_lists import Grouping, ListIndex
from lookalike.spaces import Space, slices

CLUSTERS = 50
"""As the original had."""

ROWS_PER_CLUSTER = 39
"""Small galleries get fewer clusters, so that each has about this many rows."""


PROBES = 2
"""The query's own cluster, as in the original, and the next: alone, the first one held a little less of the best rows
than the original's did, whose score is another."""


class KMeans(ListIndex):
    """Looks into the clusters nearest to the query's deep feature: `PROBES`, or as many as the caller says.

    Without a `deep` space the first one makes the clusters. A query that gives the clustered space no weight falls
    into no cluster and is answered exactly.
    """

    name = "kmeans"

    @staticmethod
    def grouping(count: int, spaces: Sequence[Space]) -> Grouping:
        """50 clusters, or fewer for small galleries."""
        places = slices(spaces)
        columns = places.get("deep", next(iter(places.values())))
        clusters = max(1, min(CLUSTERS, count // ROWS_PER_CLUSTER))
        return Grouping(lists=clusters, sample=2000, rounds=40, columns=columns, probes=PROBES, widens=False)
