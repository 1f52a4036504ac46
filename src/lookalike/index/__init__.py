"""Indexes: candidates for a query over concatenated unit rows, behind one small protocol."""

from lookalike.index.protocol import INDEXES, Index, build, load

__all__ = ["INDEXES", "Index", "build", "load"]
