"""Full text of a gallery in a folder: its words in SQLite's FTS5, kept beside the database and ranked by BM25."""
