"""Indexes over concatenated unit vectors, behind one interface."""

from lookalike.index.allowed import Allowed
from lookalike.index.auto import choose
from lookalike.index.protocol import INDEXES, Index, SearchesLater, build, load
from lookalike.index.row_format import RowFormat
from lookalike.index.rows import Mapped, Rows, row_sums
from lookalike.index.scipy_metrics import METRICS, SPELLINGS, checked_metric, metric_scan
from lookalike.index.settings import IndexSettings

__all__ = [
    "INDEXES",
    "METRICS",
    "SPELLINGS",
    "Allowed",
    "Index",
    "IndexSettings",
    "Mapped",
    "RowFormat",
    "Rows",
    "SearchesLater",
    "build",
    "checked_metric",
    "choose",
    "load",
    "metric_scan",
    "row_sums",
]
