"""How good a ranking is: metrics and protocols."""
