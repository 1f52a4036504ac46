"""Indexes: candidates for a query over concatenated unit rows, behind one small protocol."""
