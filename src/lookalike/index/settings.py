"""Index settings, with the names of Milvus and FAISS."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

from lookalike.errors import UnknownNameError, UsageError

LARGEST: Final[Mapping[str, int]] = {
    "nlist": 1_000_000,
    "nprobe": 1_000_000,
    "M": 512,
    "efConstruction": 100_000,
    "ef": 100_000,
}
"""Largest value of each setting; the smallest is 1, and 2 for `M`."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Settings of the indexes of one gallery; None leaves the choice to the index.

    Attributes:
        nlist: Number of lists of `ivf` and clusters of `kmeans`, at most the number of rows.
        nprobe: Default number of lists that `ivf` and `kmeans` look into; `ivf` looks into more if a filter passes few
            rows, or the weights are far from the default ones.
        M: Edges of a row in the graph of `hnsw`, at least 2.
        efConstruction: Candidates when a row is inserted into the graph of `hnsw`.
        ef: Smallest number of rows that a search in the graph of `hnsw` visits.
    """

    nlist: int | None = None
    nprobe: int | None = None
    M: int | None = None
    efConstruction: int | None = None
    ef: int | None = None

    @classmethod
    def checked(cls, given: Mapping[str, int]) -> IndexSettings:
        """Check settings given by name.

        Raises:
            UnknownNameError: There is no such setting.
            UsageError: A value is not an integer, or out of range.
        """
        for name, value in given.items():
            if name not in LARGEST:
                raise UnknownNameError("setting of an index", name, LARGEST)
            least = 2 if name == "M" else 1
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST[name]:
                raise UsageError(f"{name} must be a whole number from {least} to {LARGEST[name]:,}, got {value!r}")
        return cls(**given)

    def to_json(self) -> dict[str, int]:
        """Settings that are set, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


USUAL: Final = IndexSettings()
"""Settings that leave everything to the indexes."""
