"""What indexes are made with and how far searches look, in the words of Milvus and FAISS."""

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
"""Each setting and its largest value; the smallest is 1, and 2 of `M`."""


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """Settings of the indexes of one gallery; None leaves the choice to the index.

    Attributes:
        nlist: Lists of `ivf` and clusters of `kmeans`, at most as many as rows.
        nprobe: Lists that `ivf` and `kmeans` look into when a search does not say; `ivf` goes on to look into more
            where a filter passes less, or weights lead away from the default ones.
        M: Edges of a row in the graph of `hnsw`, at least 2.
        efConstruction: Rows that are looked at to place a row in the graph of `hnsw`.
        ef: Least number of rows that a search in the graph of `hnsw` looks at.
    """

    nlist: int | None = None
    nprobe: int | None = None
    M: int | None = None
    efConstruction: int | None = None
    ef: int | None = None

    @classmethod
    def checked(cls, given: Mapping[str, int]) -> IndexSettings:
        """Take settings by their names.

        Raises:
            UnknownNameError: There is no such setting.
            UsageError: One is no whole number, or out of its range.
        """
        for name, value in given.items():
            if name not in LARGEST:
                raise UnknownNameError("setting of an index", name, LARGEST)
            least = 2 if name == "M" else 1
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= LARGEST[name]:
                raise UsageError(f"{name} must be a whole number from {least} to {LARGEST[name]:,}, got {value!r}")
        return cls(**given)

    def to_json(self) -> dict[str, int]:
        """Those that are set, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}


USUAL: Final = IndexSettings()
"""Every index decides by itself."""
