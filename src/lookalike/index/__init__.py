"""Indexes: candidates for a query over concatenated unit rows, behind one small protocol."""

from lookalike.index.choice import choose
from lookalike.index.metrics import METRICS, checked_metric, metric_scan
from lookalike.index.protocol import INDEXES, Index, build, load

__all__ = ["INDEXES", "METRICS", "Index", "build", "checked_metric", "choose", "load", "metric_scan"]
