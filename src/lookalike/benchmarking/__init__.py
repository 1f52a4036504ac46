"""The search measured beside the original system's way, in one run: what `lookalike bench` does."""
