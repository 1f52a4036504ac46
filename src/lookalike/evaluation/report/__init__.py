"""The report of an evaluation: figures, curves, a map and the worst queries."""
