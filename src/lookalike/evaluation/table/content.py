"""Content of a table of evaluations: figures of methods, published results, and the names of metrics in papers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from lookalike.evaluation.figures import Metric
from lookalike.evaluation.table.published import PublishedResult
from lookalike.types import JSON

SIZES: Final[Mapping[str, tuple[int, int]]] = {
    "inshop": (14_218, 12_612),
    "sop": (60_502, 60_502),
    "cub": (5_924, 5_924),
}
"""Numbers of queries and photos of the gallery, where the data set's authors publish them."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One metric of one method, as fractions in [0, 1].

    Attributes:
        mean: Mean over the seeds; the figure itself for one report.
        deviation: Sample standard deviation over the seeds; None for one report.
        interval: 95 % interval in [0, 1]: of the mean over seeds by Student's t, or by the bootstrap for one report.
    """

    mean: float
    deviation: float | None
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """One method.

    Attributes:
        method: Its name.
        models: Model id of each seed.
        cells: Its figures by metric.
    """

    method: str
    models: Sequence[str]
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class TableContent:
    """Evaluations of the same queries by one protocol.

    Attributes:
        protocol: Protocol of all.
        queries: Number of queries.
        gallery: Number of items in the gallery.
        metrics: Metrics of the columns.
        rows: Methods, in the order that was given.
        published: Published results of the protocol.
        whole: Whether all evaluations are of the whole published benchmark.
        exact: Whether all are exact rankings of the whole gallery.
        usual_boxes: Whether in all of them the photos are cropped as in the papers of the benchmark.
        resample: What the intervals of single reports are over: `query` or `product`.
    """

    protocol: str
    queries: int
    gallery: int
    metrics: Sequence[str]
    rows: Sequence[Row]
    published: Sequence[PublishedResult]
    whole: bool
    exact: bool
    usual_boxes: bool
    resample: str

    @property
    def published_queries(self) -> str:
        """Words that tell published figures from those of other queries, searches or boxes; empty if all agree."""
        words = ""
        if not self.whole:
            sizes = SIZES.get(self.protocol)
            if sizes is None or sizes == (self.queries, self.gallery):
                theirs = "the whole benchmark"
            else:
                theirs = f"{sizes[0]:,} queries and a gallery of {sizes[1]:,}"
            words += f", of {theirs} and not of these {self.queries:,} and {self.gallery:,}"
        if not self.exact:
            words += ", by exact rankings and not by searches as served"
        if not self.usual_boxes:
            words += ", with photos cropped as in the papers, which not all of these are known to be"
        return words

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike evaluate --table --json`."""
        rows: list[JSON] = [
            {
                "method": row.method,
                "models": list(row.models),
                "figures": {
                    name: {"mean": cell.mean, "deviation": cell.deviation, "interval": list(cell.interval)}
                    for name, cell in row.cells.items()
                },
            }
            for row in self.rows
        ]
        return {
            "protocol": self.protocol,
            "queries": self.queries,
            "gallery": self.gallery,
            "whole": self.whole,
            "exact": self.exact,
            "usual_boxes": self.usual_boxes,
            "resample": self.resample,
            "metrics": list(self.metrics),
            "rows": rows,
            "published": [asdict(one) for one in self.published],
        }


def heading(metric: str, *, protocol: str) -> str:
    """Name of a metric in the papers of a protocol: Recall@k is our `hit_rate@k`, `top-k` that of Consumer-to-shop."""
    name, _, k = metric.partition("@")
    if name == "hit_rate" and k.isdecimal():
        return f"top-{k}" if protocol.startswith("consumer2shop") else f"R@{k}"
    known = {"map@r": "MAP@R", "map": "mAP", "mrr": "MRR", "r_precision": "RP"}
    if metric in known:
        return known[metric]
    letters = {"map": "mAP", "precision": "P", "ndcg": "NDCG"}
    return f"{letters[name]}@{k}" if name in letters and Metric.parse(metric.partition("[")[0]).k else metric
