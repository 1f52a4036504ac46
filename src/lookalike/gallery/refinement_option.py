"""Parameters of query expansion and re-ranking: their limits, and the option that each belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lookalike.errors import UsageError

MOST_REFINED: Final = 1000
"""Largest `expand`, `rerank`, `k1` and `k2`. Re-ranking grows with the square of the matches: 1,000 take a second."""

LARGEST_ALPHA: Final = 1000.0
"""Largest `alpha`; cosines below .9 to the power of 1,000 are 0."""

PARAMETERS: Final[Mapping[str, str]] = {"alpha": "expand", "k1": "rerank", "k2": "rerank", "trust": "rerank"}
"""Option that each parameter belongs to."""


def check_parameters(options: object) -> None:
    """Check that what the parameters of a search belong to is asked for.

    Args:
        options: `SearchRequest`, which imports this module.

    Raises:
        UsageError: It is not.
    """
    for name, option in PARAMETERS.items():
        if getattr(options, name) is not None and not getattr(options, option):
            raise UsageError(f"{name} is a parameter of {option}; give {option} as well")
