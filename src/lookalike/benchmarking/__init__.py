"""Benchmarks of search against the original system, for `lookalike bench`."""
