"""Readers of catalogues: folders, trees of splits, tables, object stores, paths on standard input."""
