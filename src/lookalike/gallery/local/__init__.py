"""The gallery in a folder: a SQLite database, and segment files for search."""
