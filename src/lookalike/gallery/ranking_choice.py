"""Choice between the order of the similarity and a learned ranking."""

from __future__ import annotations

from typing import Final

from lookalike.errors import UsageError

SIMILARITY: Final = "similarity"
"""Value of `SearchRequest.ranking`: the most similar match is the first."""

LEARNED: Final = "learned"
"""Value of `SearchRequest.ranking`: the learned ranking of the gallery."""

RANKINGS: Final = ("auto", SIMILARITY, LEARNED)

NOT_WITH_LEARNED: Final = ("weights", "metrics", "text", "expand", "rerank", "sort", "boost", "diversity")
"""Options by which a search has an order of its own."""


def own_order(options: object) -> str | None:
    """The first option that gives a search an order of its own; None without any.

    Args:
        options: `SearchRequest`, which imports this module.
    """
    return next((name for name in NOT_WITH_LEARNED if getattr(options, name)), None)


def check_ranking(ranking: str, options: object) -> None:
    """Check that nothing else decides the order of a search that asks for the learned ranking.

    Args:
        ranking: Ranking.
        options: As in `own_order`.

    Raises:
        UsageError: Something does.
    """
    if ranking == LEARNED and (other := own_order(options)) is not None:
        raise UsageError(f"ranking {LEARNED!r} decides the order of the matches; leave {other} out")
