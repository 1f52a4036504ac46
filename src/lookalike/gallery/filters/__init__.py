"""Filters: the `where` expressions, and how each back end evaluates them."""
