"""Photos that are fetched in the background: jobs of a gallery in a SQLite file of their own."""
