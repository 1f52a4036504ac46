"""Learning from use: what was searched and chosen, the weights that follow from it, and reports."""
