"""Filters: parser of `where` expressions, and a compiler for each back end."""
